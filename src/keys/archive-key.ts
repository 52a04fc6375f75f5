/** A fresh 256-bit archive key in memory, overwritten as soon as the upload or the restore is done with it. */
import { randomBytes } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import type { ArchiveKey } from './port.ts';

export const ARCHIVE_KEY_BYTES = 32;

/** The key's name in the AWS Encryption SDK's keyring is the attempt: each attempt has one key, used nowhere else. */
export function freshArchiveKey(attempt: string): ArchiveKey {
  return new HeldArchiveKey(attempt, Uint8Array.from(randomBytes(ARCHIVE_KEY_BYTES)));
}

/** Takes over `bytes`: forgetting the key overwrites them. */
export function archiveKeyOf(attempt: string, bytes: Uint8Array): ArchiveKey {
  return new HeldArchiveKey(attempt, bytes);
}

class HeldArchiveKey implements ArchiveKey {
  readonly keyName: string;
  readonly #bytes: Uint8Array;
  #isForgotten = false;

  constructor(keyName: string, bytes: Uint8Array) {
    if (bytes.length !== ARCHIVE_KEY_BYTES) {
      throw new MoraineError('INTERNAL', `An archive key has ${ARCHIVE_KEY_BYTES} bytes, not ${bytes.length}.`);
    }
    this.keyName = keyName;
    this.#bytes = bytes;
  }

  bytes(): Uint8Array {
    if (this.#isForgotten) throw new MoraineError('INTERNAL', `The archive key ${this.keyName} was forgotten.`);
    return this.#bytes;
  }

  forget(): void {
    this.#isForgotten = true;
    this.#bytes.fill(0);
  }
}
