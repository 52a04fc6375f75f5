/**
 * Finds values in the raw bytes of a BSON document without decoding it. Trusts the lengths that the server sent only as
 * far as the end of the buffer: anything that does not fit is treated as absent, never read past.
 */

/** BSON type bytes (bsonspec.org). */
export const BsonType = {
  double: 0x01,
  string: 0x02,
  object: 0x03,
  array: 0x04,
  binary: 0x05,
  undefined: 0x06,
  objectId: 0x07,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  dbPointer: 0x0c,
  code: 0x0d,
  symbol: 0x0e,
  codeWithScope: 0x0f,
  int32: 0x10,
  timestamp: 0x11,
  int64: 0x12,
  decimal128: 0x13,
  minKey: 0xff,
  maxKey: 0x7f,
} as const;

/** Where one value lies: type byte, and the value's bytes from `start` to `end` in `raw`. */
export interface BsonValue {
  readonly raw: Uint8Array;
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

/** A field path split at its dots, as UTF-8 bytes. */
export type FieldPath = readonly Uint8Array[];

const utf8 = new TextEncoder();

/** The path of a dotted field name. */
export function fieldPath(field: string): FieldPath {
  return field.split('.').map((step) => utf8.encode(step));
}

/** The value at a path through objects only; `null` when absent. A step into an array gives that array (type `array`). */
export function findPath(raw: Uint8Array, path: FieldPath): BsonValue | null {
  let at = 0;
  for (let step = 0; step < path.length; step++) {
    const found = findField(raw, at, path[step]!);
    if (found === null || step === path.length - 1) return found;
    if (found.type === BsonType.array) return found;
    if (found.type !== BsonType.object) return null;
    at = found.start;
  }
  return null;
}

/** The first field of that name in the document that begins at `documentStart`. */
function findField(raw: Uint8Array, documentStart: number, name: Uint8Array): BsonValue | null {
  const end = documentEnd(raw, documentStart);
  const nameLength = name.length;
  let at = documentStart + 4;
  while (at < end) {
    const type = raw[at]!;
    if (type === 0) return null;
    const nameStart = at + 1;
    let cursor = nameStart;
    while (cursor < end && raw[cursor] !== 0) cursor++;
    const start = cursor + 1;
    const size = valueSize(raw, type, start, end);
    if (size < 0) return null;
    if (cursor - nameStart === nameLength) {
      let same = 0;
      while (same < nameLength && raw[nameStart + same] === name[same]) same++;
      if (same === nameLength) return { raw, type, start, end: start + size };
    }
    at = start + size;
  }
  return null;
}

/** The values of a document or array, in order; `name` is decoded only when asked for. */
export function* eachField(raw: Uint8Array, documentStart: number): Generator<BsonValue & { readonly name: string }> {
  const end = documentEnd(raw, documentStart);
  let at = documentStart + 4;
  while (at < end) {
    const type = raw[at]!;
    if (type === 0) return;
    let cursor = at + 1;
    while (cursor < end && raw[cursor] !== 0) cursor++;
    const start = cursor + 1;
    const size = valueSize(raw, type, start, end);
    if (size < 0) return;
    yield { raw, type, start, end: start + size, name: textOf(raw, at + 1, cursor) };
    at = start + size;
  }
}

export function readInt32(raw: Uint8Array, at: number): number {
  return raw[at]! | (raw[at + 1]! << 8) | (raw[at + 2]! << 16) | (raw[at + 3]! << 24);
}

/** A view of the same bytes with Node's fast text and number readers. */
export function asBuffer(raw: Uint8Array): Buffer {
  return raw instanceof Buffer ? raw : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
}

/** UTF-8 text of a range of bytes; invalid sequences become the replacement character. */
export function textOf(raw: Uint8Array, start: number, end: number): string {
  return asBuffer(raw).toString('utf8', start, end);
}

/** Index of the terminating zero byte of the document at `start`, or `start` when its length is impossible. */
function documentEnd(raw: Uint8Array, start: number): number {
  if (start + 5 > raw.length) return start;
  const size = readInt32(raw, start);
  return size < 5 || start + size > raw.length ? start : start + size - 1;
}

/** Bytes of the value of that type at `at`, or -1 when it does not fit before `limit` or the type is unknown. */
export function valueSize(raw: Uint8Array, type: number, at: number, limit: number): number {
  let size: number;
  switch (type) {
    case BsonType.double:
    case BsonType.date:
    case BsonType.timestamp:
    case BsonType.int64:
      size = 8;
      break;
    case BsonType.string:
    case BsonType.code:
    case BsonType.symbol:
      size = prefixed(raw, at, limit, 4, 1);
      break;
    case BsonType.object:
    case BsonType.array:
      size = prefixed(raw, at, limit, 0, 5);
      break;
    case BsonType.codeWithScope:
      size = prefixed(raw, at, limit, 0, 14);
      break;
    case BsonType.binary:
      size = prefixed(raw, at, limit, 5, 0);
      break;
    case BsonType.dbPointer:
      size = prefixed(raw, at, limit, 16, 1);
      break;
    case BsonType.objectId:
      size = 12;
      break;
    case BsonType.boolean:
      size = 1;
      break;
    case BsonType.int32:
      size = 4;
      break;
    case BsonType.decimal128:
      size = 16;
      break;
    case BsonType.undefined:
    case BsonType.null:
    case BsonType.minKey:
    case BsonType.maxKey:
      size = 0;
      break;
    case BsonType.regex: {
      let cursor = at;
      for (let strings = 0; strings < 2; strings++) {
        while (cursor < limit && raw[cursor] !== 0) cursor++;
        cursor++;
      }
      size = cursor - at;
      break;
    }
    default:
      return -1;
  }
  return size < 0 || at + size > limit ? -1 : size;
}

function prefixed(raw: Uint8Array, at: number, limit: number, extra: number, least: number): number {
  if (at + 4 > limit) return -1;
  const length = readInt32(raw, at);
  return length < least ? -1 : length + extra;
}
