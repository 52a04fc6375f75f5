/** Asking a person before something is destroyed, published or paid for. */
import { MoraineError } from '../errors.ts';
import type { Session } from './session.ts';

/** Returns when it was confirmed, by `--yes` or at the terminal. Throws CONFIRMATION_NEEDED otherwise. */
export async function confirm(session: Session, question: string): Promise<void> {
  if (session.globals.yes) return;
  if (!process.stdin.isTTY || session.output.isJson) {
    throw new MoraineError('CONFIRMATION_NEEDED', `${question} Nobody is there to be asked.`, {
      hint: 'Pass --yes to confirm.',
    });
  }
  const { confirm: ask } = await import('@inquirer/prompts');
  const answer = await ask(
    { message: question, default: false },
    { output: process.stderr, signal: session.signal },
  ).catch((cause: unknown) => {
    throw new MoraineError('CONFIRMATION_NEEDED', 'The question was left without an answer.', { cause });
  });
  if (!answer) throw new MoraineError('CONFIRMATION_NEEDED', 'It was not confirmed.');
}
