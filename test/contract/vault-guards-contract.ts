/** The contract of a vault's own guards: locks until a date, and legal holds. Called for every backend, also for those without. */
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { treeHash } from '../../src/archive/tree-hash.ts';
import { isMoraineError } from '../../src/errors.ts';
import type { InventoryEntry, StoredArchive, VaultGuards, VaultLocation, VaultPort } from '../../src/vault/port.ts';
import { abandoned, bytesOf, claimOf, freshIntent, store } from './vault-world.ts';

export interface GuardedWorld {
  readonly port: VaultPort;
  /** A place of its own, made already. */
  place(): Promise<VaultLocation>;
  now(): Date;
  /** What an inventory made now lists. */
  entries(location: VaultLocation, after: Date): Promise<readonly InventoryEntry[]>;
  /** Lets time pass; the default waits. */
  pass?(ms: number): Promise<void>;
}

const SHORT_MS = 4_000;
const YEAR_MS = 365 * 86_400_000;

export function vaultGuardsContract(
  name: string,
  guards: VaultGuards,
  build: (guards: VaultGuards) => Promise<GuardedWorld>,
): void {
  describe(`guards of a vault: ${name}`, () => {
    const veto = (error: unknown) => isMoraineError(error, 'VAULT_VETO');
    const isThere = async ({ entries }: GuardedWorld, location: VaultLocation, { vaultArchiveId, at }: StoredArchive) =>
      (await entries(location, at)).some((entry) => entry.vaultArchiveId === vaultArchiveId);
    const guardOf = async ({ entries }: GuardedWorld, location: VaultLocation, { vaultArchiveId, at }: StoredArchive) =>
      (await entries(location, at)).find((entry) => entry.vaultArchiveId === vaultArchiveId)?.guard;

    test('it says what it has', async () => {
      expect((await build(guards)).port.guards).toEqual(guards);
    });

    test('an upload is not locked by itself: what an abandoned attempt left can be removed', async () => {
      const world = await build(guards);
      const location = await world.place();
      const { intent, stored } = await store(world.port, location, bytesOf(10, 1));
      await world.port.deleteAbandoned(location, stored.vaultArchiveId, abandoned(intent));
    });

    test('a legal hold refuses the delete until it is taken off; twice is once', async () => {
      const world = await build(guards);
      const location = await world.place();
      const { intent, stored } = await store(world.port, location, bytesOf(10, 2));
      await world.port.mirrorHold(location, stored.vaultArchiveId, true);
      await world.port.mirrorHold(location, stored.vaultArchiveId, true);
      if (guards.holds) {
        expect((await guardOf(world, location, stored))?.held).toBe(true);
        await expect(world.port.deleteArchive(location, claimOf(intent, stored))).rejects.toSatisfy(veto);
        expect(await isThere(world, location, stored)).toBe(true);
      }
      await world.port.mirrorHold(location, stored.vaultArchiveId, false);
      await world.port.mirrorHold(location, stored.vaultArchiveId, false);
      if (guards.holds) expect((await guardOf(world, location, stored))?.held).toBe(false);
      await world.port.deleteArchive(location, claimOf(intent, stored));
    });

    test('a lock refuses the delete until its date, and not a moment longer', async () => {
      const world = await build(guards);
      const location = await world.place();
      const { intent, stored } = await store(world.port, location, bytesOf(10, 3));
      const until = new Date(world.now().getTime() + SHORT_MS);
      await world.port.lockUntil(location, stored.vaultArchiveId, until);
      const purge = () => world.port.deleteArchive(location, claimOf(intent, stored));
      if (guards.lock !== null) {
        await expect(purge()).rejects.toSatisfy(veto);
        expect(await isThere(world, location, stored)).toBe(true);
        const end = (await guardOf(world, location, stored))?.until;
        expect(end?.getTime()).toBe(Math.floor(until.getTime() / 1_000) * 1_000);
        await (world.pass ?? wait)(SHORT_MS);
      }
      await purge();
    });

    test('a date that has passed locks nothing', async () => {
      const world = await build(guards);
      const location = await world.place();
      const { intent, stored } = await store(world.port, location, bytesOf(10, 4));
      await world.port.lockUntil(location, stored.vaultArchiveId, new Date(world.now().getTime() - 1));
      await world.port.deleteArchive(location, claimOf(intent, stored));
    });

    test('a lock is moved later at once; earlier only in governance mode, and only where it is said', async () => {
      if (guards.lock === null) return;
      const world = await build(guards);
      const location = await world.place();
      // As long as a test that fails should keep an object: a lock in compliance mode outlives it.
      const soon = new Date(world.now().getTime() + 20_000);
      const later = new Date(soon.getTime() + 20_000);
      const { stored } = await store(world.port, location, bytesOf(10, 5));
      const lock = (until: Date, options?: { readonly mayShorten: boolean }) =>
        world.port.lockUntil(location, stored.vaultArchiveId, until, options);
      const end = async () => (await guardOf(world, location, stored))?.until?.getTime();
      await lock(soon);
      await lock(later);
      const moved = Math.floor(later.getTime() / 1_000) * 1_000;
      expect(await end()).toBe(moved);
      await expect(lock(soon)).rejects.toSatisfy(veto);
      expect(await end()).toBe(moved);
      const shorter = lock(soon, { mayShorten: true });
      if (guards.lock === 'compliance') {
        await expect(shorter).rejects.toSatisfy(veto);
        expect(await end()).toBe(moved);
      } else {
        await shorter;
        expect(await end()).toBe(Math.floor(soon.getTime() / 1_000) * 1_000);
      }
    });

    test('a lock and a hold do not know of each other: each refuses alone', async () => {
      if (guards.lock !== 'governance') return;
      const world = await build(guards);
      const location = await world.place();
      const intent = freshIntent(location);
      const bytes = bytesOf(10, 6);
      const stored = await world.port.storeWhole(location, intent, bytes, treeHash(bytes));
      await world.port.lockUntil(location, stored.vaultArchiveId, new Date(world.now().getTime() + YEAR_MS));
      await world.port.mirrorHold(location, stored.vaultArchiveId, true);
      await world.port.mirrorHold(location, stored.vaultArchiveId, false);
      const purge = () => world.port.deleteArchive(location, claimOf(intent, stored));
      await expect(purge()).rejects.toSatisfy(veto);
      const past = new Date(world.now().getTime() - 1_000);
      await world.port.lockUntil(location, stored.vaultArchiveId, past);
      await expect(purge()).rejects.toSatisfy(veto);
      await world.port.lockUntil(location, stored.vaultArchiveId, past, { mayShorten: true });
      await purge();
    });
  });
}
