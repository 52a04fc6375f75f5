/**
 * The ledger's store on MongoDB or a compatible server. Every write waits for the majority and every read goes to the
 * primary with majority concern: what one worker was told is what the next one sees, also after a change of primary.
 * Only single-document writes, no transactions, no change streams.
 */
import { BSON, type Collection, type Db, type Document, MongoClient } from 'mongodb';
import { MoraineError } from '../errors.ts';
import { mongoAddress } from '../without-credentials.ts';
import type { LedgerIndex, PreparedStore } from './indexes.ts';
import {
  againIfRolledBack,
  insertedBesideDuplicates,
  isDuplicateKey,
  mayTryAgain,
  translateStoreError,
} from './mongo-errors.ts';
import { assertComplete, type Filter, type FindOptions, type LedgerDocument, type StoreCollection } from './store.ts';

/** Long enough for an election's usual second or two, short enough for a person who waits for the message. */
const SERVER_SELECTION_MS = 5_000;
/** A majority that takes longer is an error (class retry), never an endless wait. */
const MAJORITY_MS = 30_000;
/** A reply that takes longer comes from a dead peer: no command of the ledger runs for a minute. */
const SOCKET_MS = 60_000;
/** Compatible servers take at most 25,000 documents in one write; less keeps memory flat. */
const MAX_BATCH_DOCUMENTS = 10_000;
/** MongoDB's limit for a document. The server says so to a single insert; a bulk write ends in the driver, as our mistake. */
const LARGEST_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** Far below the 48 MB of one message, and twice that below the bytes of one write on compatible servers. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
/** Documents per reply: read fastest at 1,000 on the servers we measured; a reply ends at 16 MiB anyway. */
const READ_BATCH_DOCUMENTS = 1_000;

const WRITE = { writeConcern: { w: 'majority', wtimeoutMS: MAJORITY_MS } } as const;
const READ = { readPreference: 'primary', readConcern: { level: 'majority' } } as const;

export interface MongoStoreOptions {
  readonly url: string;
  readonly database: string;
}

/**
 * Connects and asks the server once, so that a wrong address fails here. Throws MONGODB_UNAVAILABLE, MONGODB_REFUSED
 * or CONFIG_INVALID, with the address but never its credentials.
 */
export async function connectMongoStore(options: MongoStoreOptions): Promise<MongoStore> {
  const address = mongoAddress(options.url);
  const client = newClient(options.url, address);
  try {
    await client.connect();
    await client.db(options.database).command({ ping: 1 }, { readPreference: 'primary' });
    return new MongoStore(client, options.database, address);
  } catch (error) {
    // The first error is the one to show; a client that never connected has nothing to lose when its close fails.
    await client.close().catch(() => undefined);
    throw translateStoreError(error, `connect to ${address}`, 'Nothing was changed.');
  }
}

function newClient(url: string, address: string): MongoClient {
  try {
    return new MongoClient(url, {
      appName: 'moraine-ledger',
      serverSelectionTimeoutMS: SERVER_SELECTION_MS,
      connectTimeoutMS: SERVER_SELECTION_MS,
      socketTimeoutMS: SOCKET_MS,
      promoteBuffers: true,
      ignoreUndefined: true,
    });
  } catch {
    // No cause: the driver's message may quote the URL with its password.
    throw new MoraineError('CONFIG_INVALID', `mongodb.url is not an address that MongoDB understands: ${address}`);
  }
}

export class MongoStore implements PreparedStore {
  readonly #client: MongoClient;
  readonly #database: Db;
  /** Host and port without credentials, for messages. */
  readonly address: string;

  constructor(client: MongoClient, database: string, address: string) {
    this.#client = client;
    this.#database = client.db(database);
    this.address = address;
  }

  /** The primary's clock as it answered; half a round trip old. */
  async serverTime(): Promise<Date> {
    const hello = await guarded('ask for the server time', () =>
      this.#database.command({ hello: 1 }, { readPreference: 'primary' }),
    );
    const time: unknown = hello['localTime'];
    if (!(time instanceof Date)) {
      throw new MoraineError('MONGODB_REFUSED', 'MongoDB does not say what time it has.');
    }
    return time;
  }

  collection<T extends LedgerDocument>(name: string): StoreCollection<T> {
    return new MongoCollection<T>(name, this.#database.collection<StoredDocument>(name, { ...WRITE, ...READ }));
  }

  async ensureIndexes(indexes: readonly LedgerIndex[]): Promise<void> {
    for (const index of indexes) {
      await guarded(`create an index of ledger collection ${index.collection}`, () =>
        this.#database.collection(index.collection).createIndex({ ...index.keys }, { unique: index.unique ?? false }),
      );
    }
  }

  /** Removes the whole database. For tests and for a sandbox's own reset. */
  async drop(): Promise<void> {
    await guarded('drop the ledger', () => this.#database.dropDatabase(WRITE));
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

interface StoredDocument extends Document {
  _id: string;
}

class MongoCollection<T extends LedgerDocument> implements StoreCollection<T> {
  readonly #name: string;
  readonly #collection: Collection<StoredDocument>;

  constructor(name: string, collection: Collection<StoredDocument>) {
    this.#name = name;
    this.#collection = collection;
  }

  async insert(document: Omit<T, 'rev'>): Promise<'inserted' | 'duplicate'> {
    return this.#guarded('insert into', async () => {
      try {
        await againIfRolledBack(() => this.#collection.insertOne(asNew(document), WRITE));
        return 'inserted';
      } catch (error) {
        if (isDuplicateKey(error)) return 'duplicate';
        throw error;
      }
    });
  }

  async insertMany(documents: readonly Omit<T, 'rev'>[]): Promise<number> {
    let inserted = 0;
    for (const batch of batches(documents.map(asNew))) inserted += await this.#insertBatch(batch);
    return inserted;
  }

  async get(id: string): Promise<T | null> {
    const document = await this.#guarded('read', () => this.#collection.findOne({ _id: id }, READ));
    return document === null ? null : this.#asDocument(document);
  }

  /** The server's cursor ends after ten idle minutes: what takes longer per document collects ids first. */
  async *find(filter: Filter, options: FindOptions = {}): AsyncIterable<T> {
    assertComplete(filter);
    const cursor = this.#collection.find({ ...filter }, { ...READ, batchSize: READ_BATCH_DOCUMENTS });
    if (options.sort) cursor.sort({ ...options.sort });
    if (options.limit !== undefined) {
      // To the server a limit of 0 means none; to us it means nothing.
      if (options.limit <= 0) return;
      cursor.limit(options.limit);
    }
    try {
      for (;;) {
        const document = await this.#guarded('read', () => cursor.next());
        if (document === null) return;
        yield this.#asDocument(document);
      }
    } finally {
      // Failing to close a cursor changes nothing: the server ends it by itself.
      await cursor.close().catch(() => undefined);
    }
  }

  async count(filter: Filter): Promise<number> {
    assertComplete(filter);
    return this.#guarded('count', () => this.#collection.countDocuments({ ...filter }, READ));
  }

  async replace(document: T): Promise<T | null> {
    const next = { ...document, rev: document.rev + 1 };
    return this.#guarded('replace in', async () => {
      try {
        const result = await againIfRolledBack(() =>
          this.#collection.replaceOne({ _id: document._id, rev: document.rev }, next, WRITE),
        );
        return result.matchedCount === 1 ? next : null;
      } catch (error) {
        // Another document took our place in a unique index: also somebody who was faster.
        if (isDuplicateKey(error)) return null;
        throw error;
      }
    });
  }

  async remove(id: string, rev: number): Promise<boolean> {
    const result = await this.#guarded('remove from', () =>
      againIfRolledBack(() => this.#collection.deleteOne({ _id: id, rev }, WRITE)),
    );
    return result.deletedCount === 1;
  }

  async removeMany(filter: Filter): Promise<number> {
    assertComplete(filter);
    const result = await this.#guarded('remove from', () =>
      againIfRolledBack(() => this.#collection.deleteMany({ ...filter }, WRITE)),
    );
    return result.deletedCount;
  }

  async #insertBatch(batch: StoredDocument[]): Promise<number> {
    return this.#guarded('insert into', async () => {
      let inserted = 0;
      let left = batch;
      for (let times = 1; ; times += 1) {
        try {
          // Unordered: a document that is there already does not stop those after it.
          const result = await this.#collection.insertMany(left, { ...WRITE, ordered: false });
          return inserted + result.insertedCount;
        } catch (error) {
          const outcome = insertedBesideDuplicates(error);
          if (outcome === null) throw error;
          inserted += outcome.inserted;
          left = outcome.rolledBack.flatMap((index) => left[index] ?? []);
          if (left.length === 0) return inserted;
          if (!(await mayTryAgain(times))) throw error;
        }
      }
    });
  }

  #guarded<R>(verb: string, call: () => Promise<R>): Promise<R> {
    return guarded(`${verb} ledger collection ${this.#name}`, call);
  }

  /** What we wrote comes back as we wrote it; that these are the fields of T is the word of whoever named the collection. */
  #asDocument(document: StoredDocument): T {
    if (!isLedgerDocument(document)) {
      throw new MoraineError('INTERNAL', `A document in ledger collection ${this.#name} is not one of Moraine's.`);
    }
    return document as LedgerDocument as T;
  }
}

async function guarded<R>(doing: string, call: () => Promise<R>): Promise<R> {
  try {
    return await call();
  } catch (error) {
    throw translateStoreError(error, doing);
  }
}

function asNew(document: Omit<LedgerDocument, 'rev'>): StoredDocument {
  const { _id, v, ...rest } = document;
  return { _id, v, rev: 0, ...rest };
}

function isLedgerDocument(document: StoredDocument): boolean {
  return typeof document._id === 'string' && Number.isInteger(document['v']) && Number.isInteger(document['rev']);
}

function* batches(documents: readonly StoredDocument[]): Iterable<StoredDocument[]> {
  let batch: StoredDocument[] = [];
  let bytes = 0;
  for (const document of documents) {
    const size = BSON.calculateObjectSize(document, { ignoreUndefined: true });
    if (size > LARGEST_DOCUMENT_BYTES) {
      throw new MoraineError('MONGODB_REFUSED', `A document of the ledger has ${size} bytes: more than MongoDB takes.`);
    }
    if (batch.length > 0 && (batch.length >= MAX_BATCH_DOCUMENTS || bytes + size > MAX_BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(document);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
