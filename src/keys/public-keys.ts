/** Public signing keys as they are handed to others: what a verifier has who trusts neither ledger nor key store. */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import type { Signature } from './port.ts';

const KEY_ID_LENGTH = 16;

/** First 16 hex digits of the SHA-256 of the public key's SPKI (DER). */
export function signingKeyId(publicKey: KeyObject): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex').slice(0, KEY_ID_LENGTH);
}

/** By their ids. */
export type PublicKeys = ReadonlyMap<string, KeyObject>;

const PEM = /-----BEGIN PUBLIC KEY-----[\s\S]*?-----END PUBLIC KEY-----/g;

/** All public keys of a text in PEM form; what stands between them is no matter. Throws USAGE where there is none, or another kind. */
export function readPublicKeys(text: string, file: string): PublicKeys {
  const keys = new Map<string, KeyObject>();
  for (const pem of text.match(PEM) ?? []) {
    let key: KeyObject;
    try {
      key = createPublicKey(pem);
    } catch (cause) {
      throw notAKey(file, 'a public key in it cannot be read', cause);
    }
    if (key.asymmetricKeyType !== 'ed25519') throw notAKey(file, `it holds a key of kind ${key.asymmetricKeyType}`);
    keys.set(signingKeyId(key), key);
  }
  if (keys.size === 0) throw notAKey(file, 'it holds no public key in PEM form');
  return keys;
}

/** False also for a key that is not among them. */
export function isSignedBy(keys: PublicKeys, text: string, { keyId, bytes }: Signature): boolean {
  const key = keys.get(keyId);
  return key !== undefined && verify(null, Buffer.from(text, 'utf8'), key, bytes);
}

function notAKey(file: string, why: string, cause?: unknown): MoraineError {
  return new MoraineError('USAGE', `${file} is no file of public keys: ${why}.`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'It is what `moraine certificate keys` prints: PEM, "BEGIN PUBLIC KEY", Ed25519.',
    ids: { file },
  });
}
