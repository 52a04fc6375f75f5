import { createHash, createHmac } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { invalidParameter, invalidSignature } from './errors.ts';
import type { ChunkSeed } from './signature.ts';

/** What a client says its body hashes to when it signs each chunk of it instead. */
export const STREAMING_PAYLOAD = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';

const HEADER = /^([0-9a-fA-F]{1,8});chunk-signature=([0-9a-f]{64})$/;
const LONGEST_HEADER = 128;
/** A chunk is held until its signature is checked: clients send 64 KiB to a few MiB. */
const LARGEST_CHUNK_BYTES = 64 * 1024 * 1024;
const EMPTY_SHA256 = createHash('sha256').digest('hex');
const CRLF = Buffer.from('\r\n');

/**
 * Takes a body in `aws-chunked` and gives out its content: `SIZE;chunk-signature=HEX CRLF bytes CRLF`, the last chunk
 * empty. Each signature covers the one before, so that no chunk can be changed, left out or moved; nothing of a chunk
 * goes on before its signature was found right.
 */
export class ChunkDecoder extends Transform {
  readonly #seed: ChunkSeed;
  #previous: string;
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #held: Buffer = Buffer.alloc(0);
  #expected: { bytes: number; signature: string } | null = null;
  #isEnded = false;

  constructor(seed: ChunkSeed) {
    super();
    this.#seed = seed;
    this.#previous = seed.signature;
  }

  override _transform(data: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#pieces.push(data);
      this.#pieceBytes += data.length;
      // Put together only when a chunk is whole: each time would copy a large one over and over.
      if (this.#expected === null || this.#pieceBytes >= this.#expected.bytes + CRLF.length) this.#readAll();
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  override _flush(done: TransformCallback): void {
    const isWhole = this.#isEnded && this.#pieceBytes === 0;
    done(isWhole ? null : invalidParameter('The aws-chunked body ends before its last chunk.'));
  }

  #readAll(): void {
    this.#held = Buffer.concat(this.#pieces);
    while (this.#readOne());
    this.#pieces = [this.#held];
    this.#pieceBytes = this.#held.length;
  }

  /** Takes a header or a chunk from what is held; false when more has to come first. */
  #readOne(): boolean {
    if (this.#expected === null) return this.#readHeader();
    const { bytes, signature } = this.#expected;
    if (this.#held.length < bytes + CRLF.length) return false;
    const chunk = this.#held.subarray(0, bytes);
    if (!this.#held.subarray(bytes, bytes + CRLF.length).equals(CRLF)) throw malformed();
    if (this.#signatureOf(chunk) !== signature) {
      throw invalidSignature('The signature of a chunk that we calculated does not match the one you provided.');
    }
    this.#previous = signature;
    this.#held = this.#held.subarray(bytes + CRLF.length);
    this.#expected = null;
    if (bytes === 0) this.#isEnded = true;
    else this.push(chunk);
    return true;
  }

  #readHeader(): boolean {
    if (this.#held.length === 0) return false;
    if (this.#isEnded) throw malformed();
    const end = this.#held.subarray(0, LONGEST_HEADER).indexOf(CRLF);
    if (end < 0) {
      if (this.#held.length >= LONGEST_HEADER) throw malformed();
      return false;
    }
    const match = HEADER.exec(this.#held.subarray(0, end).toString('latin1'));
    const bytes = Number.parseInt(match?.[1] ?? '', 16);
    if (match === null || bytes > LARGEST_CHUNK_BYTES) throw malformed();
    this.#expected = { bytes, signature: match[2] ?? '' };
    this.#held = this.#held.subarray(end + CRLF.length);
    return true;
  }

  #signatureOf(chunk: Buffer): string {
    const { longDate, scope, key } = this.#seed;
    const hash = createHash('sha256').update(chunk).digest('hex');
    const toSign = ['AWS4-HMAC-SHA256-PAYLOAD', longDate, scope, this.#previous, EMPTY_SHA256, hash];
    return createHmac('sha256', key).update(toSign.join('\n')).digest('hex');
  }
}

const malformed = () => invalidParameter('The body is not in the form of aws-chunked.');
