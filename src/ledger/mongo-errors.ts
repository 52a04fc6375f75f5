/** What the ledger makes of the driver's errors, beyond what it shares with the source. */
import { MongoBulkWriteError, MongoServerError } from 'mongodb';
import { isMoraineError, MoraineError } from '../errors.ts';
import { cutShort, DUPLICATE_KEY, translateMongoError } from '../source/driver-errors.ts';

const MAY_HAVE_ARRIVED = 'What was being written may have arrived; it is read again before anything else.';

/**
 * The error of a call of the ledger that was to do `doing` ("read ledger collection audit"). A MoraineError passes
 * unchanged; what is neither ours nor the driver's is INTERNAL.
 * @param changed What may have been changed when the server went away; what it refused, it did not do.
 */
export function translateStoreError(thrown: unknown, doing: string, changed: string = MAY_HAVE_ARRIVED): MoraineError {
  if (thrown instanceof MoraineError) return thrown;
  const error = translateMongoError(thrown, doing);
  if (!(error instanceof MoraineError)) {
    return new MoraineError('INTERNAL', `An unexpected error: could not ${doing}.`, { cause: error });
  }
  if (!isMoraineError(error, 'MONGODB_UNAVAILABLE')) return error;
  return new MoraineError(error.code, error.message, { cause: error.cause, changed });
}

/** `_id` or a unique index is taken. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** How many of an unordered insertMany went in, when duplicates are the only thing that was wrong with the rest; else null. */
export function insertedBesideDuplicates(error: unknown): number | null {
  if (!(error instanceof MongoBulkWriteError) || cutShort(error) !== null) return null;
  const failures = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
  const onlyDuplicates = failures.length > 0 && failures.every((failure) => failure.code === DUPLICATE_KEY);
  // A write concern error beside the duplicates means that the inserted ones may still be lost.
  return onlyDuplicates && error.result.getWriteConcernError() === undefined ? error.insertedCount : null;
}
