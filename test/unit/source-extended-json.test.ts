/** Extended JSON of raw documents: what the bson package writes, in the order of the bytes. */
import * as BSON from 'bson';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { extendedJson } from '../../src/source/extended-json.ts';

const { EJSON, serialize, deserialize } = BSON;

function byBsonPackage(raw: Uint8Array): string {
  return EJSON.stringify(
    deserialize(raw, { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true }),
    { relaxed: false },
  );
}

describe('extendedJson', () => {
  test('every type as the bson package writes it', () => {
    const oid = new BSON.ObjectId('0123456789abcdef01234567');
    const raw = serialize({
      _id: oid,
      double: new BSON.Double(1.5),
      whole: new BSON.Double(3),
      big: new BSON.Double(1e300),
      minusNothing: new BSON.Double(-0),
      notANumber: new BSON.Double(Number.NaN),
      endless: new BSON.Double(Number.NEGATIVE_INFINITY),
      text: 'a "b" \u2028 ü \u0000',
      nested: { deep: [{ a: new BSON.Int32(1) }, [], {}, null] },
      bytes: new BSON.Binary(Buffer.from([1, 2, 255]), 0),
      old: new BSON.Binary(Buffer.from([1, 2]), 2),
      uuid: new BSON.UUID('01234567-89ab-4def-8123-456789abcdef'),
      yes: true,
      no: false,
      date: new Date('2020-02-29T00:00:00Z'),
      before: new Date('1900-01-01T00:00:00Z'),
      nothing: null,
      pattern: new BSON.BSONRegExp('^a/b"', 'im'),
      code: new BSON.Code('return 1'),
      scoped: new BSON.Code('return x', { x: new BSON.Int32(1) }),
      symbol: new BSON.BSONSymbol('s'),
      int: new BSON.Int32(-7),
      stamp: new BSON.Timestamp({ t: 4_000_000_000, i: 7 }),
      long: BSON.Long.fromString('9007199254740993'),
      decimal: BSON.Decimal128.fromString('1.10'),
      least: new BSON.MinKey(),
      most: new BSON.MaxKey(),
    });
    expect(JSON.parse(extendedJson(raw))).toEqual(JSON.parse(byBsonPackage(raw)));
    expect(extendedJson(raw)).not.toContain('\n');
  });

  test('fields stay in their order, numeric names and __proto__ too', () => {
    const raw = serialize(
      new Map<string, unknown>([
        ['10', 1],
        ['9', 2],
        ['__proto__', 3],
      ]),
    );
    expect(extendedJson(raw)).toBe('{"10":{"$numberInt":"1"},"9":{"$numberInt":"2"},"__proto__":{"$numberInt":"3"}}');
  });

  test('read back by the bson package, it is the document again, byte for byte', () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.date({ noInvalidDate: true }),
    );
    const name = fc.stringMatching(/^[a-z]{1,8}$/);
    fc.assert(
      fc.property(fc.dictionary(name, fc.oneof(value, fc.array(value), fc.dictionary(name, value))), (document) => {
        const raw = serialize(document);
        expect(Buffer.from(serialize(EJSON.parse(extendedJson(raw), { relaxed: false })))).toEqual(Buffer.from(raw));
      }),
    );
  });
});
