/** Documents that look-ups find, on a MongoDB server. */
import type { MongoClient } from 'mongodb';
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import { asking } from './driver-errors.ts';
import { keyOf } from './id-key.ts';
import { collectionOf, READ_RAW, splitNamespace } from './mongo-query.ts';
import type { DatasetFinding, RawRecord } from './port.ts';
import { idValue, recordsFrom } from './raw-document.ts';
import { valueBytesOf } from './record-values.ts';

/** See `LookUpPort.inspectLookUp`. */
export async function inspectLookUp(
  client: MongoClient,
  namespace: Namespace,
  key: string,
): Promise<readonly DatasetFinding[]> {
  const { database, collection } = splitNamespace(namespace);
  const [found] = await asking(`look for ${namespace}`, () =>
    client.db(database).listCollections({ name: collection }, { nameOnly: true }).toArray(),
  );
  if (found === undefined) return [lookUpMissing(namespace)];
  if (key === '_id') return [];
  const indexes = await asking(`list the indexes of ${namespace}`, () => collectionOf(client, namespace).indexes());
  const serves = indexes.some((index) => {
    const [first] = Object.entries(index['key'] ?? {});
    return first?.[0] === key && typeof first[1] === 'number' && index['partialFilterExpression'] === undefined;
  });
  return serves ? [] : [lookUpWithoutIndex(namespace, key)];
}

/** See `LookUpPort.readByKey`. */
export async function readByKey(
  client: MongoClient,
  namespace: Namespace,
  key: string,
  values: readonly Uint8Array[],
): Promise<ReadonlyMap<string, RawRecord>> {
  if (values.length === 0) return new Map();
  const documents = await asking(`look up in ${namespace}`, () =>
    collectionOf(client, namespace)
      .find(
        { [key]: { $in: values.map(idValue) } },
        { ...READ_RAW, readPreference: 'primary', readConcern: { level: 'majority' } },
      )
      .toArray(),
  );
  const views: Uint8Array[] = [];
  for (const document of documents) if (document instanceof Uint8Array) views.push(document);
  return byKey(namespace, key, recordsFrom(views));
}

/** Each document under the value of its key. Pure. */
export function byKey(
  namespace: Namespace,
  key: string,
  records: readonly RawRecord[],
): ReadonlyMap<string, RawRecord> {
  const found = new Map<string, RawRecord>();
  for (const record of records) {
    const value = valueBytesOf(record.raw, key);
    // An index holds the elements of a list one by one: such a document names many, and is found for none.
    if (value === null) continue;
    const name = keyOf(value);
    if (found.has(name)) {
      throw new MoraineError(
        'DATASET_UNFIT',
        `Two documents of ${namespace} have the same ${key}: it is not known which one counts.`,
        {
          ids: { collection: namespace },
          hint: `Make ${key} unique in ${namespace}; until then nothing that is looked up there is decided.`,
        },
      );
    }
    found.set(name, record);
  }
  return found;
}

export function lookUpMissing(namespace: Namespace): DatasetFinding {
  return { level: 'error', code: 'COLLECTION_MISSING', text: `There is no collection ${namespace} to look up in.` };
}

export function lookUpWithoutIndex(namespace: Namespace, key: string): DatasetFinding {
  const { database, collection } = splitNamespace(namespace);
  return {
    level: 'error',
    code: 'INDEX_MISSING',
    text: `${namespace} has no index on ${key}, by which it is looked up.`,
    remedy: `db.getSiblingDB(${JSON.stringify(database)}).getCollection(${JSON.stringify(collection)}).createIndex({ ${JSON.stringify(key)}: 1 }, { unique: true })`,
  };
}
