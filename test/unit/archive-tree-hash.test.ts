import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MerkleTree } from '../../src/archive/merkle.ts';
import { MIB, TreeHasher, treeHash } from '../../src/archive/tree-hash.ts';

const sha256 = (...parts: readonly Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();

/** The definition, written the slow way. */
function treeHashByDefinition(bytes: Uint8Array): string {
  let level: Buffer[] = [];
  for (let at = 0; at < bytes.byteLength; at += MIB) level.push(sha256(bytes.subarray(at, at + MIB)));
  while (level.length > 1) {
    level = level.flatMap((left, i) => {
      if (i % 2 === 1) return [];
      const right = level[i + 1];
      return [right === undefined ? left : sha256(left, right)];
    });
  }
  return level[0]!.toString('hex');
}

describe('tree hash', () => {
  test('vectors of the service', () => {
    expect(treeHash(Buffer.alloc(MIB, 'a'))).toMatch(/^9bc1b2a2.*b360$/);
    expect(treeHash(Buffer.alloc(4 * MIB, 'a'))).toMatch(/^9491cb2e.*b844$/);
    const abc = Buffer.from('abc'.repeat(1_234_567));
    expect(treeHash(abc)).toBe('5a245eddef1227623912286af0a6dd6f1a3cd67ad3d768c1490c2f8a0fafeca9');
  });

  test('of nothing is the SHA-256 of nothing', () => {
    expect(treeHash(new Uint8Array(0))).toBe(sha256().toString('hex'));
  });

  test('every number of leaves up to 17, in chunks of any size: as the definition says', () => {
    const bytes = Buffer.alloc(17 * MIB, 'moraine');
    for (let leaves = 1; leaves <= 17; leaves++) {
      const part = bytes.subarray(0, leaves * MIB - (leaves % 3));
      const hasher = new TreeHasher();
      for (let at = 0; at < part.byteLength; at += 700_001) hasher.update(part.subarray(at, at + 700_001));
      expect(hasher.bytes).toBe(part.byteLength);
      expect(hasher.digest()).toBe(treeHashByDefinition(part));
    }
  });
});

/** As RFC 9162 (2.1.1) builds it: split at the largest power of two below the count. A leaf is what was given. */
function merkleByDefinition(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return sha256(Uint8Array.of(1), merkleByDefinition(left), merkleByDefinition(right));
}

test('Merkle root: any number of leaves, in the shape that RFC 9162 defines', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 70 }), (leaves) => {
      const tree = new MerkleTree();
      for (const leaf of leaves) tree.add(leaf);
      expect(tree.root()).toBe(Buffer.from(merkleByDefinition(leaves)).toString('hex'));
    }),
  );
});
