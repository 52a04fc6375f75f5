/**
 * Compression, random bytes and key agreement on the spot instead of in Node's threads: when a thread answers is the
 * machine's affair, and no order in a simulated life may hang on that. Same algorithms, same bytes. Has to be imported
 * before the code that uses them.
 */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import zlib, { type ZstdOptions } from 'node:zlib';

type Callback<T> = (error: Error | null, result: T) => void;

function compressed(compute: (input: Uint8Array, options?: ZstdOptions) => Buffer) {
  return (input: Uint8Array, options: ZstdOptions | Callback<Buffer>, callback?: Callback<Buffer>): void => {
    const [settings, done] = typeof options === 'function' ? [undefined, options] : [options, callback];
    try {
      const result = compute(input, settings);
      queueMicrotask(() => done?.(null, result));
    } catch (error) {
      const failed = error instanceof Error ? error : new Error(String(error));
      queueMicrotask(() => done?.(failed, Buffer.alloc(0)));
    }
  };
}

const randomBytes = crypto.randomBytes.bind(crypto);

function randomBytesNow(size: number, callback?: Callback<Buffer>): Buffer | undefined {
  const bytes = randomBytes(size);
  if (callback === undefined) return bytes;
  queueMicrotask(() => callback(null, bytes));
  return undefined;
}

Object.assign(zlib, {
  zstdCompress: compressed(zlib.zstdCompressSync),
  zstdDecompress: compressed(zlib.zstdDecompressSync),
});
Object.assign(crypto, { randomBytes: randomBytesNow });
syncBuiltinESMExports();

/** X25519 of WebCrypto, of what `age-encryption` asks it for: a private key, a public key, what the two agree on. */
const X25519_KEYS = new WeakMap<object, crypto.KeyObject>();
const { subtle } = globalThis.crypto;
const importKey = subtle.importKey.bind(subtle) as (...args: unknown[]) => Promise<unknown>;
const deriveBits = subtle.deriveBits.bind(subtle) as (...args: unknown[]) => Promise<ArrayBuffer>;

Object.defineProperty(subtle, 'importKey', {
  configurable: true,
  value: async (...args: readonly unknown[]): Promise<unknown> => {
    const [format, bytes, algorithm] = args;
    if (!isX25519(algorithm) || !(bytes instanceof Uint8Array)) return await importKey(...args);
    const key = {};
    X25519_KEYS.set(key, format === 'raw' ? publicKey(bytes) : privateKey(bytes));
    return key;
  },
});
Object.defineProperty(subtle, 'deriveBits', {
  configurable: true,
  value: async (...args: readonly unknown[]): Promise<ArrayBuffer> => {
    const [algorithm, key] = args;
    const publicKeyObject = isX25519(algorithm) ? X25519_KEYS.get(algorithm.public ?? {}) : undefined;
    const privateKeyObject = typeof key === 'object' && key !== null ? X25519_KEYS.get(key) : undefined;
    if (publicKeyObject === undefined || privateKeyObject === undefined) return await deriveBits(...args);
    return Uint8Array.from(crypto.diffieHellman({ privateKey: privateKeyObject, publicKey: publicKeyObject })).buffer;
  },
});

function isX25519(algorithm: unknown): algorithm is { readonly name: 'X25519'; readonly public?: object } {
  return typeof algorithm === 'object' && algorithm !== null && 'name' in algorithm && algorithm.name === 'X25519';
}

function publicKey(bytes: Uint8Array): crypto.KeyObject {
  const x = Buffer.from(bytes).toString('base64url');
  return crypto.createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
}

function privateKey(pkcs8: Uint8Array): crypto.KeyObject {
  return crypto.createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
}
