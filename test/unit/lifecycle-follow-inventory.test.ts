/** Following a vault's inventory: one job at a time, asked for only where it is needed, looked at without waiting. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import {
  claimInventoryRequest,
  dropInventoryJob,
  getInventory,
  type InventoryDocument,
  needInventory,
  rememberInventoryJob,
  takeInventory,
} from '../../src/ledger/inventories.ts';
import { update } from '../../src/ledger/update.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { followInventory } from '../../src/lifecycle/follow-inventory.ts';
import type { Inventory, JobState, VaultPort } from '../../src/vault/port.ts';
import { LOCATION } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const SINCE = new Date('2024-06-01T00:00:00Z');
const EXPECTED = new Date('2024-06-01T04:00:00Z');
const INVENTORY: Inventory = { inventoryDate: SINCE, entries: async function* () {} };

let world: MemoryWorld;
/** What the vault was asked. */
let asked: string[];
beforeEach(async () => {
  world = await MemoryWorld.open();
  asked = [];
});

/** A vault whose jobs are in these states, by id; it names new ones j1, j2. */
function contextWith(jobs: Readonly<Record<string, JobState>>, more: Partial<VaultPort> = {}): Context {
  let made = 0;
  const base = world.context();
  const vault = overlay<VaultPort>(world.vault, {
    requestInventory: async () => {
      made += 1;
      asked.push(`request j${made}`);
      return `j${made}`;
    },
    inventoryState: async (_location, job) => {
      asked.push(`state ${job}`);
      return jobs[job] ?? { state: 'gone' };
    },
    readInventory: async (_location, job) => {
      asked.push(`read ${job}`);
      return INVENTORY;
    },
    ...more,
  });
  return { ...base, vaults: new Map([[LOCATION.key, vault]]) };
}

const need = () => needInventory(world.store, LOCATION, SINCE);
const known = () => getInventory(world.store, LOCATION);

async function requested(jobId: string): Promise<void> {
  await need();
  await claimInventoryRequest(world.store, world.clock, LOCATION);
  await rememberInventoryJob(world.store, world.clock, LOCATION, jobId);
}

const pending: JobState = { state: 'pending', expectedAt: EXPECTED };
const ready: JobState = { state: 'ready', readyAt: SINCE, expiresAt: null };

test('of a vault that needs none, or needs none any more: the vault is not asked', async () => {
  expect(await followInventory(contextWith({}), LOCATION)).toEqual({ state: 'not-needed' });
  await requested('j0');
  await takeInventory(world.store, LOCATION, { jobId: 'j0', inventoryDate: SINCE, isEnough: true });
  expect(await followInventory(contextWith({}), LOCATION)).toEqual({ state: 'not-needed' });
  expect(asked).toEqual([]);
});

test('needed: asked for once, then looked at until it is ready', async () => {
  await need();
  const context = contextWith({ j1: pending });
  expect(await followInventory(context, LOCATION)).toEqual({ state: 'pending', expectedAt: EXPECTED });
  expect(await known()).toMatchObject({ state: 'requested', jobId: 'j1' });
  expect(await followInventory(context, LOCATION)).toEqual({ state: 'pending', expectedAt: EXPECTED });
  expect(asked).toEqual(['request j1', 'state j1', 'state j1']);
  expect(await followInventory(contextWith({ j1: ready }), LOCATION)).toEqual({
    state: 'ready',
    jobId: 'j1',
    inventory: INVENTORY,
  });
  expect(asked.slice(3)).toEqual(['state j1', 'read j1']);
});

test('a job that is open is followed to its end, also when nothing waits for it any more', async () => {
  await requested('j0');
  const requests = world.store.collection<InventoryDocument>('inventories');
  await update(requests, (await known())?._id ?? '', (inventory) => ({ ...inventory, neededSince: null }));
  expect(await followInventory(contextWith({ j0: ready }), LOCATION)).toMatchObject({ state: 'ready', jobId: 'j0' });
});

test('another worker is asking: waited for, and not asked a second time', async () => {
  await need();
  await claimInventoryRequest(world.store, world.clock, LOCATION);
  expect(await followInventory(contextWith({}), LOCATION)).toEqual({ state: 'pending', expectedAt: null });
  expect(asked).toEqual([]);
});

test('a job that the vault does not know any more: asked for anew, and said when that one will be ready', async () => {
  await requested('j0');
  const context = contextWith({ j1: pending });
  expect(await followInventory(context, LOCATION)).toEqual({ state: 'pending', expectedAt: EXPECTED });
  expect(asked).toEqual(['state j0', 'request j1', 'state j1']);
  expect(await known()).toMatchObject({ state: 'requested', jobId: 'j1', neededSince: SINCE });
});

test('asked for anew and ready at once: taken with the next look', async () => {
  await requested('j0');
  expect(await followInventory(contextWith({ j1: ready }), LOCATION)).toEqual({ state: 'pending', expectedAt: null });
  expect(await known()).toMatchObject({ state: 'requested', jobId: 'j1' });
});

test('the job is gone, and another worker is asking by now: its job is left alone', async () => {
  await requested('j0');
  const context = contextWith(
    {},
    {
      inventoryState: async (_location, job) => {
        asked.push(`state ${job}`);
        await dropInventoryJob(world.store, LOCATION, 'j0');
        await claimInventoryRequest(world.store, world.clock, LOCATION);
        return { state: 'gone' };
      },
    },
  );
  expect(await followInventory(context, LOCATION)).toEqual({ state: 'pending', expectedAt: null });
  expect(asked).toEqual(['state j0']);
  expect(await known()).toMatchObject({ state: 'asking', jobId: null });
});

test('a vault that the configuration does not have: an error that names it', async () => {
  const elsewhere = { ...LOCATION, key: id.vaultKey('elsewhere') };
  await expect(followInventory(contextWith({}), elsewhere)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
