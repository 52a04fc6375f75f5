/**
 * What this process knows of the parts that it sent: S3 keeps a SHA-256 for each part and a composite over them, but no
 * tree hash of the file. Parts are 2^n MiB, so their tree hashes are nodes of the file's tree, and the file's hash can be
 * computed from them. After a crash the attempt is abandoned, so nothing has to survive this process.
 */
import { createHash, hash } from 'node:crypto';
import { PairwiseRoots, treeHash } from '../archive/tree-hash.ts';

export interface SentPart {
  /** Base64, as S3 writes it. */
  readonly sha256: string;
  readonly treeHash: string;
  readonly bytes: number;
}

/** A completed upload may be completed again soon after, so its parts are not forgotten at once. */
const UPLOADS_REMEMBERED = 64;

export class SentParts {
  readonly #uploads = new Map<string, Map<number, SentPart>>();

  add(uploadId: string, index: number, part: SentPart): void {
    const parts = this.#uploads.get(uploadId) ?? new Map<number, SentPart>();
    parts.set(index, part);
    // Put at the end, so that the first one is the one that rested longest.
    this.#uploads.delete(uploadId);
    this.#uploads.set(uploadId, parts);
    const [oldest] = this.#uploads.keys();
    if (this.#uploads.size > UPLOADS_REMEMBERED && oldest !== undefined) this.#uploads.delete(oldest);
  }

  forget(uploadId: string): void {
    this.#uploads.delete(uploadId);
  }

  /** All parts in order, or null when this process did not send them all. */
  all(uploadId: string, count: number): readonly SentPart[] | null {
    const parts = this.#uploads.get(uploadId);
    if (parts === undefined || parts.size !== count) return null;
    const list = [...parts.entries()].sort(([a], [b]) => a - b);
    return list.every(([index], position) => index === position) ? list.map(([, part]) => part) : null;
  }
}

export function partOf(bytes: Uint8Array): SentPart {
  return { sha256: sha256Base64(bytes), treeHash: treeHash(bytes), bytes: bytes.byteLength };
}

export function sha256Base64(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64');
}

/** The tree hash of the file whose parts these are. */
export function treeHashOfParts(parts: readonly SentPart[]): string {
  const roots = new PairwiseRoots((left, right) => createHash('sha256').update(left).update(right).digest());
  for (const part of parts) roots.add(Buffer.from(part.treeHash, 'hex'));
  return roots.root()?.toString('hex') ?? '';
}

/** S3, "Checking object integrity": the composite is the SHA-256 of the parts' SHA-256, and their number. */
export function compositeSha256(partsBase64: readonly string[]): string {
  const digest = createHash('sha256');
  for (const part of partsBase64) digest.update(Buffer.from(part, 'base64'));
  return `${digest.digest('base64')}-${partsBase64.length}`;
}
