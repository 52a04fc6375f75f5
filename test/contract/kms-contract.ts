/** What KMS must do for us, on the fake and on an emulator: every refusal that promise 8 and 9 stand on. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { id } from '../../src/ids.ts';
import { type KmsContext, type KmsOpening, type KmsWrapping, kmsKeyFaults } from '../../src/keys/kms.ts';
import { openWithKms } from '../../src/keys/kms-opening.ts';

export interface KmsWorld {
  /** A key of its own, enabled, without rotation. */
  newKey(): Promise<KmsTestKey>;
  /** A key that was never there. */
  missingKey(): KmsWrapping;
  close(): Promise<void>;
}

export interface KmsTestKey {
  readonly wrapping: KmsWrapping;
  readonly opening: KmsOpening;
  disable(): Promise<void>;
  enable(): Promise<void>;
  scheduleDeletion(): Promise<void>;
  cancelDeletion(): Promise<void>;
  rotate(): Promise<void>;
}

const A_DAY_MS = 86_400_000;

export function kmsContract(name: string, open: () => Promise<KmsWorld>, setupMs: number) {
  describe(`kms contract: ${name}`, () => {
    let world: KmsWorld;
    beforeAll(async () => {
      world = await open();
    }, setupMs);
    afterAll(async () => world?.close());

    const contextOf = (more: Partial<KmsContext> = {}): KmsContext => {
      const own = { archive: `archive-${randomUUID()}`, attempt: `attempt-${randomUUID()}` };
      return { installation: 'here', owner: 'acme', customer: 'oid:64b7', ...own, ...more };
    };

    it('a data key comes in the clear and wrapped, and opens to the same 32 bytes; no two are the same', async () => {
      const { wrapping, opening } = await world.newKey();
      const [a, b] = [await wrapping.generateDataKey(contextOf()), await wrapping.generateDataKey(contextOf())];
      expect(a.plaintext).toHaveLength(32);
      expect(Buffer.from(a.plaintext).equals(b.plaintext)).toBe(false);
      expect(Buffer.from(a.wrapped.ciphertext).includes(Buffer.from(a.plaintext))).toBe(false);
      expect(a.wrapped.key).toBe(wrapping.key);
      expect(Buffer.from(await opening.decrypt(a.wrapped)).equals(a.plaintext)).toBe(true);
      expect(Buffer.from(await opening.decrypt(b.wrapped)).equals(b.plaintext)).toBe(true);
    });

    it.each(['installation', 'owner', 'customer', 'archive', 'attempt'] as const)(
      'another %s in the context: KEY_MISSING, whatever the ciphertext',
      async (field) => {
        const { wrapping, opening } = await world.newKey();
        const { wrapped } = await wrapping.generateDataKey(contextOf());
        const context = { ...wrapped.context, [field]: 'another' };
        await expect(opening.decrypt({ ...wrapped, context })).rejects.toMatchObject({ code: 'KEY_MISSING' });
      },
    );

    it('a flipped byte, and another key: refused', async () => {
      const { wrapping, opening } = await world.newKey();
      const other = await world.newKey();
      const { wrapped } = await wrapping.generateDataKey(contextOf());
      const ciphertext = wrapped.ciphertext.map((byte, at) => (at === wrapped.ciphertext.length - 1 ? byte ^ 1 : byte));
      await expect(opening.decrypt({ ...wrapped, ciphertext })).rejects.toMatchObject({ code: 'KEY_MISSING' });
      const elsewhere = other.opening.decrypt({ ...wrapped, key: other.wrapping.key });
      await expect(elsewhere).rejects.toMatchObject({ code: 'KEY_MISSING' });
    });

    it('a disabled key: makes nothing, opens nothing, and opens again when it is enabled', async () => {
      const key = await world.newKey();
      const { plaintext, wrapped } = await key.wrapping.generateDataKey(contextOf());
      await key.disable();
      await expect(key.wrapping.generateDataKey(contextOf())).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      await expect(key.opening.decrypt(wrapped)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      expect(await key.wrapping.describeKey()).toMatchObject({ condition: 'disabled', deletedAt: null });
      await key.enable();
      expect(Buffer.from(await key.opening.decrypt(wrapped)).equals(plaintext)).toBe(true);
    });

    it('a key that is scheduled for deletion: says when, makes and opens nothing; cancelled and enabled, all opens', async () => {
      const key = await world.newKey();
      const { plaintext, wrapped } = await key.wrapping.generateDataKey(contextOf());
      await key.scheduleDeletion();
      const state = await key.wrapping.describeKey();
      expect(state.condition).toBe('pending-deletion');
      const daysLeft = ((state.deletedAt?.getTime() ?? 0) - Date.now()) / A_DAY_MS;
      expect(daysLeft).toBeGreaterThan(6);
      expect(daysLeft).toBeLessThan(8);
      expect(kmsKeyFaults(state)[0]).toMatchObject({ isAlarm: true, text: expect.stringContaining('deletion on 2') });
      await expect(key.wrapping.generateDataKey(contextOf())).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      await expect(key.opening.decrypt(wrapped)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      await key.cancelDeletion();
      await key.enable();
      expect(Buffer.from(await key.opening.decrypt(wrapped)).equals(plaintext)).toBe(true);
    });

    it('rotation is told, and its lack is a finding and no alarm; what was wrapped before still opens', async () => {
      const key = await world.newKey();
      const { plaintext, wrapped } = await key.wrapping.generateDataKey(contextOf());
      const before = await key.wrapping.describeKey();
      expect(before).toEqual({ condition: 'enabled', deletedAt: null, isRotated: false });
      expect(kmsKeyFaults(before)).toEqual([{ isAlarm: false, text: expect.stringContaining('does not rotate') }]);
      await key.rotate();
      const after = await key.wrapping.describeKey();
      expect(after).toEqual({ condition: 'enabled', deletedAt: null, isRotated: true });
      expect(kmsKeyFaults(after)).toEqual([]);
      expect(Buffer.from(await key.opening.decrypt(wrapped)).equals(plaintext)).toBe(true);
    });

    it('a key that is not there: missing, and nothing is made', async () => {
      const wrapping = world.missingKey();
      expect(await wrapping.describeKey()).toMatchObject({ condition: 'missing' });
      await expect(wrapping.generateDataKey(contextOf())).rejects.toMatchObject({ code: 'KMS_REFUSED' });
    });

    it('openWithKms: the archive key; an entry with the wrapped key of another archive or owner: KEY_MISSING before KMS is asked', async () => {
      const { wrapping, opening } = await world.newKey();
      const { plaintext, wrapped: kms } = await wrapping.generateDataKey(contextOf());
      const entry = {
        attempt: id.attempt(kms.context.attempt),
        archive: id.archive(kms.context.archive),
        owner: id.owner('acme'),
        wrapped: new Uint8Array(),
        recipients: [],
        kms,
      };
      const key = await openWithKms(entry, opening);
      expect(Buffer.from(key.bytes()).equals(plaintext)).toBe(true);
      const never: KmsOpening = { decrypt: () => Promise.reject(new Error('KMS was asked')) };
      for (const swapped of [{ archive: id.archive('b') }, { owner: id.owner('b') }, { attempt: id.attempt('b') }]) {
        await expect(openWithKms({ ...entry, ...swapped }, never)).rejects.toMatchObject({ code: 'KEY_MISSING' });
      }
      await expect(openWithKms({ ...entry, kms: undefined }, never)).rejects.toMatchObject({ code: 'IDENTITY_WRONG' });
    });
  });
}
