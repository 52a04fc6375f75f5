import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { EmulatorClock } from './clock.ts';
import { missingParameter } from './errors.ts';
import type { Vaults } from './vaults.ts';

/** One call of an operation, after its signature was found to be right. */
export type Call = {
  vaults: Vaults;
  clock: EmulatorClock;
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
