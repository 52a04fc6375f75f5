/**
 * Sorted pages of keyed codes (HMACs), each perhaps with a value of fixed size. Each page is named by its leading bits, so
 * that one code is found by one page. Many more codes than fit into memory are written in several passes, each for the
 * codes that begin with the same bits: an HMAC is as good as random, so the passes are alike.
 */
import type { LedgerDocument, StoreCollection } from './store.ts';

export interface CodePage extends LedgerDocument {
  /** What the codes belong to: an archive, or a disposal. */
  readonly subject: string;
  readonly bits: number;
  readonly prefix: number;
  readonly entries: Uint8Array;
}

/** How the entries of a kind of pages look. */
export interface CodeShape {
  readonly codeBytes: number;
  readonly valueBytes: number;
}

export interface CodeEntry {
  /** As long as a code, or longer: its first bytes count. */
  readonly code: Uint8Array;
  readonly value?: Uint8Array;
}

/** Aimed at: about a thousand entries a page, as a roster page has. */
const ENTRIES_PER_PAGE = 1_000;
/** At most 2^12 pages: 200,000 records need 2^8. */
const MAX_PREFIX_BITS = 12;
/** Entries in memory at once: 4 MB of the widest. */
const ENTRIES_PER_PASS = 200_000;

/** How many leading bits name a page, where there are `count` codes. */
export function prefixBits(count: number): number {
  const pages = Math.max(1, Math.ceil(count / ENTRIES_PER_PAGE));
  return Math.min(MAX_PREFIX_BITS, Math.ceil(Math.log2(pages)));
}

export function codePageId(subject: string, bits: number, prefix: number): string {
  return `${subject}:${bits}:${prefix}`;
}

export function leadingBits(bytes: Uint8Array, bits: number): number {
  return bits === 0 ? 0 : (((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)) >>> (16 - bits);
}

/**
 * Writes the pages of a subject; pages that are there already stay. `count`: of all entries, and no fewer than there are.
 * `entries` is gone through once a pass.
 */
export async function writeCodePages(
  pages: StoreCollection<CodePage>,
  subject: string,
  shape: CodeShape,
  count: number,
  entries: () => AsyncIterable<CodeEntry>,
): Promise<void> {
  const bits = prefixBits(count);
  const passBits = Math.min(bits, Math.max(0, Math.ceil(Math.log2(count / ENTRIES_PER_PASS))));
  for (let pass = 0; pass < 2 ** passBits; pass++) {
    const collected = new Entries(shape);
    for await (const entry of entries()) if (leadingBits(entry.code, passBits) === pass) collected.add(entry);
    const documents = [...pagesOf(collected.sorted(), shape, bits)].map(({ prefix, entries: packed }) => ({
      _id: codePageId(subject, bits, prefix),
      v: 1,
      subject,
      bits,
      prefix,
      entries: packed,
    }));
    await pages.insertMany(documents);
  }
}

/** Those of the wanted codes that the subject has, by their place in `wanted`, with their values. */
export async function findCodes(
  pages: StoreCollection<CodePage>,
  subject: string,
  shape: CodeShape,
  count: number,
  wanted: readonly Uint8Array[],
): Promise<ReadonlyMap<number, readonly Uint8Array[]>> {
  const bits = prefixBits(count);
  const byPage = Map.groupBy(wanted.keys(), (at) => leadingBits(wanted[at] ?? new Uint8Array(), bits));
  const found = new Map<number, readonly Uint8Array[]>();
  for (const [prefix, places] of byPage) {
    const page = await pages.get(codePageId(subject, bits, prefix));
    if (page === null) continue;
    const entries = Buffer.from(page.entries.buffer, page.entries.byteOffset, page.entries.byteLength);
    for (const at of places) {
      const values = valuesIn(entries, shape, wanted[at] ?? new Uint8Array());
      if (values.length > 0) found.set(at, values);
    }
  }
  return found;
}

function valuesIn(entries: Buffer, { codeBytes, valueBytes }: CodeShape, wanted: Uint8Array): Uint8Array[] {
  const width = codeBytes + valueBytes;
  const code = wanted.subarray(0, codeBytes);
  let low = 0;
  for (let high = entries.length / width; low < high; ) {
    const middle = (low + high) >>> 1;
    if (entries.compare(code, 0, codeBytes, middle * width, middle * width + codeBytes) < 0) low = middle + 1;
    else high = middle;
  }
  const values: Uint8Array[] = [];
  for (let at = low * width; at < entries.length; at += width) {
    if (entries.compare(code, 0, codeBytes, at, at + codeBytes) !== 0) break;
    values.push(entries.subarray(at + codeBytes, at + width));
  }
  return values;
}

/** Entries in one buffer that grows: no object for each. */
class Entries {
  readonly #shape: CodeShape;
  #buffer = Buffer.alloc(4_096);
  #length = 0;

  constructor(shape: CodeShape) {
    this.#shape = shape;
  }

  add({ code, value }: CodeEntry): void {
    const { codeBytes, valueBytes } = this.#shape;
    const end = this.#length + codeBytes + valueBytes;
    if (end > this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer], this.#buffer.length * 2);
    this.#buffer.set(code.subarray(0, codeBytes), this.#length);
    if (value !== undefined) this.#buffer.set(value.subarray(0, valueBytes), this.#length + codeBytes);
    this.#length = end;
  }

  sorted(): Buffer {
    return sortEntries(this.#buffer.subarray(0, this.#length), this.#shape.codeBytes + this.#shape.valueBytes);
  }
}

/** Entries of one width, in the order of their bytes. */
export function sortEntries(entries: Buffer, width: number): Buffer {
  const order = new Uint32Array(entries.length / width).map((_, index) => index);
  order.sort((a, b) => entries.compare(entries, b * width, (b + 1) * width, a * width, (a + 1) * width));
  const sorted = Buffer.alloc(entries.length);
  order.forEach((from, to) => {
    entries.copy(sorted, to * width, from * width, (from + 1) * width);
  });
  return sorted;
}

/** Sorted entries, cut where the leading bits change. */
function* pagesOf(
  sorted: Buffer,
  { codeBytes, valueBytes }: CodeShape,
  bits: number,
): Generator<{ readonly prefix: number; readonly entries: Buffer }> {
  const width = codeBytes + valueBytes;
  for (let start = 0; start < sorted.length; ) {
    const prefix = leadingBits(sorted.subarray(start), bits);
    let end = start + width;
    while (end < sorted.length && leadingBits(sorted.subarray(end), bits) === prefix) end += width;
    yield { prefix, entries: sorted.subarray(start, end) };
    start = end;
  }
}
