/**
 * The key of an `_id`: text that is equal for two `_id`s exactly when MongoDB's unique index holds them equal.
 *
 * Numbers compare by value across int32, int64, double and decimal128 (1, 1.0 and Decimal128 "1.00" are one key; the
 * double 0.1 and the decimal 0.1 are two), -0 is 0, and all NaNs are one. Symbols compare as strings. Inside embedded
 * documents the same holds for each value, and the order of the fields counts.
 */
import { isUtf8 } from 'node:buffer';
import { Decimal128 } from 'bson';
import { asBuffer, BsonType, type BsonValue, eachField, textOf, valueSize } from './bson-walk.ts';

/** @param idBytes BSON type byte, then the value's bytes. */
export function keyOf(idBytes: Uint8Array): string {
  const type = idBytes[0] ?? 0;
  if (type === BsonType.objectId) return `o:${asBuffer(idBytes).toString('hex', 1, 13)}`;
  const size = valueSize(idBytes, type, 1, idBytes.length);
  return keyOfValue({ raw: idBytes, type, start: 1, end: size < 0 ? idBytes.length : 1 + size });
}

function keyOfValue(value: BsonValue): string {
  const { raw, type, start, end } = value;
  switch (type) {
    case BsonType.objectId:
      return `o:${asBuffer(raw).toString('hex', start, end)}`;
    case BsonType.string:
    case BsonType.symbol:
      return `s:${exactText(raw, start + 4, end - 1)}`;
    case BsonType.int32:
      return integerKey(BigInt(asBuffer(raw).readInt32LE(start)));
    case BsonType.int64:
      return integerKey(asBuffer(raw).readBigInt64LE(start));
    case BsonType.double:
      return doubleKey(asBuffer(raw).readDoubleLE(start));
    case BsonType.decimal128:
      return decimalKey(new Decimal128(raw.slice(start, end)).toString());
    case BsonType.object:
      return `{${[...eachField(raw, start)].map((field) => `${JSON.stringify(field.name)}:${nested(field)}`).join(',')}}`;
    case BsonType.array:
      return `[${[...eachField(raw, start)].map(nested).join(',')}]`;
    default:
      return `x${type}:${asBuffer(raw).toString('hex', start, end)}`;
  }
}

function nested(value: BsonValue): string {
  return JSON.stringify(keyOfValue(value));
}

/** The text, or its bytes as hex when it is not valid UTF-8: the replacement character must not make two keys one. */
function exactText(raw: Uint8Array, start: number, end: number): string {
  const text = textOf(raw, start, end);
  return text.includes('\ufffd') && !isUtf8(raw.subarray(start, end))
    ? `\ufffd${asBuffer(raw).toString('hex', start, end)}`
    : text;
}

function integerKey(value: bigint): string {
  return numberKey(value < 0n, (value < 0n ? -value : value).toString(), 0);
}

/** A double has an exact decimal form: m * 2^-k = m * 5^k * 10^-k. */
function doubleKey(value: number): string {
  if (Number.isNaN(value)) return 'n:NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'n:Infinity' : 'n:-Infinity';
  if (Number.isInteger(value)) return integerKey(BigInt(value));
  let mantissa = Math.abs(value);
  let halvings = 0;
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    halvings++;
  }
  return numberKey(value < 0, (BigInt(mantissa) * 5n ** BigInt(halvings)).toString(), -halvings);
}

function decimalKey(text: string): string {
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return `n:${text}`;
  const parts = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/.exec(text);
  if (parts === null) return `n:?${text}`;
  const fraction = parts[3] ?? '';
  return numberKey(parts[1] === '-', `${parts[2]}${fraction}`, Number(parts[4] ?? 0) - fraction.length);
}

/** digits * 10^exponent with no zero at either end, so that each number has one text. */
function numberKey(negative: boolean, digits: string, exponent: number): string {
  const significant = digits.replace(/^0+/, '');
  if (significant === '') return 'n:0';
  const shortest = significant.replace(/0+$/, '');
  return `n:${negative ? '-' : ''}${shortest}E${exponent + significant.length - shortest.length}`;
}
