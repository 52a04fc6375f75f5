/**
 * A source in memory, for tests and simulations. It obeys the contract suite of the real one, and forbids more:
 * - a dataset without its index, or of a kind that `inspect` refuses, cannot be asked anything else;
 * - a delete or replace needs a warrant that was issued, is looked at again for every command, and quotes at most 200 records;
 * - one read names at most 1,000 ids;
 * - documents are copied in and out, so nobody changes a stored byte by accident.
 * It injects no faults by itself: wrap the port for those.
 */
import { serialize } from 'bson';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import { ClearingWarrant } from '../ledger/warrants.ts';
import { comparePositions } from './bson-order.ts';
import { keysAt } from './child-names.ts';
import { DELETE_BATCH_RECORDS, deleteBatches, deleteStatement } from './guarded-delete.ts';
import { replaceBatches } from './guarded-replace.ts';
import { idCandidates } from './id-candidates.ts';
import { keyOf } from './id-key.ts';
import { childNamesIn, childrenIn, inspectChildrenIn } from './memory-children.ts';
import { guardHolds, refuseReplacements, refuseTooLarge, replaceHeld } from './memory-guard.ts';
import { createIndexText } from './mongo-inspect.ts';
import { byKey, lookUpMissing, lookUpWithoutIndex } from './mongo-look-up.ts';
import type {
  DatasetFinding,
  DatasetReport,
  DatasetShape,
  GuardedDelete,
  GuardedReplace,
  Partition,
  PartitionSummary,
  Party,
  Position,
  RawRecord,
  Replacement,
  SourcePort,
  TriggerRange,
} from './port.ts';
import { PureAnswers } from './pure-answers.ts';
import { factsOf, idBytesOf, positionOf, rawRecord } from './raw-document.ts';
import type { ChildName, ChildRecord, ChildShape, ChildWeight } from './unit-shape.ts';

const MOST_IDS_IN_ONE_READ = 1_000;
const BATCH_DOCUMENTS = 1_000;

export interface MemoryCollectionSettings {
  /** Whether the index that the dataset needs is there (default: yes). */
  readonly index?: boolean;
  readonly kind?: 'collection' | 'view' | 'capped' | 'timeseries' | 'collated';
}

interface MemoryCollection {
  readonly documents: Map<string, Uint8Array>;
  settings: MemoryCollectionSettings;
}

export class MemorySource extends PureAnswers implements SourcePort {
  readonly #clock: Clock;
  readonly #collections = new Map<Namespace, MemoryCollection>();

  /** @param options.clock The server's clock: what `until` is compared with. */
  constructor(options: { readonly clock: Clock }) {
    super();
    this.#clock = options.clock;
  }

  /** Inserts a document, or replaces the one with its `_id`. */
  put(namespace: Namespace, raw: Uint8Array): void {
    refuseTooLarge(namespace, raw);
    const copy = Uint8Array.from(raw);
    this.#collection(namespace).documents.set(keyOf(idBytesOf(copy)), copy);
  }

  remove(namespace: Namespace, idBytes: Uint8Array): boolean {
    return this.#collection(namespace).documents.delete(keyOf(idBytes));
  }

  all(namespace: Namespace): Uint8Array[] {
    return [...this.#collection(namespace).documents.values()].map((raw) => Uint8Array.from(raw));
  }

  settings(namespace: Namespace, settings: MemoryCollectionSettings): void {
    this.#collection(namespace).settings = settings;
  }

  async serverTime(): Promise<Date> {
    await turn();
    return this.#clock.now();
  }

  async inspect(dataset: DatasetShape): Promise<DatasetReport> {
    const { namespace } = dataset;
    const collection = this.#collections.get(namespace);
    const nothing = { index: null, explain: null, documents: 0 };
    if (collection === undefined) {
      const text = `There is no collection ${namespace}.`;
      return { ...nothing, findings: [{ level: 'error', code: 'COLLECTION_MISSING', text }] };
    }
    const { index = true, kind = 'collection' } = collection.settings;
    if (kind !== 'collection') {
      const text = `${namespace} is ${kind}: a guarded delete cannot be trusted there.`;
      return { ...nothing, findings: [{ level: 'error', code: 'DATASET_UNFIT', text }] };
    }
    const documents = collection.documents.size;
    const children = inspectChildrenIn(dataset, (of) => this.#collections.get(of)?.settings ?? {});
    if (index) return { findings: children, index: 'memory', explain: null, documents };
    const text = `${namespace} has no plain index for the policy.`;
    const finding = { level: 'error', code: 'INDEX_MISSING', text, remedy: createIndexText(dataset) } as const;
    return { findings: [finding, ...children], index: null, explain: null, documents };
  }

  async *partitions(dataset: DatasetShape, before: number): AsyncGenerator<Partition> {
    const found = new Map<string, Partition>();
    for (const raw of this.#walkable(dataset)) {
      const { owner, customer, trigger } = factsOf(dataset, raw);
      if (owner === null || customer === null || trigger === null || trigger >= before) continue;
      found.set(JSON.stringify([owner, customer]), { dataset, owner, customer });
    }
    for (const key of [...found.keys()].sort()) yield found.get(key)!;
  }

  async summarise(partition: Partition, range: TriggerRange): Promise<PartitionSummary> {
    let records = 0;
    let bytes = 0;
    let oldest: number | null = null;
    let newest: number | null = null;
    for (const { raw, trigger } of this.#recordsOf(partition)) {
      if (trigger >= range.before || trigger < (range.from ?? Number.NEGATIVE_INFINITY)) continue;
      records++;
      bytes += raw.length;
      oldest = Math.min(oldest ?? trigger, trigger);
      newest = Math.max(newest ?? trigger, trigger);
    }
    return { records, bytes, oldest, newest };
  }

  async *scan(
    partition: Partition,
    range: { readonly after: Position | null; readonly upTo: Position | null; readonly before: number },
    signal?: AbortSignal,
  ): AsyncGenerator<readonly RawRecord[]> {
    const { dataset } = partition;
    const ordered = [...this.#recordsOf(partition)]
      .filter(({ trigger }) => trigger < range.before)
      .map(({ raw }) => ({ raw, position: positionOf(dataset, raw) }))
      .filter(({ position }) => range.after === null || comparePositions(position, range.after) > 0)
      .filter(({ position }) => range.upTo === null || comparePositions(position, range.upTo) <= 0)
      .sort((a, b) => comparePositions(a.position, b.position));
    for (let at = 0; at < ordered.length; at += BATCH_DOCUMENTS) {
      signal?.throwIfAborted();
      yield ordered.slice(at, at + BATCH_DOCUMENTS).map(({ raw }) => rawRecord(raw));
    }
    signal?.throwIfAborted();
  }

  async *unfit(dataset: DatasetShape, of?: Party): AsyncGenerator<readonly RawRecord[]> {
    const unfit = this.#walkable(dataset).filter((raw) => {
      const facts = factsOf(dataset, raw);
      if (facts.unfit.length === 0) return false;
      return of === undefined || (facts.owner === of.owner && facts.customer === of.customer);
    });
    for (let at = 0; at < unfit.length; at += BATCH_DOCUMENTS) {
      yield unfit.slice(at, at + BATCH_DOCUMENTS).map(rawRecord);
    }
  }

  async readByIds(namespace: Namespace, idBytes: readonly Uint8Array[]): Promise<ReadonlyMap<string, RawRecord>> {
    if (idBytes.length > MOST_IDS_IN_ONE_READ) {
      throw new MoraineError('INTERNAL', `One read named ${idBytes.length} ids; a roster page has at most 1,000.`);
    }
    await turn();
    const { documents } = this.#collection(namespace);
    const found = new Map<string, RawRecord>();
    for (const key of idBytes.map(keyOf)) {
      const raw = documents.get(key);
      if (raw !== undefined) found.set(key, rawRecord(raw));
    }
    return found;
  }

  async inspectLookUp(collection: Namespace, key: string): Promise<readonly DatasetFinding[]> {
    await turn();
    const known = this.#collections.get(collection);
    if (known === undefined) return [lookUpMissing(collection)];
    return key === '_id' || known.settings.index !== false ? [] : [lookUpWithoutIndex(collection, key)];
  }

  async readByKey(
    collection: Namespace,
    key: string,
    values: readonly Uint8Array[],
  ): Promise<ReadonlyMap<string, RawRecord>> {
    if (values.length > MOST_IDS_IN_ONE_READ) {
      throw new MoraineError('INTERNAL', `One look-up named ${values.length} values; a batch has at most 1,000.`);
    }
    await turn();
    const wanted = new Set(values.map(keyOf));
    const matching = [...this.#collection(collection).documents.values()].filter((raw) => {
      const value = this.valueBytes(raw, key);
      return value !== null && wanted.has(keyOf(value));
    });
    return byKey(collection, key, matching.map(rawRecord));
  }

  async deleteGuarded(
    dataset: DatasetShape,
    records: readonly RawRecord[],
    warrant: ClearingWarrant,
  ): Promise<GuardedDelete> {
    if (!(warrant instanceof ClearingWarrant)) {
      throw new MoraineError('INTERNAL', 'A delete was asked for without a warrant that was issued.');
    }
    const { documents } = this.#collection(dataset.namespace);
    this.#walkable(dataset);
    let deletedCount = 0;
    for (const batch of deleteBatches(records)) {
      if (batch.length > DELETE_BATCH_RECORDS) throw new MoraineError('INTERNAL', 'A delete quotes too many records.');
      // Refuses what the real statement could not quote.
      deleteStatement(dataset, batch, warrant.until);
      warrant.assertGood('delete');
      // Between two commands anything may happen at a real server.
      await turn();
      if (this.#clock.now() >= warrant.until) continue;
      for (const record of batch) {
        const stored = documents.get(record.key);
        if (stored === undefined || !guardHolds(dataset, stored, record.raw)) continue;
        documents.delete(record.key);
        deletedCount++;
      }
    }
    return { deletedCount };
  }

  async replaceGuarded(
    dataset: DatasetShape,
    replacements: readonly Replacement[],
    warrant: ClearingWarrant,
  ): Promise<GuardedReplace> {
    if (!(warrant instanceof ClearingWarrant)) {
      throw new MoraineError('INTERNAL', 'A replace was asked for without a warrant that was issued.');
    }
    const { documents } = this.#collection(dataset.namespace);
    this.#walkable(dataset);
    let replacedCount = 0;
    for (const batch of replaceBatches(replacements)) {
      refuseReplacements(dataset, batch, warrant.until);
      warrant.assertGood('replace');
      await turn();
      if (this.#clock.now() < warrant.until) replacedCount += replaceHeld(documents, dataset, batch);
    }
    return { replacedCount };
  }

  async weighChildren(child: ChildShape, parents: readonly Uint8Array[]): Promise<ReadonlyMap<string, ChildWeight>> {
    assertOneRead(parents);
    await turn();
    const weights = new Map<string, ChildWeight>();
    for (const { parent, raw } of childrenIn(this.#collection(child.collection), child, parents)) {
      const { records, bytes } = weights.get(parent) ?? { records: 0, bytes: 0 };
      weights.set(parent, { records: records + 1, bytes: bytes + raw.length });
    }
    return weights;
  }

  async *children(child: ChildShape, parents: readonly Uint8Array[]): AsyncGenerator<readonly ChildRecord[]> {
    assertOneRead(parents);
    await turn();
    const found = childrenIn(this.#collection(child.collection), child, parents);
    for (let at = 0; at < found.length; at += BATCH_DOCUMENTS) yield found.slice(at, at + BATCH_DOCUMENTS);
  }

  async *childNames(child: ChildShape, after: Uint8Array | null, limit: number): AsyncGenerator<readonly ChildName[]> {
    await turn();
    const found = childNamesIn(this.#collection(child.collection), child, after, limit);
    for (let at = 0; at < found.length; at += BATCH_DOCUMENTS) yield found.slice(at, at + BATCH_DOCUMENTS);
  }

  async rootsThere(namespace: Namespace, field: string, values: readonly Uint8Array[]): Promise<ReadonlySet<string>> {
    assertOneRead(values);
    await turn();
    const there = keysAt([...this.#collection(namespace).documents.values()], field);
    return new Set(values.map(keyOf).filter((key) => there.has(key)));
  }

  async insertMissing(
    namespace: Namespace,
    records: readonly Uint8Array[],
  ): Promise<{ readonly inserted: number; readonly existing: readonly string[] }> {
    const { documents } = this.#collection(namespace);
    const existing: string[] = [];
    for (const [at, raw] of records.entries()) {
      // Between two commands anything may happen at a real server.
      if (at % BATCH_DOCUMENTS === 0) await turn();
      refuseTooLarge(namespace, raw);
      const key = keyOf(idBytesOf(raw));
      if (documents.has(key)) existing.push(key);
      else documents.set(key, Uint8Array.from(raw));
    }
    return { inserted: records.length - existing.length, existing };
  }

  async findOne(namespace: Namespace, idText: string): Promise<RawRecord | null> {
    await turn();
    const { documents } = this.#collection(namespace);
    for (const candidate of idCandidates(idText)) {
      const raw = documents.get(keyOf(idBytesOf(serialize({ _id: candidate }))));
      if (raw !== undefined) return rawRecord(raw);
    }
    return null;
  }

  #collection(namespace: Namespace): MemoryCollection {
    const known = this.#collections.get(namespace);
    if (known !== undefined) return known;
    const fresh: MemoryCollection = { documents: new Map(), settings: {} };
    this.#collections.set(namespace, fresh);
    return fresh;
  }

  /** All documents of a dataset that `inspect` finds nothing wrong with. */
  #walkable(dataset: DatasetShape): Uint8Array[] {
    const { documents, settings } = this.#collection(dataset.namespace);
    if (settings.index === false) {
      throw new MoraineError('INDEX_MISSING', `${dataset.namespace} would be scanned without its index.`);
    }
    if ((settings.kind ?? 'collection') !== 'collection') {
      throw new MoraineError('DATASET_UNFIT', `${dataset.namespace} is ${settings.kind}.`);
    }
    return [...documents.values()];
  }

  *#recordsOf(partition: Partition): Generator<{ readonly raw: Uint8Array; readonly trigger: number }> {
    for (const raw of this.#walkable(partition.dataset)) {
      const { owner, customer, trigger } = factsOf(partition.dataset, raw);
      if (owner === partition.owner && customer === partition.customer && trigger !== null) yield { raw, trigger };
    }
  }
}

function assertOneRead({ length }: readonly Uint8Array[]): void {
  if (length <= MOST_IDS_IN_ONE_READ) return;
  throw new MoraineError('INTERNAL', `One read named ${length} roots; a roster page has at most 1,000.`);
}

/** A call to a server never completes within the caller's own turn: races that need an await in between show up here too. */
function turn(): Promise<void> {
  return Promise.resolve();
}
