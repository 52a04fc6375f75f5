/** Children of a batch of roots on a MongoDB server, found by the index on their key. */
import type { Document, Filter, MongoClient } from 'mongodb';
import { BsonType, fieldPath, findPath, readInt32 } from './bson-walk.ts';
import { childrenFrom } from './child-document.ts';
import { asking, translateMongoError } from './driver-errors.ts';
import { decodeTyped } from './guard-document.ts';
import { keyOf } from './id-key.ts';
import { collectionOf, isBytes, READ_RAW } from './mongo-query.ts';
import { batchesOf } from './mongo-scan.ts';
import { typedBytes } from './raw-document.ts';
import type { ChildRecord, ChildShape, ChildWeight } from './unit-shape.ts';

const DECIDING_READ = { ...READ_RAW, readPreference: 'primary', readConcern: { level: 'majority' } } as const;

/** See `SourcePort.weighChildren`. */
export async function weighChildren(
  client: MongoClient,
  child: ChildShape,
  parents: readonly Uint8Array[],
): Promise<ReadonlyMap<string, ChildWeight>> {
  const weights = new Map<string, ChildWeight>();
  if (parents.length === 0) return weights;
  const wanted = new Set(parents.map(keyOf));
  const group = { _id: `$${child.key}`, records: { $sum: 1 }, bytes: { $sum: { $bsonSize: '$$ROOT' } } };
  const documents = await asking(`count children in ${child.collection}`, () =>
    collectionOf(client, child.collection)
      .aggregate([{ $match: byKey(child, parents) }, { $group: group }], DECIDING_READ)
      .toArray(),
  );
  for (const document of documents) {
    if (!isBytes(document)) continue;
    const parent = findPath(document, ID);
    const key = parent === null ? null : keyOf(typedBytes(parent));
    if (key === null || !wanted.has(key)) continue;
    const before = weights.get(key) ?? { records: 0, bytes: 0 };
    weights.set(key, {
      records: before.records + numberAt(document, RECORDS),
      bytes: before.bytes + numberAt(document, BYTES),
    });
  }
  return weights;
}

/** See `SourcePort.children`. */
export async function* childrenOf(
  client: MongoClient,
  child: ChildShape,
  parents: readonly Uint8Array[],
): AsyncGenerator<readonly ChildRecord[]> {
  if (parents.length === 0) return;
  const wanted = new Set(parents.map(keyOf));
  const cursor = collectionOf(client, child.collection).find(byKey(child, parents), DECIDING_READ);
  try {
    for await (const batch of batchesOf(cursor)) {
      const children = childrenFrom(child, batch, wanted);
      if (children.length > 0) yield children;
    }
  } catch (error) {
    throw translateMongoError(error, `read children in ${child.collection}`);
  }
}

function byKey(child: ChildShape, parents: readonly Uint8Array[]): Filter<Document> {
  return { [child.key]: { $in: parents.map(decodeTyped) } };
}

const ID = fieldPath('_id');
const RECORDS = fieldPath('records');
const BYTES = fieldPath('bytes');

/** Servers sum to whichever type of number holds the sum. */
function numberAt(document: Uint8Array, path: ReturnType<typeof fieldPath>): number {
  const found = findPath(document, path);
  if (found === null) return 0;
  const view = new DataView(document.buffer, document.byteOffset, document.byteLength);
  if (found.type === BsonType.int32) return readInt32(document, found.start);
  if (found.type === BsonType.int64) return Number(view.getBigInt64(found.start, true));
  return found.type === BsonType.double ? view.getFloat64(found.start, true) : 0;
}
