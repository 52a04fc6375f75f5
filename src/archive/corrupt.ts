import { type ErrorDetails, MoraineError } from '../errors.ts';

/** ARCHIVE_CORRUPT: which part of the file, and what is wrong with it. `what` completes "<member>: ". */
export function corrupt(member: string, what: string, details: ErrorDetails = {}): MoraineError {
  return new MoraineError('ARCHIVE_CORRUPT', `${member}: ${what}`, {
    changed: 'Nothing of this part was passed on.',
    ...details,
    ids: { member, ...details.ids },
  });
}
