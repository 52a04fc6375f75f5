/**
 * The records of a roster page as one run of bytes: for each its `_id` (4 bytes of length, then type byte and value),
 * 32 bytes of SHA-256 and 4 bytes of segment number, all numbers big-endian. A thousand small documents instead cost
 * more to encode, send and decode, and a page is read twice before it goes.
 */
import { MoraineError } from '../errors.ts';

export interface RosterRecord {
  /** BSON type byte and value bytes of `_id`. */
  readonly id: Uint8Array;
  readonly sha256: Uint8Array;
  readonly segment: number;
}

const LENGTH_BYTES = 4;
const SHA256_BYTES = 32;
const SEGMENT_BYTES = 4;
const FIXED_BYTES = LENGTH_BYTES + SHA256_BYTES + SEGMENT_BYTES;

export function packRecords(records: readonly RosterRecord[]): Buffer {
  const packed = Buffer.allocUnsafe(records.reduce((total, { id }) => total + FIXED_BYTES + id.length, 0));
  let at = 0;
  for (const { id, sha256, segment } of records) {
    if (sha256.length !== SHA256_BYTES) throw new MoraineError('INTERNAL', 'A roster takes SHA-256 hashes only.');
    at = packed.writeUInt32BE(id.length, at);
    packed.set(id, at);
    packed.set(sha256, at + id.length);
    at = packed.writeUInt32BE(segment, at + id.length + SHA256_BYTES);
  }
  return packed;
}

/** Views of the bytes. Throws INTERNAL where they do not end with a whole record. */
export function unpackRecords(bytes: Uint8Array): readonly RosterRecord[] {
  const packed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: RosterRecord[] = [];
  for (let at = 0; at < packed.length; ) {
    const left = packed.length - at - FIXED_BYTES;
    const idLength = left < 0 ? Number.POSITIVE_INFINITY : packed.readUInt32BE(at);
    if (idLength > left) throw new MoraineError('INTERNAL', 'A roster page of the ledger is cut short.');
    const id = packed.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + idLength);
    const hashAt = at + LENGTH_BYTES + idLength;
    const segment = packed.readUInt32BE(hashAt + SHA256_BYTES);
    records.push({ id, sha256: packed.subarray(hashAt, hashAt + SHA256_BYTES), segment });
    at = hashAt + SHA256_BYTES + SEGMENT_BYTES;
  }
  return records;
}
