import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { archiveKeyOf, freshArchiveKey } from '../../src/keys/archive-key.ts';
import { createKeys } from '../../src/keys/keys.ts';
import { readSigningKey } from '../../src/keys/signing.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';

const pemOf = () => String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
const bytes = new TextEncoder().encode('manifest');

function world() {
  let ms = Date.UTC(2026, 0, 1);
  const clock: Clock = { now: () => new Date(ms), monotonicMs: () => ms, sleep: async () => undefined };
  const stores = [new MemoryStore(clock)] as const;
  const keys = (environment: 'sandbox' | 'production', signingKeyPem?: string) =>
    createKeys({ stores, clock, environment, signingKeyPem, administratorsOf: () => [] });
  return {
    keys,
    passDay: () => {
      ms += 86_400_000;
    },
  };
}

describe('signing key', () => {
  it('production without signingKey: refused', async () => {
    await expect(world().keys('production').sign(bytes)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('signingKey replaces the made one: old signatures verify, its validity ends, the id is of the SPKI', async () => {
    const { keys, passDay } = world();
    const old = await keys('sandbox').sign(bytes);
    passDay();
    const pem = pemOf();
    const now = keys('production', pem);
    const signature = await now.sign(bytes);
    const spki = createPublicKey(pem).export({ type: 'spki', format: 'der' });
    expect(signature.keyId).toBe(createHash('sha256').update(spki).digest('hex').slice(0, 16));
    expect(signature.keyId).not.toBe(old.keyId);
    expect(await now.verify(bytes, old)).toBe(true);
    expect(await now.publicKeys()).toEqual([
      expect.objectContaining({ keyId: old.keyId, validFrom: new Date('2026-01-01'), validTo: new Date('2026-01-02') }),
      expect.objectContaining({ keyId: signature.keyId, validFrom: new Date('2026-01-02'), validTo: null }),
    ]);
  });

  it('a signature of one key under the id of another: false', async () => {
    const { keys } = world();
    const made = await keys('sandbox').sign(bytes);
    const other = keys('sandbox', pemOf());
    const signature = await other.sign(bytes);
    expect(await other.verify(bytes, { ...made, keyId: signature.keyId })).toBe(false);
  });

  it('not PEM, and not Ed25519: CONFIG_INVALID with the command that makes one', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    for (const text of ['nonsense', String(rsa)]) {
      expect(() => readSigningKey(text)).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID', hint: expect.stringContaining('openssl genpkey') }),
      );
    }
  });
});

describe('archive key', () => {
  it('forget overwrites the bytes, and reading afterwards throws', () => {
    const key = freshArchiveKey('attempt');
    const held = key.bytes();
    expect(held.some((byte) => byte !== 0)).toBe(true);
    key.forget();
    expect(held.every((byte) => byte === 0)).toBe(true);
    expect(() => key.bytes()).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
  it('has 256 bits', () => {
    expect(() => archiveKeyOf('attempt', new Uint8Array(16))).toThrow(/32 bytes/);
  });
});
