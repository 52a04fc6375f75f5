/**
 * Archives in the ledger: planned, claimed, moved from state to state by fenced compare-and-set.
 *
 * One function makes every move, so the table in `states.ts` cannot be walked round. The audit entry of a move travels
 * in the same compare-and-set (`unaudited`) and is put into the chain with the next append for the archive, at the latest
 * when its worker lets go of it; a crash in between leaves it in the document, and whoever moves the archive next, or
 * `settleUnaudited`, puts it in. So a move without its entry cannot stay.
 */

import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, PartitionId, WorkerId } from '../ids.ts';
import { ARCHIVES, type ArchiveDocument, UNIT_ARCHIVE_VERSION } from './archive-document.ts';
import type { AuditEntryBody, AuditLog } from './audit.ts';
import type { LedgerIndex } from './indexes.ts';
import { claimLease, type HeldLease } from './leases.ts';
import { longRead } from './long-read.ts';
import { type ArchiveState, assertLegalMove, UNCLEARED_STATES } from './states.ts';
import type { Filter, FindOptions, Store, StoreCollection } from './store.ts';
import { assertReadable } from './versions.ts';

export type ArchiveLease = HeldLease<ArchiveDocument>;

export const ARCHIVES_INDEXES: readonly LedgerIndex[] = [
  { collection: ARCHIVES, keys: { partition: 1, state: 1, sequence: -1 } },
  { collection: ARCHIVES, keys: { policy: 1, state: 1, dueAt: 1 } },
  { collection: ARCHIVES, keys: { state: 1, dueAt: 1 } },
  { collection: ARCHIVES, keys: { 'vault.name': 1, 'vault.prefix': 1, state: 1 } },
  { collection: ARCHIVES, keys: { 'vault.name': 1, 'vault.prefix': 1, 'stored.vaultArchiveId': 1 } },
  { collection: ARCHIVES, keys: { partition: 1, sequence: 1 }, unique: true },
  { collection: ARCHIVES, keys: { 'unaudited.key': 1 } },
  { collection: ARCHIVES, keys: { addendumTo: 1 } },
  { collection: ARCHIVES, keys: { 'guard.hold': 1 } },
  { collection: ARCHIVES, keys: { 'guard.lock': 1 } },
];

export function archives(store: Store): StoreCollection<ArchiveDocument> {
  return store.collection<ArchiveDocument>(ARCHIVES);
}

export async function getArchive(store: Store, archive: ArchiveId): Promise<ArchiveDocument> {
  const document = await archives(store).get(archive);
  if (document === null) {
    throw new MoraineError('ARCHIVE_UNKNOWN', `The ledger has no archive ${archive}.`, { ids: { archive } });
  }
  assertReadable(document, UNIT_ARCHIVE_VERSION);
  return document;
}

export function findArchives(store: Store, filter: Filter, options?: FindOptions): AsyncIterable<ArchiveDocument> {
  return archives(store).find(filter, options);
}

/** States in which the vault has the file, or had it once. */
const IN_VAULT: ReadonlySet<string> = new Set([
  ...['stored', 'verified', 'cleared', 'purging', 'purged', 'quarantined', 'confirmed'],
]);
/** What the ledger has in a vault, by the bytes of the vault's ids. */
export async function* archivesInVault(
  store: Store,
  clock: Clock,
  { name, prefix }: { readonly name: string; readonly prefix: string },
): AsyncIterable<ArchiveDocument> {
  const open = (after: string) => {
    const filter = { 'vault.name': name, 'vault.prefix': prefix, 'stored.vaultArchiveId': { $gt: after } };
    return findArchives(store, filter, { sort: { 'stored.vaultArchiveId': 1 } });
  };
  for await (const archive of longRead(clock, open, ({ stored }) => stored?.vaultArchiveId ?? ''))
    if (IN_VAULT.has(archive.state)) yield archive;
}

/** Archives in the order of their ids, for work that takes longer than a cursor lives. */
export function archivesById(store: Store, clock: Clock, filter: Filter): AsyncIterable<ArchiveDocument> {
  const open = (after: string) => findArchives(store, { ...filter, _id: { $gt: after } }, { sort: { _id: 1 } });
  return longRead(clock, open, ({ _id }) => _id);
}

/** Archives read at once by {@link pagedArchives}. */
const PAGE = 1_000;

/** As {@link archivesById}, in pages: for a filter that leaves few. */
export async function* pagedArchives(store: Store, filter: Filter): AsyncIterable<ArchiveDocument> {
  for (let after = ''; ; ) {
    const page: ArchiveDocument[] = [];
    const options = { sort: { _id: 1 }, limit: PAGE } as const;
    for await (const archive of findArchives(store, { ...filter, _id: { $gt: after } }, options)) page.push(archive);
    for (const archive of page) {
      after = archive._id;
      yield archive;
    }
    if (page.length < PAGE) return;
  }
}

/** The uncleared archive of a partition that lies highest: the next plan starts above its bound. Null when all are cleared. */
export async function highestUncleared(store: Store, partition: PartitionId): Promise<ArchiveDocument | null> {
  const options = { sort: { sequence: -1 }, limit: 1 } as const;
  for await (const archive of findArchives(store, { partition, state: { $in: UNCLEARED_STATES } }, options))
    return archive;
  return null;
}

/** The sequence of the newest archive of the partition, whatever its state; 0 where there is none. */
export async function newestSequence(store: Store, partition: PartitionId): Promise<number> {
  for await (const { sequence } of findArchives(store, { partition }, { sort: { sequence: -1 }, limit: 1 }))
    return sequence;
  return 0;
}

/** Claims an archive. What an earlier worker may have left out of the audit chain goes in with the first move. */
export async function claimArchive(
  store: Store,
  _audit: AuditLog,
  archive: ArchiveId,
  by: { readonly worker: WorkerId; readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<ArchiveLease> {
  const lease = await claimLease(store, archives(store), archive, by);
  try {
    assertReadable(lease.document, UNIT_ARCHIVE_VERSION);
    return lease;
  } catch (error) {
    // The newer Moraine that can read it need not wait for our lease to end.
    await lease.giveUp();
    throw error;
  }
}

export interface Move {
  readonly to: ArchiveState;
  readonly set?: Partial<Omit<ArchiveDocument, '_id' | 'v' | 'rev' | 'state' | 'epoch' | 'lease' | 'unaudited'>>;
  /** Counts, ids and reasons for the audit entry; no record content. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
  /** The entry need not be in the chain before what comes next: it goes in with the next append. */
  readonly auditLater?: boolean;
}

/**
 * Puts into the chain the entries of moves whose worker was cut before it could, of archives that nobody may claim again
 * (a final state, or cleared with years to go). Returns how many archives had such.
 */
export async function settleUnaudited(store: Store, audit: AuditLog): Promise<number> {
  const now = await store.serverTime();
  let settled = 0;
  for await (const archive of findArchives(store, { 'unaudited.key': { $gt: '' } })) {
    // Its worker is alive and does it.
    if (archive.lease !== null && archive.lease.until > now) continue;
    await audit.appendOnce(archive.unaudited);
    // Lost to whoever claimed it meanwhile, who has seen to it.
    await archives(store).replace({ ...archive, unaudited: [] });
    settled += 1;
  }
  return settled;
}

/** Makes one legal move under the lease and puts its outcome into the audit chain. */
export async function moveArchive(
  audit: AuditLog,
  clock: Clock,
  lease: ArchiveLease,
  move: Move,
): Promise<ArchiveDocument> {
  const entry = moveEntry(lease.document, move, lease.epoch);
  await lease.write((document) => {
    // Our own write, answered by an error and made again by the driver, has arrived.
    if (document.state === move.to && document.unaudited.some(({ key }) => key === entry.key)) return document;
    assertLegalMove(document.state, move.to, document._id);
    return {
      ...document,
      ...move.set,
      state: move.to,
      changedAt: clock.now(),
      unaudited: [...document.unaudited, entry],
    };
  });
  if (move.auditLater !== true) await settleAudit(audit, lease);
  return lease.document;
}

/** Changes fields without changing the state. */
export async function amendArchive(
  lease: ArchiveLease,
  set: Partial<Omit<ArchiveDocument, '_id' | 'v' | 'rev' | 'state' | 'epoch' | 'lease' | 'unaudited'>>,
): Promise<ArchiveDocument> {
  return await lease.write((document) => ({ ...document, ...set }));
}

/** Quarantines an archive: kept, reported, with its reason and the state that it came from. */
export async function quarantineArchive(
  audit: AuditLog,
  clock: Clock,
  lease: ArchiveLease,
  reason: string,
): Promise<ArchiveDocument> {
  const set = { quarantinedFrom: lease.document.state, quarantineReason: reason };
  return await moveArchive(audit, clock, lease, { to: 'quarantined', set, details: { reason } });
}

function moveEntry(archive: ArchiveDocument, move: Move, epoch: number): AuditEntryBody {
  return {
    key: `${archive._id}:${archive.state}-${move.to}:${epoch}`,
    act: `archive ${move.to}`,
    phase: 'outcome',
    subject: { archive: archive._id, owner: archive.owner, customer: archive.customer, policy: archive.policy },
    details: { from: archive.state, policyVersion: archive.policyVersion, ...move.details },
  };
}

/** Puts what waits, and then these, into the chain. Idempotent by the entries' keys. The emptied list is written with the document's next write. */
export async function settleAudit(
  audit: AuditLog,
  lease: ArchiveLease,
  more: readonly AuditEntryBody[] = [],
): Promise<void> {
  const entries = [...lease.document.unaudited, ...more];
  if (entries.length === 0) return;
  await audit.appendOnce(entries);
  if (lease.document.unaudited.length > 0) lease.remember({ ...lease.document, unaudited: [] });
}
