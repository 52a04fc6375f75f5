/** What the AWS ways have in common: how they reach the service, and what its errors mean. */
import { MoraineError } from '../errors.ts';
import { isLoopback } from '../vault/vault-config.ts';

/** Includes the first try: the SDK waits a moment between them, and the ledger waits longer. */
const MAX_ATTEMPTS = 3;
const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 20_000;
/** What the local stack takes: no secret, it listens on this machine only. */
const LOCAL_STACK_CREDENTIALS = { accessKeyId: 'moraine', secretAccessKey: 'moraine-local' };

export interface AwsAddress {
  readonly region: string;
  readonly endpoint: string | undefined;
}

/** Credentials: those of the local stack for an endpoint on this machine, else the SDK's own chain. */
export function awsOptions({ region, endpoint }: AwsAddress) {
  return {
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(endpoint !== undefined && isLoopback(endpoint) ? { credentials: LOCAL_STACK_CREDENTIALS } : {}),
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
  };
}

/** A 4xx that asks for nothing but another request is final; all else passes. Judged by status and name, never by text. */
export function translateAws(way: string, error: unknown): MoraineError {
  const name = error instanceof Error ? error.name : 'unknown';
  const status = statusOf(error);
  const isThrottled = /Thrott|LimitExceeded|TooManyRequests|SlowDown/.test(name) || status === 429;
  const isFinal = status !== null && status >= 400 && status < 500 && !isThrottled;
  const said = [name, status].filter((part) => part !== null).join(' ');
  return isFinal
    ? new MoraineError('NOTICE_REFUSED', `Way ${way}: the service refused the message (${said}).`, { cause: error })
    : new MoraineError('NOTICE_UNAVAILABLE', `Way ${way}: the service did not take the message (${said}).`, {
        cause: error,
      });
}

function statusOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return null;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return null;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : null;
}
