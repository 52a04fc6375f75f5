/**
 * KMS in memory, for tests and simulations: both halves, and what a person does to a key. It obeys the contract suite, as
 * the real service does: another context, another key and a changed byte are refused, and so is all use of a key that is
 * disabled or on its way out.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import { ARCHIVE_KEY_BYTES } from './archive-key.ts';
import type { KmsContext, KmsDataKey, KmsKeyState, KmsOpening, KmsWrapped, KmsWrapping } from './kms.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class MemoryKms implements KmsWrapping, KmsOpening {
  readonly key: string;
  readonly #material = randomBytes(32);
  #state: KmsKeyState = { condition: 'enabled', deletedAt: null, isRotated: false };
  /** How often each half was asked. */
  readonly calls = { generate: 0, decrypt: 0 };

  constructor(key: string) {
    this.key = key;
  }

  become(state: Partial<KmsKeyState>): void {
    this.#state = { ...this.#state, ...state };
  }

  async generateDataKey(context: KmsContext): Promise<KmsDataKey> {
    this.calls.generate += 1;
    this.#assertUsable();
    const plaintext = Uint8Array.from(randomBytes(ARCHIVE_KEY_BYTES));
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#material, nonce).setAAD(aad(context));
    const ciphertext = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    return { plaintext, wrapped: { key: this.key, ciphertext: Uint8Array.from(ciphertext), context } };
  }

  async decrypt({ key, ciphertext, context }: KmsWrapped): Promise<Uint8Array> {
    this.calls.decrypt += 1;
    this.#assertUsable();
    if (key !== this.key) throw new MoraineError('KEY_MISSING', `${this.key} did not wrap this archive key.`);
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#material, ciphertext.subarray(0, NONCE_BYTES));
      decipher.setAAD(aad(context)).setAuthTag(ciphertext.subarray(-TAG_BYTES));
      const body = ciphertext.subarray(NONCE_BYTES, -TAG_BYTES);
      return Uint8Array.from(Buffer.concat([decipher.update(body), decipher.final()]));
    } catch (cause) {
      throw new MoraineError('KEY_MISSING', `${this.key} does not open this archive key.`, { cause });
    }
  }

  async describeKey(): Promise<KmsKeyState> {
    return this.#state;
  }

  #assertUsable(): void {
    const { condition } = this.#state;
    if (condition !== 'enabled') throw new MoraineError('KMS_REFUSED', `${this.key} is ${condition}.`);
  }
}

function aad(context: KmsContext): Buffer {
  return Buffer.from(canonicalJson({ ...context }), 'utf8');
}
