/**
 * Marks of single records that are in the source: exempt from expiry until a date (after a restore), how often in a row
 * a record changed under its archive, and whether it is in quarantine. Few records have one, so a scan first asks
 * whether its partition has any.
 *
 * A mark is named by the namespace and the HMAC of the record's key under its owner's key: no plaintext id is kept.
 */
import pMap from 'p-map';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, Namespace, PartitionId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface RecordMark {
  /** The record is not due before this instant; null: not exempt. */
  readonly exemptUntil: Date | null;
  /** How often in a row a record was `changed` at its clearing. */
  readonly changedInARow: number;
  /** The archive that counted last. */
  readonly changedIn: ArchiveId | null;
  readonly quarantined: boolean;
}

interface RecordMarkDocument extends LedgerDocument, RecordMark {
  readonly partition: PartitionId;
}

/** The records that marks are asked for or written to: of one partition, with the HMAC of its owner. */
export interface MarkScope {
  readonly namespace: Namespace;
  readonly partition: PartitionId;
  readonly hmac: (data: string) => Uint8Array;
}

/** At the third change in a row a record goes to quarantine (design 3). */
export const MAX_CHANGED_IN_A_ROW = 3;

const RECORD_MARKS = 'recordMarks';
/** Keys in one look-up or insert: about 100 kB of names. */
const BATCH = 1_000;
/** Marks that are there already change one by one, this many at a time. */
const CONCURRENCY = 8;

export const RECORD_MARKS_INDEXES: readonly LedgerIndex[] = [{ collection: RECORD_MARKS, keys: { partition: 1 } }];

const UNMARKED: RecordMark = { exemptUntil: null, changedInARow: 0, changedIn: null, quarantined: false };

/** One indexed look-up: a scan of a partition without marks asks nothing more. */
export async function hasMarks(store: Store, partition: PartitionId): Promise<boolean> {
  for await (const _ of marks(store).find({ partition }, { limit: 1 })) return true;
  return false;
}

/** The marks of a page of records, by `RawRecord.key`; a record without one is not in the map. */
export async function findMarks(
  store: Store,
  scope: MarkScope,
  keys: readonly string[],
): Promise<ReadonlyMap<string, RecordMark>> {
  const found = new Map<string, RecordMark>();
  for (const batch of batchesOf(keys)) {
    const keyOf = new Map(batch.map((key) => [markId(scope, key), key]));
    for await (const mark of marks(store).find({ _id: { $in: [...keyOf.keys()] } })) {
      const key = keyOf.get(mark._id);
      if (key !== undefined) found.set(key, mark);
    }
  }
  return found;
}

/** After a restore: none of these is due before `until`. An exemption that lasts longer stays. */
export async function exemptRecords(
  store: Store,
  scope: MarkScope,
  keys: readonly string[],
  until: Date,
): Promise<void> {
  if (Number.isNaN(until.getTime())) throw new MoraineError('INTERNAL', 'An exemption needs a date.');
  await markAll(store, scope, keys, (mark) => ({
    // A restored record begins anew: what happened to its earlier copy says nothing about it.
    ...UNMARKED,
    exemptUntil: mark.exemptUntil !== null && mark.exemptUntil > until ? mark.exemptUntil : until,
  }));
}

/**
 * Counts one more change in a row for each of these; returns the keys for which that was at least the third. The same
 * archive counts once, however often its page is settled.
 */
export async function countChanged(
  store: Store,
  scope: MarkScope,
  archive: ArchiveId,
  keys: readonly string[],
): Promise<readonly string[]> {
  const ids = [...new Set(keys.map((key) => markId(scope, key)))];
  await pMap(
    ids,
    (id) =>
      changeOne(store, scope, id, (mark) =>
        mark.changedIn === archive ? mark : { ...mark, changedInARow: mark.changedInARow + 1, changedIn: archive },
      ),
    { concurrency: CONCURRENCY },
  );
  const marked = await findMarks(store, scope, keys);
  return keys.filter((key) => (marked.get(key)?.changedInARow ?? 0) >= MAX_CHANGED_IN_A_ROW);
}

/** Records in quarantine are passed over by plans. */
export async function markQuarantined(store: Store, scope: MarkScope, keys: readonly string[]): Promise<void> {
  await markAll(store, scope, keys, (mark) => ({ ...mark, quarantined: true }));
}

/** The record leaves quarantine and begins anew: it is planned again, its changes in a row are counted from none. An exemption stays. */
export async function releaseMark(store: Store, scope: MarkScope, key: string): Promise<void> {
  const _id = markId(scope, key);
  const mark = await marks(store).get(_id);
  if (mark === null || (mark.exemptUntil === null && (await marks(store).remove(_id, mark.rev)))) return;
  await update(marks(store), _id, (document) => ({ ...document, ...UNMARKED, exemptUntil: document.exemptUntil }));
}

/** The record was deleted: its marks go. */
export async function forgetMarks(store: Store, scope: MarkScope, keys: readonly string[]): Promise<number> {
  let removed = 0;
  for (const batch of batchesOf(keys)) {
    removed += await marks(store).removeMany({ _id: { $in: batch.map((key) => markId(scope, key)) } });
  }
  return removed;
}

/** Removes marks that say nothing any more: exemptions that are over. Returns how many. */
export async function removeSpentMarks(store: Store, now: Date): Promise<number> {
  return await marks(store).removeMany({ exemptUntil: { $lte: now }, changedInARow: 0, quarantined: false });
}

/** Many at once. `change` gives the same when it is made twice: a mark that another worker inserted in between gets it again. */
async function markAll(
  store: Store,
  scope: MarkScope,
  keys: readonly string[],
  change: (mark: RecordMark) => RecordMark,
): Promise<void> {
  for (const batch of batchesOf([...new Set(keys)])) {
    const ids = batch.map((key) => markId(scope, key));
    const there = await idsThere(store, ids);
    const fresh = ids.filter((id) => !there.has(id));
    const inserted = await marks(store).insertMany(fresh.map((id) => newMark(id, scope, change(UNMARKED))));
    // `insertMany` does not say which ones were there by then, so all are looked at again.
    const existing = inserted === fresh.length ? [...there] : ids;
    await pMap(existing, (id) => changeOne(store, scope, id, change), { concurrency: CONCURRENCY });
  }
}

async function changeOne(
  store: Store,
  scope: MarkScope,
  id: string,
  change: (mark: RecordMark) => RecordMark,
): Promise<void> {
  if ((await marks(store).insert(newMark(id, scope, change(UNMARKED)))) === 'inserted') return;
  await update(marks(store), id, (document) => {
    const { exemptUntil, changedInARow, changedIn, quarantined } = change(document);
    return { ...document, exemptUntil, changedInARow, changedIn, quarantined };
  });
}

async function idsThere(store: Store, ids: readonly string[]): Promise<Set<string>> {
  const there = new Set<string>();
  for await (const { _id } of marks(store).find({ _id: { $in: ids } })) there.add(_id);
  return there;
}

function newMark(_id: string, scope: MarkScope, mark: RecordMark): Omit<RecordMarkDocument, 'rev'> {
  return { _id, v: LEDGER_VERSION, partition: scope.partition, ...mark };
}

function markId(scope: MarkScope, key: string): string {
  return `${scope.namespace} ${Buffer.from(scope.hmac(key)).toString('hex')}`;
}

function* batchesOf(keys: readonly string[]): Iterable<readonly string[]> {
  for (let start = 0; start < keys.length; start += BATCH) yield keys.slice(start, start + BATCH);
}

function marks(store: Store): StoreCollection<RecordMarkDocument> {
  return readableCollection<RecordMarkDocument>(store, RECORD_MARKS);
}
