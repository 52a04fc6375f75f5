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
  UUID,
} from 'bson';
import { BsonWriter } from '../../src/source/bson-writer.ts';

export function bytes(document: object): Uint8Array {
  return BSON.serialize(document, { ignoreUndefined: false });
}

/** Fields in exactly this order, numeric names too. */
export function ordered(...fields: readonly (readonly [string, unknown])[]): Uint8Array {
  return bytes(new Map(fields));
}

export const TRIGGER = new Date('2020-03-01T00:00:00Z');

/** The fields that make any document a fit record of the contract's dataset. */
export const PARTIES = [
  ['owner', 'acme'],
  ['tenant', 'north'],
  ['at', TRIGGER],
] as const;

/** `_id`s of every type that MongoDB stores as one, no two of them equal to its index. */
export const IDS: Readonly<Record<string, unknown>> = {
  'min key': new MinKey(),
  null: null,
  double: new Double(1.5),
  'negative zero': new Double(-0),
  nan: new Double(Number.NaN),
  infinity: new Double(Number.POSITIVE_INFINITY),
  'negative infinity': new Double(Number.NEGATIVE_INFINITY),
  int32: new Int32(7),
  'negative int32': new Int32(-7),
  'int64 beyond 2^53': Long.fromString('9007199254740993'),
  'smallest int64': Long.MIN_VALUE,
  decimal: Decimal128.fromString('1.10'),
  'double near the decimal': new Double(1.1),
  'empty string': '',
  string: 'a',
  'string of a number': '7',
  'string with a zero byte': 'a\0b',
  'string beyond ASCII': 'é\u{1f600}',
  'empty object': new Map(),
  'object with numeric names': new Map([
    ['2', 1],
    ['1', 2],
  ]),
  'object with __proto__': new Map([['__proto__', 'x']]),
  binary: new Binary(Buffer.from([1, 2, 3])),
  'old binary': new Binary(Buffer.from([1, 2, 3]), 2),
  uuid: new UUID('11111111-2222-4333-8444-555555555555').toBinary(),
  'object id': new ObjectId('65f000000000000000000001'),
  false: false,
  true: true,
  date: new Date(0),
  'date before 1970': new Date(-1),
  timestamp: new Timestamp({ t: 5, i: 1 }),
  code: new Code('return 1'),
  'max key': new MaxKey(),
};

function nested(levels: number): unknown {
  let value: unknown = 'deep';
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? new Map([['n', value]]) : [value];
  return value;
}

/** Values at the extremes, each in a record of its own. */
export const EXTREMES: Readonly<Record<string, unknown>> = {
  'double one': new Double(1),
  'negative zero': new Double(-0),
  'not a number': new Double(Number.NaN),
  infinity: new Double(Number.NEGATIVE_INFINITY),
  'smallest double': new Double(5e-324),
  'int32 one': new Int32(1),
  'int64 one': Long.fromInt(1),
  'int64 beyond 2^53': Long.fromString('-9007199254740993'),
  'largest int64': Long.MAX_VALUE,
  'decimal with trailing zeros': Decimal128.fromString('1.000'),
  'decimal not a number': Decimal128.fromString('NaN'),
  'large decimal': Decimal128.fromString('9.999999999999999999999999999999999E+6144'),
  'empty string': '',
  'string with a zero byte': 'a\0b',
  'string beyond ASCII': 'é\u{1f600}\ufffd\ufeff',
  'numeric names': new Map<string, unknown>([
    ['10', 1],
    ['9', 2],
    ['0', 3],
  ]),
  'names with dollars and dots': new Map<string, unknown>([
    ['$set', { a: 1 }],
    ['a.b', 1],
    ['$$ROOT', 2],
    ['', 3],
  ]),
  'names of prototypes': new Map<string, unknown>([
    ['__proto__', { x: 1 }],
    ['constructor', 1],
    ['toBSON', 2],
  ]),
  'an expression': new Map<string, unknown>([['$literal', '$owner']]),
  'a reference': new Map<string, unknown>([
    ['$ref', 'c'],
    ['$id', new ObjectId('65f000000000000000000001')],
  ]),
  'empty array': [],
  'array of everything': [1, 'a', [new Map([['b', null]])], new Date(0), true],
  'ninety levels': nested(90),
  binary: new Binary(Buffer.alloc(100, 7)),
  'binary of subtype 2': new Binary(Buffer.from([1, 2, 3]), 2),
  'binary of subtype 3': new Binary(Buffer.alloc(16, 1), 3),
  'user-defined binary': new Binary(Buffer.from([1]), 128),
  uuid: new UUID('11111111-2222-4333-8444-555555555555').toBinary(),
  date: new Date('0001-01-01T00:00:00Z'),
  timestamp: new Timestamp({ t: 0xffffffff, i: 0xffffffff }),
  'regular expression': new BSONRegExp('^a/b$', 'imsx'),
  code: new Code('function () { return 1; }'),
  'code with scope': new Code('return a', { a: new Int32(1) }),
  symbol: new BSONSymbol('sym'),
  null: null,
  'min key': new MinKey(),
  'max key': new MaxKey(),
  boolean: true,
};

/** Documents that stock libraries do not give back byte for byte. */
export const NOT_CANONICAL: Readonly<Record<string, Uint8Array>> = {
  'a NaN with a payload': withValue(0x01, Buffer.from('010000000000f87f', 'hex')),
  'a name twice': new BsonWriter()
    .int32('_id', 1)
    .string('owner', 'acme')
    .string('tenant', 'north')
    .date('at', TRIGGER)
    .int32('a', 1)
    .int32('a', 2)
    .finish(),
  'invalid UTF-8': withValue(0x02, Buffer.from('03000000c32800', 'hex')),
  'array names that are none': withValue(0x04, new BsonWriter().int32('1', 1).finish()),
  undefined: withValue(0x06, Buffer.alloc(0)),
  'a boolean of 2': withValue(0x08, Buffer.from([2])),
  'a date beyond JavaScript': withValue(0x09, Buffer.from('ffffffffffffff7f', 'hex')),
  'regular expression options out of order': withValue(0x0b, Buffer.from('6100786900', 'hex')),
};

function withValue(type: number, value: Uint8Array): Uint8Array {
  return new BsonWriter()
    .int32('_id', 1)
    .string('owner', 'acme')
    .string('tenant', 'north')
    .date('at', TRIGGER)
    .value('value', type, value)
    .finish();
}
