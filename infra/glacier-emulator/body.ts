import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { invalidParameter, uploadTimedOut } from './errors.ts';
import type { Segment } from './records.ts';
import { LeafHasher } from './tree-hash.ts';

export type StoredBody = { bytes: number; leaves: Buffer[] };

/** How much of a file is read at once when output is sent. */
const READ_BYTES = 256 * 1024;

/**
 * Writes a request's body to a new file while hashing it; never holds more than a few chunks. When it does not arrive
 * in full, or is not what the signature covers, the file is removed again.
 */
export async function storeBody(body: Readable, path: string, contentSha256: string): Promise<StoredBody> {
  const linear = createHash('sha256');
  const hasher = new LeafHasher();
  let bytes = 0;
  try {
    await pipeline(
      body,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          linear.update(chunk);
          hasher.update(chunk);
          bytes += chunk.byteLength;
          yield chunk;
        }
      },
      createWriteStream(path, { flags: 'wx' }),
    );
    checkPayload(contentSha256, linear.digest('hex'));
  } catch (error) {
    await rm(path, { force: true });
    if (error instanceof Error && 'code' in error && endedEarly.has(error.code)) throw uploadTimedOut();
    throw error;
  }
  return { bytes, leaves: hasher.leaves() };
}

/** The signature covers what the client says the body hashes to; this compares that with what came. */
export function checkPayload(claimed: string, computed: string): void {
  if (claimed === computed) return;
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
