import { createHash } from 'node:crypto';

export const MIB = 1024 * 1024;

/**
 * Collects the leaves of a tree hash: the SHA-256 of each MiB, the last one possibly shorter.
 * Bytes may come in chunks of any size.
 */
export class LeafHasher {
  #hash = createHash('sha256');
  #filled = 0;
  readonly #leaves: Buffer[] = [];

  update(chunk: Uint8Array): void {
    let from = 0;
    while (from < chunk.byteLength) {
      const to = Math.min(chunk.byteLength, from + MIB - this.#filled);
      this.#hash.update(chunk.subarray(from, to));
      this.#filled += to - from;
      from = to;
      if (this.#filled === MIB) this.#closeLeaf();
    }
  }

  /** Ends the last leaf and returns all of them. */
  leaves(): Buffer[] {
    if (this.#filled > 0) this.#closeLeaf();
    return this.#leaves;
  }

  #closeLeaf(): void {
    this.#leaves.push(this.#hash.digest());
    this.#hash = createHash('sha256');
    this.#filled = 0;
  }
}

/** The root over these leaves, in hex: pairwise up, an odd one moves up unchanged. At least one leaf. */
export function treeHashOf(leaves: readonly Uint8Array[]): string {
  let level = leaves;
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i]!;
      const right = level[i + 1];
      next.push(right === undefined ? left : createHash('sha256').update(left).update(right).digest());
    }
    level = next;
  }
  const root = level[0];
  if (root === undefined) throw new RangeError('a tree hash needs at least one leaf');
  return Buffer.from(root).toString('hex');
}

const LEAF_BYTES = 32;

/** Leaves that were stored one after the other. */
export function splitLeaves(leaves: Buffer): Buffer[] {
  const split: Buffer[] = [];
  for (let at = 0; at < leaves.byteLength; at += LEAF_BYTES) split.push(leaves.subarray(at, at + LEAF_BYTES));
  return split;
}

/**
 * The tree hash of bytes `start..end` (inclusive) of an archive, or null when that range is not a node of the
 * archive's own tree: whole MiB [s, e) with, for some k, 2^k dividing s and e = min(s + 2^k, N).
 */
export function rangeTreeHash(
  leaves: readonly Uint8Array[],
  archiveBytes: number,
  start: number,
  end: number,
): string | null {
  if (start % MIB !== 0) return null;
  if ((end + 1) % MIB !== 0 && end !== archiveBytes - 1) return null;
  const first = start / MIB;
  const last = Math.ceil((end + 1) / MIB);
  if (!isNode(first, last, leaves.length)) return null;
  return treeHashOf(leaves.slice(first, last));
}

function isNode(first: number, last: number, leafCount: number): boolean {
  for (let width = 1; first % width === 0; width *= 2) {
    if (last === Math.min(first + width, leafCount)) return true;
    if (first + width >= leafCount) return false;
  }
  return false;
}
