/**
 * Decodes BSON into ordered `Map`s, so that nothing is lost which a JavaScript object would lose: the order of numeric
 * keys, `__proto__`, int64 beyond 2^53 (`Long`), the double 1.0 (`Double`), and so on. `serialize(decodeToMap(raw))`
 * gives `raw` again for every document that `isCanonical` lets pass.
 */
import {
  Binary,
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
import { asBuffer, BsonType, type BsonValue, eachField, readInt32, textOf, valueSize } from './bson-walk.ts';

/** A decoded document, in the order of its fields. */
export type OrderedDocument = Map<string, unknown>;

/** @throws RangeError when the bytes are not a document, or hold a type that js-bson cannot write back. */
export function decodeToMap(raw: Uint8Array): OrderedDocument {
  const document = new Map<string, unknown>();
  for (const field of eachField(raw, 0)) document.set(field.name, decodeValue(field));
  return document;
}

/** @param bytes BSON type byte, then the value's bytes (as in `RawRecord.idBytes`). */
export function decodeTyped(bytes: Uint8Array): unknown {
  const type = bytes[0] ?? 0;
  const size = valueSize(bytes, type, 1, bytes.length);
  if (size < 0) throw new RangeError('The bytes are not a BSON value.');
  return decodeValue({ raw: bytes, type, start: 1, end: 1 + size });
}

/** One value, decoded so that it is written back with the same type. */
export function decodeValue(value: BsonValue): unknown {
  const { raw, type, start, end } = value;
  const buffer = asBuffer(raw);
  switch (type) {
    case BsonType.double:
      return decodeDouble(buffer, start);
    case BsonType.string:
      return textOf(raw, start + 4, end - 1);
    case BsonType.object:
      return decodeNested(raw, start);
    case BsonType.array:
      return Array.from(eachField(raw, start), decodeValue);
    case BsonType.binary:
      return decodeBinary(raw, start, end);
    case BsonType.objectId:
      return new ObjectId(raw.slice(start, end));
    case BsonType.boolean:
      return raw[start] === 1;
    case BsonType.date:
      return decodeDate(buffer.readBigInt64LE(start));
    case BsonType.null:
      return null;
    case BsonType.regex: {
      const patternEnd = raw.indexOf(0, start);
      return new BSONRegExp(textOf(raw, start, patternEnd), textOf(raw, patternEnd + 1, end - 1));
    }
    case BsonType.code:
      return new Code(textOf(raw, start + 4, end - 1));
    case BsonType.symbol:
      return new BSONSymbol(textOf(raw, start + 4, end - 1));
    case BsonType.codeWithScope: {
      const codeEnd = start + 8 + readInt32(raw, start + 4);
      return new Code(textOf(raw, start + 8, codeEnd - 1), decodeNested(raw, codeEnd));
    }
    case BsonType.int32:
      return new Int32(buffer.readInt32LE(start));
    case BsonType.timestamp:
      return new Timestamp(buffer.readBigUInt64LE(start));
    case BsonType.int64:
      return Long.fromBigInt(buffer.readBigInt64LE(start));
    case BsonType.decimal128:
      return new Decimal128(raw.slice(start, end));
    case BsonType.minKey:
      return new MinKey();
    case BsonType.maxKey:
      return new MaxKey();
    default:
      throw new RangeError(`BSON type ${type} cannot be written back.`);
  }
}

function decodeNested(raw: Uint8Array, start: number): OrderedDocument {
  const document = new Map<string, unknown>();
  for (const field of eachField(raw, start)) document.set(field.name, decodeValue(field));
  return document;
}

function decodeBinary(raw: Uint8Array, start: number, end: number): Binary {
  const subtype = raw[start + 4]!;
  // Subtype 2 carries its length a second time inside; js-bson writes that by itself.
  const dataStart = subtype === Binary.SUBTYPE_BYTE_ARRAY ? start + 9 : start + 5;
  return new Binary(raw.slice(dataStart, end), subtype);
}

/** JavaScript knows one NaN and may write any other as that one. */
function decodeDouble(buffer: Buffer, start: number): Double {
  const value = buffer.readDoubleLE(start);
  if (Number.isNaN(value) && buffer.readBigUInt64LE(start) !== ONLY_NAN) throw new RangeError('A NaN has a payload.');
  return new Double(value);
}

const ONLY_NAN = 0x7ff8000000000000n;

/** A `Date` where it can hold the instant; MongoDB's range is far wider, and an invalid `Date` would be written as 0. */
function decodeDate(milliseconds: bigint): Date {
  const date = new Date(Number(milliseconds));
  if (Number.isNaN(date.getTime())) throw new RangeError('A date is beyond what a JavaScript Date can hold.');
  return date;
}
