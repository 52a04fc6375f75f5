import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { invalidParameter, uploadTimedOut } from './errors.ts';
import type { Segment } from './records.ts';
import { LeafHasher } from './tree-hash.ts';

export type StoredBody = { bytes: number; leaves: Buffer[] };

/** How much of a file is read at once when output is sent. */
const READ_BYTES = 256 * 1024;

/** How much of a body waits for the disk at most. */
const BUFFERED_BYTES = 4 * 1024 * 1024;

/**
 * Writes a request's body to a new file while hashing it; never holds more than a few MiB. When it does not arrive
 * in full, or is not what the signature covers, the file is removed again.
 */
export async function storeBody(body: Readable, path: string, contentSha256: string): Promise<StoredBody> {
  const file = await open(path, 'wx');
  try {
    const sink = new HashingSink(file);
    await pipeline(body, sink);
    checkPayload(contentSha256, sink.linear.digest('hex'));
    return { bytes: sink.bytes, leaves: sink.hasher.leaves() };
  } catch (error) {
    await rm(path, { force: true });
    if (error instanceof Error && 'code' in error && endedEarly.has(error.code)) throw uploadTimedOut();
    throw error;
  } finally {
    await file.close();
  }
}

/** Hashes what it is given while the disk writes the same bytes, so that the slower of the two sets the pace. */
class HashingSink extends Writable {
  readonly linear = createHash('sha256');
  readonly hasher = new LeafHasher();
  bytes = 0;
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    super({ highWaterMark: BUFFERED_BYTES });
    this.#file = file;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#take([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  #take(chunks: Buffer[], done: (error?: Error | null) => void): void {
    const writing = this.#file.appendFile(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    for (const chunk of chunks) {
      this.linear.update(chunk);
      this.hasher.update(chunk);
      this.bytes += chunk.byteLength;
    }
    writing.then(
      () => done(),
      (error: Error) => done(error),
    );
  }
}

/** A client that does not want to read a body twice signs without it; archives have their tree hash all the same. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/** The signature covers what the client says the body hashes to; this compares that with what came. */
export function checkPayload(claimed: string, computed: string): void {
  if (claimed === computed || claimed === UNSIGNED_PAYLOAD) return;
  throw invalidParameter(
    'The value passed in as x-amz-content-sha256 does not match the computed payload hash. ' +
      `Computed digest: ${computed} expected hash: ${claimed}`,
  );
}

/** The bytes `start..end` (inclusive) of an archive that is stored in these files. */
export function readSegments(folder: string, segments: readonly Segment[], start: number, end: number): Readable {
  async function* chunks(): AsyncGenerator<Buffer> {
    let offset = 0;
    for (const { file, bytes } of segments) {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end - offset, bytes - 1);
      if (from <= to) {
        yield* createReadStream(join(folder, file), { start: from, end: to, highWaterMark: READ_BYTES });
      }
      offset += bytes;
    }
  }
  return Readable.from(chunks(), { objectMode: false });
}

const endedEarly = new Set<unknown>(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR']);
