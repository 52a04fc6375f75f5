import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { EmulatorClock } from './clock.ts';
import { missingParameter } from './errors.ts';
import type { Notifier } from './notifier.ts';
import type { RegionAccounts } from './region-accounts.ts';
import type { Vaults } from './vaults.ts';

/** One call of an operation, after its signature was found to be right. */
export type Call = {
  vaults: Vaults;
  clock: EmulatorClock;
  accounts: RegionAccounts;
  notifier: Notifier;
  /** The names of all actions that a policy may speak of, as `glacier:DeleteArchive`. */
  actions: readonly string[];
  /** What the FreeTier retrieval policy lets through on a day. */
  freeTierBytes: number;
  /** Takes a fault, if there is one: an expedited retrieval finds no capacity. */
  lacksCapacity: () => boolean;
  region: string;
  /** From the path: `vault` (valid when there is one), `archiveId`, `uploadId`, `jobId`. */
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  /** What the client says the body hashes to; an operation that streams the body compares it. */
  contentSha256: string;
  /** The body of operations that store it. */
  body: Readable;
  /** The body of operations that take JSON. */
  json: unknown;
};

export type Reply = {
  status: number;
  headers?: Record<string, string>;
  /** An object is sent as JSON. */
  body?: Buffer | Readable | Record<string, unknown>;
};

/** A parameter of the path; the route of the operation has it. */
export function pathParameter(call: Call, name: string): string {
  const value = call.params[name];
  if (value === undefined) throw new Error(`the route has no parameter ${name}`);
  return value;
}

export function vaultOf(call: Call) {
  return call.vaults.get(call.region, pathParameter(call, 'vault'));
}

export function optionalHeader(call: Call, name: string): string | undefined {
  const value = call.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

export function requiredHeader(call: Call, name: string): string {
  const value = optionalHeader(call, name);
  if (value === undefined || value === '') throw missingParameter(name);
  return value;
}
