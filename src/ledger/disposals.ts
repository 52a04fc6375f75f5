/**
 * Expirations: records that were past their archive period too when they were first seen. They are deleted without an
 * archive, under the same guard, announcements and page intents as a clearing, and only when a person said so. One
 * document a partition and run; it ends with a certificate.
 */

import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { CustomerId, Namespace, OwnerId, PartitionId, PolicyVersion, WorkerId } from '../ids.ts';
import type { LeaseField, Outcomes } from './archive-document.ts';
import type { LedgerIndex } from './indexes.ts';
import { claimLease, type HeldLease } from './leases.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';
import { ExpiredBatch } from './warrants.ts';

export interface ExpirationDocument extends LedgerDocument {
  readonly policy: string;
  readonly policyVersion: PolicyVersion;
  readonly namespace: Namespace;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly partition: PartitionId;
  readonly state: 'deleting' | 'done';
  readonly saidBy: string;
  readonly asOf: Date;
  readonly epoch: number;
  readonly lease: LeaseField | null;
  /** Roster pages that were written so far. */
  readonly pages: number;
  readonly records: number;
  /** What the person was told, and the most that is deleted: the blast caps were looked at for this many. */
  readonly mostRecords: number;
  /** Position of the last record that was put into a page; the scan goes on after it. */
  readonly after: Uint8Array | null;
  /** The scan came to its end: what is left is to settle the pages and to certify. */
  readonly scanned: boolean;
  /** Holds that were looked at for each record before the first page: what they cover is in no page. Absent: no page yet. */
  readonly leftOut?: readonly string[];
  /** Quarantined instead of deleted: their bytes cannot be guarded. */
  readonly unfit: number;
  /** Set when it was certified: what is left is to remove its pages. */
  readonly outcomes: Outcomes | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

export type ExpirationLease = HeldLease<ExpirationDocument>;

const EXPIRATIONS = 'expirations';

export const EXPIRATIONS_INDEXES: readonly LedgerIndex[] = [{ collection: EXPIRATIONS, keys: { policy: 1, state: 1 } }];

export function expirations(store: Store): StoreCollection<ExpirationDocument> {
  return readableCollection<ExpirationDocument>(store, EXPIRATIONS);
}

export async function startExpiration(
  store: Store,
  clock: Clock,
  expiration: Pick<
    ExpirationDocument,
    | '_id'
    | 'policy'
    | 'policyVersion'
    | 'namespace'
    | 'owner'
    | 'customer'
    | 'partition'
    | 'saidBy'
    | 'asOf'
    | 'mostRecords'
  >,
): Promise<void> {
  await expirations(store).insert({
    ...expiration,
    v: LEDGER_VERSION,
    state: 'deleting',
    epoch: 0,
    lease: null,
    pages: 0,
    records: 0,
    after: null,
    scanned: false,
    unfit: 0,
    outcomes: null,
    startedAt: clock.now(),
    endedAt: null,
  });
}

export async function claimExpiration(
  store: Store,
  expiration: string,
  by: { readonly worker: WorkerId; readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<ExpirationLease> {
  return await claimLease(store, expirations(store), expiration, by);
}

/** Deletions of a policy that were ordered and have not ended. */
export async function openExpirations(store: Store, policy: string): Promise<readonly ExpirationDocument[]> {
  const open: ExpirationDocument[] = [];
  for await (const expiration of expirations(store).find({ policy, state: 'deleting' })) open.push(expiration);
  return open;
}

/** Establishes that records may be deleted without an archive: a person said so, and the deletion is under way under this lease. */
export function proveExpired(lease: ExpirationLease): ExpiredBatch {
  lease.assertHeld();
  const { _id, state, saidBy } = lease.document;
  if (state !== 'deleting' || saidBy === '') {
    throw new MoraineError('INTERNAL', `Expiration ${_id} is ${state}; nothing may be deleted for it.`);
  }
  return ExpiredBatch.issue(_id, saidBy);
}
