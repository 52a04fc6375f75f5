/**
 * Disposals: records that are deleted without an archive, or treated in place, under the guard, announcements and page
 * intents of a clearing. Five kinds:
 *  - `expired`: past their archive period too when they were first seen; they go only when a person said so;
 *  - `delete`: the policy's disposition is to delete, or its archives are not made here (a non-production source);
 *  - `treat-expired`: as `expired`, of a policy that treats in place what it archives: that is done, and no copy made;
 *  - `treat`: the policy has fields removed, redacted or pseudonymised;
 *  - `offboard`: a customer leaves, and all that the export holds goes, due or not. Its pages are written first, from the
 *    export; one that was not `scanned` to its end is nobody's order.
 * One document a partition and run; it ends with a certificate.
 */

import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { CustomerId, Namespace, OwnerId, PartitionId, PolicyVersion, WorkerId } from '../ids.ts';
import type { HoldsLooked, LeaseField, Outcomes } from './archive-document.ts';
import type { Decided } from './decided.ts';
import type { LedgerIndex } from './indexes.ts';
import { claimLease, type HeldLease } from './leases.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';
import { DisposalOrder } from './warrants.ts';

export type DisposalKind = 'expired' | 'treat-expired' | 'delete' | 'treat' | 'offboard';

export interface DisposalDocument extends LedgerDocument {
  /** Absent in documents of before there were others: `expired`. */
  readonly kind?: DisposalKind;
  readonly policy: string;
  readonly policyVersion: PolicyVersion;
  readonly namespace: Namespace;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly partition: PartitionId;
  /** Key of the policy's disposition that it is about (src/policy/choice.ts). Absent: these records have one. */
  readonly branch?: string;
  /** Counts the disposals of the partition, from 1. Absent in documents of before they were counted. */
  readonly sequence?: number;
  /** `deleting` also while records are treated: under way. */
  readonly state: 'deleting' | 'done';
  /** The person, or the policy, that ordered it. */
  readonly saidBy: string;
  readonly asOf: Date;
  readonly epoch: number;
  readonly lease: LeaseField | null;
  /** Roster pages that were written so far. */
  readonly pages: number;
  readonly records: number;
  /** What the person was told or the plan counted, and the most that is taken: the blast caps were looked at for this many. */
  readonly mostRecords: number;
  /** Ids of the exceptions that it was decided with. Absent: of before there were exceptions. */
  readonly exceptions?: readonly string[];
  /** Position of the last record that was put into a page; the scan goes on after it. */
  readonly after: Uint8Array | null;
  /** The scan came to its end: what is left is to settle the pages and to certify. */
  readonly scanned: boolean;
  /** Holds that were looked at for each record before the first page: what they cover is in no page. Absent: no page yet. */
  readonly leftOut?: readonly string[];
  /** Quarantined instead of taken: their bytes cannot be guarded or treated. */
  readonly unfit: number;
  /** By which rules the records in its pages go, and between which dates. Absent: no page yet. */
  readonly decided?: Decided;
  /** When the holds of {@link leftOut} were looked at, and how many were in force. */
  readonly looked?: HoldsLooked;
  /** What a person approved before it was ordered. */
  readonly approvals?: readonly string[];
  /** Set when it was certified: what is left is to remove its pages. */
  readonly outcomes: Outcomes | null;
  /** Also the instant in the markers of records that it treats. */
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

export type DisposalLease = HeldLease<DisposalDocument>;

/** Named after the first kind that there was, so that what older versions began is carried on. */
const DISPOSALS = 'expirations';

export const DISPOSALS_INDEXES: readonly LedgerIndex[] = [
  { collection: DISPOSALS, keys: { policy: 1, state: 1 } },
  { collection: DISPOSALS, keys: { partition: 1, sequence: -1 } },
];

/** What the id of every disposal begins with. */
export const DISPOSAL_PREFIX = 'x';

export function disposals(store: Store): StoreCollection<DisposalDocument> {
  return readableCollection<DisposalDocument>(store, DISPOSALS);
}

/** Past its archive period when it was first seen, and ordered by a person. */
export function isOfExpired(kind: DisposalKind): boolean {
  return kind === 'expired' || kind === 'treat-expired';
}

/** The records stay in the source, treated. */
export function isTreating(kind: DisposalKind): boolean {
  return kind === 'treat' || kind === 'treat-expired';
}

export function kindOf({ kind }: DisposalDocument): DisposalKind {
  return kind ?? 'expired';
}

/** The newest of a partition, but for those that were never counted. */
export async function newestDisposal(store: Store, partition: PartitionId): Promise<DisposalDocument | null> {
  const filter = { partition, sequence: { $gte: 1 } };
  for await (const disposal of disposals(store).find(filter, { sort: { sequence: -1 }, limit: 1 })) return disposal;
  return null;
}

/**
 * Begins a disposal; null when another worker began one meanwhile. Its id is the partition's with the next number after
 * `previous`, which was done: so a partition has at most one that is open, and an insert that was frozen on its way finds
 * its number taken.
 */
export async function startDisposal(
  store: Store,
  clock: Clock,
  previous: DisposalDocument | null,
  disposal: Pick<
    DisposalDocument,
    | 'policy'
    | 'policyVersion'
    | 'namespace'
    | 'owner'
    | 'customer'
    | 'partition'
    | 'saidBy'
    | 'asOf'
    | 'mostRecords'
    | 'after'
  > &
    Pick<Partial<DisposalDocument>, 'exceptions' | 'branch' | 'approvals'> & { readonly kind: DisposalKind },
): Promise<string | null> {
  const sequence = (previous?.sequence ?? 0) + 1;
  const _id = `${DISPOSAL_PREFIX}${disposal.partition}n${sequence}`;
  const inserted = await disposals(store).insert({
    ...disposal,
    _id,
    v: LEDGER_VERSION,
    sequence,
    state: 'deleting',
    epoch: 0,
    lease: null,
    pages: 0,
    records: 0,
    scanned: false,
    unfit: 0,
    outcomes: null,
    startedAt: clock.now(),
    endedAt: null,
  });
  return inserted === 'inserted' ? _id : null;
}

export async function claimDisposal(
  store: Store,
  disposal: string,
  by: { readonly worker: WorkerId; readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<DisposalLease> {
  return await claimLease(store, disposals(store), disposal, by);
}

/** Disposals of a policy that were ordered and have not ended. */
export async function openDisposals(store: Store, policy: string): Promise<readonly DisposalDocument[]> {
  const open: DisposalDocument[] = [];
  for await (const disposal of disposals(store).find({ policy, state: 'deleting' })) open.push(disposal);
  return open;
}

/** Establishes that records may be deleted without an archive, or treated in place: it was ordered, and is under way under this lease. */
export function proveOrdered(lease: DisposalLease): DisposalOrder {
  lease.assertHeld();
  const { _id, state, saidBy } = lease.document;
  if (state !== 'deleting' || saidBy === '') {
    throw new MoraineError('INTERNAL', `Disposal ${_id} is ${state}; nothing may be done for it.`);
  }
  return DisposalOrder.issue(_id, saidBy, isTreating(kindOf(lease.document)) ? 'replace' : 'delete');
}
