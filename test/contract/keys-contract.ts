/** What the keys must do on every kind of key store, with one store and with two. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type AttemptId, id, type OwnerId } from '../../src/ids.ts';
import {
  type AdministratorIdentity,
  newIdentity,
  openIdentity,
  proveRecipient,
  rewrapForOwner,
  unwrapArchiveKey,
} from '../../src/keys/administrator.ts';
import { type ArchiveKeyEntry, type HmacKey, KEY_COLLECTIONS, KEY_INDEXES } from '../../src/keys/documents.ts';
import type { KeyStores } from '../../src/keys/key-store.ts';
import { createKeys, type KeysOptions } from '../../src/keys/keys.ts';
import { openWithKms } from '../../src/keys/kms-opening.ts';
import { MemoryKms } from '../../src/keys/memory-kms.ts';
import { whoCanOpen } from '../../src/keys/openers.ts';
import { type Administrator, wrapFor } from '../../src/keys/recipients.ts';
import type { PreparedStore } from '../../src/ledger/indexes.ts';
import type { Store } from '../../src/ledger/store.ts';

export interface OpenStore {
  readonly store: PreparedStore;
  close(): Promise<void>;
}

const AT_ONCE = 50;

export function keysContract(name: string, storeCount: 1 | 2, open: () => Promise<OpenStore>) {
  describe(`keys contract: ${name}, ${storeCount} store(s)`, () => {
    const opened: OpenStore[] = [];
    let stores: KeyStores;
    let alice: AdministratorIdentity;
    let bob: AdministratorIdentity;
    let safe: AdministratorIdentity;

    beforeAll(async () => {
      for (let at = 0; at < storeCount; at++) {
        const one = await open();
        await one.store.ensureIndexes(KEY_INDEXES);
        opened.push(one);
      }
      const [first, ...others] = opened.map((one) => one.store);
      if (!first) throw new Error('no store');
      stores = [first, ...others];
      [alice, bob, safe] = [await identity(), await identity(), await identity(true)];
    });
    afterAll(async () => {
      for (const one of opened) await one.close();
    });

    const keysFor = (administrators: readonly Administrator[], more: Partial<KeysOptions> = {}) =>
      createKeys({
        stores,
        clock: systemClock,
        environment: 'sandbox',
        administratorsOf: () => administrators,
        ...more,
      });

    const newKey = async (owner: OwnerId, administrators: readonly Administrator[]) => {
      const ids = { archive: id.archive(`archive-${randomUUID()}`), attempt: id.attempt(`attempt-${randomUUID()}`) };
      const key = await keysFor(administrators).createArchiveKey(owner, ids.archive, ids.attempt);
      return { ...ids, key, bytes: Uint8Array.from(key.bytes()) };
    };

    it('createArchiveKey: the wrapped key is in every store and opens with the administrator alone', async () => {
      const { attempt, archive, bytes, key } = await newKey(owner(), [as('alice', alice)]);
      expect(key.keyName).toBe(attempt);
      const wrapped = await keysFor([]).readBack(attempt);
      expect(wrapped).toMatchObject({ attempt, archive, recipients: [alice.recipient] });
      expect(Buffer.from(wrapped.wrapped).includes(Buffer.from(bytes))).toBe(false);
      expect((await unwrapArchiveKey(wrapped, alice)).bytes()).toEqual(bytes);
      for (const { store } of opened) {
        expect((await archiveKeys(store).get(attempt))?.state).toBe('kept');
      }
    });

    it('createArchiveKey: a hybrid post-quantum recipient beside a classic one: each opens it', async () => {
      const { attempt, bytes } = await newKey(owner(), [as('alice', alice), as('safe', safe)]);
      const wrapped = await keysFor([]).readBack(attempt);
      expect(safe.recipient).toMatch(/^age1pq1/);
      for (const one of [alice, safe]) expect((await unwrapArchiveKey(wrapped, one)).bytes()).toEqual(bytes);
    });

    it('createArchiveKey with KMS: one key, opened by the identity and by KMS alike, bound to all that it is for', async () => {
      const kms = new MemoryKms('arn:aws:kms:eu-west-1:123456789012:key/contract');
      const of = owner();
      const keys = keysFor([as('alice', alice)], { kmsOf: () => kms, installation: 'here' });
      const [archive, attempt] = [id.archive(`archive-${randomUUID()}`), id.attempt(`attempt-${randomUUID()}`)];
      const key = await keys.createArchiveKey(of, archive, attempt, id.customer('north'));
      const bytes = Uint8Array.from(key.bytes());
      for (const entry of [await keysFor([]).readBack(attempt), await keysFor([]).findWrappedKey(attempt)]) {
        expect(entry.kms).toMatchObject({
          key: kms.key,
          context: { installation: 'here', owner: of, customer: 'north', archive, attempt },
        });
        expect((await unwrapArchiveKey(entry, alice)).bytes()).toEqual(bytes);
        expect((await openWithKms(entry, kms)).bytes()).toEqual(bytes);
      }
      // Wrapped again for others, what KMS made stays.
      const administrators = [as('alice', alice), as('bob', bob)];
      await rewrapForOwner({
        stores,
        clock: systemClock,
        keys: keysFor(administrators, { kmsOf: () => kms }),
        owner: of,
        administrators,
        identity: alice,
      });
      const again = await keysFor([]).readBack(attempt);
      expect((await openWithKms(again, kms)).bytes()).toEqual(bytes);
      expect((await unwrapArchiveKey(again, bob)).bytes()).toEqual(bytes);
      await keysFor([]).destroy(attempt);
      for (const { store } of opened) expect(await archiveKeys(store).get(attempt)).not.toHaveProperty('kms');
    });

    it('createArchiveKey with KMS alone: no identity opens it, a second worker is refused, a refusal of KMS stores nothing', async () => {
      const kms = new MemoryKms('arn:aws:kms:eu-west-1:123456789012:key/contract');
      const keys = keysFor([], { kmsOf: () => kms, installation: 'here' });
      const make = (attempt: AttemptId) => keys.createArchiveKey(owner(), id.archive('a'), attempt, id.customer('c'));
      const attempt = id.attempt(`attempt-${randomUUID()}`);
      const key = await make(attempt);
      await expect(make(attempt)).rejects.toMatchObject({ code: 'INTERNAL' });
      const entry = await keys.readBack(attempt);
      expect((await openWithKms(entry, kms)).bytes()).toEqual(key.bytes());
      await expect(unwrapArchiveKey(entry, alice)).rejects.toMatchObject({ code: 'IDENTITY_WRONG' });
      kms.become({ condition: 'pending-deletion' });
      const refused = id.attempt(`attempt-${randomUUID()}`);
      await expect(make(refused)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
      await expect(keys.readBack(refused)).rejects.toMatchObject({ code: 'KEY_MISSING' });
    });

    it('createArchiveKey: two workers with the same attempt: one key, the other is refused', async () => {
      const keys = keysFor([as('alice', alice)]);
      const attempt = id.attempt(`attempt-${randomUUID()}`);
      const both = await Promise.allSettled(
        [1, 2].map(() => keys.createArchiveKey(id.owner('acme'), id.archive('a'), attempt)),
      );
      const won = both.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const lost = both.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
      expect(lost.length).toBeGreaterThanOrEqual(1);
      expect(lost[0]).toMatchObject({ code: 'INTERNAL' });
      // With two stores both may lose; never do both win.
      for (const key of won) {
        expect((await unwrapArchiveKey(await keys.readBack(attempt), alice)).bytes()).toEqual(key.bytes());
      }
    });

    it('createArchiveKey: fifty with one attempt: at most one wins, the others are refused, and its key is the one that is stored', async () => {
      const attempt = id.attempt(`attempt-${randomUUID()}`);
      const all = await Promise.allSettled(
        Array.from({ length: AT_ONCE }, () =>
          keysFor([as('alice', alice)]).createArchiveKey(id.owner('acme'), id.archive('a'), attempt),
        ),
      );
      const won = all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const lost = all.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
      expect(won.length).toBeLessThanOrEqual(1);
      if (storeCount === 1) expect(won).toHaveLength(1);
      for (const reason of lost) expect(reason).toMatchObject({ name: 'MoraineError', code: 'INTERNAL' });
      for (const key of won) {
        expect((await unwrapArchiveKey(await keysFor([]).readBack(attempt), alice)).bytes()).toEqual(key.bytes());
      }
    });

    it('destroy: fifty at once, also while the key is read and made again: one time for all, and it stays destroyed', async () => {
      const { attempt, archive } = await newKey(owner(), [as('alice', alice)]);
      const times = await Promise.all(
        Array.from({ length: AT_ONCE }, async (_, at) => {
          const other = at % 5 === 0 ? keysFor([as('alice', alice)]).createArchiveKey(owner(), archive, attempt) : null;
          const reading = at % 5 === 1 ? keysFor([]).readBack(attempt) : null;
          const made = other?.catch((error: unknown) => error);
          const read = reading?.catch((error: unknown) => error);
          const destroyedAt = await keysFor([]).destroy(attempt);
          expect(['KEY_DESTROYED', 'INTERNAL', undefined]).toContain(codeOf(await made));
          expect(['KEY_DESTROYED', undefined]).toContain(codeOf(await read));
          return destroyedAt.getTime();
        }),
      );
      const [at] = times;
      if (storeCount === 1) expect(new Set(times).size).toBe(1);
      expect(at).toBeGreaterThan(0);
      const again = keysFor([]);
      expect(await again.destroy(attempt)).toEqual(await again.destroy(attempt));
      const failed = again.readBack(attempt);
      await expect(failed).rejects.toMatchObject({ name: 'MoraineError', code: 'KEY_DESTROYED', ids: { attempt } });
      for (const { store } of opened) {
        expect(Object.keys((await archiveKeys(store).get(attempt)) ?? {})).not.toContain('wrapped');
      }
    });

    it('hmacFor and sign: fifty makers at first use: one HMAC key, one signing key, in every store', async () => {
      const one = owner();
      const macs = await Promise.all(
        Array.from({ length: AT_ONCE }, async () => Buffer.from((await keysFor([]).hmacFor(one))('x')).toString('hex')),
      );
      expect(new Set(macs).size).toBe(1);
      const bytes = randomBytes(10);
      const signed = await Promise.all(Array.from({ length: AT_ONCE }, () => keysFor([]).sign(bytes)));
      expect(new Set(signed.map(({ keyId }) => keyId)).size).toBe(1);
      for (const { store } of opened) {
        expect(await store.collection(KEY_COLLECTIONS.hmacKeys).count({ _id: one })).toBe(1);
      }
    });

    it('unwrapArchiveKey: the identity of somebody else: IDENTITY_WRONG names who would open it', async () => {
      const administrators = [as('alice@acme.example', alice), as('safe', safe)];
      const { attempt } = await newKey(owner(), administrators);
      const wrapped = await keysFor([]).readBack(attempt);
      const failed = unwrapArchiveKey(wrapped, bob, administrators);
      await expect(failed).rejects.toMatchObject({ code: 'IDENTITY_WRONG' });
      await expect(failed).rejects.toThrow(/alice@acme\.example \(age1.*safe \(age1pq1/);
    });

    it('unwrapArchiveKey: a flipped byte: KEY_MISSING, not a wrong key', async () => {
      const { attempt } = await newKey(owner(), [as('alice', alice)]);
      const entry = await keysFor([]).readBack(attempt);
      const wrapped = Uint8Array.from(entry.wrapped);
      wrapped[wrapped.length - 1]! ^= 1;
      await expect(unwrapArchiveKey({ ...entry, wrapped }, alice)).rejects.toMatchObject({ code: 'KEY_MISSING' });
    });

    it('readBack: no such attempt: KEY_MISSING', async () => {
      await expect(keysFor([]).readBack(id.attempt('never'))).rejects.toMatchObject({ code: 'KEY_MISSING' });
    });

    it('destroy: no key material stays anywhere, again gives the same time, other keys stay', async () => {
      const keys = keysFor([as('alice', alice)]);
      const gone = await newKey(owner(), [as('alice', alice)]);
      const stays = await newKey(owner(), [as('alice', alice)]);
      const at = await keys.destroy(gone.attempt);
      expect(await keys.destroy(gone.attempt)).toEqual(at);
      await expect(keys.readBack(gone.attempt)).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
      await expect(keys.findWrappedKey(gone.attempt)).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
      for (const { store } of opened) {
        const tombstone = await archiveKeys(store).get(gone.attempt);
        expect(Object.keys(tombstone ?? {}).sort()).toEqual(['_id', 'archive', 'destroyedAt', 'rev', 'state', 'v']);
        expect(tombstone).toMatchObject({ state: 'destroyed', archive: gone.archive });
      }
      expect((await unwrapArchiveKey(await keys.readBack(stays.attempt), alice)).bytes()).toEqual(stays.bytes);
    });

    it('destroy: the key was never stored: a worker that wakes up later gets KEY_DESTROYED', async () => {
      const keys = keysFor([as('alice', alice)]);
      const attempt = id.attempt(`attempt-${randomUUID()}`);
      await keys.destroy(attempt);
      await expect(keys.createArchiveKey(id.owner('acme'), id.archive('late'), attempt)).rejects.toMatchObject({
        code: 'KEY_DESTROYED',
      });
    });

    it('destroy races with createArchiveKey: whoever is first, nothing is left', async () => {
      const keys = keysFor([as('alice', alice)]);
      for (let round = 0; round < 8; round++) {
        const attempt = id.attempt(`attempt-${randomUUID()}`);
        const made = keys.createArchiveKey(id.owner('acme'), id.archive('a'), attempt).catch((error: unknown) => error);
        await Promise.all([made, keys.destroy(attempt)]);
        await expect(keys.readBack(attempt)).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
        for (const { store } of opened) expect((await archiveKeys(store).get(attempt))?.state).toBe('destroyed');
      }
    });

    it('hmacFor: two makers at once: one key; another owner has another', async () => {
      const one = owner();
      const macs = await Promise.all([1, 2, 3, 4].map(async () => (await keysFor([]).hmacFor(one))('x')));
      expect(new Set(macs.map((mac) => Buffer.from(mac).toString('hex'))).size).toBe(1);
      expect(macs[0]).toHaveLength(32);
      expect((await keysFor([]).hmacFor(owner()))('x')).not.toEqual(macs[0]);
      const copies = await Promise.all(
        opened.map(({ store }) => store.collection<HmacKey>(KEY_COLLECTIONS.hmacKeys).get(one)),
      );
      expect(new Set(copies.map((copy) => Buffer.from(copy!.key).toString('hex'))).size).toBe(1);
    });

    it('sign: two processes at first use sign with one key; each verifies the other; a changed byte does not', async () => {
      const [a, b] = [keysFor([]), keysFor([])];
      const bytes = randomBytes(100);
      const [byA, byB] = await Promise.all([a.sign(bytes), b.sign(bytes)]);
      expect(byA).toEqual(byB);
      expect(byA.bytes).toHaveLength(64);
      expect(await b.verify(bytes, byA)).toBe(true);
      expect(await b.verify(randomBytes(100), byA)).toBe(false);
      expect(await b.verify(bytes, { ...byA, keyId: '0123456789abcdef' })).toBe(false);
      const valid = (await a.publicKeys()).filter((key) => key.validTo === null);
      expect(valid.map((key) => key.keyId)).toEqual([byA.keyId]);
    });

    it('proveRecipient: production archives only with two proven recipients, one for recovery', async () => {
      const administrators = [as('alice', alice), { ...as('safe', safe), recovery: true }];
      const keys = keysFor(administrators, { environment: 'production' });
      await expect(keys.assertRecipients(owner())).rejects.toThrow(/not proven: alice .*safe/);
      const first = await proveRecipient(stores, systemClock, alice, administrators);
      expect(first).toMatchObject({ recipient: alice.recipient, isRepeated: false });
      await expect(keys.assertRecipients(owner())).rejects.toThrow(/not proven: safe/);
      await proveRecipient(stores, systemClock, safe, administrators);
      expect(await keys.assertRecipients(owner())).toEqual([expect.stringMatching(/mixes post-quantum and classic/)]);
      const again = await proveRecipient(stores, systemClock, alice, administrators);
      expect(again).toMatchObject({ recipient: alice.recipient, isRepeated: true, before: first.provenAt });
      expect(again.provenAt.getTime()).toBeGreaterThanOrEqual(first.provenAt.getTime());
    });

    it('proofsOf: a year after the proof production counts it no more, warns a month before, and a new proof counts again', async () => {
      const [carol, dave] = [await identity(), await identity()];
      const administrators = [as('carol', carol), { ...as('dave', dave), recovery: true }];
      const acme = owner();
      let now = new Date('2026-03-01T10:00:00Z');
      const clock = { ...systemClock, now: () => now };
      const keys = keysFor(administrators, { environment: 'production', proofEvery: 'P1Y', clock });
      for (const each of [carol, dave]) await proveRecipient(stores, clock, each, administrators);
      expect(await keys.assertRecipients(acme)).toEqual([]);
      expect((await keys.proofsOf?.(acme))?.map(({ state, endsAt }) => [state, endsAt?.toISOString()])).toEqual(
        Array.from({ length: 2 }, () => ['proven', '2027-03-01T10:00:00.000Z']),
      );
      now = new Date('2027-01-30T09:59:59Z');
      expect(await keys.assertRecipients(acme)).toEqual([]);
      now = new Date('2027-01-30T10:00:00Z');
      expect(await keys.assertRecipients(acme)).toEqual([
        expect.stringMatching(/ends of carol .* on 2027-03-01, dave /),
      ]);
      await proveRecipient(stores, clock, dave, administrators);
      now = new Date('2027-03-01T10:00:00Z');
      await expect(keys.assertRecipients(acme)).rejects.toThrow(/the proof has ended of carol \(age1/);
      await expect(keys.createArchiveKey(acme, id.archive('a'), id.attempt(randomUUID()))).rejects.toMatchObject({
        code: 'OWNER_WITHOUT_ADMINISTRATOR',
      });
      await proveRecipient(stores, clock, carol, administrators);
      expect(await keys.assertRecipients(acme)).toEqual([]);
      const elsewhere = keysFor(administrators, { environment: 'non-production', proofEvery: 'P1D', clock });
      now = new Date('2027-03-03T10:00:00Z');
      expect(await elsewhere.assertRecipients(acme)).toEqual([expect.stringMatching(/has ended of carol/)]);
      expect(await keysFor(administrators, { environment: 'production', clock }).assertRecipients(acme)).toEqual([]);
    });

    it('proveRecipient: an identity that moraine.yaml does not name: IDENTITY_WRONG, nothing recorded', async () => {
      await expect(proveRecipient(stores, systemClock, bob, [as('alice', alice)])).rejects.toThrow(/alice \(age1/);
      const keys = keysFor([as('bob', bob)], { environment: 'production' });
      await expect(keys.assertRecipients(owner())).rejects.toThrow(/not proven: bob/);
    });

    it('rewrapForOwner: a new administrator opens old archives; cut and run again it goes on', async () => {
      const acme = owner();
      const other = owner();
      const old = [];
      for (let n = 0; n < 5; n++) old.push(await newKey(acme, [as('alice', alice)]));
      const foreign = await newKey(other, [as('alice', alice)]);
      const administrators = [as('alice', alice), as('bob', bob)];
      const destroyed = old.pop()!;
      await keysFor([]).destroy(destroyed.attempt);

      const run = (who: AdministratorIdentity, signal?: AbortSignal) =>
        rewrapForOwner({
          stores,
          clock: systemClock,
          keys: keysFor(administrators),
          owner: acme,
          administrators,
          identity: who,
          ...(signal ? { signal } : {}),
        });
      expect(await run(bob)).toMatchObject({ looked: 4, unopened: 4, rewrapped: 0 });

      const cut = new AbortController();
      let opens = 0;
      const cutAfterTwo = new Proxy(alice, {
        get: (target, name) => {
          if (name === 'open' && ++opens > 2) cut.abort(new Error('cut'));
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      await expect(run(cutAfterTwo, cut.signal)).rejects.toThrow('cut');
      expect(await run(alice)).toEqual({
        looked: 4,
        rewrapped: 2,
        unchanged: 2,
        destroyed: 0,
        unopened: 0,
        missing: 0,
        unopenedArchives: [],
      });
      for (const each of old) {
        const wrapped = await keysFor([]).readBack(each.attempt);
        expect((await unwrapArchiveKey(wrapped, bob)).bytes()).toEqual(each.bytes);
      }
      await expect(unwrapArchiveKey(await keysFor([]).readBack(foreign.attempt), bob)).rejects.toMatchObject({
        code: 'IDENTITY_WRONG',
      });
      await expect(keysFor([]).readBack(destroyed.attempt)).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
    });

    it('rewrapForOwner: alice goes and bob stays: she opens nothing afterwards; nothing is handed to somebody who was never proven', async () => {
      const acme = owner();
      const stranger = await identity();
      const old = [await newKey(acme, [as('alice', alice)]), await newKey(acme, [as('alice', alice)])];
      const run = (administrators: readonly Administrator[]) =>
        rewrapForOwner({
          stores,
          clock: systemClock,
          keys: keysFor(administrators),
          owner: acme,
          administrators,
          identity: alice,
        });
      await expect(run([as('stranger', stranger)])).rejects.toMatchObject({ code: 'IDENTITY_WRONG' });
      const report = async (administrators: readonly Administrator[]) => {
        const keys = keysFor(administrators);
        const options = {
          stores,
          clock: systemClock,
          owners: new Map([[acme, administrators]]),
          proofsOf: async (one: OwnerId) => (await keys.proofsOf?.(one)) ?? [],
          vaultsOf: async () => new Map([[old[0]!.archive as string, 'north']]),
          owner: acme,
        };
        for await (const openers of whoCanOpen(options)) return openers;
        throw new Error('no report');
      };
      await proveRecipient(stores, systemClock, bob, [as('bob', bob)]);
      const safekeeper = { ...as('bob', bob), recovery: true };
      expect(await report([safekeeper])).toMatchObject({
        archives: 2,
        toRewrap: 2,
        withoutRecovery: 2,
        openedByNobody: 2,
        storesDiffer: 0,
        openers: [
          { name: 'bob', archives: 0, vaults: {}, proof: { state: 'proven' } },
          { name: null, recipient: alice.recipient, archives: 2, vaults: { north: 1, '-': 1 }, proof: null },
        ],
      });
      expect(await run([safekeeper])).toMatchObject({ rewrapped: 2, unopened: 0 });
      for (const { attempt, bytes } of old) {
        const wrapped = await keysFor([]).readBack(attempt);
        expect((await unwrapArchiveKey(wrapped, bob)).bytes()).toEqual(bytes);
        await expect(unwrapArchiveKey(wrapped, alice)).rejects.toMatchObject({ code: 'IDENTITY_WRONG' });
      }
      expect(await report([safekeeper])).toMatchObject({
        toRewrap: 0,
        withoutRecovery: 0,
        openedByNobody: 0,
        openers: [{ name: 'bob', archives: 2, vaults: { north: 1, '-': 1 } }],
      });
    });

    it('rewrapForOwner: a damaged entry is named and left, and the others are wrapped', async () => {
      const acme = owner();
      const [broken, whole] = [await newKey(acme, [as('alice', alice)]), await newKey(acme, [as('alice', alice)])];
      for (const { store } of opened) {
        const entry = await archiveKeys(store).get(broken.attempt);
        if (entry?.state !== 'kept') throw new Error('no entry');
        await archiveKeys(store).replace({ ...entry, wrapped: entry.wrapped.slice(0, -1) });
      }
      const administrators = [as('alice', alice), as('bob', bob)];
      const keys = keysFor(administrators);
      expect(
        await rewrapForOwner({ stores, clock: systemClock, keys, owner: acme, administrators, identity: alice }),
      ).toMatchObject({ rewrapped: 1, unopened: 1, unopenedArchives: [broken.archive] });
      expect((await unwrapArchiveKey(await keys.readBack(whole.attempt), bob)).bytes()).toEqual(whole.bytes);
      expect((await keys.readBack(broken.attempt)).recipients).toEqual([alice.recipient]);
    });

    it('rewrapForOwner: a key is destroyed between read and replace: it stays destroyed', async () => {
      const acme = owner();
      const { attempt } = await newKey(acme, [as('alice', alice)]);
      const administrators = [as('alice', alice), as('bob', bob)];
      const keys = keysFor(administrators);
      const destroying = new Proxy(alice, {
        get: (target, name) => {
          if (name === 'recipient') return target.recipient;
          return async (file: Uint8Array) => {
            await keys.destroy(attempt);
            return target.open(file);
          };
        },
      });
      const counts = await rewrapForOwner({
        stores,
        clock: systemClock,
        keys,
        owner: acme,
        administrators,
        identity: destroying,
      });
      expect(counts).toMatchObject({ looked: 1, rewrapped: 0, destroyed: 1 });
      await expect(keys.readBack(attempt)).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
    });

    it('replayPurges: a restored key store: what was destroyed after the backup is destroyed again, the rest stays', async () => {
      const keys = keysFor([as('alice', alice)]);
      const [purged, kept] = [await newKey(owner(), [as('alice', alice)]), await newKey(owner(), [as('alice', alice)])];
      const backups = await Promise.all(opened.map(({ store }) => archiveKeys(store).get(purged.attempt)));
      await keys.destroy(purged.attempt);
      expect(await keys.isBehind([purged.attempt])).toBe(false);
      for (const [at, { store }] of opened.entries()) {
        const now = await archiveKeys(store).get(purged.attempt);
        await archiveKeys(store).replace({ ...backups[at]!, rev: now!.rev });
      }
      expect(await keys.isBehind([purged.attempt])).toBe(true);
      expect(await keys.replayPurges([purged.attempt])).toEqual({ looked: 1, destroyed: 1 });
      expect(await keys.replayPurges([purged.attempt])).toEqual({ looked: 1, destroyed: 0 });
      await expect(keys.readBack(purged.attempt)).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
      expect((await keys.readBack(kept.attempt)).attempt).toBe(kept.attempt);
    });

    if (storeCount === 2) {
      it('rewrapForOwner: killed between the two stores: run again, both end the same, and at no moment did nobody open it', async () => {
        const acme = owner();
        const { attempt, bytes } = await newKey(acme, [as('alice', alice)]);
        const administrators = [as('alice', alice), as('bob', bob)];
        const keys = keysFor(administrators);
        // Only the second store was written before the kill; and another time only the first (a second one from a backup).
        for (const written of [1, 0]) {
          const copies = await Promise.all(opened.map(({ store }) => archiveKeys(store).get(attempt)));
          const old = copies[1 - written];
          if (old?.state !== 'kept') throw new Error('no entry');
          const wrapped = await wrapFor([alice.recipient, bob.recipient], bytes);
          const there = copies[written];
          if (there?.state !== 'kept') throw new Error('no entry');
          await archiveKeys(opened[written]!.store).replace({
            ...there,
            wrapped,
            recipients: [alice.recipient, bob.recipient],
          });
          const other = await wrapFor([alice.recipient], bytes);
          await archiveKeys(opened[1 - written]!.store).replace({
            ...old,
            wrapped: other,
            recipients: [alice.recipient],
          });
          expect((await unwrapArchiveKey(await keys.findWrappedKey(attempt), alice)).bytes()).toEqual(bytes);
          const options = { stores, clock: systemClock, keys, owner: acme, administrators, identity: alice };
          expect(await rewrapForOwner(options)).toMatchObject({ looked: 1, rewrapped: 1 });
          expect(await rewrapForOwner(options)).toMatchObject({ looked: 1, unchanged: 1 });
          for (const { store } of opened) {
            const entry = await archiveKeys(store).get(attempt);
            if (entry?.state !== 'kept') throw new Error('no entry');
            expect(entry.recipients).toEqual([alice.recipient, bob.recipient]);
            expect(await bob.open(entry.wrapped)).toEqual(bytes);
          }
        }
      });

      it('readBack: the second store lost the entry: KEY_MISSING; a restore still finds it; aligning repairs it', async () => {
        const { attempt, bytes } = await newKey(owner(), [as('alice', alice)]);
        const keys = keysFor([]);
        const second = archiveKeys(opened[1]!.store);
        await second.remove(attempt, (await second.get(attempt))!.rev);
        await expect(keys.readBack(attempt)).rejects.toThrow(/second key store/);
        expect((await unwrapArchiveKey(await keys.findWrappedKey(attempt), alice)).bytes()).toEqual(bytes);
        expect((await keys.alignStores()).copied).toBe(1);
        expect((await keys.readBack(attempt)).attempt).toBe(attempt);
      });

      it('alignStores: destroyed in one store only: destroyed in both', async () => {
        const { attempt } = await newKey(owner(), [as('alice', alice)]);
        const onlySecond = createKeys({
          stores: [stores[1]!],
          clock: systemClock,
          environment: 'sandbox',
          administratorsOf: () => [],
        });
        await onlySecond.destroy(attempt);
        expect((await keysFor([]).alignStores()).destroyed).toBe(1);
        expect((await archiveKeys(stores[0]).get(attempt))?.state).toBe('destroyed');
      });

      it('hmacFor: the stores hold different keys: refused, not guessed', async () => {
        const one = owner();
        for (const { store } of opened) {
          const key = { _id: one, v: 1, key: Uint8Array.from(randomBytes(32)), createdAt: new Date() };
          await store.collection<HmacKey>(KEY_COLLECTIONS.hmacKeys).insert(key);
        }
        await expect(keysFor([]).hmacFor(one)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      });
    }
  });
}

function archiveKeys(store: Store) {
  return store.collection<ArchiveKeyEntry>(KEY_COLLECTIONS.archiveKeys);
}

function owner(): OwnerId {
  return id.owner(`owner-${randomUUID()}`);
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function as(name: string, { recipient }: AdministratorIdentity): Administrator {
  return { name, recipient, recovery: false };
}

async function identity(postQuantum = false): Promise<AdministratorIdentity> {
  const { file } = await newIdentity({ now: systemClock.now(), postQuantum });
  return openIdentity(new TextEncoder().encode(file));
}
