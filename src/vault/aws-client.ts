/** What both AWS clients have in common: timeouts, retries, credentials, and the `Date` header of every reply. */
import type { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { MoraineError } from '../errors.ts';
import type { VaultKey } from '../ids.ts';

/** Includes the first try. The SDK waits up to a few seconds between them; what lasts longer is the caller's to wait for. */
export const AWS_MAX_ATTEMPTS = 3;
/** For calls that are not the same when made twice: the caller asks the vault before it tries again. */
export const AWS_SINGLE_ATTEMPT = 1;

/** A server that is there accepts a connection at once; one that is away must be reported in seconds. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Nothing came or went on the connection for this long: it is dead. */
const IDLE_TIMEOUT_MS = 60_000;
/** Below LONGEST_CALL_MS of the leases: a try that began inside a lease ends inside it. A part of 8 MiB needs 1 Mbit/s for that. */
const REQUEST_TIMEOUT_MS = 80_000;
const CONNECTIONS = 32;
const HEADER_SECOND_MS = 1_000;

export interface StaticCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The part of a vault's entry in moraine.yaml that says how to reach the service. */
export interface ServiceAddress {
  readonly key: VaultKey;
  readonly region: string;
  readonly endpoint: string | undefined;
  /** Undefined: the SDK's own chain (environment, profile, role of the machine). */
  readonly credentials: StaticCredentials | RoleCredentials | undefined;
  readonly onCall?: (call: string) => void;
}

/** Tells of every call before it goes out, and of one that is sent again only once. To be added with {@link TELL_CALLS}. */
export function tellingCalls(onCall: (call: string) => void) {
  return <Args, Result>(next: (args: Args) => Promise<Result>, context: { readonly commandName?: string }) =>
    (args: Args): Promise<Result> => {
      onCall((context.commandName ?? '').replace(/Command$/, ''));
      return next(args);
    };
}

export const TELL_CALLS = { step: 'initialize', name: 'tellCalls' } as const;

/** Asked again whenever those that it gave are about to end. */
export type RoleCredentials = ReturnType<typeof fromTemporaryCredentials>;

/** The SDK writes into what it is given. */
function ofClient(credentials: StaticCredentials | RoleCredentials): StaticCredentials | RoleCredentials {
  return typeof credentials === 'function' ? credentials : { ...credentials };
}

/** Options that every AWS client of ours is made with. */
export function awsClientOptions(address: Omit<ServiceAddress, 'key'>, maxAttempts: number) {
  return {
    region: address.region,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    ...(address.credentials === undefined ? {} : { credentials: ofClient(address.credentials) }),
    maxAttempts,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: IDLE_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: CONNECTIONS },
      httpsAgent: { keepAlive: true, maxSockets: CONNECTIONS },
    },
  };
}

/**
 * Remembers the `Date` header of each reply with the output that the SDK makes of it. The service's own time decides
 * what an inventory proves (design 3), and it is a witness of ours (design 4).
 */
export class ReplyDates {
  readonly #dates = new WeakMap<object, Date>();

  /** To be added to a client's middleware with {@link REMEMBER_DATES}: it sees the reply, and what the SDK made of it. */
  readonly middleware = <Args, Result extends { readonly output?: unknown; readonly response: unknown }>(
    next: (args: Args) => Promise<Result>,
  ): ((args: Args) => Promise<Result>) => {
    return async (args) => {
      const result = await next(args);
      const { output, response } = result;
      const date = dateHeader(response);
      if (date !== null && typeof output === 'object' && output !== null) this.#dates.set(output, date);
      return result;
    };
  };

  /**
   * The last moment at which the service can have done what this output says. The header has whole seconds: an
   * inventory made in the rest of that second would look later than an archive that it does not hold yet.
   */
  latestOf(output: object): Date {
    return new Date(this.of(output).getTime() + HEADER_SECOND_MS - 1);
  }

  /** The service's time when it answered with this output, in whole seconds. */
  of(output: object): Date {
    const date = this.#dates.get(output);
    if (date === undefined) throw new MoraineError('VAULT_REFUSED', 'The service answered without a Date header.');
    return date;
  }
}

/** By which the service knows the request; nothing where the reply does not say. */
export function requestIdOf(reply: { readonly $metadata: { readonly requestId?: string | undefined } }): {
  readonly requestId?: string;
} {
  const { requestId } = reply.$metadata;
  return requestId === undefined || requestId === '' ? {} : { requestId };
}

/** Where the middleware of {@link ReplyDates} stands: right behind the step that reads the reply. */
export const REMEMBER_DATES = { step: 'deserialize', priority: 'high', name: 'rememberReplyDate' } as const;

/** The time in the Date header of an HTTP response of the SDK; null when it has none. */
export function dateHeader(response: unknown): Date | null {
  if (typeof response !== 'object' || response === null || !('headers' in response)) return null;
  const headers = response.headers;
  if (typeof headers !== 'object' || headers === null) return null;
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase() !== 'date' || typeof value !== 'string') continue;
    const date = new Date(value);
    return Number.isNaN(date.getTime()) ? null : date;
  }
  return null;
}
