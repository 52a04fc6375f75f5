/** Writing files that must not replace others. */
import { writeFileSync } from 'node:fs';
import { MoraineError } from '../errors.ts';

/** Only the owner may read it: for identities. */
export const SECRET_MODE = 0o600;
export const PLAIN_MODE = 0o644;

/** Throws USAGE when the file is there or cannot be written. */
export function writeNewFile(file: string, text: string | Uint8Array, mode: number): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode });
  } catch (cause) {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    throw new MoraineError('USAGE', isThere ? `${file} is there already.` : `${file} cannot be written.`, {
      cause,
      hint: isThere
        ? 'Choose another name, or remove it yourself; nothing is ever overwritten.'
        : 'Check the folder and its rights.',
      ids: { file },
    });
  }
}
