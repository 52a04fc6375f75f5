/**
 * The second pass of a restore: what an archive holds goes to its target in batches, void copies left out, attachments as
 * they stream. Memory holds one batch and one member.
 */
import type { AttachmentEntry } from '../archive/attachment-index.ts';
import type { ArchivedItem } from '../archive/reader.ts';
import { MoraineError } from '../errors.ts';
import { id, type Namespace } from '../ids.ts';
import type { RestoreCounts, RestoreTarget, RestoreTotals, UnitTarget } from './restore.ts';

/** Documents a batch for the target. */
const BATCH_RECORDS = 1_000;
const BATCH_BYTES = 16 * 1024 * 1024;

export interface ItemSource {
  readonly items: AsyncIterable<ArchivedItem>;
  /** By their number. */
  readonly attachments: readonly AttachmentEntry[];
  /** Ordinals of void records, in order. */
  readonly voidRecords: AsyncIterator<number>;
  /** Void children by collection, void attachments under null. */
  readonly voidUnits: ReadonlyMap<string | null, ReadonlySet<number>>;
  /** Throws when the work is to stop. */
  readonly assertNotStopped: () => void;
}

type Counts = { -readonly [K in keyof RestoreCounts]: RestoreCounts[K] };
const WRITTEN = ['inserted', 'existing', 'replaced', 'same', 'newer', 'changed', 'held'] as const;

function noCounts(): Counts {
  return { records: 0, inserted: 0, existing: 0, replaced: 0, same: 0, newer: 0, changed: 0, held: 0, void: 0 };
}

type Item<Kind> = Extract<ArchivedItem, { readonly kind: Kind }>;

export async function restoreItems(source: ItemSource, target: RestoreTarget): Promise<RestoreTotals> {
  return await new ItemRestore(source, target).run();
}

class ItemRestore {
  readonly #source: ItemSource;
  readonly #target: RestoreTarget;
  /** Null is the archive's own collection. */
  readonly #batches = new Map<Namespace | null, Uint8Array[]>();
  #waiting = 0;
  #bytes = 0;
  readonly #records: Counts = noCounts();
  readonly #children: Counts = noCounts();
  readonly #attachments: Counts = noCounts();

  constructor(source: ItemSource, target: RestoreTarget) {
    this.#source = source;
    this.#target = target;
  }

  async run(): Promise<RestoreTotals> {
    const { voidRecords, voidUnits } = this.#source;
    let nextVoid = await voidRecords.next();
    const items = this.#source.items[Symbol.asyncIterator]();
    let next = await items.next();
    while (next.done !== true) {
      const item = next.value;
      if (item.kind === 'part') {
        next = await this.#attachment(item, items);
        continue;
      }
      if (item.kind === 'record') {
        const isVoid = nextVoid.done !== true && nextVoid.value === item.ordinal;
        if (isVoid) nextVoid = await voidRecords.next();
        await this.#take(null, item.raw, this.#records, isVoid);
      } else {
        const isVoid = voidUnits.get(item.collection)?.has(item.ordinal) ?? false;
        await this.#take(id.namespace(item.collection), item.raw, this.#children, isVoid);
      }
      next = await items.next();
    }
    await this.#flush();
    return { ...this.#records, children: this.#children, attachments: this.#attachments };
  }

  async #take(collection: Namespace | null, raw: Uint8Array, counts: Counts, isVoid: boolean): Promise<void> {
    counts.records += 1;
    if (isVoid) {
      counts.void += 1;
      return;
    }
    const batch = this.#batches.get(collection) ?? [];
    batch.push(raw);
    this.#batches.set(collection, batch);
    this.#waiting += 1;
    this.#bytes += raw.length;
    if (this.#waiting >= BATCH_RECORDS || this.#bytes >= BATCH_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    for (const [collection, batch] of this.#batches) {
      this.#source.assertNotStopped();
      const counts = collection === null ? this.#records : this.#children;
      const written = await (collection === null ? this.#target.write(batch) : this.#unit().write(collection, batch));
      for (const outcome of WRITTEN) counts[outcome] += written[outcome] ?? 0;
    }
    this.#batches.clear();
    this.#waiting = 0;
    this.#bytes = 0;
  }

  /** From its first part on; returns what comes after its last. */
  async #attachment(first: Item<'part'>, items: AsyncIterator<ArchivedItem>): Promise<IteratorResult<ArchivedItem>> {
    const number = first.attachment;
    const counts = this.#attachments;
    counts.records += 1;
    let next: IteratorResult<ArchivedItem> = { done: false, value: first };
    const parts = (async function* () {
      while (next.done !== true && next.value.kind === 'part' && next.value.attachment === number) {
        yield next.value.bytes;
        next = await items.next();
      }
    })();
    if (this.#source.voidUnits.get(null)?.has(number) === true) counts.void += 1;
    else {
      this.#source.assertNotStopped();
      const entry = this.#source.attachments[number];
      if (entry === undefined) throw new MoraineError('INTERNAL', `Attachment ${number} has no entry in the index.`);
      const outcome = await this.#unit().attachment(entry, parts);
      if (outcome !== 'looked at') counts[outcome] += 1;
    }
    // A target that has it already need not read it, and one that stops early leaves the rest.
    while (next.done !== true && next.value.kind === 'part' && next.value.attachment === number) {
      next = await items.next();
    }
    return next;
  }

  #unit(): UnitTarget {
    if (this.#target.unit !== undefined) return this.#target.unit;
    throw new MoraineError('INTERNAL', 'The archive holds children or attachments, and its target takes records only.');
  }
}
