/**
 * The index: one BSON document per record, in the order of the records, that says where the record is. Entries are
 * written around the bytes of `_id` as they came, so that a key of any type, depth or size stays what it is.
 *
 *     { _id: <the record's _id>, key: Binary(type byte and value bytes of _id), ordinal: int32,
 *       segment: int32, offset: int32, length: int32, sha256: Binary(32) }
 *
 * An entry of a child has one more field at its end, `root: int32`: the ordinal of the record that it hangs on.
 */
import { BSON } from 'bson';

export interface IndexEntry {
  /** BSON type byte and value bytes of `_id`. */
  readonly idBytes: Uint8Array;
  readonly ordinal: number;
  readonly segment: number;
  /** Of the document in the segment's plain bytes. */
  readonly offset: number;
  readonly length: number;
  /** Of the document's bytes. */
  readonly sha256: Uint8Array;
  /** Only of a child: the ordinal of its root. */
  readonly root?: number;
}

const SHA256_BYTES = 32;
/** Where the parts of an entry stand, `_id` being whatever it is: length, then `<type>_id\0<value>`. */
const ID_NAME_AT = 5;
const ID_NAME = Buffer.from('_id\0', 'latin1');
const ID_VALUE_AT = ID_NAME_AT + ID_NAME.byteLength;
const KEY_HEAD = Buffer.from('\x05key\0', 'latin1');
/** Length and subtype in front of binary data; the subtype is 0, generic. */
const BINARY_HEAD_BYTES = 5;
/** All that follows `key`, with zeros where the values go, and the places of the values in it. */
const TAIL = Buffer.concat([
  ...['ordinal', 'segment', 'offset', 'length'].map((name) => Buffer.from(`\x10${name}\0\0\0\0\0`, 'latin1')),
  Buffer.from(`\x05sha256\0${String.fromCharCode(SHA256_BYTES)}\0\0\0\0`, 'latin1'),
  Buffer.alloc(SHA256_BYTES + 1),
]);
const ORDINAL_AT = valueAt('ordinal');
const SEGMENT_AT = valueAt('segment');
const OFFSET_AT = valueAt('offset');
const LENGTH_AT = valueAt('length');
const SHA256_AT = valueAt('sha256') + BINARY_HEAD_BYTES;

/** What a child's entry has after `TAIL`, before the closing zero. */
const ROOT_HEAD = Buffer.from('\x10root\0', 'latin1');
const ROOT_BYTES = ROOT_HEAD.byteLength + 4;

/** How many bytes an entry has besides the two copies of `idBytes`. */
export const INDEX_ENTRY_FIXED_BYTES =
  4 + ID_NAME.byteLength + KEY_HEAD.byteLength + BINARY_HEAD_BYTES + TAIL.byteLength;

export function encodeIndexEntry(entry: IndexEntry): Uint8Array {
  const { idBytes } = entry;
  const rootBytes = entry.root === undefined ? 0 : ROOT_BYTES;
  const bytes = Buffer.allocUnsafe(INDEX_ENTRY_FIXED_BYTES + 2 * idBytes.byteLength + rootBytes);
  bytes.writeInt32LE(bytes.byteLength, 0);
  bytes.set(idBytes.subarray(0, 1), ID_NAME_AT - 1);
  bytes.set(ID_NAME, ID_NAME_AT);
  bytes.set(idBytes.subarray(1), ID_VALUE_AT);
  const keyAt = ID_VALUE_AT + idBytes.byteLength - 1;
  bytes.set(KEY_HEAD, keyAt);
  bytes.writeInt32LE(idBytes.byteLength, keyAt + KEY_HEAD.byteLength);
  bytes[keyAt + KEY_HEAD.byteLength + 4] = 0;
  bytes.set(idBytes, keyAt + KEY_HEAD.byteLength + BINARY_HEAD_BYTES);
  const tailAt = bytes.byteLength - TAIL.byteLength - rootBytes;
  bytes.set(TAIL, tailAt);
  bytes.writeInt32LE(entry.ordinal, tailAt + ORDINAL_AT);
  bytes.writeInt32LE(entry.segment, tailAt + SEGMENT_AT);
  bytes.writeInt32LE(entry.offset, tailAt + OFFSET_AT);
  bytes.writeInt32LE(entry.length, tailAt + LENGTH_AT);
  bytes.set(entry.sha256, tailAt + SHA256_AT);
  if (entry.root !== undefined) {
    const rootAt = bytes.byteLength - 1 - ROOT_BYTES;
    bytes.set(ROOT_HEAD, rootAt);
    bytes.writeInt32LE(entry.root, rootAt + ROOT_HEAD.byteLength);
    bytes[bytes.byteLength - 1] = 0;
  }
  return bytes;
}

/** Throws where it is not an index entry. */
export function decodeIndexEntry(document: Uint8Array): IndexEntry {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  const idBytes = idBytesOf(bytes);
  const rootAt = bytes.byteLength - 1 - ROOT_BYTES;
  // Whichever form it has is told by the comparison below: bytes of a hash cannot pass for a field's name in both.
  const hasRoot =
    rootAt > ID_VALUE_AT && bytes.subarray(rootAt, rootAt + ROOT_HEAD.byteLength).equals(ROOT_HEAD) && isChild(bytes);
  const tailAt = bytes.byteLength - TAIL.byteLength - (hasRoot ? ROOT_BYTES : 0);
  const entry = {
    ...(hasRoot ? { root: bytes.readInt32LE(rootAt + ROOT_HEAD.byteLength) } : {}),
    idBytes,
    ordinal: bytes.readInt32LE(tailAt + ORDINAL_AT),
    segment: bytes.readInt32LE(tailAt + SEGMENT_AT),
    offset: bytes.readInt32LE(tailAt + OFFSET_AT),
    length: bytes.readInt32LE(tailAt + LENGTH_AT),
    sha256: bytes.subarray(tailAt + SHA256_AT, tailAt + SHA256_AT + SHA256_BYTES),
  };
  // All parts stand at fixed places, so it is an entry exactly when writing it again gives the same bytes.
  if (Buffer.compare(encodeIndexEntry(entry), bytes) !== 0) throw new RangeError('not an index entry');
  return entry;
}

/** The fixed part of a child's entry begins one field earlier. */
function isChild(bytes: Buffer): boolean {
  const tailAt = bytes.byteLength - TAIL.byteLength - ROOT_BYTES;
  return tailAt > ID_VALUE_AT && bytes.subarray(tailAt, tailAt + ORDINAL_AT).equals(TAIL.subarray(0, ORDINAL_AT));
}

function valueAt(name: string): number {
  return TAIL.indexOf(`${name}\0`, 0, 'latin1') + name.length + 1;
}

/** BSON type byte and value bytes of a document's `_id`, copied. Throws RangeError where there is none. */
export function idBytesOf(document: Uint8Array): Uint8Array {
  for (const [type, nameOffset, nameLength, offset, length] of BSON.onDemand.parseToElements(document)) {
    const name = Buffer.from(document.buffer, document.byteOffset + nameOffset, nameLength).toString('latin1');
    if (name !== '_id') continue;
    const idBytes = new Uint8Array(1 + length);
    idBytes[0] = type;
    idBytes.set(document.subarray(offset, offset + length), 1);
    return idBytes;
  }
  throw new RangeError('the document has no _id');
}
