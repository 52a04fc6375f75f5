/**
 * The tar container (POSIX ustar), as tar-stream makes it: nothing but plain files, whose headers are a function of name
 * and size. What else a tar file can hold (links, folders, pax headers, owners, times) is never written, and the reader
 * (`container-reader.ts`) refuses it, because it packs again what it read and compares.
 */
import { type Pack, pack } from 'tar-stream';

const BLOCK_BYTES = 512;
/** Where a member's data begin, counted from the first byte of its header. */
export const HEADER_BYTES = BLOCK_BYTES;
/** Two zero blocks end a tar file. */
export const END_BYTES = 2 * BLOCK_BYTES;
/**
 * No member comes near this: the largest holds one document of 16 MiB, or one index entry with a key of that size
 * twice. It bounds what a reader takes into memory.
 */
export const MAX_MEMBER_BYTES = 64 * 1024 * 1024;

export interface StoredMember {
  readonly name: string;
  /** Where the data begin in the file. */
  readonly offset: number;
  readonly data: Uint8Array;
}

/**
 * A member as it stands in the file, in pieces: its header, `data` itself, its padding. The same name and data make the
 * same bytes. Throws RangeError where the name does not fit a plain header.
 */
export async function packMember(name: string, data: Uint8Array): Promise<readonly Uint8Array[]> {
  const tar = pack();
  const header = { name, size: data.byteLength, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) };
  tar.entry(header, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  tar.finalize();
  const pieces = await piecesOf(tar);
  const fileBytes = pieces.reduce((total, piece) => total + piece.byteLength, 0);
  // Where a name does not fit, tar-stream puts a pax header in front.
  if (!isPlainName(name) || fileBytes !== memberBytes(data.byteLength) + END_BYTES) {
    throw new RangeError(`no plain tar header takes the name ${name}`);
  }
  return pieces.slice(0, -1);
}

/** How many bytes a member with so many bytes of data takes in the file. */
export function memberBytes(length: number): number {
  return HEADER_BYTES + Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
}

/** The end of the file. */
export async function containerEnd(): Promise<Uint8Array> {
  const tar = pack();
  tar.finalize();
  return Buffer.concat(await piecesOf(tar));
}

async function piecesOf(tar: Pack): Promise<readonly Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of tar) {
    if (piece instanceof Uint8Array) pieces.push(piece);
  }
  return pieces;
}

/** Printable ASCII, and not what tar readers take for a folder. */
function isPlainName(name: string): boolean {
  return /^[\x21-\x7e]+$/.test(name) && !name.endsWith('/');
}
