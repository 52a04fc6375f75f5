import { randomBytes } from 'node:crypto';
import { Binary, serialize } from 'bson';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitDocuments } from '../../src/archive/documents.ts';
import { decodeIndexEntry, encodeIndexEntry, idBytesOf } from '../../src/archive/index-pages.ts';
import { type ClosedSegment, SEGMENT_BYTES, SegmentBuilder } from '../../src/archive/segments.ts';
import { estimateFileBytes } from '../../src/archive/writer.ts';
import { extremes, writeSample } from './archive-samples.ts';

/** A BSON document of exactly `bytes`, at least 40. */
function documentOf(bytes: number): Uint8Array {
  const empty = serialize({ _id: 1, b: new Binary(Buffer.alloc(0)) }).byteLength;
  return serialize({ _id: 1, b: new Binary(Buffer.alloc(Math.max(0, bytes - empty), bytes % 251)) });
}

function pack(documents: readonly Uint8Array[]) {
  const builder = new SegmentBuilder();
  const closed: ClosedSegment[] = [];
  const placements = documents.map((document) => {
    const { placed, closed: before } = builder.add(document);
    if (before !== null) closed.push(before);
    return placed;
  });
  const last = builder.close();
  if (last !== null) closed.push(last);
  return { closed, placements };
}

describe('segments', () => {
  const sizes = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: 40, max: 2_000 }) },
      { weight: 3, arbitrary: fc.integer({ min: 200_000, max: 700_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: SEGMENT_BYTES - 2, max: SEGMENT_BYTES + 2 }) },
      { weight: 1, arbitrary: fc.integer({ min: SEGMENT_BYTES, max: 3 * SEGMENT_BYTES }) },
    ),
    { maxLength: 30 },
  );

  test('any sizes: order and bytes kept, at most 1 MiB or one document, as full as possible, places right', () => {
    fc.assert(
      fc.property(sizes, (lengths) => {
        const documents = lengths.map(documentOf);
        const { closed, placements } = pack(documents);
        const back = closed.flatMap((segment) => [...splitDocuments(segment.plain)]);
        expect(Buffer.concat(back).equals(Buffer.concat(documents))).toBe(true);
        let ordinal = 0;
        for (const [n, segment] of closed.entries()) {
          expect(segment).toMatchObject({ segment: n, firstOrdinal: ordinal });
          expect(segment.plain.byteLength <= SEGMENT_BYTES || segment.records === 1).toBe(true);
          ordinal += segment.records;
          const next = documents[ordinal];
          if (next !== undefined) expect(segment.plain.byteLength + next.byteLength).toBeGreaterThan(SEGMENT_BYTES);
        }
        for (const [i, place] of placements.entries()) {
          expect(place.ordinal).toBe(i);
          const plain = closed[place.segment]!.plain;
          const there = plain.subarray(place.offset, place.offset + documents[i]!.byteLength);
          expect(Buffer.compare(there, documents[i]!)).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('bytes that are no documents are refused with their place', () => {
    const two = Buffer.concat([documentOf(50), documentOf(60)]);
    expect(() => [...splitDocuments(two.subarray(0, 100))]).toThrow('byte 50 of 100');
    expect(() => [...splitDocuments(Buffer.from([1, 0, 0, 0, 0]))]).toThrow('byte 0');
    expect(() => [...splitDocuments(Buffer.alloc(3))]).toThrow('byte 0');
    two[two.byteLength - 1] = 1;
    expect(() => [...splitDocuments(two)]).toThrow('byte 50');
  });
});

describe('index entries', () => {
  test('an _id of every type comes back with its bytes and place', () => {
    for (const raw of extremes()) {
      const entry = { ordinal: 5, segment: 3, offset: 70_000, length: raw.byteLength };
      const written = { ...entry, idBytes: idBytesOf(raw), sha256: Buffer.alloc(32, 9) };
      const bytes = encodeIndexEntry(written);
      expect([...splitDocuments(bytes)]).toHaveLength(1);
      const read = decodeIndexEntry(bytes);
      expect(read).toMatchObject(entry);
      expect(Buffer.compare(read.idBytes, written.idBytes)).toBe(0);
      expect(Buffer.compare(read.sha256, written.sha256)).toBe(0);
    }
  });

  test('another document, or an entry whose key is not its _id, is refused', () => {
    expect(() => decodeIndexEntry(serialize({ _id: 1, key: 2 }))).toThrow();
    const bytes = Buffer.from(
      encodeIndexEntry({
        ...{ idBytes: Buffer.from([0x10, 7, 0, 0, 0]), ordinal: 0, segment: 0, offset: 0, length: 9 },
        sha256: Buffer.alloc(32),
      }),
    );
    bytes[9] = 8;
    expect(() => decodeIndexEntry(bytes)).toThrow('not an index entry');
  });
});

test('the estimate is never below the file, whatever the records', async () => {
  const kinds = [[], [documentOf(40)], Array.from({ length: 3_000 }, () => documentOf(45)), [documentOf(3_000_000)]];
  for (const raws of [...kinds, extremes(), largeKeys(20)]) {
    const { file, written } = await writeSample(raws);
    expect(estimateFileBytes(written.plainBytes, written.records)).toBeGreaterThanOrEqual(file.byteLength);
  }
});

/** Keys that do not compress: the index holds them twice. */
function largeKeys(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => serialize({ _id: new Binary(randomBytes(60_000)) }));
}
