/** The tree hash of a file against one SHA-256 over it, both by chunks as they come out of the sealing. */
import { createHash, randomBytes } from 'node:crypto';
import { TreeHasher } from '../src/archive/tree-hash.ts';
import { median, ratio, seconds } from './figures.ts';

const MIB = 1024 * 1024;
const FILE_MIB = 1024;
/** No divisor of a MiB, as members of an archive have any length. */
const CHUNK_BYTES = 200_000;
const ROUNDS = 5;

export async function measureTreeHash(): Promise<readonly string[]> {
  const chunk = randomBytes(CHUNK_BYTES);
  const chunks = Math.ceil((FILE_MIB * MIB) / CHUNK_BYTES);
  const onePass: number[] = [];
  const tree: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    onePass.push(FILE_MIB / (await seconds(() => hashWith(createHash('sha256'), chunk, chunks))));
    tree.push(FILE_MIB / (await seconds(() => hashWith(new TreeHasher(), chunk, chunks))));
  }
  return [
    `tree hash of ${FILE_MIB} MiB in chunks of ${CHUNK_BYTES} bytes, median of ${ROUNDS} rounds in turn`,
    `  one SHA-256                            ${median(onePass).toFixed(0)} MiB/s`,
    `  tree hash                              ${median(tree).toFixed(0)} MiB/s   ratio ${ratio(tree, onePass)}`,
  ];
}

async function hashWith(
  hasher: { update(bytes: Uint8Array): unknown; digest(): unknown },
  chunk: Uint8Array,
  chunks: number,
): Promise<void> {
  for (let at = 0; at < chunks; at++) hasher.update(chunk);
  hasher.digest();
}
