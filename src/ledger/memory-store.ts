/**
 * The ledger's store in memory, for tests and simulations: the same contract as the real one
 * (`test/contract/store-contract.ts`). It forbids more: values that the port does not allow (NaN, undefined in an
 * array, class instances, bigint) throw here at the write, and so do operators and comparisons that servers disagree
 * about. So do documents of more than 16 MiB, field names with dots and dollars, and text with half a character in it,
 * which a server takes and gives back as another. Nothing that a caller holds is shared with what is stored.
 *
 * `find` gives the documents as they were when the reading began, as stale as a server's cursor may be.
 */
import { calculateObjectSize } from 'bson';
import { type Clock, systemClock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { LedgerIndex, PreparedStore } from './indexes.ts';
import { matcherOf, sorted, valuesAt } from './memory-query.ts';
import { assertComplete, type Filter, type FindOptions, type LedgerDocument, type StoreCollection } from './store.ts';

export class MemoryStore implements PreparedStore {
  readonly #clock: Clock;
  readonly #collections = new Map<string, MemoryCollection<LedgerDocument>>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async serverTime(): Promise<Date> {
    return new Date(this.#clock.now());
  }

  collection<T extends LedgerDocument>(name: string): StoreCollection<T> {
    // As on a server, that these are documents of type T is the word of whoever named the collection.
    return this.#named(name) as MemoryCollection<LedgerDocument> as unknown as StoreCollection<T>;
  }

  async ensureIndexes(indexes: readonly LedgerIndex[]): Promise<void> {
    for (const index of indexes) {
      if (index.unique) this.#named(index.collection).makeUnique(Object.keys(index.keys));
    }
  }

  /** What is stored now, by `_id`: not a copy, and for looking only. For judges of simulations. */
  peek(name: string): ReadonlyMap<string, LedgerDocument> {
    return this.#named(name).peek();
  }

  /** Names of the collections that were ever asked for. */
  names(): readonly string[] {
    return [...this.#collections.keys()];
  }

  /** A backup of all collections. What is stored is never changed in place, so it may share the documents. */
  backup(): StoreBackup {
    return new Map([...this.#collections].map(([name, collection]) => [name, new Map(collection.peek())]));
  }

  /** Everything as it was in the backup. */
  setBack(backup: StoreBackup): void {
    for (const [name, collection] of this.#collections) collection.setTo(backup.get(name) ?? new Map());
  }

  #named(name: string): MemoryCollection<LedgerDocument> {
    const known = this.#collections.get(name);
    if (known) return known;
    const collection = new MemoryCollection<LedgerDocument>();
    this.#collections.set(name, collection);
    return collection;
  }
}

export type StoreBackup = ReadonlyMap<string, ReadonlyMap<string, LedgerDocument>>;

class MemoryCollection<T extends LedgerDocument> implements StoreCollection<T> {
  readonly #documents = new Map<string, T>();
  readonly #uniqueIndexes: UniqueIndex[] = [];

  peek(): ReadonlyMap<string, T> {
    return this.#documents;
  }

  setTo(documents: ReadonlyMap<string, T>): void {
    for (const _id of [...this.#documents.keys()]) this.#drop(_id);
    for (const document of documents.values()) this.#put(document);
  }

  makeUnique(paths: readonly string[]): void {
    if (this.#uniqueIndexes.some((known) => known.paths.join() === paths.join())) return;
    const index: UniqueIndex = { paths, holders: new Map() };
    for (const document of this.#documents.values()) {
      if (isTaken(index, document))
        throw new MoraineError('MONGODB_REFUSED', 'The documents that are there are not unique.');
      occupy(index, document);
    }
    this.#uniqueIndexes.push(index);
  }

  async insert(document: Omit<T, 'rev'>): Promise<'inserted' | 'duplicate'> {
    await turn();
    const { _id, v, ...rest } = document;
    const stored = copyDocument({ _id, v, rev: 0, ...rest } as LedgerDocument as T);
    if (this.#documents.has(stored._id) || this.#uniqueIndexes.some((index) => isTaken(index, stored)))
      return 'duplicate';
    this.#put(stored);
    return 'inserted';
  }

  async insertMany(documents: readonly Omit<T, 'rev'>[]): Promise<number> {
    let inserted = 0;
    for (const document of documents) if ((await this.insert(document)) === 'inserted') inserted++;
    return inserted;
  }

  async get(id: string): Promise<T | null> {
    await turn();
    const stored = this.#documents.get(id);
    return stored ? copyDocument(stored) : null;
  }

  async *find(filter: Filter, options: FindOptions = {}): AsyncIterable<T> {
    await turn();
    const found = this.#matching(filter);
    const inOrder = options.sort ? sorted(found, options.sort) : found;
    // To a server a limit of 0 means none; to us it means nothing.
    const limit = Math.max(0, options.limit ?? inOrder.length);
    for (const document of inOrder.slice(0, limit)) yield copyDocument(document);
  }

  async count(filter: Filter): Promise<number> {
    await turn();
    return this.#matching(filter).length;
  }

  async replace(document: T): Promise<T | null> {
    const next = copyDocument({ ...document, rev: document.rev + 1 });
    await turn();
    if (this.#documents.get(document._id)?.rev !== document.rev) return null;
    if (this.#uniqueIndexes.some((index) => isTaken(index, next))) return null;
    this.#drop(document._id);
    this.#put(next);
    return copyDocument(next);
  }

  async remove(id: string, rev: number): Promise<boolean> {
    await turn();
    if (this.#documents.get(id)?.rev !== rev) return false;
    this.#drop(id);
    return true;
  }

  async removeMany(filter: Filter): Promise<number> {
    await turn();
    const found = this.#matching(filter);
    for (const { _id } of found) this.#drop(_id);
    return found.length;
  }

  #matching(filter: Filter): T[] {
    assertComplete(filter);
    return this.#candidates(filter).filter(matcherOf(filter));
  }

  /** By `_id` or a unique index where the filter names one, else all: so that a simulation with much in it stays fast. */
  #candidates(filter: Filter): T[] {
    const byId = textsOf(filter['_id']);
    if (byId !== null) return this.#existing(byId);
    for (const { paths, holders } of this.#uniqueIndexes) {
      const [path, ...more] = paths;
      const wanted = path === undefined || more.length > 0 ? null : textsOf(filter[path]);
      if (wanted !== null) return this.#existing(wanted.map((text) => holders.get(JSON.stringify([text]))));
    }
    return [...this.#documents.values()];
  }

  #existing(ids: readonly (string | undefined)[]): T[] {
    return [...new Set(ids)].flatMap((id) => (id === undefined ? [] : (this.#documents.get(id) ?? [])));
  }

  #put(document: T): void {
    this.#documents.set(document._id, document);
    for (const index of this.#uniqueIndexes) occupy(index, document);
  }

  #drop(id: string): void {
    const document = this.#documents.get(id);
    if (document === undefined) return;
    for (const { paths, holders } of this.#uniqueIndexes) {
      for (const key of uniqueKeys(document, paths)) holders.delete(key);
    }
    this.#documents.delete(id);
  }
}

interface UniqueIndex {
  readonly paths: readonly string[];
  /** Which document holds a place in the index. */
  readonly holders: Map<string, string>;
}

function isTaken({ paths, holders }: UniqueIndex, document: LedgerDocument): boolean {
  return uniqueKeys(document, paths).some((key) => (holders.get(key) ?? document._id) !== document._id);
}

function occupy({ paths, holders }: UniqueIndex, document: LedgerDocument): void {
  for (const key of uniqueKeys(document, paths)) holders.set(key, document._id);
}

/** The texts that a condition asks for, one of which must be equal; null for any other condition. */
function textsOf(condition: Filter[string] | undefined): string[] | null {
  if (typeof condition === 'string') return [condition];
  const list = typeof condition === 'object' && condition !== null && '$in' in condition ? condition.$in : undefined;
  if (list === undefined) return null;
  const texts = list.filter((item) => typeof item === 'string');
  return texts.length === list.length ? texts : null;
}

/** A call to a server never completes within the caller's own turn: races that need an await in between show up here too. */
function turn(): Promise<void> {
  return Promise.resolve();
}

/** A list takes a place in the index for each of its elements, as on a server (at most one list per index). */
function uniqueKeys(document: LedgerDocument, paths: readonly string[]): string[] {
  let keys: unknown[][] = [[]];
  for (const path of paths) {
    keys = keys.flatMap((key) => valuesAt(document, path.split('.')).map((value) => [...key, keyed(value)]));
  }
  return keys.map((key) => JSON.stringify(key));
}

/** A date is another value than the text that JSON makes of it. */
function keyed(value: unknown): unknown {
  return value instanceof Date ? { date: value.getTime() } : value;
}

function copyDocument<T extends LedgerDocument>(document: T): T {
  if (typeof document._id !== 'string' || !Number.isInteger(document.v) || !Number.isInteger(document.rev)) {
    throw new MoraineError('INTERNAL', 'A ledger document needs a text _id and whole numbers v and rev.');
  }
  const copier = new Copier();
  const copy = copier.copy(document, '') as T;
  if (copier.atLeastBytes > SURELY_SMALL_BYTES && calculateObjectSize(copy) > LARGEST_DOCUMENT_BYTES) {
    throw new MoraineError('MONGODB_REFUSED', 'A ledger document is larger than a server takes.');
  }
  return copy;
}

/** MongoDB's limit, which it refuses at the write. */
const LARGEST_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** A character has three bytes at most: below this much text and binary nothing comes near the limit. */
const SURELY_SMALL_BYTES = 4 * 1024 * 1024;

/** Half the time of `structuredClone` on the ledger's documents, and refuses what the port does not allow. */
class Copier {
  /** Characters and binary bytes that it met. */
  atLeastBytes = 0;

  copy(value: unknown, path: string): unknown {
    if (typeof value === 'string') {
      if (!value.isWellFormed()) throw refusal(path);
      this.atLeastBytes += value.length;
      return value;
    }
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (value instanceof Date && !Number.isNaN(value.getTime())) return new Date(value);
    if (value instanceof Uint8Array) {
      this.atLeastBytes += value.length;
      // A Buffer, and never one with an ArrayBuffer of its own, as the driver gives: `.buffer` is as wrong here as there.
      return Buffer.concat([Buffer.alloc(1), value]).subarray(1);
    }
    if (Array.isArray(value)) return value.map((item, index) => this.copy(item, `${path}.${index}`));
    if (!isPlainObject(value)) throw refusal(path);
    const copy: Record<string, unknown> = {};
    for (const name of Object.keys(value)) {
      const member = value[name];
      // As the driver does with ignoreUndefined.
      if (member === undefined) continue;
      // Servers take some of these at some places, and read them as paths or operators at others.
      if (name === '' || name === '__proto__' || UNSAFE_IN_NAMES.test(name)) throw refusal(`${path}.${name}`);
      copy[name] = this.copy(member, `${path}.${name}`);
    }
    return copy;
  }
}

const UNSAFE_IN_NAMES = /[.$\0]/;

function refusal(path: string): MoraineError {
  return new MoraineError('INTERNAL', `A ledger document cannot hold the value at ${path.slice(1)}.`);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
