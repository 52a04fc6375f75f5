/**
 * The application whose data it is: inserts, replaces, deletes and inserts the same ids again, through a connection of
 * its own, and writes every result into the journal. An id whose write got no answer is left alone from then on: what
 * may still arrive late could not be told from what came after it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { serialize } from 'bson';
import { type Collection, MongoClient, MongoServerError } from 'mongodb';
import { type Dataset, OWNERS, PEOPLE } from './datasets.ts';
import type { Journal, Version, Write, WriteOutcome } from './journal.ts';
import type { Random } from './random.ts';

const DUPLICATE_KEY = 11_000;
/** Long enough for a busy machine; a server that was killed answers with a refused connection at once. */
const ANSWER_WITHIN_MS = 20_000;
const SELECTION_MS = 2_000;

export interface RecordDocument {
  readonly _id: number;
  readonly owner: string;
  readonly tenant: string;
  readonly person: string;
  readonly at: Date;
  readonly serial: number;
  readonly body: string;
}

export class Application {
  readonly #client: MongoClient;
  readonly #database: string;
  readonly #journal: Journal;
  readonly #random: Random;
  readonly #customers: readonly string[];
  /** Ids that may be used, by namespace. */
  readonly #ids = new Map<string, number[]>();
  #serial = 0;

  constructor(
    url: string,
    {
      database,
      journal,
      random,
      customers,
    }: {
      readonly database: string;
      readonly journal: Journal;
      readonly random: Random;
      /** Of each owner. */
      readonly customers: readonly string[];
    },
  ) {
    this.#client = new MongoClient(url, {
      retryWrites: false,
      serverSelectionTimeoutMS: SELECTION_MS,
      socketTimeoutMS: ANSWER_WITHIN_MS,
      writeConcern: { w: 'majority' },
    });
    this.#database = database;
    this.#journal = journal;
    this.#random = random;
    this.#customers = customers;
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async prepare(datasets: readonly Dataset[]): Promise<void> {
    for (const dataset of datasets) {
      await this.#collection(dataset).createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
    }
  }

  /** New records, one customer's, written one after the other as an application does. */
  async insertFor(dataset: Dataset, owner: string, customer: string, count: number): Promise<void> {
    const ids = this.#idsOf(dataset);
    for (let n = 0; n < count; n++) {
      const id = this.#serial + 1;
      if ((await this.#insert(dataset, id, owner, customer)) !== 'unknown') ids.push(id);
    }
  }

  /** One random write: mostly a new record, else a change, a delete, or an id that was there before. */
  async writeSomething(datasets: readonly Dataset[]): Promise<void> {
    const dataset = this.#random.pick(datasets);
    const ids = this.#idsOf(dataset);
    const [owner, customer] = [this.#random.pick(OWNERS), this.#random.pick(this.#customers)];
    const what = this.#random.next();
    if (ids.length === 0 || what < NEW_SHARE) return await this.insertFor(dataset, owner, customer, 1);
    // Mostly one that came lately: it is still there, or being archived right now.
    const id = ids[Math.max(0, ids.length - 1 - this.#random.int(0, RECENT))];
    if (id === undefined) return;
    const outcome =
      what < CHANGE_UP_TO
        ? await this.#replace(dataset, id, owner, customer)
        : what < DELETE_UP_TO
          ? await this.#delete(dataset, id)
          : await this.#insert(dataset, id, owner, customer);
    if (outcome === 'unknown') ids.splice(ids.indexOf(id), 1);
  }

  async #insert(dataset: Dataset, id: number, owner: string, customer: string): Promise<WriteOutcome> {
    const document = this.#document(dataset, id, owner, customer);
    return await this.#tell(dataset, id, 'insert', document, async () => {
      try {
        await this.#collection(dataset).insertOne(document);
        return true;
      } catch (error) {
        if (error instanceof MongoServerError && error.code === DUPLICATE_KEY) return false;
        throw error;
      }
    });
  }

  async #replace(dataset: Dataset, id: number, owner: string, customer: string): Promise<WriteOutcome> {
    const document = this.#document(dataset, id, owner, customer);
    return await this.#tell(dataset, id, 'replace', document, async () => {
      const { matchedCount } = await this.#collection(dataset).replaceOne({ _id: id }, document);
      return matchedCount === 1;
    });
  }

  async #delete(dataset: Dataset, id: number): Promise<WriteOutcome> {
    return await this.#tell(dataset, id, 'delete', null, async () => {
      const { deletedCount } = await this.#collection(dataset).deleteOne({ _id: id });
      return deletedCount === 1;
    });
  }

  async #tell(
    dataset: Dataset,
    id: number,
    act: Write['act'],
    document: RecordDocument | null,
    write: () => Promise<boolean>,
  ): Promise<WriteOutcome> {
    const startedAt = Date.now();
    let outcome: WriteOutcome;
    try {
      outcome = (await write()) ? 'done' : 'refused';
    } catch {
      // Whatever it was, it may have happened.
      outcome = 'unknown';
    }
    const namespace = `${this.#database}.${dataset.collection}`;
    const version = document === null ? null : versionOf(document);
    this.#journal.write({
      ...{ kind: 'write', namespace, id, act, version, outcome },
      ...{ startedAt, endedAt: Date.now() },
    });
    return outcome;
  }

  #document(dataset: Dataset, id: number, owner: string, customer: string): RecordDocument {
    this.#serial += 1;
    const bytes = this.#random.int(...dataset.bodyBytes);
    return {
      _id: id,
      owner,
      tenant: customer,
      person: this.#random.pick(PEOPLE),
      at: new Date(Date.now() - this.#random.int(...dataset.triggerAgeMs)),
      serial: this.#serial,
      body: randomBytes(Math.ceil((bytes * 3) / 4)).toString('base64'),
    };
  }

  #idsOf({ collection }: Dataset): number[] {
    const ids = this.#ids.get(collection) ?? [];
    this.#ids.set(collection, ids);
    return ids;
  }

  #collection({ collection }: Dataset): Collection<RecordDocument> {
    return this.#client.db(this.#database).collection<RecordDocument>(collection);
  }
}

const NEW_SHARE = 0.45;
const CHANGE_UP_TO = 0.7;
const DELETE_UP_TO = 0.85;
/** How far back ids are chosen from. */
const RECENT = 60;

export function versionOf(document: RecordDocument): Version {
  const { owner, tenant, person, at } = document;
  const sha256 = createHash('sha256').update(serialize(document)).digest('hex');
  return { sha256, owner, customer: tenant, person, trigger: at.getTime() };
}
