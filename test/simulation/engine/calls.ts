/** A call of a process to a server, and the ways in which it may go wrong. */

/** `files`: S3 and GridFS, where what hangs on records is. */
export type Server = 'ledger' | 'key store' | 'source' | 'files' | 'vault' | 'queue';

export interface Call {
  readonly process: string;
  readonly server: Server;
  /** `archives.replace`, `deleteGuarded`, `storeWhole`, ... */
  readonly name: string;
  /** The how-manieth call of the process it is, from 1. */
  readonly number: number;
}

/**
 * - `error`: refused before anything happened. `lost reply`: it happened, and the caller is told that the connection broke.
 * - `partial`: only a part of a batch happened, then the connection broke.
 * - `duplicate`: it happened twice (a client that sends again after a lost reply); the second reply counts.
 * - `delay`: minutes pass before it happens, or before the reply comes. `hang`: the caller gives up at its timeout and
 *   nothing ever happens. `late`: the caller gives up, and it happens after all, up to hours later.
 * - `stale`: a read tells what was there some time ago, as a cursor or a plan may.
 * - `flipped` and `truncated`: of bytes on their way. `wrong bytes`: those of another file under the right id.
 * - `throttled`: the vault asks everybody to slow down, for hours. `denied`: credentials have expired, for minutes.
 * - `stays`: the vault accepts a delete and keeps the file.
 * - `crash before`, `crash after`: the promise never settles and the process is gone, without or with the effect.
 * - `freeze before`, `freeze after`: the process stands still past its leases, and wakes in mid-call.
 */
export const FAULT_KINDS = [
  'error',
  'lost reply',
  'partial',
  'duplicate',
  'delay',
  'hang',
  'late',
  'stale',
  'flipped',
  'truncated',
  'wrong bytes',
  'throttled',
  'denied',
  'stays',
  'crash before',
  'crash after',
  'freeze before',
  'freeze after',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** How long it lasts, where it lasts. */
  readonly ms: number;
}

/** Says which fault a call meets. */
export interface FaultPlan {
  decide(call: Call): Fault | null;
}

/** A fault at a place, as the trace of a life remembers it and as a replay asks for it. */
export interface PlannedFault extends Fault {
  readonly process: string;
  readonly call: number;
}

/** What a server lets be done to one of its methods. */
export interface Traits {
  /** It changes something. */
  readonly changes: boolean;
  readonly faults: readonly FaultKind[];
}
