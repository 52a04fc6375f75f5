/** What a collection is beside its documents, as mongodump writes it: its options and indexes. */
import type { Document, MongoClient } from 'mongodb';
import type { Namespace } from '../ids.ts';
import { asking } from './driver-errors.ts';
import { splitNamespace } from './mongo-query.ts';

export interface CollectionFacts {
  readonly options: Document;
  readonly indexes: readonly Document[];
}

/** Null where there is no such collection (any more). */
export async function collectionFacts(client: MongoClient, namespace: Namespace): Promise<CollectionFacts | null> {
  const { database, collection } = splitNamespace(namespace);
  const db = client.db(database);
  const doing = `ask for the indexes of ${namespace}`;
  const [found] = await asking(doing, () => db.listCollections({ name: collection }).toArray());
  if (found === undefined) return null;
  const indexes = await asking(doing, () => db.collection(collection).listIndexes().toArray());
  const options = 'options' in found ? (found.options ?? {}) : {};
  // `ns` is of old servers; mongorestore takes the namespace from the file.
  return { options, indexes: indexes.map(({ ns: _, ...index }) => index) };
}
