/**
 * The tar container (POSIX ustar), written and read by hand because an archive needs two things that a tar library
 * does not give: the exact offset of every member, for ranged retrieval, and a reader that accepts only what the writer
 * writes. A header is a function of name and size alone, so a flipped bit in a header, in padding or in the end marker
 * is found, and the error names the member. Tests hold it against the system's tar and against tar-stream.
 */
import { corrupt } from './corrupt.ts';

const BLOCK_BYTES = 512;
/** Two zero blocks end a tar file. */
const END_BYTES = 2 * BLOCK_BYTES;
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const PREFIX_OFFSET = 345;
const CHECKSUM_OFFSET = 148;
const SIZE_OFFSET = 124;
/**
 * No member comes near this: the largest holds one document of 16 MiB, or one index entry with a key of that size
 * twice. It bounds what a reader takes into memory.
 */
export const MAX_MEMBER_BYTES = 64 * 1024 * 1024;

/** The header block of a member. Owner, group and time are fixed, so that the same members make the same bytes. */
export function memberHeader(name: string, length: number): Uint8Array {
  const { prefix, base } = splitName(name);
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(base, 0, 'utf8');
  header.write('0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  header.write(`${length.toString(8).padStart(11, '0')}\0`, SIZE_OFFSET, 'latin1');
  header.write('00000000000\0', 136, 'latin1');
  header.write('        ', CHECKSUM_OFFSET, 'latin1');
  header.write('0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  header.write('0000000\0', 329, 'latin1');
  header.write('0000000\0', 337, 'latin1');
  header.write(prefix, PREFIX_OFFSET, 'utf8');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, CHECKSUM_OFFSET, 'latin1');
  return header;
}

/** The zeros after a member's data. */
export function memberPadding(length: number): Uint8Array {
  return Buffer.alloc(paddingBytes(length));
}

/** The end of the file. */
export function containerEnd(): Uint8Array {
  return Buffer.alloc(END_BYTES);
}

export interface StoredMember {
  readonly name: string;
  /** Where the data begin in the file. */
  readonly offset: number;
  readonly data: Uint8Array;
}

/** The members of a tar file, one after the other, each whole in memory. Throws ARCHIVE_CORRUPT. */
export async function* readMembers(stream: AsyncIterable<Uint8Array>): AsyncGenerator<StoredMember> {
  const file = new ByteReader(stream);
  let before = 'the beginning of the file';
  try {
    for (;;) {
      const header = await file.take(BLOCK_BYTES, `the header after ${before}`);
      if (isZero(header)) return await readEnd(file);
      const { name, length } = parseHeader(header, before);
      const offset = file.offset;
      const data = await file.take(length, name);
      if (!isZero(await file.take(paddingBytes(length), name))) {
        throw corrupt(name, 'the padding after its data is not zero');
      }
      yield { name, offset, data };
      before = name;
    }
  } finally {
    await file.close();
  }
}

async function readEnd(file: ByteReader): Promise<void> {
  if (!isZero(await file.take(END_BYTES - BLOCK_BYTES, 'the end of the file'))) {
    throw corrupt('the end of the file', 'the second closing block is not zero');
  }
  if (!(await file.isAtEnd())) throw corrupt('the end of the file', `more bytes follow after byte ${file.offset}`);
}

function parseHeader(header: Uint8Array, before: string): { name: string; length: number } {
  const damaged = corrupt(`the header after ${before}`, 'it is damaged, or not one that Moraine wrote');
  const name = [text(header, PREFIX_OFFSET, PREFIX_BYTES), text(header, 0, NAME_BYTES)].filter(Boolean).join('/');
  const digits = text(header, SIZE_OFFSET, 12);
  const length = Number.parseInt(digits, 8);
  if (!/^[0-7]{11}$/.test(digits) || !isFitName(name)) throw damaged;
  if (Buffer.compare(header, memberHeader(name, length)) !== 0) throw damaged;
  if (length > MAX_MEMBER_BYTES) throw corrupt(name, `it says it has ${length} bytes, more than any member has`);
  return { name, length };
}

/** A name goes into the name field, or is cut at a slash into prefix and name. */
function splitName(name: string): { prefix: string; base: string } {
  if (!isFitName(name)) throw new RangeError(`no plain tar header takes the name ${name}`);
  if (name.length <= NAME_BYTES) return { prefix: '', base: name };
  const slash = name.lastIndexOf('/');
  return { prefix: name.slice(0, slash), base: name.slice(slash + 1) };
}

function isFitName(name: string): boolean {
  if (!/^[\x21-\x7e]+$/.test(name)) return false;
  const slash = name.lastIndexOf('/');
  return name.length <= NAME_BYTES || (slash > 0 && slash <= PREFIX_BYTES && name.length - slash - 1 <= NAME_BYTES);
}

function text(header: Uint8Array, offset: number, length: number): string {
  const field = Buffer.from(header.buffer, header.byteOffset + offset, length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end === -1 ? length : end);
}

function paddingBytes(length: number): number {
  return (BLOCK_BYTES - (length % BLOCK_BYTES)) % BLOCK_BYTES;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Takes exact numbers of bytes from a stream of chunks, and holds no more than one chunk beyond what was asked. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  get offset(): number {
    return this.#offset;
  }

  /** `part` names, for the error, what the bytes belong to. */
  async take(length: number, part: string): Promise<Uint8Array> {
    const taken = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      if (this.#chunk.byteLength === 0 && !(await this.#next())) {
        throw corrupt(part, `the file ends at byte ${this.#offset}, ${filled} of ${length} bytes into it`);
      }
      const piece = this.#chunk.subarray(0, length - filled);
      taken.set(piece, filled);
      filled += piece.byteLength;
      this.#offset += piece.byteLength;
      this.#chunk = this.#chunk.subarray(piece.byteLength);
    }
    return taken;
  }

  /** Lets the stream go, wherever reading stopped. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async isAtEnd(): Promise<boolean> {
    return this.#chunk.byteLength === 0 && !(await this.#next());
  }

  /** The next chunk that has bytes; false at the end of the stream. */
  async #next(): Promise<boolean> {
    for (;;) {
      const { value, done } = await this.#chunks.next();
      if (done === true) return false;
      if (value.byteLength === 0) continue;
      this.#chunk = value;
      return true;
    }
  }
}
