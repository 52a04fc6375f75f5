/** The ledger's document of one archive. Bytes and hashes are the vault's; instants of records are those of the source. */
import type {
  ArchiveId,
  AttemptId,
  CustomerId,
  Namespace,
  OwnerId,
  PartitionId,
  PolicyVersion,
  WorkerId,
} from '../ids.ts';
import type { VaultLocation } from '../vault/port.ts';
import type { AuditEntryBody } from './audit.ts';
import type { RuleCount } from './decided.ts';
import type { ArchiveState } from './states.ts';
import type { LedgerDocument } from './store.ts';

export const ARCHIVES = 'archives';
export const ARCHIVE_VERSION = 1;
/** Of archives with children or attachments, and of addenda: an older Moraine must not clear roots without what hangs on them. */
export const UNIT_ARCHIVE_VERSION = 2;

/** Outcomes of a record (`treated`: it stays, with fields removed or replaced); `pending` is the one that is not final. Promise 5: they add up to `archived`, always. */
export const RECORD_OUTCOMES = ['deleted', 'treated', 'changed', 'held', 'gone', 'quarantined'] as const;
export type RecordOutcome = (typeof RECORD_OUTCOMES)[number];
export type Outcomes = Readonly<Record<RecordOutcome | 'archived' | 'pending', number>>;

export interface LeaseField {
  readonly worker: WorkerId;
  /** The database server's time after which another worker may claim it. */
  readonly until: Date;
}

/** What the archive will hold. `after` and `bound` are positions `(trigger, _id)` as BSON bytes. */
export interface ArchivePlan {
  /** Everything up to and including this position belongs to earlier archives; null: from the beginning. */
  readonly after: Uint8Array | null;
  /** The upper bound, inclusive; null until a scan has reached its end (then `before` alone bounds it). A pass knows it at once. */
  readonly bound: Uint8Array | null;
  /** Records whose trigger is before this instant (ms) may be taken; `decide` is exact for each. */
  readonly before: number;
  /** The `now` of the plan: a record belongs if it was due then. */
  readonly asOf: Date;
  /** What the planner counted, and the most that is taken: the blast caps were looked at for this many. Part size is chosen from the bytes. */
  readonly records: number;
  readonly bytes: number;
  /** Set at sealing: the scan reached the end of what was due, so nothing is left to plan. */
  readonly reachedEnd: boolean;
  /** No record in the archive is purged later than this: the due window counted from the first record that was planned. */
  readonly latestPurgeAt: Date;
  /**
   * Of an addendum to an archive whose roster is gone: what the children name their roots by, as type byte and bytes.
   * Removed when the addendum is cleared or abandoned.
   */
  readonly lateRoots?: readonly Uint8Array[];
  /** Ids of the exceptions that it was decided with. Absent: none. */
  readonly exceptions?: readonly string[];
  /** Key of the policy's disposition that it is about (src/policy/choice.ts). Absent: these records have one. */
  readonly branch?: string;
  /** Several archives were planned by one pass over the source, and the ledger has the ids of what is for this one. Absent: all in its bounds is. */
  readonly pass?: PlanPass;
}

export interface PlanPass {
  /** The same for the archives of one pass, whose bounds are the same too: each record is put down for one of them. */
  readonly id: string;
  /** Nothing that was due lay above its bound. */
  readonly reachedEnd: boolean;
}

/** What the vault acknowledged, and what is inside. Set from `stored` on. */
export interface StoredFacts {
  readonly vaultArchiveId: string;
  readonly bytes: number;
  readonly treeHash: string;
  /** The vault's time of the acknowledgement. */
  readonly at: Date;
  readonly records: number;
  readonly recordBytes: number;
  readonly merkleRoot: string;
  readonly manifestSha256: string;
  readonly rosterPages: number;
  /** What hangs on its records; absent where nothing does. */
  readonly children?: number;
  readonly childBytes?: number;
  readonly attachments?: number;
  readonly attachmentBytes?: number;
  /** When the first of its records became due (end of its active period). */
  readonly oldestDueAt: Date;
  readonly triggerFrom: Date;
  readonly triggerTo: Date;
  /** When the first of its records was to be purged, by its policy. */
  readonly firstPurgeAt?: Date;
  /** Which rules decided that its records go. Absent: of an addendum, whose records go with others. */
  readonly rules?: readonly RuleCount[];
}

/** Why an archive is due before the date that its policy gave it. */
export interface EarlyPurge {
  readonly approval: string;
  /** When it would have been due. */
  readonly from: Date;
  readonly by: string;
  readonly reason: string;
  readonly at: Date;
}

/** Another purge date than before. */
export interface Reschedule {
  readonly from: Date;
  readonly to: Date;
  readonly by: string;
  readonly reason: string;
  /** Null for a later date, which needs none. */
  readonly approval: string | null;
  readonly at: Date;
}

/** That the holds were looked at, and none was found to cover what goes. Those that name its owner, customer and dataset, or any. */
export interface HoldsLooked {
  /** The database server's time. */
  readonly at: Date;
  /** How many of them were in force. */
  readonly count: number;
  /** The ids of the first of them. */
  readonly holds: readonly string[];
}

/** How far the vault's own lock and legal hold follow the ledger. */
export interface ArchiveGuard {
  /** `pending`: to be brought to the purge date. Absent: the vault locked nothing when it was verified. */
  readonly lock?: 'pending' | 'done';
  /** `asked`: a legal hold may be on it already. Absent: never. */
  readonly hold?: 'asked' | 'on' | 'off';
}

export interface PurgeFacts {
  /** The due date that the claim read. */
  readonly claimedDueAt: Date;
  readonly asOf: Date;
  /** Written before the vault is asked to delete: from here on a hold comes too late. */
  readonly askedAt: Date | null;
  /** Of the vault's reply to the delete, where it gives one. */
  readonly requestId?: string;
  /** The look at the holds before the vault was asked. */
  readonly looked?: HoldsLooked;
  /** The vault's time of the accepted delete. */
  readonly acceptedAt: Date | null;
  readonly keyDestroyedAt: Date | null;
  /** The InventoryDate that no longer listed it. */
  readonly confirmedByInventoryAt: Date | null;
  readonly certificate: string | null;
}

export interface ArchiveDocument extends LedgerDocument {
  readonly _id: ArchiveId;
  readonly state: ArchiveState;
  /** Only in `quarantined`. */
  readonly quarantinedFrom: ArchiveState | null;
  readonly quarantineReason: string | null;
  readonly policy: string;
  readonly policyVersion: PolicyVersion;
  /** The policy's dataset. */
  readonly namespace: Namespace;
  /** Only of an addendum: the collection that its records come from, children of what the dataset holds. */
  readonly collection?: Namespace;
  /** Only of an addendum: the archive with the roots of its records. It is purged on the same day. */
  readonly addendumTo?: ArchiveId;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly partition: PartitionId;
  /** Grows within the partition: a later plan lies above an earlier one that is not cleared. */
  readonly sequence: number;
  readonly verifyLevel: 'checksum' | 'inventory';
  readonly vault: VaultLocation;
  readonly plan: ArchivePlan;
  readonly epoch: number;
  readonly lease: LeaseField | null;
  /** The attempt that is open or was acknowledged. */
  readonly attempt: AttemptId | null;
  readonly attemptCount: number;
  readonly stored: StoredFacts | null;
  readonly verifiedAt: Date | null;
  /** Purge date: when the archive period of its last record ends. Null until sealed. */
  readonly dueAt: Date | null;
  /** Absent: due by its policy. */
  readonly early?: EarlyPurge;
  /** Every change of the purge date by a person, oldest first. Absent: none. */
  readonly rescheduled?: readonly Reschedule[];
  readonly outcomes: Outcomes;
  /** Of the children of its records, once it is cleared; absent where there were none. `held`: stayed with their root. */
  readonly childOutcomes?: Outcomes;
  /** Records that its scan quarantined instead of taking them, because their bytes cannot be guarded. */
  readonly unfit: number;
  /** Holds that were looked at for each record when it was sealed: what they cover is not in it. Absent: none were. */
  readonly leftOut?: readonly string[];
  /** Facets of which the codes were kept when it was sealed. Absent: not known. */
  readonly facets?: readonly string[];
  /** Roster pages were shrunk to exceptions and HMAC pages. */
  readonly rosterShrunk: boolean;
  readonly purge: PurgeFacts | null;
  /** Absent: its vault keeps nothing by itself. */
  readonly guard?: ArchiveGuard;
  readonly createdAt: Date;
  readonly changedAt: Date;
  /** Audit entries of moves that were made and may not be in the chain yet; whoever claims the archive next sees to it. */
  readonly unaudited: readonly AuditEntryBody[];
}

/** Ids that are remembered of a look: enough to be asked about, and a document stays small. */
const HOLDS_NAMED = 50;

export function holdsLooked(at: Date, holds: readonly { readonly _id: string }[]): HoldsLooked {
  const ids = holds.map(({ _id }) => _id).sort();
  return { at, count: ids.length, holds: ids.slice(0, HOLDS_NAMED) };
}

/** The collection that an archive's records come from and go back to. */
export function collectionOfArchive({ collection, namespace }: ArchiveDocument): Namespace {
  return collection ?? namespace;
}

export const NO_OUTCOMES: Outcomes = {
  archived: 0,
  deleted: 0,
  treated: 0,
  changed: 0,
  held: 0,
  gone: 0,
  quarantined: 0,
  pending: 0,
};

/** Adds two up. Documents of before records could be treated do not say how many were: none. */
export function addOutcomes(a: Outcomes, b: Outcomes): Outcomes {
  const sum = (outcome: keyof Outcomes) => (a[outcome] ?? 0) + (b[outcome] ?? 0);
  return {
    archived: sum('archived'),
    deleted: sum('deleted'),
    treated: sum('treated'),
    changed: sum('changed'),
    held: sum('held'),
    gone: sum('gone'),
    quarantined: sum('quarantined'),
    pending: sum('pending'),
  };
}

/** The plan of an archive of which nothing is to be found any more: no id outlives it there. */
export function withoutLateRoots({ lateRoots: _, ...plan }: ArchivePlan): ArchivePlan {
  return plan;
}

/** What every archive begins with when it is planned at `now`: nobody works on it, and nothing of it exists. */
export function notBegun(now: Date) {
  return {
    epoch: 0,
    lease: null,
    attempt: null,
    attemptCount: 0,
    stored: null,
    verifiedAt: null,
    dueAt: null,
    outcomes: NO_OUTCOMES,
    unfit: 0,
    rosterShrunk: false,
    purge: null,
    createdAt: now,
    changedAt: now,
  };
}
