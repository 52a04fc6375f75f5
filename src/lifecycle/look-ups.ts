/**
 * What decisions look at in other documents: found a batch of records at a time, each document once in a run, on the
 * primary with majority. A document that is not there says nothing, as a field that is missing; a collection that is not
 * there stops everything, for the difference between the two is the difference between waiting and deleting.
 */
import { MoraineError } from '../errors.ts';
import type { CompiledPolicy } from '../policy/compile.ts';
import type { LookUp } from '../policy/policy.ts';
import { type RecordValue, type RecordValues, valueKey } from '../policy/values.ts';
import type { RawRecord, RecordFacts } from '../source/port.ts';
import type { Context } from './context.ts';

/** One read names at most so many. */
const MOST_IN_ONE_READ = 1_000;
/** Documents kept in memory: a contact list stands for many records, so most are asked for again and again. */
const MOST_REMEMBERED = 50_000;

/** Reads what decisions need of records, a batch at a time. */
export interface FactsReader {
  read(batch: readonly RawRecord[]): Promise<(record: RawRecord) => RecordFacts>;
}

const readers = new WeakMap<CompiledPolicy, FactsReader>();

/** One reader for all partitions of a run. `compiled`: of the policy as a whole, not of one partition. */
export function factsReader(context: Context, compiled: CompiledPolicy): FactsReader {
  let reader = readers.get(compiled);
  if (reader === undefined) {
    reader =
      compiled.lookUpRefs.length === 0 ? new PlainReader(context, compiled) : new LookUpReader(context, compiled);
    readers.set(compiled, reader);
  }
  return reader;
}

class PlainReader implements FactsReader {
  readonly #facts: (record: RawRecord) => RecordFacts;

  constructor({ source }: Context, { shape }: CompiledPolicy) {
    this.#facts = ({ raw }) => source.facts(shape, raw);
  }

  async read(): Promise<(record: RawRecord) => RecordFacts> {
    return this.#facts;
  }
}

class LookUpReader implements FactsReader {
  readonly #context: Context;
  readonly #compiled: CompiledPolicy;
  /** Those that are needed, each after those that it looks up from. */
  readonly #lookUps: readonly ReadyLookUp[];
  #inspected: Promise<void> | null = null;

  constructor(context: Context, compiled: CompiledPolicy) {
    this.#context = context;
    this.#compiled = compiled;
    this.#lookUps = inOrder(compiled);
  }

  async read(batch: readonly RawRecord[]): Promise<(record: RawRecord) => RecordFacts> {
    const { source } = this.#context;
    await this.#inspect();
    const found = new Map<string, Map<RawRecord, RawRecord | null>>();
    for (const lookUp of this.#lookUps) found.set(lookUp.name, await this.#find(lookUp, batch, found));
    const refs = this.#lookUps.flatMap(({ name, fields }) => fields.map((field) => ({ lookUp: name, field })));
    return (record) => {
      const facts = source.facts(this.#compiled.shape, record.raw);
      const values: Record<string, RecordValue> = { ...facts.values };
      for (const ref of refs) {
        const document = found.get(ref.lookUp)?.get(record) ?? null;
        values[valueKey(ref)] = document === null ? null : (this.#valuesOf(document, ref.field)[ref.field] ?? null);
      }
      return { ...facts, values };
    };
  }

  #valuesOf(document: RawRecord, field: string): RecordValues {
    return this.#context.source.values(document.raw, [field]);
  }

  /** Once, before the first look: what is away or would be scanned stops the run. */
  async #inspect(): Promise<void> {
    this.#inspected ??= assertLookUpsUsable(this.#context, this.#compiled);
    await this.#inspected;
  }

  /** The document of each record, or null. */
  async #find(
    lookUp: ReadyLookUp,
    batch: readonly RawRecord[],
    earlier: ReadonlyMap<string, ReadonlyMap<RawRecord, RawRecord | null>>,
  ): Promise<Map<RawRecord, RawRecord | null>> {
    const { source } = this.#context;
    const { from } = lookUp.of;
    const wanted = new Map<string, Uint8Array>();
    const nameOf = new Map<RawRecord, string>();
    for (const record of batch) {
      const holder = 'lookUp' in from ? (earlier.get(from.lookUp)?.get(record) ?? null) : record;
      const value = holder === null ? null : source.valueBytes(holder.raw, from.field);
      if (value === null) continue;
      const name = source.keyOf(value);
      nameOf.set(record, name);
      if (!lookUp.known.has(name)) wanted.set(name, value);
    }
    const isFull = lookUp.known.size + wanted.size > MOST_REMEMBERED && wanted.size < lookUp.known.size;
    if (isFull) {
      lookUp.known.clear();
      return await this.#find(lookUp, batch, earlier);
    }
    return await this.#read(lookUp, wanted, nameOf);
  }

  async #read(
    lookUp: ReadyLookUp,
    wanted: ReadonlyMap<string, Uint8Array>,
    nameOf: ReadonlyMap<RawRecord, string>,
  ): Promise<Map<RawRecord, RawRecord | null>> {
    const { collection, key } = lookUp.of;
    const names = [...wanted];
    for (let at = 0; at < names.length; at += MOST_IN_ONE_READ) {
      const part = names.slice(at, at + MOST_IN_ONE_READ);
      const found = await this.#context.source.readByKey(
        collection,
        key,
        part.map(([, value]) => value),
      );
      for (const [name] of part) lookUp.known.set(name, found.get(name) ?? null);
    }
    return new Map([...nameOf].map(([record, name]) => [record, lookUp.known.get(name) ?? null]));
  }
}

/** Throws INDEX_MISSING or DATASET_UNFIT where a look-up cannot be made. */
async function assertLookUpsUsable({ source }: Context, compiled: CompiledPolicy): Promise<void> {
  const { policy } = compiled;
  for (const { name, of } of inOrder(compiled)) {
    const finding = (await source.inspectLookUp(of.collection, of.key)).find(({ level }) => level === 'error');
    if (finding === undefined) continue;
    const code = finding.code === 'INDEX_MISSING' ? 'INDEX_MISSING' : 'DATASET_UNFIT';
    throw new MoraineError(code, `Policy ${policy.name} cannot decide: its look-up ${name} fails. ${finding.text}`, {
      ...(finding.remedy === undefined ? {} : { hint: `Create it with: ${finding.remedy}` }),
      ids: { policy: policy.name, collection: of.collection },
    });
  }
}

interface ReadyLookUp {
  readonly name: string;
  readonly of: LookUp;
  /** What decisions look at in its documents. */
  readonly fields: readonly string[];
  readonly known: Map<string, RawRecord | null>;
}

/** `loadPolicy` refuses cycles and names that are not there, so this ends. */
function inOrder({ policy, lookUpRefs }: CompiledPolicy): readonly ReadyLookUp[] {
  const all = policy.dataset.lookUps ?? {};
  const ordered = new Map<string, ReadyLookUp>();
  const add = (name: string): void => {
    const of = all[name];
    if (of === undefined || ordered.has(name)) return;
    if ('lookUp' in of.from) add(of.from.lookUp);
    const fields = lookUpRefs.filter(({ lookUp }) => lookUp === name).map(({ field }) => field);
    ordered.set(name, { name, of, fields, known: new Map() });
  };
  for (const { lookUp } of lookUpRefs) add(lookUp);
  return [...ordered.values()];
}
