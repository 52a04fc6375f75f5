/**
 * Quarantine: records and archives that cannot be handled. Each is kept, reported with its reason and an owner, and
 * closed when it was dealt with; none of them stops the rest (promise 12). A record in quarantine is still in the
 * source, so its `_id` may stand here until the entry is closed; nothing else of it does.
 *
 * An entry is `open` until it was dealt with, and then `closed`; or `disposed`: a person has decided that what it names
 * stays as it is. A disposed record is not reported again for the same reason.
 */
import { createHash } from 'node:crypto';
import pMap from 'p-map';
import type { Clock } from '../clock.ts';
import type { ArchiveId, CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Filter, FindOptions, LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

interface QuarantineFacts {
  readonly kind: 'record' | 'archive';
  readonly policy: string;
  readonly namespace: Namespace;
  /** Null where that is just what the record lacks. */
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  /** Stable code: `owner-unusable`, `changed-three-times`, `ARCHIVE_NOT_IN_INVENTORY`, ... */
  readonly reason: string;
  /** For people; ids only, no record content. */
  readonly text: string;
}

export type QuarantinedRecord = Omit<QuarantineFacts, 'kind'> & {
  /** BSON type byte and value bytes of `_id`. */
  readonly idBytes: Uint8Array;
};

export type QuarantinedArchive = Omit<QuarantineFacts, 'kind'> & { readonly archive: ArchiveId };

export interface QuarantineDocument extends LedgerDocument, QuarantineFacts {
  readonly archive: ArchiveId | null;
  /** A record's `_id`; null for an archive and once closed. A disposed record can be taken up again, so it stays. */
  readonly idBytes: Uint8Array | null;
  readonly state: 'open' | 'disposed' | 'closed';
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
  readonly timesSeen: number;
  readonly closedAt: Date | null;
  /** Who closed or disposed of it, and why. */
  readonly closedBy: string | null;
  readonly closedReason: string | null;
}

/** How many entries were new, open already, or opened again. New and reopened ones need a person. */
export interface Quarantined {
  readonly fresh: number;
  readonly known: number;
  readonly reopened: number;
}

const QUARANTINE = 'quarantine';
/** Entries that are looked up and inserted in one command. */
const BATCH = 1_000;
/** Entries that are seen again are updated one by one, this many at a time. */
const CONCURRENCY = 8;

export const QUARANTINE_INDEXES: readonly LedgerIndex[] = [
  { collection: QUARANTINE, keys: { state: 1, firstSeenAt: 1 } },
  { collection: QUARANTINE, keys: { policy: 1, state: 1, firstSeenAt: 1 } },
  { collection: QUARANTINE, keys: { archive: 1 } },
  { collection: QUARANTINE, keys: { namespace: 1, state: 1, lastSeenAt: 1 } },
];

/** The entry of a record: the same for the same namespace and `_id`, so that seeing it again counts up. */
export function recordEntryId(namespace: Namespace, idBytes: Uint8Array): string {
  return `record ${namespace} ${createHash('sha256').update(idBytes).digest('hex').slice(0, 32)}`;
}

export function archiveEntryId(archive: ArchiveId): string {
  return `archive ${archive}`;
}

/** Idempotent by record, apart from the count of how often it was seen. */
export async function quarantineRecords(
  store: Store,
  clock: Clock,
  records: readonly QuarantinedRecord[],
): Promise<Quarantined> {
  const entries = records.map(({ idBytes, ...facts }) => ({
    _id: recordEntryId(facts.namespace, idBytes),
    kind: 'record' as const,
    archive: null,
    idBytes,
    ...facts,
  }));
  return await report(store, clock, entries);
}

/** The ledger's entry for `quarantine list`; the archive's own state is moved by `archives.ts`. */
export async function quarantineArchiveEntry(
  store: Store,
  clock: Clock,
  { archive, ...facts }: QuarantinedArchive,
): Promise<Quarantined> {
  const entry = { _id: archiveEntryId(archive), kind: 'archive' as const, archive, idBytes: null, ...facts };
  return await report(store, clock, [entry]);
}

/** A person leaves what the entry names as it is. Does nothing to one that is closed. */
export async function disposeQuarantine(
  store: Store,
  clock: Clock,
  id: string,
  by: { readonly who: string; readonly reason: string },
): Promise<QuarantineDocument> {
  return await update(quarantine(store), id, (entry) =>
    entry.state === 'closed'
      ? null
      : { ...closed(entry, clock, by), idBytes: entry.idBytes, state: 'disposed' as const },
  );
}

/** Closes an entry and forgets the record's `_id`. Does nothing to one that is closed. */
export async function closeQuarantine(
  store: Store,
  clock: Clock,
  id: string,
  by: { readonly who: string; readonly reason: string },
): Promise<QuarantineDocument> {
  return await update(quarantine(store), id, (entry) => (entry.state === 'closed' ? null : closed(entry, clock, by)));
}

/**
 * Closes the records of a policy with one of these reasons that a complete look at the collection, begun at `since`,
 * did not see any more: mended or gone from the source. Returns how many.
 */
export async function closeUnseenRecords(
  store: Store,
  clock: Clock,
  unseen: {
    readonly policy: string;
    readonly namespace: Namespace;
    readonly reasons: readonly string[];
    readonly since: Date;
  },
): Promise<number> {
  const { policy, namespace, reasons, since } = unseen;
  const filter = {
    policy,
    namespace,
    kind: 'record',
    state: { $in: ['open', 'disposed'] },
    reason: { $in: reasons },
    lastSeenAt: { $lt: since },
  };
  const by = { who: 'moraine', reason: 'no longer found in the source' };
  let count = 0;
  for await (const { _id } of quarantine(store).find(filter)) {
    const after = await update(quarantine(store), _id, (entry) =>
      // It may have been seen since the list was read.
      entry.state === 'closed' || entry.lastSeenAt >= since ? null : closed(entry, clock, by),
    );
    if (after.state === 'closed') count++;
  }
  return count;
}

export async function getQuarantine(store: Store, id: string): Promise<QuarantineDocument | null> {
  return await quarantine(store).get(id);
}

/** Oldest first. The usual filter is `{ state: 'open' }`. */
export function findQuarantine(
  store: Store,
  filter: Filter,
  options: FindOptions = {},
): AsyncIterable<QuarantineDocument> {
  return quarantine(store).find(filter, { sort: { firstSeenAt: 1, _id: 1 }, ...options });
}

/** Open entries by kind, and since when the oldest of them waits. */
export async function openQuarantine(
  store: Store,
): Promise<{ readonly records: number; readonly archives: number; readonly oldestAt: Date | null }> {
  const [records, archives] = await Promise.all([
    quarantine(store).count({ state: 'open', kind: 'record' }),
    quarantine(store).count({ state: 'open', kind: 'archive' }),
  ]);
  for await (const { firstSeenAt } of findQuarantine(store, { state: 'open' }, { limit: 1 })) {
    return { records, archives, oldestAt: firstSeenAt };
  }
  return { records, archives, oldestAt: null };
}

/** Since when the oldest open entry of each of these policies waits; a policy without one is not in it. */
export async function oldestQuarantine(store: Store, policies: Iterable<string>): Promise<ReadonlyMap<string, Date>> {
  const oldest = new Map<string, Date>();
  for (const policy of policies) {
    for await (const { firstSeenAt } of findQuarantine(store, { policy, state: 'open' }, { limit: 1 }))
      oldest.set(policy, firstSeenAt);
  }
  return oldest;
}

type Entry = QuarantineFacts & Pick<QuarantineDocument, '_id' | 'archive' | 'idBytes'>;

async function report(store: Store, clock: Clock, entries: readonly Entry[]): Promise<Quarantined> {
  const total = { fresh: 0, known: 0, reopened: 0 };
  for (let start = 0; start < entries.length; start += BATCH) {
    const batch = entries.slice(start, start + BATCH);
    const there = new Set<string>();
    for await (const { _id } of quarantine(store).find({ _id: { $in: batch.map((entry) => entry._id) } }))
      there.add(_id);
    const fresh = batch.filter((entry) => !there.has(entry._id));
    // What another worker inserted in between is in quarantine too: it counts as known.
    const inserted = await quarantine(store).insertMany(fresh.map((entry) => newEntry(entry, clock.now())));
    const again = await pMap(
      batch.filter((entry) => there.has(entry._id)),
      (entry) => seeAgain(store, clock, entry),
      { concurrency: CONCURRENCY },
    );
    const reopened = again.filter((wasClosed) => wasClosed).length;
    total.fresh += inserted;
    total.reopened += reopened;
    total.known += batch.length - inserted - reopened;
  }
  return total;
}

/** Whether the entry was dealt with before, and is open again. */
async function seeAgain(store: Store, clock: Clock, { _id, ...facts }: Entry): Promise<boolean> {
  let wasClosed = false;
  await update(quarantine(store), _id, (entry) => {
    const seen = { ...entry, ...facts, lastSeenAt: clock.now(), timesSeen: entry.timesSeen + 1 };
    const isLeft = entry.state === 'disposed' && entry.kind === 'record' && entry.reason === facts.reason;
    wasClosed = entry.state !== 'open' && !isLeft;
    if (isLeft) return seen;
    return { ...seen, state: 'open' as const, closedAt: null, closedBy: null, closedReason: null };
  });
  return wasClosed;
}

function newEntry(entry: Entry, now: Date): Omit<QuarantineDocument, 'rev'> {
  const end = { closedAt: null, closedBy: null, closedReason: null };
  return { ...entry, v: LEDGER_VERSION, state: 'open', firstSeenAt: now, lastSeenAt: now, timesSeen: 1, ...end };
}

function closed(
  entry: QuarantineDocument,
  clock: Clock,
  by: { readonly who: string; readonly reason: string },
): QuarantineDocument {
  const end = { closedAt: clock.now(), closedBy: by.who, closedReason: by.reason };
  return { ...entry, state: 'closed', idBytes: null, ...end };
}

function quarantine(store: Store): StoreCollection<QuarantineDocument> {
  return readableCollection<QuarantineDocument>(store, QUARANTINE);
}
