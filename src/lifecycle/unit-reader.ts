/**
 * Reads what hangs on the records of a scan, a batch of roots at a time, before they are taken: a record is taken whole or
 * not at all. Memory stays flat: children are weighed first, and read ahead for as many roots as fit into a few MiB; those
 * of a larger root are looked through once, and stream when it is taken.
 *
 * What stops a record:
 * - a child of another owner or customer, or one that cannot be guarded: the record is quarantined;
 * - a legal hold that names one of its children: it stays;
 * - an attachment that is missing: the record counts as changed, and is quarantined at the third time in a row.
 */
import { MoraineError } from '../errors.ts';
import type {
  AttachmentsPort,
  ChildRecord,
  ChildShape,
  DatasetShape,
  FoundAttachment,
  Party,
  RawRecord,
} from '../source/port.ts';
import { childDataset } from './child-dataset.ts';
import { assertNotStopped, type Context } from './context.ts';
import type { PartitionHolds } from './record-holds.ts';

/** Children read ahead: bytes, and roots that they are of. */
const READ_AHEAD_BYTES = 8 * 1024 * 1024;
const READ_AHEAD_ROOTS = 200;

const CHILD_HELD = 'child-held';

export interface WholeUnit {
  readonly kind: 'whole';
  /** Of children and attachments. */
  readonly bytes: number;
  readonly attachments: readonly FoundAttachment[];
}

/** Nothing hangs on the record. */
export const ALONE: WholeUnit = { kind: 'whole', bytes: 0, attachments: [] };

/** What hangs on one record, or why it is not taken. */
export type PreparedUnit =
  | WholeUnit
  /** Quarantined, with the reason. */
  | { readonly kind: 'unfit'; readonly reason: string }
  /** Left for a later run. */
  | { readonly kind: 'changed'; readonly reason: string }
  /** A hold names one of its children. */
  | { readonly kind: 'held'; readonly reason: string };

interface RuleState {
  readonly child: ChildShape;
  /** Bytes of children by the root's key. */
  weights: ReadonlyMap<string, { readonly records: number; readonly bytes: number }>;
  /** Read ahead: children by the root's key. */
  ahead: Map<string, ChildRecord[]>;
}

export class UnitReader {
  readonly #context: Context;
  readonly #dataset: DatasetShape;
  readonly #party: Party;
  readonly #rules: readonly RuleState[];
  #expected: readonly RawRecord[] = [];
  #holds: Pick<PartitionHolds, 'holdsChild'> | null = null;

  constructor(context: Context, dataset: DatasetShape, party: Party) {
    this.#context = context;
    this.#dataset = dataset;
    this.#party = party;
    this.#rules = (dataset.children ?? []).map((child) => ({ child, weights: new Map(), ahead: new Map() }));
  }

  /** Records of which a child is held are left, from here on. */
  heed(holds: Pick<PartitionHolds, 'holdsChild'>): void {
    this.#holds = holds;
  }

  /** Nothing hangs on the records of this dataset: nobody need ask. */
  get isEmpty(): boolean {
    return this.#rules.length === 0 && (this.#dataset.attachments ?? []).length === 0;
  }

  /** The records of a batch, in the order in which they will be prepared. At most 1,000. */
  async expect(records: readonly RawRecord[]): Promise<void> {
    this.#expected = records;
    for (const rule of this.#rules) {
      rule.ahead = new Map();
      rule.weights = await this.#context.source.weighChildren(rule.child, this.#parents(rule.child, records));
    }
  }

  /** Bytes of what hangs on an expected record, as far as it is there. */
  async weigh(record: RawRecord): Promise<number> {
    let bytes = 0;
    for (const { child, weights } of this.#rules) {
      const parent = this.#parentKey(child, record);
      if (parent !== null) bytes += weights.get(parent)?.bytes ?? 0;
    }
    if (this.#dataset.attachments === undefined) return bytes;
    const answer = await this.#attachments().find(this.#dataset, record.raw);
    return 'problem' in answer ? bytes : bytes + answer.found.reduce((sum, attachment) => sum + attachment.bytes, 0);
  }

  /** All that hangs on an expected record, looked at. */
  async prepare(record: RawRecord): Promise<PreparedUnit> {
    assertNotStopped(this.#context);
    let bytes = 0;
    for (const rule of this.#rules) {
      const parent = this.#parentKey(rule.child, record);
      const weight = parent === null ? undefined : rule.weights.get(parent);
      if (parent === null || weight === undefined) continue;
      if (weight.bytes <= READ_AHEAD_BYTES && !rule.ahead.has(parent)) await this.#readAhead(rule, record);
      for await (const child of this.#childrenOf(rule, record)) {
        const reason = this.#unfitness(rule.child, child);
        if (reason === CHILD_HELD) return { kind: 'held', reason };
        if (reason !== null) return { kind: 'unfit', reason };
        bytes += child.raw.length;
      }
    }
    if (this.#dataset.attachments === undefined) return { kind: 'whole', bytes, attachments: [] };
    const answer = await this.#attachments().find(this.#dataset, record.raw);
    if ('problem' in answer) {
      const kind = answer.problem === 'attachment-missing' ? 'changed' : 'unfit';
      return { kind, reason: answer.problem };
    }
    bytes += answer.found.reduce((sum, attachment) => sum + attachment.bytes, 0);
    return { kind: 'whole', bytes, attachments: answer.found };
  }

  /** The children of a prepared record, each with its rule. Throws CHILD_UNFIT where one came since that stops the record. */
  async *children(record: RawRecord): AsyncGenerator<{ readonly child: ChildShape; readonly record: ChildRecord }> {
    for (const rule of this.#rules) {
      for await (const child of this.#childrenOf(rule, record)) {
        const reason = this.#unfitness(rule.child, child);
        if (reason !== null) {
          throw new MoraineError(
            'CHILD_UNFIT',
            `A record that was being archived got a child that stops it: ${reason}.`,
            {
              ids: { collection: rule.child.collection, reason },
            },
          );
        }
        yield { child: rule.child, record: child };
      }
      const parent = this.#parentKey(rule.child, record);
      if (parent !== null) rule.ahead.delete(parent);
    }
  }

  read(attachment: FoundAttachment): AsyncIterable<Uint8Array> {
    return this.#attachments().read(attachment);
  }

  #attachments(): AttachmentsPort {
    return attachmentsOf(this.#context);
  }

  #unfitness(child: ChildShape, record: ChildRecord): string | null {
    const { source } = this.#context;
    if (this.#holds?.holdsChild(child.collection, record)) return CHILD_HELD;
    if (!source.isOfParty(child, record.raw, this.#party)) return 'child-of-another';
    return source.fitness(childDataset(child), record.raw) === null ? null : 'child-unfit';
  }

  async *#childrenOf(rule: RuleState, record: RawRecord): AsyncGenerator<ChildRecord> {
    const parent = this.#context.source.parentOf(rule.child, record.raw);
    if (parent === null) return;
    const ahead = rule.ahead.get(this.#context.source.keyOf(parent));
    if (ahead !== undefined) {
      yield* ahead;
      return;
    }
    if (!rule.weights.has(this.#context.source.keyOf(parent))) return;
    for await (const batch of this.#context.source.children(rule.child, [parent])) yield* batch;
  }

  /** Reads the children of this root and of those after it, as many as fit. */
  async #readAhead(rule: RuleState, from: RawRecord): Promise<void> {
    const { source } = this.#context;
    const roots: RawRecord[] = [];
    let bytes = 0;
    for (const root of this.#expected.slice(this.#expected.indexOf(from))) {
      const parent = this.#parentKey(rule.child, root);
      const weight = parent === null ? undefined : rule.weights.get(parent);
      if (weight === undefined || weight.bytes > READ_AHEAD_BYTES) continue;
      if (roots.length > 0 && (roots.length >= READ_AHEAD_ROOTS || bytes + weight.bytes > READ_AHEAD_BYTES)) break;
      roots.push(root);
      bytes += weight.bytes;
    }
    const parents = this.#parents(rule.child, roots);
    rule.ahead = new Map(parents.map((parent) => [source.keyOf(parent), []]));
    for await (const batch of source.children(rule.child, parents)) {
      for (const child of batch) rule.ahead.get(child.parent)?.push(child);
    }
  }

  #parents(child: ChildShape, records: readonly RawRecord[]): readonly Uint8Array[] {
    return records.flatMap(({ raw }) => this.#context.source.parentOf(child, raw) ?? []);
  }

  #parentKey(child: ChildShape, { raw }: RawRecord): string | null {
    const parent = this.#context.source.parentOf(child, raw);
    return parent === null ? null : this.#context.source.keyOf(parent);
  }
}

export function attachmentsOf(context: Context): AttachmentsPort {
  if (context.attachments !== undefined) return context.attachments;
  throw new MoraineError('INTERNAL', 'The policy has attachments, and nothing was given to reach them.');
}
