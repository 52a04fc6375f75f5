import { id } from '../../src/ids.ts';
import { connectMongo } from '../../src/source/mongo-connect.ts';
import { MongoSource } from '../../src/source/mongo-source.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { lookUpContract } from './look-up-contract.ts';

const names = testNames(import.meta.filename);

lookUpContract('mongodb', async () => {
  const client = await connectMongo({ url: stackUrls().mongodb });
  const db = client.db(names.database);
  let collections = 0;
  return {
    source: new MongoSource(client),
    collection: async (fields) => {
      const name = `c${++collections}`;
      await db.createCollection(name);
      await db.collection(name).createIndex(Object.fromEntries(fields.map((field) => [field, 1] as const)));
      return id.namespace(`${names.database}.${name}`);
    },
    dropIndexes: async (namespace) => {
      await db.collection(namespace.slice(names.database.length + 1)).dropIndexes();
    },
    close: async () => {
      await db.dropDatabase();
      await client.close();
    },
  };
});
