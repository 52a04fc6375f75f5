/**
 * Which records a planned archive may take, where several archives are planned at once: pages of their ids, written while
 * the plan is made and before the archives are in the ledger. They go when their archive is cleared, abandoned or purged,
 * as a roster does, so that no plaintext id outlives the copy. Pages whose archive never came into being say nothing, and
 * are removed by the partition's next plan, or by `reconcile`.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveId, PartitionId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';

const PLANNED_RECORDS = 'plannedRecords';

interface PlannedRecordsDocument extends LedgerDocument {
  readonly archive: ArchiveId;
  readonly partition: PartitionId;
  /** Of the archive in its partition. */
  readonly sequence: number;
  /** Of the lease under which the plan was made. */
  readonly epoch: number;
  /** For each record the length of its id (4 bytes, big-endian), then type byte and value bytes of its `_id`. */
  readonly packed: Uint8Array;
}

export const PLANNED_RECORDS_INDEXES: readonly LedgerIndex[] = [
  { collection: PLANNED_RECORDS, keys: { archive: 1, _id: 1 } },
  { collection: PLANNED_RECORDS, keys: { partition: 1, sequence: 1 } },
];

/** Whose pages they are. */
export type PlannedRecordsOf = Pick<PlannedRecordsDocument, 'archive' | 'partition' | 'sequence' | 'epoch'>;

export async function writePlannedRecords(
  store: Store,
  of: PlannedRecordsOf,
  page: number,
  ids: readonly Uint8Array[],
): Promise<void> {
  const _id = `${of.archive}:${String(page).padStart(6, '0')}`;
  const outcome = await planned(store).insert({ _id, v: 1, ...of, packed: packIds(ids) });
  if (outcome === 'inserted') return;
  // The driver may have made our own insert again after a lost reply: only this plan knows the archive's id.
  if ((await planned(store).get(_id)) !== null) return;
  throw new MoraineError('INTERNAL', `Page ${page} of what is planned for archive ${of.archive} could not be written.`);
}

/** The ids of what an archive may take, page by page, in the order of the source. */
export async function* plannedRecords(store: Store, archive: ArchiveId): AsyncGenerator<readonly Uint8Array[]> {
  for await (const { packed } of planned(store).find({ archive }, { sort: { _id: 1 } })) yield unpackIds(packed);
}

export async function removePlannedRecords(store: Store, archive: ArchiveId): Promise<void> {
  await planned(store).removeMany({ archive });
}

/** Those that a worker which was cut left in a partition: of archives that would have had this number, or a higher one. */
export async function removePlannedFrom(store: Store, partition: PartitionId, sequence: number): Promise<void> {
  await planned(store).removeMany({ partition, sequence: { $gte: sequence } });
}

/** Each archive that has pages, with the plan that they are of, once. */
export async function* withPlannedRecords(store: Store): AsyncGenerator<Omit<PlannedRecordsOf, 'sequence'>> {
  let last: ArchiveId | null = null;
  for await (const { archive, partition, epoch } of planned(store).find({}, { sort: { archive: 1, _id: 1 } })) {
    if (archive !== last) yield { archive, partition, epoch };
    last = archive;
  }
}

function planned(store: Store): StoreCollection<PlannedRecordsDocument> {
  return store.collection<PlannedRecordsDocument>(PLANNED_RECORDS);
}

const LENGTH_BYTES = 4;

function packIds(ids: readonly Uint8Array[]): Buffer {
  const packed = Buffer.allocUnsafe(ids.reduce((total, id) => total + LENGTH_BYTES + id.length, 0));
  let at = 0;
  for (const id of ids) {
    at = packed.writeUInt32BE(id.length, at);
    packed.set(id, at);
    at += id.length;
  }
  return packed;
}

/** Views of the bytes. Throws INTERNAL where they do not end with a whole id. */
function unpackIds(bytes: Uint8Array): readonly Uint8Array[] {
  const packed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ids: Uint8Array[] = [];
  for (let at = 0; at < packed.length; ) {
    const left = packed.length - at - LENGTH_BYTES;
    const length = left < 0 ? Number.POSITIVE_INFINITY : packed.readUInt32BE(at);
    if (length > left) throw new MoraineError('INTERNAL', 'A page of planned records in the ledger is cut short.');
    at += LENGTH_BYTES + length;
    ids.push(packed.subarray(at - length, at));
  }
  return ids;
}
