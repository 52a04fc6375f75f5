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

/** Libraries that find no X25519 in WebCrypto compute it themselves. */
const { subtle } = globalThis.crypto;
const importKey = subtle.importKey.bind(subtle) as (...args: unknown[]) => Promise<unknown>;
Object.defineProperty(subtle, 'importKey', {
  configurable: true,
  value: async (...args: readonly unknown[]): Promise<unknown> => {
    const algorithm = args[2];
    const isX25519 =
      typeof algorithm === 'object' && algorithm !== null && 'name' in algorithm && algorithm.name === 'X25519';
    if (isX25519) throw new DOMException('Computed in threads.', 'NotSupportedError');
    return await importKey(...args);
  },
});
