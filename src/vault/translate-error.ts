/**
 * What an error of the AWS SDK means for us, by code and type, never by the text of a message.
 *
 * The one question that matters: can the call have taken effect? A connection that was never made, a throttled call and
 * a refusal (4xx) changed nothing. A connection that broke and a server error (5xx) may come after the effect: for a
 * call that changes something that is VAULT_OUTCOME_UNKNOWN, and whoever called asks the vault.
 */
import { type ErrorDetails, MoraineError } from '../errors.ts';
import type { VaultLocation } from './port.ts';

export interface CallMeaning {
  /** For the message: "store archive 42". */
  readonly what: string;
  readonly location: VaultLocation | null;
  /** What the call may have changed when its outcome is not known; null for calls that change nothing or are the same when repeated. */
  readonly effect: string | null;
}

const THROTTLED = new Set([
  'ThrottlingException',
  'Throttling',
  'ThrottledException',
  'RequestThrottled',
  'RequestThrottledException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'BandwidthLimitExceeded',
  'SlowDown',
  // Expedited capacity, and the limits of jobs and uploads at a time: the same request is fine later.
  'InsufficientCapacityException',
  'GlacierExpeditedRetrievalNotAvailable',
  'LimitExceededException',
]);

const NOT_FOUND = new Set([
  'ResourceNotFoundException',
  'NotFound',
  'NoSuchBucket',
  'NoSuchKey',
  'NoSuchUpload',
  'NoSuchVersion',
]);

/** The request went nowhere. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);

/** The connection broke somewhere on the way. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE']);

/** Codes of Node's HTTP parser: what came back is no HTTP reply, so something else answered, or a reply was cut. */
const NOT_HTTP = /^HPE_/;

/** Runs a call of the SDK and throws what its error means. */
export async function translating<Output>(meaning: CallMeaning, call: () => Promise<Output>): Promise<Output> {
  try {
    return await call();
  } catch (error) {
    throw translateError(error, meaning);
  }
}

/**
 * Runs a call that deletes.
 * @param refusal The code with which the service refuses access, and who may be behind it: "Object Lock or the access rights".
 */
export async function deleting<Output>(
  what: string,
  meaning: { readonly location: VaultLocation; readonly effect: string },
  refusal: { readonly code: string; readonly by: string },
  call: () => Promise<Output>,
): Promise<Output> {
  const { location } = meaning;
  try {
    return await call();
  } catch (error) {
    if (isServiceError(error, refusal.code)) {
      throw new MoraineError('VAULT_VETO', `${refusal.by} refuse to delete ${what}.`, {
        cause: error,
        ids: { vault: location.name },
      });
    }
    throw translateError(error, { ...meaning, what: `delete ${what}` });
  }
}

/** A MoraineError for what the SDK threw; anything that is not the world's fault comes back as it is. */
export function translateError(error: unknown, meaning: CallMeaning): unknown {
  if (!(error instanceof Error) || error instanceof MoraineError) return error;
  const details: ErrorDetails = { cause: error, ids: idsOf(meaning) };
  const at = meaning.location === null ? '' : ` at ${meaning.location.backend} ${meaning.location.name}`;
  const text = (why: string) => `Could not ${meaning.what}${at}: ${why}`;
  const unknown = () =>
    meaning.effect === null
      ? new MoraineError('VAULT_UNAVAILABLE', text(`${nameOf(error)}.`), details)
      : new MoraineError('VAULT_OUTCOME_UNKNOWN', text(`${nameOf(error)}.`), { ...details, changed: meaning.effect });

  const name = error.name;
  const code = systemCode(error);
  if (NOT_SENT.has(code)) return new MoraineError('VAULT_UNAVAILABLE', text(`${code}, nobody answers.`), details);
  if (BROKEN.has(code) || NOT_HTTP.test(code) || name === 'TimeoutError') return unknown();
  if (name === 'CredentialsProviderError') {
    return new MoraineError('VAULT_REFUSED', text('no AWS credentials were found.'), {
      ...details,
      hint: 'Give the process AWS credentials (role, profile or environment).',
    });
  }
  const status = httpStatus(error);
  if (status === null) return error;
  if (THROTTLED.has(name) || status === 429) {
    return new MoraineError('VAULT_THROTTLED', text(`${name}.`), details);
  }
  if (NOT_FOUND.has(name) || status === 404) {
    return new MoraineError('VAULT_NOT_FOUND', text(`${name}: ${error.message}`), details);
  }
  // A 2xx or 5xx that is an error: the reply was cut, is no JSON, or the server failed.
  if (status >= 500 || status < 300 || status === 408) return unknown();
  return new MoraineError('VAULT_REFUSED', text(`${name}: ${error.message}`), details);
}

/** Whether this is the service's error of one of these codes. */
export function isServiceError(error: unknown, ...codes: readonly string[]): error is Error {
  return error instanceof Error && codes.includes(error.name) && httpStatus(error) !== null;
}

export function httpStatus(error: Error): number | null {
  if (!('$metadata' in error)) return null;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return null;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : null;
}

function systemCode(error: Error): string {
  if ('code' in error && typeof error.code === 'string') return error.code;
  // An agent that tried IPv6 and IPv4 reports both in one AggregateError.
  if (error instanceof AggregateError) {
    const codes = error.errors.map((inner: unknown) => (inner instanceof Error ? systemCode(inner) : ''));
    return codes.find((inner) => inner !== '') ?? '';
  }
  return error.cause instanceof Error ? systemCode(error.cause) : '';
}

function nameOf(error: Error): string {
  const code = systemCode(error);
  return code === '' ? error.name : code;
}

function idsOf(meaning: CallMeaning): Record<string, string> {
  return meaning.location === null ? {} : { vault: meaning.location.name };
}
