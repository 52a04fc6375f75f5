/**
 * Where fetched outputs of retrievals lie until they are read: encrypted archive files, or parts of them, as they came
 * out of a vault. Whoever holds this folder can read nothing in it; what opens it is an administrator's identity.
 */
import type { ByteRange } from './port.ts';

/** Names are ids of retrievals. */
export interface RetrievalFiles {
  /** How long a fetched file is kept when nobody reads it. */
  readonly keepMs: number;
  /**
   * Writes under a temporary name and renames when all of it is on the disk, so that a file of this name is whole.
   * `check` is called before the rename and may throw. Replaces what is there.
   */
  write(name: string, chunks: AsyncIterable<Uint8Array>, check: () => void): Promise<void>;
  /** Null: there is no such file here. */
  read(name: string, range: ByteRange): Promise<Uint8Array | null>;
  has(name: string): Promise<boolean>;
  /** Idempotent. */
  remove(name: string): Promise<void>;
  /** Every whole file, and removes what a write that was cut left behind longer than `cutBefore` ago. */
  names(cutBefore: Date): AsyncIterable<string>;
}
