import { Binary, BSON, BSONSymbol, Decimal128, Double, Int32, Long, ObjectId, UUID } from 'bson';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { id } from '../../src/ids.ts';
import { compareValues } from '../../src/source/bson-order.ts';
import { fieldPath, findPath } from '../../src/source/bson-walk.ts';
import { BsonWriter } from '../../src/source/bson-writer.ts';
import { decodeToMap } from '../../src/source/guard-document.ts';
import {
  DELETE_BATCH_BYTES,
  DELETE_BATCH_RECORDS,
  deleteBatches,
  deleteStatement,
} from '../../src/source/guarded-delete.ts';
import { keyOf } from '../../src/source/id-key.ts';
import type { DatasetShape } from '../../src/source/port.ts';
import { facetsOf, factsOf, idBytesOf, partsOfPosition, positionOf, rawRecord } from '../../src/source/raw-document.ts';

const dataset: DatasetShape = {
  namespace: id.namespace('a.b'),
  owner: { field: 'o' },
  customer: { field: 'c.id' },
  trigger: { field: 't', kind: 'date' },
  facets: { mail: 'contact.email', tags: 'tags', people: 'people.mail' },
};

function raw(document: object): Uint8Array {
  return BSON.serialize(document, { ignoreUndefined: false });
}

function key(value: unknown): string {
  return keyOf(idBytesOf(raw({ _id: value })));
}

describe('keyOf', () => {
  it('numbers of one value are one key, whatever their type', () => {
    for (const same of [
      [
        1,
        new Double(1),
        Long.fromInt(1),
        Decimal128.fromString('1'),
        Decimal128.fromString('1.000'),
        Decimal128.fromString('0.1E1'),
      ],
      [0, new Double(-0), Long.ZERO, Decimal128.fromString('-0.00'), Decimal128.fromString('0E+10')],
      [new Double(Number.NaN), Decimal128.fromString('NaN')],
      [new Double(Number.POSITIVE_INFINITY), Decimal128.fromString('Infinity')],
      [new Double(Number.NEGATIVE_INFINITY), Decimal128.fromString('-Infinity')],
      [100, Decimal128.fromString('1E2')],
      [new Double(2 ** 53), Long.fromString('9007199254740992')],
      [new Double(-0.5), Decimal128.fromString('-0.5')],
      [new Double(1e22), Decimal128.fromString('1E22')],
      ['a', new BSONSymbol('a')],
      [
        { a: 1, b: { c: 2 } },
        { a: new Double(1), b: { c: Long.fromInt(2) } },
      ],
    ]) {
      expect(new Set(same.map(key)).size).toBe(1);
    }
  });

  it('different values are different keys', () => {
    const different = [
      1,
      -1,
      '1',
      true,
      null,
      new Double(0.1),
      Decimal128.fromString('0.1'),
      Long.fromString('9007199254740993'),
      new Double(2 ** 53),
      '',
      'n:1E0',
      new Date(1),
      new ObjectId('65f000000000000000000001'),
      '65f000000000000000000001',
      new UUID('11111111-2222-4333-8444-555555555555').toBinary(),
      new Binary(Buffer.alloc(0)),
      new Binary(Buffer.alloc(0), 128),
      {},
      { a: 1 },
      { b: 1 },
      { a: 1, b: 2 },
      { b: 2, a: 1 },
      { a: '1' },
      { a: [1] },
      { a: { 0: 1 } },
      { a: 'x', b: 'y' },
      { a: 'x","b":"y' },
    ];
    expect(new Set(different.map(key)).size).toBe(different.length);
  });

  it('text that is not UTF-8 keeps its bytes apart', () => {
    const broken = [0xc3, 0xc4].map((byte) => keyOf(Uint8Array.from([0x02, 3, 0, 0, 0, byte, 0x28, 0])));
    expect(broken[0]).not.toBe(broken[1]);
    expect(key('\ufffd')).not.toBe(broken[0]);
  });

  it('property: two doubles share a key exactly when they are equal', () => {
    fc.assert(
      fc.property(fc.double(), fc.double(), (a, b) => {
        const equal = a === b || (Number.isNaN(a) && Number.isNaN(b));
        expect(key(new Double(a)) === key(new Double(b))).toBe(equal);
      }),
    );
  });

  it('property: an integer has one key as int32, int64, double and decimal', () => {
    fc.assert(
      fc.property(fc.integer(), (n) => {
        const forms = [new Int32(n), new Double(n), Long.fromInt(n), Decimal128.fromString(String(n))];
        expect(new Set(forms.map(key)).size).toBe(1);
      }),
    );
  });
});

describe('order of BSON values', () => {
  it('property: numbers of all types are in the order of their value', () => {
    const value = (n: unknown) => findPath(raw({ v: n }), fieldPath('v'))!;
    fc.assert(
      fc.property(
        fc.double({ noNaN: true }),
        fc.integer(),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        (a, b, c) => {
          expect(Math.sign(compareValues(value(new Double(a)), value(new Int32(b))))).toBe(
            Math.sign(a < b ? -1 : a > b ? 1 : 0),
          );
          expect(Math.sign(compareValues(value(Long.fromBigInt(c)), value(new Double(a))))).toBe(
            c < a ? -1 : c > a ? 1 : 0,
          );
        },
      ),
    );
  });
});

describe('facts', () => {
  const t = new Date('2020-01-01T00:00:00Z');
  it('owner, customer and trigger of a fit record', () => {
    expect(factsOf(dataset, raw({ _id: 1, o: 'acme', c: { id: 'north' }, t }))).toEqual({
      owner: 'acme',
      customer: 'north',
      trigger: t.getTime(),
      unfit: [],
    });
  });

  it('ids of other types have a prefix, strings that look like one too', () => {
    const oid = new ObjectId('65f000000000000000000001');
    const uuid = new UUID('11111111-2222-4333-8444-555555555555');
    expect(factsOf(dataset, raw({ o: oid, c: { id: uuid }, t }))).toMatchObject({
      owner: 'oid:65f000000000000000000001',
      customer: 'uuid:11111111-2222-4333-8444-555555555555',
    });
    expect(factsOf(dataset, raw({ o: 'oid:x', c: { id: 'str:x' }, t }))).toMatchObject({
      owner: 'str:oid:x',
      customer: 'str:str:x',
    });
  });

  it('each that cannot be used is named', () => {
    expect(factsOf(dataset, raw({ o: '', c: [{ id: 'north' }], t: 5 })).unfit).toEqual([
      'owner-unusable',
      'customer-unusable',
      'trigger-unusable',
    ]);
    expect(factsOf(dataset, raw({})).unfit).toHaveLength(3);
    expect(factsOf(dataset, Uint8Array.from([5, 0, 0])).unfit).toHaveLength(3);
  });

  it('property: bytes that are no document never throw and never read past the end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (junk) => {
        if (junk.length >= 4) new DataView(junk.buffer).setInt32(0, junk.length, true);
        factsOf(dataset, junk);
        facetsOf(dataset, junk);
      }),
    );
  });
});

describe('facets', () => {
  it('normalised text, arrays give a value each, each once', () => {
    const record = raw({
      contact: { email: '  Ann@Example.ORG ' },
      tags: ['a', 'A', 5, null, ''],
      people: [{ mail: 'x@y' }, { mail: ['z@y', 'x@y'] }, { other: 1 }, 'text'],
    });
    expect(facetsOf(dataset, record)).toEqual({
      mail: ['ann@example.org'],
      tags: ['a', key(5)],
      people: ['x@y', 'z@y'],
    });
    expect(facetsOf(dataset, raw({}))).toEqual({ mail: [], tags: [], people: [] });
  });
});

describe('position', () => {
  it('holds trigger and _id as bytes', () => {
    const t = new Date(5);
    const parts = partsOfPosition(positionOf(dataset, raw({ _id: Long.fromInt(7), x: 1, t })));
    expect(parts.id).toEqual(idBytesOf(raw({ _id: Long.fromInt(7) })));
    expect(parts.trigger).toEqual(idBytesOf(raw({ _id: t })));
  });
});

describe('delete batches', () => {
  const record = (at: number, size = 100) => rawRecord(raw({ _id: at, text: 'x'.repeat(size) }));

  it(`hold at most ${DELETE_BATCH_RECORDS} records, in order, none lost`, () => {
    const records = Array.from({ length: 450 }, (_, at) => record(at));
    const batches = [...deleteBatches(records)];
    expect(batches.map((batch) => batch.length)).toEqual([200, 200, 50]);
    expect(batches.flat()).toEqual(records);
    expect([...deleteBatches([])]).toEqual([]);
  });

  it('hold at most 8 MiB; a larger record is alone', () => {
    const sizes = [3, 3, 3, 9, 1, 1].map((mebibytes) => mebibytes * 1024 * 1024);
    const batches = [...deleteBatches(sizes.map((size, at) => record(at, size)))];
    expect(batches.map((batch) => batch.length)).toEqual([2, 1, 1, 2]);
    for (const batch of batches) {
      const bytes = batch.reduce((sum, { raw: bytesOfOne }) => sum + bytesOfOne.length, 0);
      expect(batch.length === 1 || bytes <= DELETE_BATCH_BYTES).toBe(true);
    }
  });

  it('the statement is the guard of the design, byte for byte around the documents', () => {
    const until = new Date(1_000);
    const records = [raw({ _id: 1, v: 5 }), raw({ _id: 'b', $set: { a: '$$NOW' } })].map((bytes) => rawRecord(bytes));
    const guard = (whole: unknown[], pairs: unknown[] | null) => ({
      q: {
        _id: { $in: [1, 'b'] },
        $expr: {
          $cond: [
            { $lt: ['$$NOW', until] },
            {
              $or: [
                { $in: ['$$ROOT', { $literal: whole }] },
                ...(pairs === null ? [] : [{ $in: [['$_id', '$v'], { $literal: pairs }] }]),
              ],
            },
            false,
          ],
        },
      },
      limit: 0,
    });
    const second = new Map<string, unknown>([
      ['_id', 'b'],
      ['$set', { a: '$$NOW' }],
    ]);
    expect(Buffer.from(deleteStatement(dataset, records, until))).toEqual(
      Buffer.from(raw(guard([{ _id: 1, v: 5 }, second], null))),
    );
    expect(Buffer.from(deleteStatement({ ...dataset, version: 'v' }, records, until))).toEqual(
      Buffer.from(raw(guard([second], [[1, 5]]))),
    );
  });
});

describe('BsonWriter', () => {
  it('writes what js-bson writes, also past its first buffer', () => {
    const writer = new BsonWriter();
    for (let at = 0; at < 500; at++) writer.beginObject(`é${at}`).string('s', 'é\u{1f600}').end();
    const same = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`é${at}`, { s: 'é\u{1f600}' }]));
    const bytes = writer.finish();
    expect(Buffer.from(bytes)).toEqual(Buffer.from(raw(same)));
    expect([...decodeToMap(bytes).keys()]).toEqual(Object.keys(same));
  });
});
