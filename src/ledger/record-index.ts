/**
 * The record index of a cleared archive: sorted pages of 8-byte HMACs of record keys with segment numbers. Each page is
 * named by its leading bits, so that finding one record reads one page an archive.
 */

import { MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import { codePageId, leadingBits, prefixBits, sortEntries } from './code-pages.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';

const HMAC_BYTES = 8;
const ENTRY_BYTES = HMAC_BYTES + 4;

interface RecordIndexPage extends LedgerDocument {
  readonly archive: ArchiveId;
  readonly bits: number;
  readonly prefix: number;
  readonly entries: Uint8Array;
}

export const RECORD_INDEX_INDEXES: readonly LedgerIndex[] = [{ collection: 'recordIndex', keys: { archive: 1 } }];

export function recordIndexPages(store: Store): StoreCollection<RecordIndexPage> {
  return store.collection<RecordIndexPage>('recordIndex');
}

/** Holds 20 bytes a record in two buffers: 4 MB for the 200,000 records that an archive may have, and no object for each. */
export class RecordIndexBuilder {
  readonly #bits: number;
  readonly #entries: Buffer;
  #count = 0;

  /** Room for `records` entries. */
  constructor(records: number) {
    this.#bits = prefixBits(records);
    this.#entries = Buffer.alloc(records * ENTRY_BYTES);
  }

  /** `hmac` is at least 8 bytes long. */
  add(hmac: Uint8Array, segment: number): void {
    const at = this.#count * ENTRY_BYTES;
    if (at >= this.#entries.length) throw new MoraineError('INTERNAL', 'More records than the archive has.');
    this.#entries.set(hmac.subarray(0, HMAC_BYTES), at);
    this.#entries.writeUInt32BE(segment, at + HMAC_BYTES);
    this.#count += 1;
  }

  async write(store: Store, archive: ArchiveId): Promise<void> {
    const bits = this.#bits;
    const documents = [...this.#pages()].map(({ prefix, entries }) => ({
      _id: codePageId(archive, bits, prefix),
      v: 1,
      archive,
      bits,
      prefix,
      entries,
    }));
    await recordIndexPages(store).insertMany(documents);
  }

  /** Sorted entries, cut where the leading bits change. */
  *#pages(): Generator<{ readonly prefix: number; readonly entries: Buffer }> {
    const sorted = this.#sorted();
    let start = 0;
    for (let at = ENTRY_BYTES; at <= sorted.length; at += ENTRY_BYTES) {
      const prefix = leadingBits(sorted.subarray(start, start + HMAC_BYTES), this.#bits);
      if (at < sorted.length && leadingBits(sorted.subarray(at, at + HMAC_BYTES), this.#bits) === prefix) continue;
      yield { prefix, entries: sorted.subarray(start, at) };
      start = at;
    }
  }

  #sorted(): Buffer {
    return sortEntries(this.#entries.subarray(0, this.#count * ENTRY_BYTES), ENTRY_BYTES);
  }
}

/** The segments that may hold the record with this HMAC; empty when the archive does not have it. */
export async function segmentsOf(
  store: Store,
  archive: ArchiveId,
  records: number,
  hmac: Uint8Array,
): Promise<readonly number[]> {
  const wanted = Buffer.from(hmac.subarray(0, HMAC_BYTES));
  const bits = prefixBits(records);
  const page = await recordIndexPages(store).get(codePageId(archive, bits, leadingBits(wanted, bits)));
  if (page === null) return [];
  const entries = Buffer.from(page.entries);
  const segments = new Set<number>();
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    if (entries.subarray(at, at + HMAC_BYTES).equals(wanted)) segments.add(entries.readUInt32BE(at + HMAC_BYTES));
  }
  return [...segments];
}

/** How many of an archive's records lie in segments before this one: the ordinal of its first. Reads the whole index, 12 bytes a record. */
export async function recordsBefore(store: Store, archive: ArchiveId, segment: number): Promise<number> {
  let before = 0;
  for await (const page of recordIndexPages(store).find({ archive })) {
    const entries = Buffer.from(page.entries.buffer, page.entries.byteOffset, page.entries.byteLength);
    for (let at = HMAC_BYTES; at < entries.length; at += ENTRY_BYTES) {
      if (entries.readUInt32BE(at) < segment) before += 1;
    }
  }
  return before;
}
