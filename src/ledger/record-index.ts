/**
 * The record index of a cleared archive: sorted pages of 8-byte HMACs of record keys with segment numbers. Each page is
 * named by its leading bits, so that finding one record reads one page an archive.
 */

import type { ArchiveId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';

const HMAC_BYTES = 8;
const ENTRY_BYTES = HMAC_BYTES + 4;
/** Aimed at: about a thousand entries (12 kB) a page, the size of a roster page. */
const ENTRIES_PER_PAGE = 1_000;
/** At most 2^12 pages an archive; with 200,000 records 2^8 are enough. */
const MAX_PREFIX_BITS = 12;

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

/** How many leading bits name a page, for an archive of `records` records. */
export function prefixBits(records: number): number {
  const pages = Math.max(1, Math.ceil(records / ENTRIES_PER_PAGE));
  return Math.min(MAX_PREFIX_BITS, Math.ceil(Math.log2(pages)));
}

/** Holds 12 bytes a record: 2.4 MB for the 200,000 records that an archive may have. */
export class RecordIndexBuilder {
  readonly #bits: number;
  readonly #pages = new Map<number, Buffer[]>();

  constructor(records: number) {
    this.#bits = prefixBits(records);
  }

  /** `hmac` is at least 8 bytes long. */
  add(hmac: Uint8Array, segment: number): void {
    const entry = Buffer.alloc(ENTRY_BYTES);
    entry.set(hmac.subarray(0, HMAC_BYTES));
    entry.writeUInt32BE(segment, HMAC_BYTES);
    const prefix = leadingBits(entry, this.#bits);
    const page = this.#pages.get(prefix);
    if (page === undefined) this.#pages.set(prefix, [entry]);
    else page.push(entry);
  }

  async write(store: Store, archive: ArchiveId): Promise<void> {
    const bits = this.#bits;
    const documents = [...this.#pages].map(([prefix, entries]) => ({
      _id: pageId(archive, bits, prefix),
      v: 1,
      archive,
      bits,
      prefix,
      entries: Buffer.concat(entries.sort(Buffer.compare)),
    }));
    await recordIndexPages(store).insertMany(documents);
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
  const page = await recordIndexPages(store).get(pageId(archive, bits, leadingBits(wanted, bits)));
  if (page === null) return [];
  const entries = Buffer.from(page.entries);
  const segments = new Set<number>();
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    if (entries.subarray(at, at + HMAC_BYTES).equals(wanted)) segments.add(entries.readUInt32BE(at + HMAC_BYTES));
  }
  return [...segments];
}

function leadingBits(bytes: Buffer, bits: number): number {
  return bits === 0 ? 0 : bytes.readUInt16BE(0) >>> (16 - bits);
}

function pageId(archive: ArchiveId, bits: number, prefix: number): string {
  return `${archive}:${bits}:${prefix}`;
}
