/** Values at fields of a document, as decisions read them, without decoding the rest of it. */
import { asBuffer, BsonType, type BsonValue, eachField, type FieldPath, fieldPath, findPath } from './bson-walk.ts';
import { partyIdOf, typedBytes } from './raw-document.ts';
import type { PlainValue, RecordValue, RecordValues } from './record-value.ts';

/** BSON dates reach further than any calendar does. */
const MAX_DATE_MS = 8.64e15;

const paths = new Map<string, FieldPath>();
/** Fields are named by policies and exceptions: a few, and the same ones again and again. */
const MOST_PATHS = 1_000;

export function valuesOf(raw: Uint8Array, fields: readonly string[]): RecordValues {
  const values: Record<string, RecordValue> = {};
  for (const field of fields) {
    const found = findPath(raw, pathOf(field));
    Object.defineProperty(values, field, { value: found === null ? null : recordValue(found), enumerable: true });
  }
  return values;
}

/** Type byte and bytes of a value that names a document; null where there is none, or none that names one. */
export function valueBytesOf(raw: Uint8Array, field: string): Uint8Array | null {
  const found = findPath(raw, pathOf(field));
  if (found === null) return null;
  const namesNothing: readonly number[] = [BsonType.null, BsonType.undefined, BsonType.array, BsonType.object];
  return namesNothing.includes(found.type) ? null : typedBytes(found);
}

function pathOf(field: string): FieldPath {
  let path = paths.get(field);
  if (path === undefined) {
    if (paths.size >= MOST_PATHS) paths.clear();
    path = fieldPath(field);
    paths.set(field, path);
  }
  return path;
}

function recordValue(found: BsonValue): RecordValue {
  if (found.type === BsonType.null || found.type === BsonType.undefined) return null;
  if (found.type !== BsonType.array) return plainValue(found) ?? { unusable: `a value of BSON type ${found.type}` };
  const list: PlainValue[] = [];
  for (const element of eachField(found.raw, found.start)) {
    const value = plainValue(element);
    if (value === null) return { unusable: 'a list that holds more than texts, numbers and dates' };
    list.push(value);
  }
  return list;
}

/** null: of no use to a rule. */
function plainValue(found: BsonValue): PlainValue | null {
  const bytes = asBuffer(found.raw);
  switch (found.type) {
    case BsonType.int32:
      return bytes.readInt32LE(found.start);
    case BsonType.int64: {
      const value = Number(bytes.readBigInt64LE(found.start));
      return Number.isSafeInteger(value) ? value : null;
    }
    case BsonType.double:
      return bytes.readDoubleLE(found.start);
    case BsonType.boolean:
      return bytes[found.start] === 1 ? 'true' : 'false';
    case BsonType.date: {
      const instant = Number(bytes.readBigInt64LE(found.start));
      return Math.abs(instant) <= MAX_DATE_MS ? { instant } : null;
    }
    default:
      // Text, ObjectIds and UUIDs, as owners and customers are read. Empty text is text all the same.
      return found.type === BsonType.string && found.end - found.start === 5 ? '' : partyIdOf(found);
  }
}
