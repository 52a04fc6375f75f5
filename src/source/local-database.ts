/**
 * A MongoDB server on this machine that the demo fills and empties. It refuses any other: sample data and `drop` have no
 * business anywhere else.
 */
import { type Document, MongoClient } from 'mongodb';
import { MoraineError } from '../errors.ts';
import { withoutCredentials } from '../without-credentials.ts';

export interface LocalDatabase {
  insert(namespace: string, documents: readonly Document[]): Promise<void>;
  createIndex(namespace: string, fields: readonly string[]): Promise<void>;
  count(namespace: string): Promise<number>;
  /** One document as raw BSON bytes; null when it is not there. */
  readRaw(namespace: string, filter: Document): Promise<Uint8Array | null>;
  /** Drops every database whose name begins with the prefix. Returns their names. */
  dropDatabases(prefix: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);
/** So that an empty or careless prefix drops nothing that somebody cares for. */
const SHORTEST_PREFIX = 8;

export async function openLocalDatabase(url: string): Promise<LocalDatabase> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5_000 });
  if (client.options.hosts.some(({ host }) => !LOOPBACK.has(host ?? ''))) {
    throw new MoraineError(
      'CONFIG_INVALID',
      `Sample data goes to a server on this machine only, not to ${withoutCredentials(url)}.`,
    );
  }
  await client.connect();
  const collection = (namespace: string) => {
    const dot = namespace.indexOf('.');
    return client.db(namespace.slice(0, dot)).collection(namespace.slice(dot + 1));
  };
  return {
    insert: async (namespace, documents) => {
      await collection(namespace).insertMany([...documents], { ordered: false });
    },
    createIndex: async (namespace, fields) => {
      await collection(namespace).createIndex(Object.fromEntries(fields.map((field) => [field, 1] as const)));
    },
    count: (namespace) => collection(namespace).countDocuments(),
    readRaw: async (namespace, filter) => {
      const found: unknown = await collection(namespace).findOne(filter, { raw: true });
      return found instanceof Uint8Array ? Uint8Array.from(found) : null;
    },
    dropDatabases: async (prefix) => {
      if (prefix.length < SHORTEST_PREFIX)
        throw new MoraineError('INTERNAL', `The prefix ${prefix} is too short to drop by.`);
      const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
      const names = databases.map(({ name }) => name).filter((name) => name.startsWith(prefix));
      for (const name of names) await client.db(name).dropDatabase();
      return names;
    },
    close: () => client.close(),
  };
}
