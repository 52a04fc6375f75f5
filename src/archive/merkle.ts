/**
 * The Merkle root over an archive's records, as in RFC 9162 (2.1.1): it stays in the ledger when roster and copy are
 * gone, and shows later that a record with a known SHA-256 was in the archive. Leaves and nodes are hashed with
 * different prefixes, so that no node can be passed off as a record.
 */
import { hash } from 'node:crypto';
import { PairwiseRoots } from './tree-hash.ts';

const LEAF = 0;
const NODE = 1;
const HASH_BYTES = 32;

export class MerkleTree {
  readonly #nodes = new PairwiseRoots((left, right) => this.#hashNode(left, right));
  /** What is hashed next; made once, because two hashes per record make up most of the tree's cost. */
  readonly #leafInput = Buffer.alloc(1 + HASH_BYTES, LEAF);
  readonly #nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES, NODE);

  /** The SHA-256 (32 bytes) of the next record, in the order of the archive. */
  add(recordSha256: Uint8Array): void {
    this.#leafInput.set(recordSha256, 1);
    this.#nodes.add(hash('sha256', this.#leafInput, 'buffer'));
  }

  /** In hex. Of no records: the SHA-256 of nothing. */
  root(): string {
    return (this.#nodes.root() ?? hash('sha256', Buffer.alloc(0), 'buffer')).toString('hex');
  }

  #hashNode(left: Buffer, right: Buffer): Buffer {
    this.#nodeInput.set(left, 1);
    this.#nodeInput.set(right, 1 + HASH_BYTES);
    return hash('sha256', this.#nodeInput, 'buffer');
  }
}
