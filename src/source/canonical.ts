/**
 * Whether a document comes back byte for byte when a stock library decodes and encodes it. A document that does not
 * (duplicate keys, invalid UTF-8, a NaN with a payload, deprecated types ...) may be compared otherwise by the server
 * than by us, so without a version field it is quarantined before it is sealed (design 4).
 *
 * `isCanonical` runs for every archived record. The fast walk below says yes to nearly all of them; it is
 * conservative, and what it refuses is decided by the round trip itself.
 */
import { isUtf8 } from 'node:buffer';
import { serialize } from 'bson';
import { BsonType, readInt32 } from './bson-walk.ts';
import { decodeToMap } from './guard-document.ts';

/** True exactly when `serialize(decodeToMap(raw))` gives the same bytes. */
export function isCanonical(raw: Uint8Array): boolean {
  return walkSaysCanonical(raw) || comesBackEqual(raw);
}

/** The definition, slow: decode, encode, compare. */
export function comesBackEqual(raw: Uint8Array): boolean {
  try {
    return Buffer.compare(serialize(decodeToMap(raw)), raw) === 0;
  } catch {
    // Whatever cannot be decoded or encoded does not come back equal: that is the answer, not a failure.
    return false;
  }
}

/** MongoDB stores at most 180 levels; deeper documents go the slow way. */
const DEEPEST_WALK = 200;
/** Up to here duplicate names are looked for pair by pair, above in a set. */
const PAIRWISE_NAMES = 48;
/** Texts from this length are checked by the runtime's vectorised check; below, a call costs more than the loop. */
const LONG_TEXT_BYTES = 48;
/** JavaScript dates reach 8.64e15 ms on both sides of 1970; 2^52 is below that and needs only the upper word. */
const DATE_HIGH_WORD = 1 << 20;

/** Fast and conservative: true implies that the document comes back equal; false means that it is not known yet. */
export function walkSaysCanonical(raw: Uint8Array): boolean {
  if (raw.length < 5 || readInt32(raw, 0) !== raw.length) return false;
  return walkDocument(raw, 0, raw.length, false, 0);
}

function walkDocument(raw: Uint8Array, start: number, end: number, isArray: boolean, depth: number): boolean {
  if (depth > DEEPEST_WALK || raw[end - 1] !== 0) return false;
  const names = isArray ? null : new NameHashes();
  const last = end - 1;
  let index = 0;
  let at = start + 4;
  while (at < last) {
    const type = raw[at++]!;
    const nameStart = at;
    let hash = 0;
    let high = 0;
    let byte = raw[at]!;
    while (byte !== 0 && at < last) {
      hash = (Math.imul(hash, 31) + byte) | 0;
      high |= byte;
      byte = raw[++at]!;
    }
    if (at >= last) return false;
    if (names === null) {
      if (!isIndexName(raw, nameStart, at, index++)) return false;
    } else {
      if (high > 0x7f && !isUtf8(raw.subarray(nameStart, at))) return false;
      if (!names.add(hash)) return false;
    }
    at++;
    const size = walkValue(raw, type, at, last, depth);
    if (size < 0) return false;
    at += size;
  }
  return at === last;
}

/** Bytes of the value at `at`, or -1 when it is not surely canonical. */
function walkValue(raw: Uint8Array, type: number, at: number, limit: number, depth: number): number {
  switch (type) {
    case BsonType.string:
    case BsonType.symbol:
    case BsonType.code: {
      if (at + 5 > limit) return -1;
      const length = readInt32(raw, at);
      if (length < 1 || at + 4 + length > limit || raw[at + 3 + length] !== 0) return -1;
      return isText(raw, at + 4, at + 3 + length) ? 4 + length : -1;
    }
    case BsonType.object:
    case BsonType.array: {
      if (at + 5 > limit) return -1;
      const length = readInt32(raw, at);
      if (length < 5 || at + length > limit) return -1;
      return walkDocument(raw, at, at + length, type === BsonType.array, depth + 1) ? length : -1;
    }
    case BsonType.double:
      // A NaN may lose its payload on the way through a JavaScript number.
      return at + 8 <= limit && !isNaNBits(raw, at) ? 8 : -1;
    case BsonType.date: {
      if (at + 8 > limit) return -1;
      const high = readInt32(raw, at + 4);
      return high >= -DATE_HIGH_WORD && high < DATE_HIGH_WORD ? 8 : -1;
    }
    case BsonType.int64:
    case BsonType.timestamp:
      return at + 8 <= limit ? 8 : -1;
    case BsonType.int32:
      return at + 4 <= limit ? 4 : -1;
    case BsonType.objectId:
      return at + 12 <= limit ? 12 : -1;
    case BsonType.decimal128:
      return at + 16 <= limit ? 16 : -1;
    case BsonType.boolean:
      return at < limit && raw[at]! <= 1 ? 1 : -1;
    case BsonType.null:
    case BsonType.minKey:
    case BsonType.maxKey:
      return 0;
    case BsonType.binary: {
      if (at + 5 > limit) return -1;
      const length = readInt32(raw, at);
      const subtype = raw[at + 4]!;
      if (length < 0 || at + 5 + length > limit) return -1;
      // Subtype 2 repeats its length; subtype 9 (vectors) is judged by js-bson when it writes it.
      return subtype === 2 || subtype === 9 ? -1 : 5 + length;
    }
    // Regular expressions, code with scope, and the deprecated types are rare: the round trip decides.
    default:
      return -1;
  }
}

function isText(raw: Uint8Array, start: number, end: number): boolean {
  if (end - start >= LONG_TEXT_BYTES) return isUtf8(raw.subarray(start, end));
  for (let at = start; at < end; at++) {
    if (raw[at]! > 0x7f) return isUtf8(raw.subarray(start, end));
  }
  return true;
}

/** Exponent bits all ones: infinity or NaN. Infinity is rare enough to go the slow way too. */
function isNaNBits(raw: Uint8Array, at: number): boolean {
  return (raw[at + 7]! & 0x7f) === 0x7f && raw[at + 6]! >= 0xf0;
}

function isIndexName(raw: Uint8Array, start: number, end: number, index: number): boolean {
  if (index < 10) return end - start === 1 && raw[start] === 0x30 + index;
  let rest = index;
  for (let at = end - 1; at >= start; at--) {
    if (raw[at] !== 0x30 + (rest % 10)) return false;
    rest = Math.floor(rest / 10);
    if (rest === 0) return at === start;
  }
  return false;
}

/** Hashes of the names seen in one document. Two names with one hash count as duplicates: the round trip decides then. */
class NameHashes {
  readonly #few: number[] = [];
  #many: Set<number> | null = null;

  add(hash: number): boolean {
    const few = this.#few;
    if (this.#many === null) {
      for (let at = 0; at < few.length; at++) if (few[at] === hash) return false;
      few.push(hash);
      if (few.length > PAIRWISE_NAMES) this.#many = new Set(few);
      return true;
    }
    if (this.#many.has(hash)) return false;
    this.#many.add(hash);
    return true;
  }
}
