/**
 * The audit chain: every act leaves an entry, the intent before and the outcome after (promise 10). An entry holds the
 * hash of the one before, so changing, removing or putting in an entry breaks the chain from there on.
 *
 * Entries that wait together are written as one block, ONE document whose `_id` is the sequence number of its first
 * entry. Whoever appends takes the number after the last one it saw; when another process took that number, the insert
 * fails as a duplicate, and it reads the new end and tries again. A process with an old view of the end clashes too:
 * where a block ended once, the next began. So two processes never fork the chain, without a lock or a transaction.
 *
 * What it can prove: that nothing between the first entry and a remembered head ({@link AuditHead}, kept in certificates
 * and manifests, which leave the ledger) was changed. What it cannot: an end cut off after the newest remembered head,
 * and a chain computed anew from an entry on by somebody with write access, as long as no remembered head lies there.
 */
import { randomUUID } from 'node:crypto';
import { canonicalJson, hashCanonicalJson, type Json } from '../canonical-json.ts';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { LedgerIndex } from './indexes.ts';
import { type LedgerDocument, MAX_CLASHES, type Store, type StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

/** What an act says about itself. Ids, counts and reasons only: no record content. */
export interface AuditEntryBody {
  /** Names the event: an entry with the same key is appended once. A random one where an event cannot be told twice. */
  readonly key: string;
  /** In words: `archive stored`, `policy published`. */
  readonly act: string;
  readonly phase: 'intent' | 'outcome';
  /** What it was about: `archive`, `attempt`, `policy`, `owner`, `customer`, `namespace`, `hold`, `certificate`, ... to an id. */
  readonly subject: Readonly<Record<string, string>>;
  readonly details: Readonly<Record<string, Json>>;
}

export interface AuditEntry extends AuditEntryBody {
  readonly seq: number;
  /** Real time, never moved by `--as-of`. */
  readonly at: Date;
  /** The instant that `--as-of` named for the command, else null. */
  readonly asOf: Date | null;
  readonly actor: string;
  /** Hash of the entry before; 64 zeros for the first. */
  readonly previous: string;
  /** Hex SHA-256 of the canonical JSON of all other fields, instants as ISO 8601. */
  readonly hash: string;
}

/** Where the chain ended: kept outside the ledger, it proves that this entry was there. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
  readonly at: Date;
}

/** A block of entries, in order. `_id` is the padded `seq` of the first. */
interface AuditBlock extends LedgerDocument {
  readonly entries: readonly AuditEntry[];
}

const AUDIT = 'audit';

export const AUDIT_INDEXES: readonly LedgerIndex[] = [
  { collection: AUDIT, keys: { 'entries.key': 1 }, unique: true },
  { collection: AUDIT, keys: { 'entries.subject.archive': 1, _id: 1 } },
  { collection: AUDIT, keys: { 'entries.subject.policy': 1, _id: 1 } },
];

/** Before the first entry. */
const GENESIS: Pick<AuditHead, 'seq' | 'hash'> = { seq: 0, hash: '0'.repeat(64) };
/** Padded, so that text order is number order. */
const SEQ_DIGITS = 15;
/** Keeps a block far below the 16 MiB of a document. */
const MAX_BLOCK_ENTRIES = 500;

interface Waiting {
  readonly bodies: readonly AuditEntryBody[];
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** Appends to the chain. One per process: what is appended at the same time goes into one write. */
export class AuditLog {
  readonly #blocks: StoreCollection<AuditBlock>;
  readonly #clock: Clock;
  readonly #actor: string;
  readonly #asOf: Date | null;
  #waiting: Waiting[] = [];
  #isWriting = false;
  /** The end as we last saw it; null: to be read. */
  #end: Pick<AuditHead, 'seq' | 'hash'> | null = null;

  constructor(store: Store, clock: Clock, by: { readonly actor: string; readonly asOf?: Date | null }) {
    this.#blocks = blocks(store);
    this.#clock = clock;
    this.#actor = by.actor;
    this.#asOf = by.asOf ?? null;
  }

  /** Appends entries, in order, and resolves when they are in the chain with majority. */
  async append(entries: readonly Omit<AuditEntryBody, 'key'>[]): Promise<void> {
    await this.appendOnce(entries.map((entry) => ({ ...entry, key: randomUUID() })));
  }

  /** As {@link append}, and leaves out those whose key is in the chain: after a crash or a lost reply it may be called again. */
  async appendOnce(entries: readonly AuditEntryBody[]): Promise<void> {
    if (entries.length === 0) return;
    // Throws here what cannot be hashed, so that it does not fail the entries of others in the same block.
    for (const entry of entries) canonicalJson(entry);
    await new Promise<void>((done, failed) => {
      this.#waiting.push({ bodies: entries, done, failed });
      if (!this.#isWriting) void this.#writeWaiting();
    });
  }

  async #writeWaiting(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      try {
        await this.#write(batch.flatMap(({ bodies }) => bodies));
        for (const { done } of batch) done();
      } catch (error) {
        // It may have arrived: the next one looks where the chain ends.
        this.#end = null;
        for (const { failed } of batch) failed(error);
      }
    }
    this.#isWriting = false;
  }

  #takeBatch(): Waiting[] {
    let entries = 0;
    const count = this.#waiting.findIndex(({ bodies }) => {
      entries += bodies.length;
      return entries > MAX_BLOCK_ENTRIES;
    });
    // One call with more than a block's worth goes alone and is cut below.
    return this.#waiting.splice(0, count === -1 ? this.#waiting.length : Math.max(count, 1));
  }

  async #write(bodies: readonly AuditEntryBody[]): Promise<void> {
    for (let start = 0; start < bodies.length; start += MAX_BLOCK_ENTRIES) {
      await this.#writeBlock(bodies.slice(start, start + MAX_BLOCK_ENTRIES));
    }
  }

  async #writeBlock(bodies: readonly AuditEntryBody[]): Promise<void> {
    for (let clash = 0; clash <= MAX_CLASHES; clash++) {
      // Mostly they are new, and the unique index on the keys says when one is not: looked for only then.
      const missing = clash === 0 ? distinct(bodies) : await this.#notYetIn(bodies);
      if (missing.length === 0) return;
      const end = this.#end ?? (await lastEntry(this.#blocks)) ?? GENESIS;
      const entries = this.#chain(end, missing);
      const first = entries[0];
      const last = entries.at(-1);
      if (first === undefined || last === undefined) return;
      if ((await this.#blocks.insert({ _id: blockId(first.seq), v: LEDGER_VERSION, entries })) === 'inserted') {
        this.#end = last;
        return;
      }
      this.#end = null;
    }
    throw new MoraineError('LEDGER_CONTENTION', `The audit chain grew under us ${MAX_CLASHES} times.`);
  }

  /** The unique index on the keys decides; this finds out which of them are in the chain after it did. */
  async #notYetIn(bodies: readonly AuditEntryBody[]): Promise<AuditEntryBody[]> {
    const missing = new Map(bodies.map((body) => [body.key, body]));
    for await (const block of this.#blocks.find({ 'entries.key': { $in: [...missing.keys()] } })) {
      for (const { key } of block.entries) missing.delete(key);
    }
    return [...missing.values()];
  }

  #chain(end: Pick<AuditHead, 'seq' | 'hash'>, bodies: readonly AuditEntryBody[]): AuditEntry[] {
    const at = this.#clock.now();
    let { seq, hash } = end;
    return bodies.map((body) => {
      const { key, act, phase, subject, details } = body;
      const stamp = { seq: ++seq, at, asOf: this.#asOf, actor: this.#actor, previous: hash };
      const unhashed = { ...stamp, key, act, phase, subject, details };
      hash = hashEntry(unhashed);
      return { ...unhashed, hash };
    });
  }
}

/** The first of each key. */
function distinct(bodies: readonly AuditEntryBody[]): AuditEntryBody[] {
  return [...new Map(bodies.map((body) => [body.key, body])).values()];
}

/** The newest entry's place, or null for an empty chain. */
export async function auditHead(store: Store): Promise<AuditHead | null> {
  const last = await lastEntry(blocks(store));
  return last && { seq: last.seq, hash: last.hash, at: last.at };
}

export interface AuditVerdict {
  readonly entries: number;
  readonly ok: boolean;
  /** Sequence number of the first entry at which the chain does not hold, and why. */
  readonly firstBad: number | null;
  readonly reason: 'missing' | 'changed' | 'chain broken' | 'not the remembered entry' | null;
}

/** Walks the whole chain, a block at a time, and compares it with heads that were remembered elsewhere. */
export async function verifyAudit(
  store: Store,
  remembered: Iterable<Pick<AuditHead, 'seq' | 'hash'>> = [],
): Promise<AuditVerdict> {
  const heads = new Map<number, Set<string>>();
  for (const { seq, hash } of remembered) heads.set(seq, (heads.get(seq) ?? new Set()).add(hash));
  let end = GENESIS;
  for await (const block of blocks(store).find({}, { sort: { _id: 1 } })) {
    if (block._id !== blockId(end.seq + 1)) return bad(end.seq, end.seq + 1, 'missing');
    if (!Array.isArray(block.entries)) return bad(end.seq, end.seq + 1, 'changed');
    for (const entry of block.entries) {
      const reason = judge(entry, end, heads);
      if (reason !== null) return bad(end.seq, end.seq + 1, reason);
      heads.delete(entry.seq);
      end = entry;
    }
  }
  const cutOff = [...heads.keys()].sort((a, b) => a - b)[0];
  if (cutOff !== undefined) return bad(end.seq, Math.max(cutOff <= end.seq ? cutOff : end.seq + 1, 1), 'missing');
  return { entries: end.seq, ok: true, firstBad: null, reason: null };
}

/** Entries about a subject (`{ archive: id }`), or all, oldest first or newest first. */
export async function* auditEntries(
  store: Store,
  query: {
    readonly subject?: Readonly<Record<string, string>>;
    readonly newestFirst?: boolean;
    readonly limit?: number;
  } = {},
): AsyncIterable<AuditEntry> {
  const wanted = Object.entries(query.subject ?? {});
  const filter = Object.fromEntries(wanted.map(([name, id]) => [`entries.subject.${name}`, id]));
  const direction = query.newestFirst ? -1 : 1;
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  if (left <= 0) return;
  for await (const block of blocks(store).find(filter, { sort: { _id: direction } })) {
    const entries = direction === 1 ? block.entries : block.entries.toReversed();
    for (const entry of entries) {
      if (!wanted.every(([name, id]) => entry.subject[name] === id)) continue;
      yield entry;
      if (--left === 0) return;
    }
  }
}

function judge(
  entry: AuditEntry,
  before: Pick<AuditHead, 'seq' | 'hash'>,
  heads: ReadonlyMap<number, ReadonlySet<string>>,
): AuditVerdict['reason'] {
  if (entry.seq !== before.seq + 1) return 'missing';
  if (entry.previous !== before.hash) return 'chain broken';
  if (entry.hash !== recomputedHash(entry)) return 'changed';
  const expected = heads.get(entry.seq);
  // Two different heads for one entry cannot both be right.
  if (expected !== undefined && (expected.size > 1 || !expected.has(entry.hash))) return 'not the remembered entry';
  return null;
}

function bad(entries: number, firstBad: number, reason: AuditVerdict['reason']): AuditVerdict {
  return { entries, ok: false, firstBad, reason };
}

/** Null for an entry with values that no entry of ours ever had: somebody else's hand. */
function recomputedHash({ hash: _, ...unhashed }: AuditEntry): string | null {
  try {
    return hashEntry(unhashed);
  } catch {
    return null;
  }
}

/** All fields that are there, also ones that we do not know: an extra field in an entry is a change, too. */
function hashEntry(entry: Omit<AuditEntry, 'hash'>): string {
  return hashCanonicalJson({ ...entry, at: entry.at.toISOString(), asOf: entry.asOf?.toISOString() ?? null });
}

async function lastEntry(collection: StoreCollection<AuditBlock>): Promise<AuditEntry | null> {
  for await (const block of collection.find({}, { sort: { _id: -1 }, limit: 1 })) return block.entries.at(-1) ?? null;
  return null;
}

function blocks(store: Store): StoreCollection<AuditBlock> {
  return readableCollection<AuditBlock>(store, AUDIT);
}

function blockId(seq: number): string {
  return String(seq).padStart(SEQ_DIGITS, '0');
}
