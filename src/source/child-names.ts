/** Names of children alone, to find those whose root is not there: without their content, and without a join at the server. */
import type { Document, MongoClient } from 'mongodb';
import type { Namespace } from '../ids.ts';
import { fieldPath, findPath } from './bson-walk.ts';
import { parentOf } from './child-document.ts';
import { asking, translateMongoError } from './driver-errors.ts';
import { decodeTyped } from './guard-document.ts';
import { keyOf } from './id-key.ts';
import { collectionOf, READ_RAW } from './mongo-query.ts';
import { batchesOf } from './mongo-scan.ts';
import type { FieldOrValue } from './port.ts';
import { idBytesOf, idValue, typedBytes } from './raw-document.ts';
import type { ChildName, ChildShape } from './unit-shape.ts';

const DECIDING_READ = { ...READ_RAW, readPreference: 'primary', readConcern: { level: 'majority' } } as const;

/** See `SourcePort.childNames`. */
export async function* childNames(
  client: MongoClient,
  child: ChildShape,
  after: Uint8Array | null,
  limit: number,
): AsyncGenerator<readonly ChildName[]> {
  if (limit <= 0) return;
  // An `_id` may be of any type, and comparison operators match within one only.
  const filter = after === null ? {} : { $expr: { $gt: ['$_id', { $literal: decodeTyped(after) }] } };
  const cursor = collectionOf(client, child.collection)
    .find(filter, { ...DECIDING_READ, projection: projectionOf(child) })
    .sort({ _id: 1 })
    .limit(limit);
  try {
    for await (const batch of batchesOf(cursor)) yield batch.map((view) => childName(child, view));
  } catch (error) {
    throw translateMongoError(error, `read names of children in ${child.collection}`);
  }
}

/** See `SourcePort.rootsThere`. */
export async function rootsThere(
  client: MongoClient,
  namespace: Namespace,
  field: string,
  values: readonly Uint8Array[],
): Promise<ReadonlySet<string>> {
  if (values.length === 0) return new Set();
  const projection = field === '_id' ? { _id: 1 } : { _id: 0, [field]: 1 };
  const documents = await asking(`look for records of ${namespace}`, () =>
    collectionOf(client, namespace)
      .find({ [field]: { $in: values.map(idValue) } }, { ...DECIDING_READ, projection })
      .toArray(),
  );
  const views: Uint8Array[] = [];
  for (const document of documents) if (document instanceof Uint8Array) views.push(document);
  const there = keysAt(views, field);
  return new Set(values.map(keyOf).filter((key) => there.has(key)));
}

/** What each document has in a field, as keys. Pure. */
export function keysAt(raws: readonly Uint8Array[], field: string): ReadonlySet<string> {
  const path = fieldPath(field);
  const found = raws.flatMap((raw) => findPath(raw, path) ?? []);
  return new Set(found.map((value) => keyOf(typedBytes(value))));
}

/** The name of a child, copied out of its bytes. Pure. */
export function childName(child: ChildShape, view: Uint8Array): ChildName {
  const raw = Uint8Array.from(view);
  return { idBytes: idBytesOf(raw), parent: parentOf({ ...child, parent: child.key }, raw), raw };
}

function projectionOf({ key, owner, customer }: ChildShape): Document {
  const fields = [key, ...fieldIn(owner), ...fieldIn(customer)];
  return { _id: 1, ...Object.fromEntries(fields.map((field) => [field, 1])) };
}

function fieldIn(source: FieldOrValue | undefined): readonly string[] {
  return source !== undefined && 'field' in source ? [source.field] : [];
}
