/**
 * Translates what the driver throws, by class and code, never by message text: a server's message may quote record
 * content, so ours names the code only.
 */
import {
  MongoAPIError,
  MongoError,
  MongoNetworkError,
  MongoParseError,
  MongoServerError,
  MongoServerSelectionError,
} from 'mongodb';
import { type ErrorDetails, MoraineError } from '../errors.ts';

export const DUPLICATE_KEY = 11000;

/** Not primary, stepping down, shutting down, host unreachable, cursor gone, over a time limit, write concern not reached in time. */
const PASSING_CODES = new Set([6, 7, 43, 50, 64, 89, 91, 133, 189, 237, 262, 9001, 10107, 11600, 11602, 13435, 13436]);

/**
 * @param doing What was being asked, as in "read support.chats"; becomes part of the message.
 * @returns The same error when it is ours already or not of the driver.
 */
export function translateMongoError(error: unknown, doing: string, details: ErrorDetails = {}): unknown {
  if (error instanceof MoraineError || !(error instanceof MongoError)) return error;
  const known: ErrorDetails = { ...details, cause: error };
  if (error instanceof MongoServerError) {
    const name = `${error.code ?? 'without a code'}${error.codeName === undefined ? '' : ` (${error.codeName})`}`;
    return PASSING_CODES.has(Number(error.code))
      ? new MoraineError('MONGODB_UNAVAILABLE', `MongoDB could not ${doing} just now: code ${name}.`, known)
      : new MoraineError('MONGODB_REFUSED', `MongoDB refused to ${doing}: code ${name}.`, known);
  }
  if (error instanceof MongoParseError) {
    return new MoraineError('CONFIG_INVALID', 'mongodb.url is not an address that MongoDB understands.', known);
  }
  if (error instanceof MongoNetworkError || error instanceof MongoServerSelectionError) {
    return new MoraineError('MONGODB_UNAVAILABLE', `MongoDB cannot be reached, so it could not ${doing}.`, known);
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
