/**
 * The filters of the source's questions. Comparison operators match within one BSON type only, so bounds on the trigger
 * are safe as they are (one type by definition), and bounds on `_id`, which may be of any type, go through `$expr`.
 */
import { type Collection, type Document, type Filter, type MongoClient, ObjectId } from 'mongodb';
import { MoraineError } from '../errors.ts';
import { type Namespace, partyValue } from '../ids.ts';
import { decodeTyped } from './guard-document.ts';
import type { DatasetShape, FieldOrValue, Partition, Position } from './port.ts';
import { partsOfPosition } from './raw-document.ts';

/** Documents per reply: what read fastest (1,000), and what one wait for the server may hold in memory. */
const BATCH_DOCUMENTS = 1_000;

export const READ_RAW = { raw: true, batchSize: BATCH_DOCUMENTS } as const;

/** With `raw: true` the driver gives bytes where its types say documents. */
export function isBytes(document: Document): document is Uint8Array {
  return document instanceof Uint8Array;
}

/** `database.collection` split at the first dot, as MongoDB does. */
export function splitNamespace(namespace: Namespace): { readonly database: string; readonly collection: string } {
  const dot = namespace.indexOf('.');
  return { database: namespace.slice(0, dot), collection: namespace.slice(dot + 1) };
}

export function collectionOf(client: MongoClient, namespace: Namespace): Collection<Document> {
  const { database, collection } = splitNamespace(namespace);
  return client.db(database).collection(collection);
}

/** Equality on a party that is a field; nothing for a fixed value. */
export function partyFilter(source: FieldOrValue, party: string): Filter<Document> {
  return 'field' in source ? { [source.field]: partyValue(party) } : {};
}

/** Equality on owner and customer: the part of the index that a partition walks in. */
export function partitionFilter(partition: Partition): Filter<Document> {
  const { dataset } = partition;
  return { ...partyFilter(dataset.owner, partition.owner), ...partyFilter(dataset.customer, partition.customer) };
}

/** from <= trigger < before, instants in ms. Matches only triggers of the dataset's kind. */
export function triggerBounds(dataset: DatasetShape, from: number | null, before: number): Document {
  if (Number.isNaN(before) || Number.isNaN(from ?? 0)) throw new MoraineError('INTERNAL', 'A bound is not an instant.');
  if (dataset.trigger.kind === 'date') {
    return { $gte: new Date(clampDate(from ?? -MAX_DATE_MS)), $lt: new Date(clampDate(before)) };
  }
  const first = Math.ceil((from ?? 0) / 1000);
  const end = Math.ceil(before / 1000);
  return {
    $gte: objectIdAt(Math.min(Math.max(first, 0), MAX_OBJECT_ID_SECONDS)),
    ...(end > MAX_OBJECT_ID_SECONDS ? { $lte: new ObjectId('f'.repeat(24)) } : { $lt: objectIdAt(Math.max(end, 0)) }),
  };
}

/** Conditions for: strictly after a position, or up to and including one, in the order (trigger, _id). */
export function positionFilters(
  dataset: DatasetShape,
  range: { readonly after: Position | null; readonly upTo: Position | null },
): Filter<Document>[] {
  const field = dataset.trigger.field;
  const filters: Filter<Document>[] = [];
  for (const [position, whole, part, ofId] of [
    [range.after, '$gte', '$gt', '$gt'],
    [range.upTo, '$lte', '$lt', '$lte'],
  ] as const) {
    if (position === null) continue;
    const parts = partsOfPosition(position);
    const trigger = decodeTyped(parts.trigger);
    // The bound on the trigger alone is what the index serves; the `$or` only settles equal triggers.
    filters.push({ [field]: { [whole]: trigger } });
    filters.push({
      $or: [{ [field]: { [part]: trigger } }, { $expr: { [ofId]: ['$_id', { $literal: decodeTyped(parts.id) }] } }],
    });
  }
  return filters;
}

/** The order of the scan; `_id` once when it is the trigger itself. */
export function scanSort(dataset: DatasetShape): Record<string, 1> {
  return { [dataset.trigger.field]: 1, _id: 1 };
}

const MAX_DATE_MS = 8.64e15;
const MAX_OBJECT_ID_SECONDS = 0xffff_ffff;

function clampDate(milliseconds: number): number {
  return Math.min(Math.max(milliseconds, -MAX_DATE_MS), MAX_DATE_MS);
}

function objectIdAt(seconds: number): ObjectId {
  return new ObjectId(`${seconds.toString(16).padStart(8, '0')}${'0'.repeat(16)}`);
}
