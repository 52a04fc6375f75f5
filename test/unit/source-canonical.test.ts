import {
  Binary,
  BSON,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from 'bson';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BsonWriter } from '../../src/source/bson-writer.ts';
import { comesBackEqual, isCanonical, walkSaysCanonical } from '../../src/source/canonical.ts';
import { EXTREMES, NOT_CANONICAL, ordered } from '../contract/source-documents.ts';

const name = fc.oneof(
  fc.string({ maxLength: 6, unit: 'grapheme' }).filter((text) => !text.includes('\0') && text.isWellFormed()),
  fc.constantFrom('', '0', '10', '__proto__', '$set', 'a.b', 'toBSON', '_bsontype'),
);
const text = fc.string({ maxLength: 80, unit: 'grapheme' }).filter((value) => value.isWellFormed());
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const { document } = fc.letrec<{ document: Map<string, unknown>; value: unknown }>((tie) => ({
  document: fc.array(fc.tuple(name, tie('value')), { maxLength: 6 }).map((fields) => new Map(fields)),
  value: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.double().map((value) => new Double(value)),
    fc.integer().map((value) => new Int32(value)),
    int64.map((value) => Long.fromBigInt(value)),
    fc.uint8Array({ minLength: 16, maxLength: 16 }).map((value) => new Decimal128(value)),
    fc.date({ noInvalidDate: true }),
    fc.boolean(),
    fc.constantFrom(null, new MinKey(), new MaxKey(), new BSONRegExp('a', 'imx')),
    fc.uint8Array({ minLength: 12, maxLength: 12 }).map((value) => new ObjectId(value)),
    fc
      .tuple(fc.uint8Array({ maxLength: 20 }), fc.constantFrom(0, 2, 3, 4, 128))
      .map(([data, type]) => new Binary(data, type)),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => new Timestamp(value)),
    text.map((value) => new Code(value)),
    text.map((value) => new BSONSymbol(value)),
    fc.array(tie('value'), { maxLength: 12 }),
    tie('document'),
  ),
}));

describe('isCanonical', () => {
  it('property: every document that js-bson writes from ordered maps is canonical', () => {
    fc.assert(
      fc.property(document, (value) => {
        const raw = BSON.serialize(value);
        expect(comesBackEqual(raw)).toBe(true);
        expect(isCanonical(raw)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('property: one flipped byte, one lost or one added: whatever the walk lets pass comes back equal', () => {
    let passed = 0;
    fc.assert(
      fc.property(
        document,
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        fc.constantFrom('set', 'cut', 'add'),
        (value, at, byte, how) => {
          const raw = BSON.serialize(value);
          const place = at % raw.length;
          const broken =
            how === 'set'
              ? raw.with(place, byte)
              : how === 'cut'
                ? Uint8Array.from([...raw.slice(0, place), ...raw.slice(place + 1)])
                : Uint8Array.from([...raw.slice(0, place), byte, ...raw.slice(place)]);
          // Right length in front, so that the damage inside is what is judged.
          if (how !== 'set') new DataView(broken.buffer).setInt32(0, broken.length, true);
          if (!walkSaysCanonical(broken)) return;
          passed++;
          expect(comesBackEqual(broken)).toBe(true);
        },
      ),
      { numRuns: 5_000 },
    );
    expect(passed).toBeGreaterThan(100);
  });

  it('property: random bytes in the shape of fields: whatever the walk lets pass comes back equal', () => {
    const field = fc.tuple(
      fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 127, 255),
      fc.uint8Array({ maxLength: 24 }),
    );
    fc.assert(
      fc.property(fc.array(field, { maxLength: 4 }), (fields) => {
        const writer = new BsonWriter();
        for (const [at, [type, value]] of fields.entries()) writer.value(`n${at}`, type, value);
        const raw = writer.finish();
        if (walkSaysCanonical(raw)) expect(comesBackEqual(raw)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  it('the extremes are canonical, and the walk alone says so of nearly all', () => {
    const slow: string[] = [];
    for (const [label, value] of Object.entries(EXTREMES)) {
      const raw = ordered(['_id', 1], ['value', value]);
      expect([label, comesBackEqual(raw), isCanonical(raw)]).toEqual([label, true, true]);
      if (!walkSaysCanonical(raw)) slow.push(label);
    }
    expect(slow.sort()).toEqual([
      'binary of subtype 2',
      'code with scope',
      'infinity',
      'not a number',
      'regular expression',
    ]);
  });

  it('malformed and ambiguous documents are not', () => {
    const int = (value: number) => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
    const wrap = (...body: number[]) => Uint8Array.from([...int(body.length + 5), ...body, 0]);
    const broken: Record<string, Uint8Array> = {
      ...NOT_CANONICAL,
      nothing: new Uint8Array(0),
      'four bytes': Uint8Array.from(int(4)),
      'length too large': Uint8Array.from([...int(6), 0]),
      'length too small': Uint8Array.from([...int(5), 0, 0]),
      'negative length': Uint8Array.from([...int(-5), 0]),
      'no terminator': Uint8Array.from([...int(5), 1]),
      'name without end': wrap(0x0a, 0x61),
      'unknown type': wrap(0x20, 0x61, 0),
      'string of length 0': wrap(0x02, 0x61, 0, ...int(0)),
      'string without terminator': wrap(0x02, 0x61, 0, ...int(2), 0x62, 0x63),
      'string past the end': wrap(0x02, 0x61, 0, ...int(100), 0x62, 0),
      'negative string': wrap(0x02, 0x61, 0, ...int(-1), 0x62, 0),
      'a zero inside the fields': wrap(0x0a, 0x61, 0, 0, 0x0a, 0x62, 0),
      'object past the end': wrap(0x03, 0x61, 0, ...int(50), 0),
      'object shorter than its bytes': wrap(0x03, 0x61, 0, ...int(5), 0, 0),
      'object without terminator': wrap(0x03, 0x61, 0, ...int(5), 1),
      'array that begins at 1': wrap(0x04, 0x61, 0, ...int(8), 0x0a, 0x31, 0, 0),
      'array names with a leading zero': wrap(0x04, 0x61, 0, ...int(9), 0x0a, 0x30, 0x30, 0, 0),
      'array name empty': wrap(0x04, 0x61, 0, ...int(7), 0x0a, 0, 0),
      'name that is not UTF-8': wrap(0x0a, 0xc3, 0x28, 0),
      'surrogate in a name': wrap(0x0a, 0xed, 0xa0, 0x80, 0),
      'surrogate in a text': wrap(0x02, 0x61, 0, ...int(4), 0xed, 0xa0, 0x80, 0),
      'overlong encoding': wrap(0x02, 0x61, 0, ...int(3), 0xc0, 0x80, 0),
      'negative binary': wrap(0x05, 0x61, 0, ...int(-1), 0),
      'binary past the end': wrap(0x05, 0x61, 0, ...int(9), 0, 1),
      'old binary with two lengths that differ': wrap(0x05, 0x61, 0, ...int(5), 2, ...int(2), 7),
      'vector with wrong padding': wrap(0x05, 0x61, 0, ...int(2), 9, 0x03, 1),
      'boolean of 255': wrap(0x08, 0x61, 0, 255),
      'pointer to a document': wrap(0x0c, 0x61, 0, ...int(2), 0x62, 0, ...Array<number>(12).fill(1)),
      'regular expression with an unknown option': wrap(0x0b, 0x61, 0, 0x62, 0, 0x7a, 0),
      'negative NaN': wrap(0x01, 0x61, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0xff),
      'a name twice, far apart': farApart(),
    };
    for (const [label, raw] of Object.entries(broken)) {
      expect([label, walkSaysCanonical(raw), isCanonical(raw)]).toEqual([label, false, false]);
    }
  });

  it('names that only share a hash are no duplicates', () => {
    // 31 * 'A' + 'a' = 31 * 'B' + 'B'
    const raw = ordered(['Aa', 1], ['BB', 2]);
    expect(walkSaysCanonical(raw)).toBe(false);
    expect(isCanonical(raw)).toBe(true);
  });

  it('arrays of more than ten, a hundred, a thousand elements pass the walk', () => {
    for (const length of [9, 10, 11, 99, 100, 101, 1_001]) {
      expect(walkSaysCanonical(ordered(['a', Array.from({ length }, () => null)]))).toBe(true);
    }
  });
});

function farApart(): Uint8Array {
  const writer = new BsonWriter();
  for (let at = 0; at < 100; at++) writer.int32(`n${at}`, at);
  return writer.int32('n5', 0).finish();
}
