/**
 * Reads the tar container with tar-stream, which looks at header checksums and nothing else: not at padding, nor at what
 * follows the end, and it takes links, folders and pax headers. So a member is accepted only when, packed again, it
 * gives exactly the bytes that stand in its place, which begins where the member before it ended; and a file only when
 * nothing but the end marker is left. A flipped bit anywhere is found, and the error names the member.
 */
import { type ExtractEvents, extract, type Header } from 'tar-stream';
import type { MoraineError } from '../errors.ts';
import { ByteQueue } from './byte-queue.ts';
import {
  containerEnd,
  END_BYTES,
  HEADER_BYTES,
  MAX_MEMBER_BYTES,
  memberBytes,
  packMember,
  type StoredMember,
} from './container.ts';
import { corrupt } from './corrupt.ts';

/**
 * The members of a tar file, one after the other, each whole in memory. Holds one member and one chunk of the stream,
 * which must not write into a chunk that it has given out. Throws ARCHIVE_CORRUPT, and what the stream throws; lets the
 * stream go, wherever reading stopped.
 */
export async function* readMembers(stream: AsyncIterable<Uint8Array>): AsyncGenerator<StoredMember> {
  const file = new ContainerReader();
  try {
    for await (const chunk of stream) {
      await file.write(chunk);
      yield* file.wholeMembers();
      file.assertSound();
    }
    await file.end();
    yield* file.wholeMembers();
    await file.assertEnd();
  } finally {
    file.close();
  }
}

/** A member that tar-stream came upon. */
interface FoundMember {
  readonly name: string;
  readonly length: number;
  /** What stands before it, for errors about its header. */
  readonly before: string;
  readonly parts: Uint8Array[];
}

/** tar-stream, and beside it the bytes that it was given and that no accepted member accounts for yet. */
class ContainerReader {
  // Any chunk fills it: it drains, and a write ends, only when the whole chunk was parsed.
  readonly #tar = extract({ highWaterMark: 1 });
  readonly #given = new ByteQueue();
  /** Where `#given` begins in the file. */
  #offset = 0;
  /** The member whose data are arriving. */
  #open: FoundMember | null = null;
  /** Members whose data are complete and were not compared yet. */
  readonly #complete: FoundMember[] = [];
  #lastName = 'the beginning of the file';
  /** What we did not let tar-stream read on from. */
  #refusal: MoraineError | null = null;
  #parseError: Error | null = null;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor() {
    this.#tar.on('entry', (...entry) => this.#onEntry(...entry));
    this.#tar.on('drain', () => this.#wake());
    this.#tar.on('error', (error: Error) => {
      this.#parseError = error;
    });
    this.#tar.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** Resolves when tar-stream has parsed the chunk, or has stopped. */
  async write(chunk: Uint8Array): Promise<void> {
    // An empty chunk does not fill it, so nothing would drain.
    if (this.#isClosed || chunk.byteLength === 0) return;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#given.push(bytes);
    await this.#wokenAfter(() => this.#tar.write(bytes));
  }

  async end(): Promise<void> {
    if (!this.#isClosed) await this.#wokenAfter(() => this.#tar.end(null));
  }

  close(): void {
    this.#tar.destroy();
  }

  /** The members that are there to the last byte of their padding. */
  async *wholeMembers(): AsyncGenerator<StoredMember> {
    for (;;) {
      const member = this.#complete[0];
      if (member === undefined || this.#given.bytes < memberBytes(member.length)) return;
      this.#complete.shift();
      const data = Buffer.concat(member.parts, member.length);
      await this.#accept(member, data);
      const offset = this.#offset + HEADER_BYTES;
      this.#offset += memberBytes(member.length);
      yield { name: member.name, offset, data };
    }
  }

  /** Throws unless what was given so far can go on to be a file of ours. */
  assertSound(): void {
    if (this.#refusal !== null) throw this.#refusal;
    const isInMember = this.#open !== null || this.#complete.length > 0;
    if (this.#parseError !== null || (!isInMember && this.#given.bytes > END_BYTES)) throw this.#notOurs();
  }

  /** Throws unless what follows the last member is the end of the file, all of it and nothing else. */
  async assertEnd(): Promise<void> {
    if (this.#refusal !== null) throw this.#refusal;
    const member = this.#open ?? this.#complete[0];
    if (member !== undefined) throw this.#cutIn(member.name);
    if (this.#given.bytes < HEADER_BYTES) throw this.#cutIn(headerAfter(this.#lastName));
    if (this.#isAtEndMarker() && this.#given.bytes < END_BYTES) throw this.#cutIn('the end of the file');
    if (this.#given.bytes !== END_BYTES || !this.#given.take(await containerEnd())) throw this.#notOurs();
  }

  /** Compares the member with the bytes that stand in its place. */
  async #accept(member: FoundMember, data: Buffer): Promise<void> {
    let pieces: readonly Uint8Array[];
    try {
      pieces = await packMember(member.name, data);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw damagedHeader(member.before, cause);
    }
    for (const [i, piece] of pieces.entries()) {
      if (this.#given.take(piece)) continue;
      throw i === 0 ? damagedHeader(member.before) : corrupt(member.name, 'the padding after its data is not zero');
    }
  }

  #onEntry(...[header, body, next]: ExtractEvents['entry']): void {
    const member: FoundMember = { name: header.name, length: header.size, before: this.#lastName, parts: [] };
    this.#refusal = refusalOf(header, member.before);
    if (this.#refusal !== null) {
      this.#tar.destroy();
      return;
    }
    this.#lastName = member.name;
    this.#open = member;
    body.on('data', (part) => {
      if (part instanceof Uint8Array) member.parts.push(part);
    });
    body.on('end', () => {
      this.#open = null;
      this.#complete.push(member);
      next();
    });
    // A file that breaks off in the middle: #open says so.
    body.on('error', () => undefined);
  }

  async #wokenAfter(act: () => void): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    act();
    await woken;
  }

  #isAtEndMarker(): boolean {
    return isZero(this.#given.first(HEADER_BYTES));
  }

  #cutIn(part: string): MoraineError {
    return corrupt(part, `the file ends at byte ${this.#offset + this.#given.bytes}, inside of it`);
  }

  /** What is wrong with bytes after the last accepted member that are neither a member nor the end. */
  #notOurs(): MoraineError {
    if (!this.#isAtEndMarker()) return damagedHeader(this.#lastName, this.#parseError);
    const what = isZero(this.#given.first(END_BYTES))
      ? `more bytes follow after byte ${this.#offset + END_BYTES}`
      : 'the second closing block is not zero';
    return corrupt('the end of the file', what);
  }
}

/** Why a member's data are not even looked at. Of a folder, tar-stream never says that it ended. */
function refusalOf({ name, type, size }: Header, before: string): MoraineError | null {
  if (type !== 'file') return damagedHeader(before);
  if (size <= MAX_MEMBER_BYTES) return null;
  return corrupt(name, `it says it has ${size} bytes, more than any member has`);
}

function headerAfter(before: string): string {
  return `the header after ${before}`;
}

function damagedHeader(before: string, cause: unknown = null): MoraineError {
  return corrupt(headerAfter(before), 'it is damaged, or not one that Moraine wrote', cause === null ? {} : { cause });
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
