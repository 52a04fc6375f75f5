/**
 * The end of an archive file: its manifest, and what stands before it, out of a part of the file that reaches to its end.
 * Nothing here was seen of the rest of the file: what the manifest says is as good as its signature, and a member as its
 * SHA-256 in it.
 */
import { hash } from 'node:crypto';
import type { Signature } from '../keys/port.ts';
import { HEADER_BYTES, memberBytes } from './container.ts';
import { corrupt } from './corrupt.ts';
import { decodeManifest, decodeSignature, type Manifest } from './manifest.ts';
import { MANIFEST_NAME, SIGNATURE_NAME } from './member-names.ts';

export interface SignedManifest {
  readonly manifest: Manifest;
  /** Of the bytes of manifest.json, lower-case hex. */
  readonly sha256: string;
}

/** Where a header has the size of its member, as octal digits. */
const SIZE_AT = 124;
const SIZE_DIGITS = 12;
const NAME_BYTES = 100;

/**
 * `bytes` begin at a multiple of 512 in the file. Null when the manifest begins before them: ask for more. Throws
 * ARCHIVE_CORRUPT for a signature that does not hold.
 */
export async function readFileEnd(
  bytes: Uint8Array,
  verify: (bytes: Uint8Array, signature: Signature) => Promise<boolean>,
): Promise<SignedManifest | null> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = lastHeader(file, MANIFEST_NAME);
  if (at === null) return null;
  const manifest = memberAt(file, at, MANIFEST_NAME);
  const signatureAt = at + memberBytes(manifest.byteLength);
  if (nameAt(file, signatureAt) !== SIGNATURE_NAME) throw corrupt(SIGNATURE_NAME, 'it does not follow the manifest');
  const signature = decodeSignature(memberAt(file, signatureAt, SIGNATURE_NAME));
  if (!(await verify(manifest, signature)))
    throw corrupt(MANIFEST_NAME, `it is not what the key ${signature.keyId} signed in ${SIGNATURE_NAME}`);
  return { manifest: decodeManifest(manifest), sha256: hash('sha256', manifest, 'hex') };
}

function lastHeader(file: Buffer, name: string): number | null {
  const last = Math.floor(file.byteLength / HEADER_BYTES) * HEADER_BYTES - HEADER_BYTES;
  for (let at = last; at >= 0; at -= HEADER_BYTES) if (nameAt(file, at) === name) return at;
  return null;
}

function nameAt(file: Buffer, at: number): string | null {
  if (at + HEADER_BYTES > file.byteLength) return null;
  const name = file.subarray(at, at + NAME_BYTES);
  const end = name.indexOf(0);
  return end <= 0 ? null : name.toString('latin1', 0, end);
}

function memberAt(file: Buffer, at: number, name: string): Buffer {
  const digits = file.toString('latin1', at + SIZE_AT, at + SIZE_AT + SIZE_DIGITS).replace(/[\0 ]+$/, '');
  const size = /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  const from = at + HEADER_BYTES;
  if (!(from + size <= file.byteLength)) throw corrupt(name, 'the file ends inside of it');
  return file.subarray(from, from + size);
}
