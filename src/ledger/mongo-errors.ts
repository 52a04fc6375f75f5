/**
 * The driver's errors as Moraine's, by class and code, never by message text. Neither a document nor a credential gets
 * into the text: server messages can quote key values, so only the code's name is taken over; the cause keeps the rest.
 */
import {
  MongoAPIError,
  MongoBulkWriteError,
  MongoClientClosedError,
  MongoError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoOperationTimeoutError,
  MongoServerError,
  MongoSystemError,
  MongoTopologyClosedError,
  MongoWriteConcernError,
} from 'mongodb';
import { MoraineError } from '../errors.ts';

const DUPLICATE_KEY = 11000;

/**
 * Server codes that pass by themselves: no primary (189, 10107, 10058, 13435, 13436), shutting down or stepping down
 * (91, 11600, 11602), network (6, 7, 89, 9001), a cursor that the server lost (43), time limits (50, 262), a majority that
 * did not answer in time (64, 79, 100). Source: error_codes.yml of MongoDB, and the retryable codes of the driver specification.
 */
const PASSING_CODES = new Set([
  6, 7, 43, 50, 64, 79, 89, 91, 100, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436,
]);

const MAY_HAVE_ARRIVED = 'What was being written may have arrived; it is read again before anything else.';

/** The error of a MongoDB call that did `doing` ("reading ledger collection audit"). A MoraineError passes unchanged. */
export function translateMongoError(thrown: unknown, doing: string, changed: string = MAY_HAVE_ARRIVED): MoraineError {
  if (thrown instanceof MoraineError) return thrown;
  const error = wrappedError(thrown) ?? thrown;
  if (isUnavailable(error)) {
    return new MoraineError('MONGODB_UNAVAILABLE', `MongoDB cannot be reached while ${doing}.`, {
      cause: error,
      changed,
    });
  }
  if (error instanceof MongoError) {
    return new MoraineError('MONGODB_REFUSED', `MongoDB refused ${doing}: ${codeName(error)}.`, { cause: error });
  }
  return new MoraineError('INTERNAL', `An unexpected error while ${doing}.`, { cause: error });
}

/** `_id` or a unique index is taken. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** How many of an unordered insertMany went in, when duplicates are the only thing that was wrong with the rest; else null. */
export function insertedBesideDuplicates(error: unknown): number | null {
  if (!(error instanceof MongoBulkWriteError) || wrappedError(error) !== null) return null;
  const failures = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
  const onlyDuplicates = failures.length > 0 && failures.every((failure) => failure.code === DUPLICATE_KEY);
  // A write concern error beside the duplicates means that the inserted ones may still be lost.
  return onlyDuplicates && error.result.getWriteConcernError() === undefined ? error.insertedCount : null;
}

/** The driver puts a lost connection in the middle of a bulk write into a bulk write error, beside what came back before. */
function wrappedError(error: unknown): Error | null {
  if (!(error instanceof MongoBulkWriteError)) return null;
  const response: unknown = error.errorResponse;
  return response instanceof Error ? response : null;
}

function isUnavailable(error: unknown): boolean {
  if (error instanceof MongoNetworkError || error instanceof MongoSystemError) return true;
  if (error instanceof MongoTopologyClosedError || error instanceof MongoClientClosedError) return true;
  if (error instanceof MongoNotConnectedError) return true;
  if (error instanceof MongoOperationTimeoutError || error instanceof MongoWriteConcernError) return true;
  if (error instanceof MongoBulkWriteError && error.result.getWriteConcernError() !== undefined) return true;
  if (error instanceof MongoServerError && typeof error.code === 'number') return PASSING_CODES.has(error.code);
  return error instanceof MongoError && error.hasErrorLabel('RetryableWriteError');
}

function codeName(error: MongoError): string {
  if (error instanceof MongoServerError) return String(error.codeName ?? error.code ?? error.name);
  // A misuse of the driver (MongoAPIError) is ours, but the caller can do no more about it than about a refusal.
  return error instanceof MongoAPIError ? error.constructor.name : error.name;
}
