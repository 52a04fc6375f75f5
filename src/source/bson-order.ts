/** MongoDB's order of BSON values across types, and of positions: for the in-memory source and for explanations; the server sorts the real one. */
import { asBuffer, BsonType, type BsonValue, eachField, fieldPath, findPath } from './bson-walk.ts';
import { keyOf } from './id-key.ts';
import type { Position } from './port.ts';
import { partsOfPosition, typedBytes } from './raw-document.ts';

/** As {@link compareValues}, for positions: by trigger, then by `_id`. */
export function comparePositions(a: Position, b: Position): number {
  const left = partsOfPosition(a);
  const right = partsOfPosition(b);
  return compareValues(whole(left.trigger), whole(right.trigger)) || compareValues(whole(left.id), whole(right.id));
}

/** As {@link compareValues}, for `_id`s as type byte and bytes. */
export function compareIds(a: Uint8Array, b: Uint8Array): number {
  return compareValues(whole(a), whole(b));
}

/** Which of two documents is newer by a field: as {@link compareValues}; 0 where the two do not say, or not in the same type. */
export function compareByField(field: string, a: Uint8Array, b: Uint8Array): number {
  const path = fieldPath(field);
  const [left, right] = [findPath(a, path), findPath(b, path)];
  return left === null || right === null || left.type !== right.type ? 0 : compareValues(left, right);
}

function whole(typed: Uint8Array): BsonValue {
  return { raw: typed, type: typed[0]!, start: 1, end: typed.length };
}

/** Negative, zero or positive, as a comes before, with or after b. */
export function compareValues(a: BsonValue, b: BsonValue): number {
  const rank = rankOf(a.type) - rankOf(b.type);
  if (rank !== 0) return rank;
  switch (a.type) {
    case BsonType.double:
    case BsonType.int32:
    case BsonType.int64:
    case BsonType.decimal128:
      return compareNumbers(keyOf(typedBytes(a)), keyOf(typedBytes(b)));
    case BsonType.string:
    case BsonType.symbol:
    case BsonType.code:
      return compareBytes(a, b, 4);
    case BsonType.binary: {
      const length = asBuffer(a.raw).readInt32LE(a.start) - asBuffer(b.raw).readInt32LE(b.start);
      return length !== 0 ? length : compareBytes(a, b, 4);
    }
    case BsonType.date:
      return compareBig(asBuffer(a.raw).readBigInt64LE(a.start), asBuffer(b.raw).readBigInt64LE(b.start));
    case BsonType.timestamp:
      return compareBig(asBuffer(a.raw).readBigUInt64LE(a.start), asBuffer(b.raw).readBigUInt64LE(b.start));
    case BsonType.object:
    case BsonType.array:
      return compareDocuments(a, b);
    default:
      return compareBytes(a, b, 0);
  }
}

/** Field by field: type, then name, then value; the shorter first. */
function compareDocuments(a: BsonValue, b: BsonValue): number {
  const left = [...eachField(a.raw, a.start)];
  const right = [...eachField(b.raw, b.start)];
  for (const [at, mine] of left.entries()) {
    const theirs = right[at];
    if (theirs === undefined) return 1;
    const order =
      rankOf(mine.type) - rankOf(theirs.type) ||
      Buffer.compare(Buffer.from(mine.name), Buffer.from(theirs.name)) ||
      compareValues(mine, theirs);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Compares two number keys of `keyOf`: NaN first, then by sign, magnitude and digits. */
function compareNumbers(a: string, b: string): number {
  if (a === b) return 0;
  const left = numberOf(a);
  const right = numberOf(b);
  if (left.sign !== right.sign) return left.sign - right.sign;
  const magnitude = left.magnitude - right.magnitude;
  const unsigned = magnitude !== 0 ? magnitude : left.digits < right.digits ? -1 : 1;
  return left.sign < 0 ? -unsigned : unsigned;
}

interface ComparableNumber {
  /** -2 for NaN, which comes before all numbers. */
  readonly sign: number;
  /** Power of ten of the first digit. */
  readonly magnitude: number;
  readonly digits: string;
}

function numberOf(key: string): ComparableNumber {
  if (key === 'n:NaN') return { sign: -2, magnitude: 0, digits: '' };
  if (key === 'n:0') return { sign: 0, magnitude: 0, digits: '' };
  if (key === 'n:Infinity') return { sign: 1, magnitude: Number.MAX_SAFE_INTEGER, digits: '' };
  if (key === 'n:-Infinity') return { sign: -1, magnitude: Number.MAX_SAFE_INTEGER, digits: '' };
  const [, minus, digits = '', exponent] = /^n:(-?)(\d+)E(-?\d+)$/.exec(key) ?? [];
  return { sign: minus === '-' ? -1 : 1, magnitude: digits.length + Number(exponent), digits };
}

function compareBytes(a: BsonValue, b: BsonValue, skip: number): number {
  return Buffer.compare(a.raw.subarray(a.start + skip, a.end), b.raw.subarray(b.start + skip, b.end));
}

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** MongoDB's order of types; types with one rank compare by value. */
const RANKS = new Map<number, number>([
  [BsonType.minKey, -1],
  [BsonType.undefined, 0],
  [BsonType.null, 5],
  [BsonType.double, 10],
  [BsonType.int32, 10],
  [BsonType.int64, 10],
  [BsonType.decimal128, 10],
  [BsonType.string, 15],
  [BsonType.symbol, 15],
  [BsonType.object, 20],
  [BsonType.array, 25],
  [BsonType.binary, 30],
  [BsonType.objectId, 35],
  [BsonType.boolean, 40],
  [BsonType.date, 45],
  [BsonType.timestamp, 47],
  [BsonType.regex, 50],
  [BsonType.dbPointer, 55],
  [BsonType.code, 60],
  [BsonType.codeWithScope, 65],
  [BsonType.maxKey, 127],
]);

function rankOf(type: number): number {
  return RANKS.get(type) ?? 128;
}
