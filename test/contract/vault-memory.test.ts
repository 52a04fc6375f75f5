import { expect, test } from 'vitest';
import { treeHash } from '../../src/archive/tree-hash.ts';
import { systemClock } from '../../src/clock.ts';
import { isMoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { MemoryVault } from '../../src/vault/memory-vault.ts';
import { entryOf } from '../../src/vault/memory-vault-guards.ts';
import type { VaultGuards } from '../../src/vault/port.ts';
import { vaultContract } from './vault-contract.ts';
import { vaultGuardsContract } from './vault-guards-contract.ts';
import { bytesOf, claimOf, freshIntent, store } from './vault-world.ts';

vaultContract('in memory', async () => {
  const port = new MemoryVault({ clock: systemClock });
  const nobody = new MemoryVault({ clock: systemClock });
  for (const operation of ['serverTime', 'ensure', 'storeWhole'] as const) nobody.failNext(operation, 'unavailable');
  return {
    port,
    production: port.as('production'),
    plantVault: async (location, tags) => port.plantVault(location, tags),
    tagsOf: async (location) => port.tagsOf(location),
    nobody,
    hasTime: true,
    outputOutlivesDelete: true,
    oneCopyServesAll: false,
    // The fake repeats nothing.
    tries: {
      storeWhole: 1,
      beginUpload: 1,
      sendPart: 1,
      completeUpload: 1,
      deleteArchive: 1,
      requestRetrieval: 1,
      retrievalState: 1,
    },
    advanceTime: async (hours) => port.advance(hours),
    plant: async (location, bytes, description) => {
      port.plantArchive(location, bytes, description);
    },
    fail: async (_location, call, fault, times) => port.failNext(call, fault, times),
  };
});

const guarded = async (guards: VaultGuards) => {
  const port = new MemoryVault({ clock: systemClock, guards });
  const location = port.locate('installation', id.owner('acme'), id.customer('one'));
  return {
    port,
    place: async () => {
      await port.ensure(location);
      return location;
    },
    now: () => port.now(),
    // By what is there: its inventories take a day, and a lock of seconds would be over.
    entries: async () => port.archivesIn(location).map((archive) => entryOf(archive, guards)),
    pass: async (ms: number) => port.advance(ms / 3_600_000),
  };
};
for (const lock of [null, 'governance', 'compliance'] as const)
  vaultGuardsContract(`in memory, lock ${lock}`, { holds: true, lock }, guarded);
vaultGuardsContract('in memory, without', { holds: false, lock: null }, guarded);

test('the account holds 1,000 vaults and not one more', async () => {
  const port = new MemoryVault({ clock: systemClock });
  const place = (n: number) => port.locate('installation', id.owner('acme'), id.customer(`c${n}`));
  for (let n = 0; n < 1000; n += 1) await port.ensure(place(n));
  await port.ensure(place(7));
  await expect(port.ensure(place(1000))).rejects.toSatisfy((error) => isMoraineError(error, 'VAULT_LIMIT'));
  expect(await port.vaultCount()).toEqual({ used: 1000, limit: 1000 });
});

test('a vault without tags: taken over while it is empty, refused when it holds something', async () => {
  const port = new MemoryVault({ clock: systemClock });
  const [empty, full] = ['empty', 'full'].map((name) =>
    port.locate('installation', id.owner('acme'), id.customer(name)),
  );
  if (empty === undefined || full === undefined) throw new Error('two places were made');
  for (const place of [empty, full]) port.plantVault(place, {});
  const planted = port.plantArchive(full, bytesOf(10, 1), 'theirs');
  await port.ensure(empty);
  await store(port, empty, bytesOf(10, 2));
  await expect(port.ensure(full)).rejects.toSatisfy((error) => isMoraineError(error, 'CHANGED_RESOURCE_NOT_OURS'));
  expect(port.archivesIn(full).map(({ vaultArchiveId }) => vaultArchiveId)).toEqual([planted]);
});

test('the fake forbids what a vault could not know: an intent for somebody else, a claim for other bytes, other totals', async () => {
  const port = new MemoryVault({ clock: systemClock });
  const mine = port.locate('installation', id.owner('acme'), id.customer('one'));
  const his = port.locate('installation', id.owner('acme'), id.customer('two'));
  await port.ensure(mine);
  await port.ensure(his);
  const isBug = (error: unknown) => isMoraineError(error, 'INTERNAL');
  const bytes = bytesOf(10, 1);
  await expect(port.storeWhole(mine, freshIntent(his), bytes, treeHash(bytes))).rejects.toSatisfy(isBug);
  const one = await store(port, mine, bytes);
  const two = await store(port, mine, bytes);
  await expect(port.deleteArchive(mine, claimOf(one.intent, two.stored))).rejects.toSatisfy(isBug);
  expect(port.archivesIn(mine)).toHaveLength(2);
  const upload = await port.beginUpload(mine, freshIntent(mine), port.smallestPartBytes);
  await port.sendPart(mine, upload, 0, bytes);
  await port.completeUpload(mine, upload, { bytes: 10, treeHash: treeHash(bytes) });
  const otherTotals = { bytes: 9, treeHash: treeHash(bytes) };
  await expect(port.completeUpload(mine, upload, otherTotals)).rejects.toSatisfy(isBug);
});
