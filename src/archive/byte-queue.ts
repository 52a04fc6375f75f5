/** Bytes that come in chunks and go in pieces of any size, without being copied. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** How many bytes wait. */
  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
  }

  /** A copy of the first bytes that wait: `length` of them, or as many as there are. */
  first(length: number): Buffer {
    const first: Buffer[] = [];
    let missing = length;
    for (const chunk of this.#chunks) {
      if (missing <= 0) break;
      first.push(chunk.subarray(0, missing));
      missing -= chunk.byteLength;
    }
    return Buffer.concat(first);
  }

  /** Takes the first bytes off if they are `expected`; else says false and takes nothing. */
  take(expected: Uint8Array): boolean {
    let compared = 0;
    let whole = 0;
    let rest: Buffer | null = null;
    for (const chunk of this.#chunks) {
      const length = Math.min(chunk.byteLength, expected.byteLength - compared);
      if (chunk.compare(expected, compared, compared + length, 0, length) !== 0) return false;
      compared += length;
      if (length < chunk.byteLength) {
        rest = chunk.subarray(length);
        break;
      }
      whole += 1;
    }
    if (compared < expected.byteLength) return false;
    this.#chunks.splice(0, rest === null ? whole : whole + 1, ...(rest === null ? [] : [rest]));
    this.#bytes -= expected.byteLength;
    return true;
  }
}
