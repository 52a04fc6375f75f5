/**
 * The SHA-256 tree hash of the Glacier service: SHA-256 of each MiB, then pairwise up; an odd one moves up unchanged.
 * Memory does not grow with the file: only one node per level is kept, like the digits of a binary counter.
 */
import { createHash, type Hash, hash } from 'node:crypto';

export const MIB = 1024 * 1024;

export class TreeHasher {
  #leaf: Hash = createHash('sha256');
  #leafBytes = 0;
  #bytes = 0;
  readonly #nodes = new PairwiseRoots((left, right) => sha256(left, right));

  /** Bytes seen so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Chunks may have any size. */
  update(bytes: Uint8Array): void {
    this.#bytes += bytes.byteLength;
    let from = 0;
    while (from < bytes.byteLength) {
      const to = Math.min(bytes.byteLength, from + MIB - this.#leafBytes);
      this.#leaf.update(bytes.subarray(from, to));
      this.#leafBytes += to - from;
      from = to;
      if (this.#leafBytes === MIB) this.#closeLeaf();
    }
  }

  /** The tree hash in hex; ends the hasher. Of no bytes at all it is the SHA-256 of nothing. */
  digest(): string {
    if (this.#leafBytes > 0 || this.#bytes === 0) this.#closeLeaf();
    return this.#nodes.root()!.toString('hex');
  }

  #closeLeaf(): void {
    this.#nodes.add(this.#leaf.digest());
    this.#leaf = createHash('sha256');
    this.#leafBytes = 0;
  }
}

/** The tree hash of bytes that are in memory, in hex. */
export function treeHash(bytes: Uint8Array): string {
  const hasher = new TreeHasher();
  hasher.update(bytes);
  return hasher.digest();
}

/**
 * The root of a tree whose leaves come one by one: neighbours are joined pairwise, level by level, and an odd one moves
 * up unchanged. `roots[i]` is the root of a full subtree of 2^i leaves that waits for its right neighbour.
 */
export class PairwiseRoots {
  readonly #roots: (Buffer | undefined)[] = [];
  readonly #join: (left: Buffer, right: Buffer) => Buffer;

  constructor(join: (left: Buffer, right: Buffer) => Buffer) {
    this.#join = join;
  }

  add(leaf: Buffer): void {
    let node = leaf;
    let level = 0;
    for (let waiting = this.#roots[level]; waiting !== undefined; waiting = this.#roots[level]) {
      node = this.#join(waiting, node);
      this.#roots[level] = undefined;
      level += 1;
    }
    this.#roots[level] = node;
  }

  /** `undefined` when there was no leaf. Changes nothing, so leaves may follow. */
  root(): Buffer | undefined {
    let right: Buffer | undefined;
    for (const left of this.#roots) {
      if (left !== undefined) right = right === undefined ? left : this.#join(left, right);
    }
    return right;
  }
}

function sha256(left: Buffer, right: Buffer): Buffer {
  return hash('sha256', Buffer.concat([left, right]), 'buffer');
}
