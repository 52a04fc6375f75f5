/**
 * The Ed25519 key that signs manifests and certificates. Moraine makes one at first use in the key store, of two
 * makers one wins; `signingKey: FILE` replaces it, and production requires that. Every public key that ever signed
 * is kept, so that old signatures verify.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import { update } from '../ledger/update.ts';
import { KEY_COLLECTIONS, KEY_DOCUMENT_VERSION, type MadeSigningKey, type PublicSigningKey } from './documents.ts';
import type { KeyStore } from './key-store.ts';
import type { Signature, SigningPublicKey } from './port.ts';
import { signingKeyId } from './public-keys.ts';

/** Reads a private Ed25519 key from PEM (PKCS #8). Throws CONFIG_INVALID. */
export function readSigningKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new MoraineError('CONFIG_INVALID', 'signingKey: the file holds no private key in PEM form.', {
      cause,
      hint: SIGNING_KEY_HINT,
    });
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new MoraineError('CONFIG_INVALID', `signingKey: expected an Ed25519 key, found ${key.asymmetricKeyType}.`, {
      hint: SIGNING_KEY_HINT,
    });
  }
  return key;
}

const SIGNING_KEY_HINT = 'Make one with `openssl genpkey -algorithm ed25519 -out signing-key.pem`.';

export interface SigningKeyOptions {
  readonly environment: Environment;
  /** The text of `signingKey: FILE`. */
  readonly signingKeyPem: string | undefined;
}

export class SigningKeys {
  readonly #store: KeyStore;
  readonly #options: SigningKeyOptions;
  #current: Promise<{ readonly keyId: string; readonly privateKey: KeyObject }> | undefined;

  constructor(store: KeyStore, options: SigningKeyOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Throws CONFIG_INVALID in production without `signingKey: FILE`. */
  async sign(bytes: Uint8Array): Promise<Signature> {
    const { keyId, privateKey } = await this.#load();
    return { keyId, bytes: sign(null, bytes, privateKey) };
  }

  /** False for a wrong signature, and for one by a key that this installation never had. */
  async verify(bytes: Uint8Array, signature: Signature): Promise<boolean> {
    const known = await this.#store.first<PublicSigningKey>(KEY_COLLECTIONS.publicKeys).get(signature.keyId);
    if (known === null) return false;
    const publicKey = createPublicKey(known.pem);
    // The id is derived again: a public key put under another's id in the key store verifies nothing.
    return signingKeyId(publicKey) === signature.keyId && verify(null, bytes, publicKey, signature.bytes);
  }

  /** Oldest first; the one that signs now has no `validTo`. */
  async publicKeys(): Promise<readonly SigningPublicKey[]> {
    await this.#load();
    const keys: SigningPublicKey[] = [];
    const found = this.#store
      .first<PublicSigningKey>(KEY_COLLECTIONS.publicKeys)
      .find({}, { sort: { validFrom: 1, _id: 1 } });
    for await (const { _id, pem, validFrom, validTo } of found) keys.push({ keyId: _id, pem, validFrom, validTo });
    return keys;
  }

  #load() {
    this.#current ??= this.#open().catch((error) => {
      this.#current = undefined;
      throw error;
    });
    return this.#current;
  }

  async #open() {
    const privateKey = await this.#privateKey();
    const publicKey = createPublicKey(privateKey);
    const keyId = signingKeyId(publicKey);
    const pem = String(publicKey.export({ type: 'spki', format: 'pem' }));
    const now = this.#store.now();
    for (const collection of this.#store.all<PublicSigningKey>(KEY_COLLECTIONS.publicKeys)) {
      // Ours first: at no moment is there no key that signs.
      await collection.insert({ _id: keyId, v: KEY_DOCUMENT_VERSION, pem, validFrom: now, validTo: null });
      await update(collection, keyId, (key) => (key.validTo === null ? null : { ...key, validTo: null }));
      for await (const other of collection.find({ validTo: null, _id: { $ne: keyId } })) {
        await update(collection, other._id, (key) => (key.validTo === null ? { ...key, validTo: now } : null));
      }
    }
    return { keyId, privateKey };
  }

  async #privateKey(): Promise<KeyObject> {
    const { environment, signingKeyPem } = this.#options;
    if (signingKeyPem !== undefined) return readSigningKey(signingKeyPem);
    if (environment === 'production') {
      throw new MoraineError('CONFIG_INVALID', 'moraine.yaml: signingKey: production needs a signing key of its own.', {
        hint: SIGNING_KEY_HINT,
      });
    }
    const made = await this.#store.singleton<MadeSigningKey>(
      KEY_COLLECTIONS.signingKeys,
      'made',
      () => ({
        _id: 'made',
        v: KEY_DOCUMENT_VERSION,
        privatePem: String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })),
        createdAt: this.#store.now(),
      }),
      (a, b) => a.privatePem === b.privatePem,
    );
    return readSigningKey(made.privatePem);
  }
}
