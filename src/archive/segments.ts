/** Packs BSON documents one after the other into pages of at most 1 MiB: an archive's segments, and its index pages. */
import { MIB } from './tree-hash.ts';

/** A larger page compresses no better and costs more to open for one record; a smaller one costs speed. */
export const SEGMENT_BYTES = MIB;

/** As many as are in the making at once come back; more would only be kept. */
const MAX_FREE_PAGES = 8;

/** A page that takes no more documents. */
export interface ClosedSegment {
  readonly segment: number;
  readonly plain: Uint8Array;
  readonly records: number;
  /** The ordinal of its first record. */
  readonly firstOrdinal: number;
}

export interface Placement {
  readonly ordinal: number;
  readonly segment: number;
  /** Where the document begins in the page's plain bytes. */
  readonly offset: number;
}

/**
 * Segments hold whole documents in the order they came, each at most `SEGMENT_BYTES`; a larger document is a segment
 * alone. Segments and records are numbered from 0 without gaps.
 */
export class SegmentBuilder {
  #page: Uint8Array = new Uint8Array(0);
  readonly #freePages: Uint8Array[] = [];
  #filled = 0;
  #segment = 0;
  #firstOrdinal = 0;
  #ordinal = 0;

  /** Copies the document. `closed` is the segment before it, when the document did not fit there any more. */
  add(document: Uint8Array): { readonly placed: Placement; readonly closed: ClosedSegment | null } {
    const fits = this.#filled + document.byteLength <= SEGMENT_BYTES;
    const closed = fits ? null : this.close();
    if (this.#filled === 0) this.#page = this.#newPage(document.byteLength);
    this.#page.set(document, this.#filled);
    const placed = { ordinal: this.#ordinal, segment: this.#segment, offset: this.#filled };
    this.#filled += document.byteLength;
    this.#ordinal += 1;
    return { placed, closed };
  }

  /** Ends the segment that is being filled; null when it holds nothing. */
  close(): ClosedSegment | null {
    if (this.#filled === 0) return null;
    const closed = {
      segment: this.#segment,
      plain: this.#page.subarray(0, this.#filled),
      records: this.#ordinal - this.#firstOrdinal,
      firstOrdinal: this.#firstOrdinal,
    };
    this.#segment += 1;
    this.#firstOrdinal = this.#ordinal;
    this.#filled = 0;
    this.#page = new Uint8Array(0);
    return closed;
  }

  /** Takes back the memory of a closed segment that nobody reads any more: new pages for each cost much collecting. */
  reuse(segment: ClosedSegment): void {
    const { buffer } = segment.plain;
    if (buffer.byteLength === SEGMENT_BYTES && this.#freePages.length < MAX_FREE_PAGES) {
      this.#freePages.push(new Uint8Array(buffer));
    }
  }

  #newPage(bytes: number): Uint8Array {
    if (bytes > SEGMENT_BYTES) return Buffer.allocUnsafeSlow(bytes);
    return this.#freePages.pop() ?? Buffer.allocUnsafeSlow(SEGMENT_BYTES);
  }
}
