/**
 * The driver's errors as ours, for the source and the ledger alike: by class and code, never by message text. A server's
 * message may quote record content and the driver's a password, so ours name the code only; the cause keeps the rest.
 */
import {
  MongoAPIError,
  MongoBulkWriteError,
  MongoClientClosedError,
  MongoError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoParseError,
  MongoServerError,
  MongoSystemError,
  MongoTopologyClosedError,
  MongoWriteConcernError,
} from 'mongodb';
import { type ErrorDetails, MoraineError } from '../errors.ts';

/** `_id` or a unique index is taken. */
export const DUPLICATE_KEY = 11000;

/**
 * Server codes that pass by themselves: no primary, or none that this read may use (133, 189, 10058, 10107, 13435,
 * 13436), shutting down or stepping down (91, 11600, 11602), network (6, 7, 89, 9001), a cursor that is gone (43, 237),
 * time limits (50, 262), a majority that did not answer in time (64, 79, 100). Source: error_codes.yml of MongoDB, and
 * the retryable codes of the driver specification.
 */
const PASSING_CODES = new Set([
  6, 7, 43, 50, 64, 79, 89, 91, 100, 133, 189, 237, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436,
]);

/**
 * The server took back the whole write because others wrote at the same time: nothing of it happened. MongoDB's write
 * conflict (112), and what a server on PostgreSQL passes on: its serialization failure (40001) and deadlock (40P01), as
 * the number that PostgreSQL packs such a state into.
 */
const ROLLED_BACK_CODES: ReadonlySet<unknown> = new Set([112, packed('40001'), packed('40P01')]);

export function isRolledBack(error: { readonly code?: unknown }): boolean {
  return ROLLED_BACK_CODES.has(error.code);
}

/** The server could not do it just now; asked again, it may. */
export function isPassingCode(code: number): boolean {
  return PASSING_CODES.has(code) || ROLLED_BACK_CODES.has(code);
}

/** Six bits for each character, the first one lowest (MAKE_SQLSTATE in PostgreSQL's elog.h). */
function packed(state: string): number {
  return [...state].reduce((sum, letter, at) => sum + ((letter.charCodeAt(0) - 48) & 63) * 64 ** at, 0);
}

/**
 * @param doing What was being asked, as in "read support.chats"; becomes part of the message.
 * @returns The same error when it is ours already or not of the driver.
 */
export function translateMongoError(thrown: unknown, doing: string, details: ErrorDetails = {}): unknown {
  if (thrown instanceof MoraineError) return thrown;
  const error = cutShort(thrown) ?? thrown;
  if (!(error instanceof MongoError)) return error;
  const known: ErrorDetails = { ...details, cause: error };
  if (isAway(error)) {
    return new MoraineError('MONGODB_UNAVAILABLE', `MongoDB cannot be reached, so it could not ${doing}.`, known);
  }
  if (error instanceof MongoServerError) {
    const name = `${error.code ?? 'without a code'}${error.codeName === undefined ? '' : ` (${error.codeName})`}`;
    return isPassing(error)
      ? new MoraineError('MONGODB_UNAVAILABLE', `MongoDB could not ${doing} just now: code ${name}.`, known)
      : new MoraineError('MONGODB_REFUSED', `MongoDB refused to ${doing}: code ${name}.`, known);
  }
  if (error instanceof MongoParseError) {
    return new MoraineError('CONFIG_INVALID', 'mongodb.url is not an address that MongoDB understands.', known);
  }
  if (error instanceof MongoAPIError) {
    return new MoraineError('INTERNAL', `The MongoDB driver refused to ${doing}: ${error.name}.`, known);
  }
  return new MoraineError('MONGODB_UNAVAILABLE', `MongoDB could not ${doing}: ${error.name}.`, known);
}

/** Runs a call to the driver and translates what it throws. */
export async function asking<T>(doing: string, call: () => Promise<T>, details: ErrorDetails = {}): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw translateMongoError(error, doing, details);
  }
}

/**
 * What ended a bulk write in the middle, null when nothing did: the driver puts a lost connection into a bulk write
 * error, beside what came back before.
 */
export function cutShort(error: unknown): Error | null {
  if (!(error instanceof MongoBulkWriteError)) return null;
  const response: unknown = error.errorResponse;
  return response instanceof Error ? response : null;
}

/** No server, or no connection to it any more, our own side's closing included. */
function isAway(error: MongoError): boolean {
  return (
    error instanceof MongoNetworkError ||
    error instanceof MongoSystemError ||
    error instanceof MongoTopologyClosedError ||
    error instanceof MongoClientClosedError ||
    error instanceof MongoNotConnectedError
  );
}

function isPassing(error: MongoServerError): boolean {
  if (error instanceof MongoWriteConcernError) return true;
  if (error instanceof MongoBulkWriteError && error.result.getWriteConcernError() !== undefined) return true;
  if (typeof error.code === 'number') return isPassingCode(error.code);
  return error.hasErrorLabel('RetryableWriteError');
}
