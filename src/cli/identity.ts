/** Reading an administrator's identity on their own machine. Its passphrase comes from the terminal or a file, never from an argument. */
import { readFileSync } from 'node:fs';
import { MoraineError } from '../errors.ts';
import { type AdministratorIdentity, isPassphraseProtected, openIdentity } from '../keys/identity-file.ts';
import type { Session } from './session.ts';

export interface IdentityOptions {
  readonly identity: string;
  readonly passphraseFile?: string;
}

/** The options of every command that opens something. */
export const IDENTITY_OPTION = ['--identity <file>', "an administrator's identity"] as const;
export const PASSPHRASE_OPTION = [
  '--passphrase-file <file>',
  'its passphrase, for scripts; without it a terminal asks',
] as const;

/** Throws IDENTITY_WRONG for a file that cannot be read or opened. */
export async function readIdentity(session: Session, options: IdentityOptions): Promise<AdministratorIdentity> {
  const file = readFile(options.identity, 'identity');
  if (!isPassphraseProtected(file)) return await openIdentity(file);
  return await openIdentity(file, await askPassphrase(session, options.passphraseFile, options.identity));
}

/** A passphrase for something new: asked twice. */
export async function newPassphrase(session: Session, passphraseFile: string | undefined): Promise<string> {
  if (passphraseFile !== undefined) return passphraseIn(passphraseFile);
  const first = await prompt(session, 'Passphrase for the new identity');
  if ((await prompt(session, 'Once more')) === first) return first;
  throw new MoraineError('USAGE', 'The two passphrases differ.', { hint: 'Type the same passphrase twice.' });
}

async function askPassphrase(session: Session, passphraseFile: string | undefined, identity: string): Promise<string> {
  if (passphraseFile !== undefined) return passphraseIn(passphraseFile);
  return await prompt(session, `Passphrase of ${identity}`);
}

async function prompt(session: Session, message: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new MoraineError('USAGE', 'A passphrase is needed and there is no terminal to ask on.', {
      hint: 'Pass --passphrase-file FILE.',
    });
  }
  const { password } = await import('@inquirer/prompts');
  return await password({ message, mask: true }, { output: process.stderr, signal: session.signal }).catch(
    (cause: unknown) => {
      throw new MoraineError('USAGE', 'The question for the passphrase was left without an answer.', { cause });
    },
  );
}

/** The first line of the file. */
function passphraseIn(file: string): string {
  return readFile(file, 'passphrase file').toString('utf8').split(/\r?\n/)[0] ?? '';
}

function readFile(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new MoraineError('IDENTITY_WRONG', `The ${what} ${file} cannot be read.`, {
      cause,
      hint: 'Name a file that is there and that you may read.',
      ids: { file },
    });
  }
}
