/** Documents that stand one after the other in a file, one or one page of them in memory at a time. */
import type { RawRecord } from '../source/port.ts';
import { rawRecord } from '../source/raw-document.ts';

/** One read of the source names as many records as this. */
const PAGE_RECORDS = 1_000;
const PAGE_BYTES = 16 * 1024 * 1024;

/** Length field (4) and closing zero (1): the empty document. */
const LEAST_BYTES = 5;
/** MongoDB's limit for a document, and what its servers add for themselves. */
const MOST_BYTES = 16 * 1024 * 1024 + 16 * 1024;

/** As {@link documentsIn}, in pages for one read of the source each; copies. */
export async function* pagesIn(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<readonly RawRecord[]> {
  let page: RawRecord[] = [];
  let bytes = 0;
  for await (const raw of documentsIn(chunks)) {
    page.push(rawRecord(raw));
    bytes += raw.length;
    if (page.length < PAGE_RECORDS && bytes < PAGE_BYTES) continue;
    yield page;
    page = [];
    bytes = 0;
  }
  if (page.length > 0) yield page;
}

/** Throws RangeError where the bytes are not whole documents. Each is a view: copy what is kept. */
export async function* documentsIn(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    bytes += chunk.length;
    const first = waiting[0];
    // A large document comes in many chunks: they are put together once, when it is whole.
    if (first !== undefined && first.length >= 4 && bytes < lengthOf(first, 0)) continue;
    const all = waiting.length === 1 ? chunk : Buffer.concat(waiting);
    let at = 0;
    while (all.length - at >= 4) {
      const length = lengthOf(all, at);
      if (length > all.length - at) break;
      if (all[at + length - 1] !== 0) throw new RangeError('A document of the file is not closed.');
      yield all.subarray(at, at + length);
      at += length;
    }
    const rest = all.subarray(at);
    waiting = rest.length === 0 ? [] : [rest];
    bytes = rest.length;
  }
  if (bytes > 0) throw new RangeError('The file ends inside a document.');
}

function lengthOf(bytes: Uint8Array, at: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getInt32(0, true);
  if (length < LEAST_BYTES || length > MOST_BYTES) throw new RangeError(`No document has ${length} bytes.`);
  return length;
}
