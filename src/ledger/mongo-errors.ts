/** What the ledger makes of the driver's errors, beyond what it shares with the source. */
import { MongoBulkWriteError, MongoServerError } from 'mongodb';
import { systemClock } from '../clock.ts';
import { isMoraineError, MoraineError } from '../errors.ts';
import { cutShort, DUPLICATE_KEY, isRolledBack, translateMongoError } from '../source/driver-errors.ts';

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

/** A race of several writers over one unique value is over within a few rounds: one of them is through after each. */
const ROLLED_BACK_AT_MOST = 8;
/**
 * Those that were in each other's way must not meet again: each waits some part of this, longer every time. As long as
 * PostgreSQL takes to find a deadlock: who comes back sooner joins the next one.
 */
const ROLLED_BACK_WAIT_MS = 1_000;

/**
 * Makes a write again that the server took back because of others that wrote at the same time. MongoDB does so by itself
 * for a single document; a server on PostgreSQL may answer with its deadlock instead of the duplicate key.
 */
export async function againIfRolledBack<T>(write: () => Promise<T>): Promise<T> {
  for (let times = 1; ; times += 1) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof MongoServerError) || !isRolledBack(error) || !(await mayTryAgain(times))) throw error;
    }
  }
}

/** Waits before the next try; false when there were enough of them. */
export async function mayTryAgain(times: number): Promise<boolean> {
  if (times >= ROLLED_BACK_AT_MOST) return false;
  await systemClock.sleep(Math.random() * ROLLED_BACK_WAIT_MS * times);
  return true;
}

export interface PartlyInserted {
  readonly inserted: number;
  /** Places in the batch whose insert was taken back, to be made again. */
  readonly rolledBack: readonly number[];
}

/** What became of an unordered insertMany, when duplicates and races are the only thing that was wrong with it; else null. */
export function insertedBesideDuplicates(error: unknown): PartlyInserted | null {
  if (!(error instanceof MongoBulkWriteError) || cutShort(error) !== null) return null;
  const failures = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
  const isKnown = failures.length > 0 && failures.every((each) => each.code === DUPLICATE_KEY || isRolledBack(each));
  // A write concern error beside the duplicates means that the inserted ones may still be lost.
  if (!isKnown || error.result.getWriteConcernError() !== undefined) return null;
  return { inserted: error.insertedCount, rolledBack: failures.filter(isRolledBack).map(({ index }) => index) };
}
