/**
 * How a command is made: commander parses, `acting` runs the act in a session and turns its result into an exit code.
 * A command's file says what it takes, calls an act, and prints what came of it.
 */
import { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { EXIT, type ExitCode } from './exit-code.ts';
import { type GlobalOptions, Session } from './session.ts';

export { EXIT, type ExitCode } from './exit-code.ts';
export type { Session } from './session.ts';

/** `examples` are command lines, each with what it does. A `description` is wrapped to the terminal, whatever its lines. */
export function newCommand(
  name: string,
  help: { readonly description: string; readonly examples: readonly (readonly [line: string, meaning: string])[] },
): Command {
  const width = Math.max(0, ...help.examples.map(([line]) => line.length));
  const lines = help.examples.map(([line, meaning]) => `  ${line.padEnd(width)}  ${meaning}`);
  const command = new Command(name)
    .description(help.description.replaceAll(/(?<!\n)\n(?![\n ])/g, ' '))
    .allowExcessArguments(false);
  return lines.length === 0 ? command : command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

export type Act<O> = (session: Session, args: readonly string[], options: O) => Promise<ExitCode>;

/** The action of a command: `O` are its own options as commander names them. */
export function acting<O extends object>(act: Act<O>): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1);
    if (!(command instanceof Command)) throw new MoraineError('INTERNAL', 'An action was called without its command.');
    const stop = listenForSignals();
    const session = new Session(command.optsWithGlobals<GlobalOptions>(), stop.signal);
    try {
      process.exitCode = await act(session, command.args, command.opts<O>());
    } finally {
      stop.end();
      await session.close();
    }
  };
}

/** The first signal asks the work to stop where that leaves nothing half done; a second one does not wait for it. */
function listenForSignals(): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(EXIT.failed);
    process.stderr.write(`\n${name}: stopping at the next safe point. Once more ends at once.\n`);
    controller.abort(new MoraineError('WORK_STOPPED', `The command was told to stop (${name}).`));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    end: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
