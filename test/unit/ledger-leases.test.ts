import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import { claimLease, type Leased } from '../../src/ledger/leases.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import type { StoreCollection } from '../../src/ledger/store.ts';

let worlds = 0;
let mine = { worker: id.worker('mine'), clock: systemClock };
const other = { worker: id.worker('other'), clock: systemClock };

async function world() {
  const store = new MemoryStore(systemClock);
  mine = { worker: id.worker(`mine${worlds++}`), clock: systemClock };
  const things = store.collection<Leased>('things');
  await things.insert({ _id: 'a', v: 1, epoch: 0, lease: null });
  let isAway = false;
  const cut: StoreCollection<Leased> = {
    ...bound(things),
    replace: async (document) => {
      if (isAway) throw new Error('the server is away');
      return await things.replace(document);
    },
    get: async (subject) => {
      if (isAway) throw new Error('the server is away');
      return await things.get(subject);
    },
  };
  return { store, things, cut, away: (value: boolean) => (isAway = value) };
}

function bound(things: StoreCollection<Leased>): StoreCollection<Leased> {
  return {
    insert: (document) => things.insert(document),
    insertMany: (documents) => things.insertMany(documents),
    get: (subject) => things.get(subject),
    find: (filter, options) => things.find(filter, options),
    count: (filter) => things.count(filter),
    replace: (document) => things.replace(document),
    remove: (subject, rev) => things.remove(subject, rev),
    removeMany: (filter) => things.removeMany(filter),
  };
}

test('a lease that is held is refused to another worker and to the same one', async () => {
  const { store, things } = await world();
  await claimLease(store, things, 'a', mine);
  await expect(claimLease(store, things, 'a', other)).rejects.toMatchObject({ code: 'LEASE_HELD' });
  await expect(claimLease(store, things, 'a', mine)).rejects.toMatchObject({ code: 'LEASE_HELD' });
});

test('the ledger is away when a lease is given up: the lease stands, and the process that ended its work claims it again at once', async () => {
  const { store, cut, things, away } = await world();
  const lease = await claimLease(store, cut, 'a', mine);
  away(true);
  await lease.giveUp();
  away(false);
  expect((await things.get('a'))?.lease).toMatchObject({ worker: mine.worker });
  const again = await claimLease(store, cut, 'a', mine);
  expect(again.epoch).toBe(lease.epoch + 1);
  await expect(lease.write((document) => document)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  await expect(claimLease(store, cut, 'a', other)).rejects.toMatchObject({ code: 'LEASE_HELD' });
});

test('the reply to a claim is lost: the same process claims again at once', async () => {
  const { store, things } = await world();
  const losing: StoreCollection<Leased> = {
    ...bound(things),
    replace: async (document) => {
      await things.replace(document);
      throw new Error('the reply was lost');
    },
  };
  await expect(claimLease(store, losing, 'a', mine)).rejects.toThrow('the reply was lost');
  await expect(claimLease(store, things, 'a', other)).rejects.toMatchObject({ code: 'LEASE_HELD' });
  await expect(claimLease(store, things, 'a', mine)).resolves.toMatchObject({ epoch: 2 });
});

test('a lease whose work goes on is not taken back because an earlier one could not be given up', async () => {
  const { store, cut, away } = await world();
  const first = await claimLease(store, cut, 'a', mine);
  away(true);
  await first.giveUp();
  away(false);
  const second = await claimLease(store, cut, 'a', mine);
  await expect(claimLease(store, cut, 'a', mine)).rejects.toMatchObject({ code: 'LEASE_HELD' });
  await second.giveUp();
  await expect(claimLease(store, cut, 'a', other)).resolves.toBeDefined();
});

test('two claims of one process at once, one fails with an error: the lease of the other stands, and is its own to take back', async () => {
  const { store, things, cut, away } = await world();
  let hasWon: (() => void) | undefined;
  const won = new Promise<void>((resolve) => {
    hasWon = resolve;
  });
  const failing: StoreCollection<Leased> = {
    ...bound(things),
    replace: async () => {
      await won;
      throw new Error('the server is away');
    },
  };
  const loser = claimLease(store, failing, 'a', mine);
  const winner = await claimLease(store, cut, 'a', mine);
  hasWon?.();
  await expect(loser).rejects.toThrow('the server is away');
  await expect(claimLease(store, things, 'a', mine)).rejects.toMatchObject({ code: 'LEASE_HELD' });
  await expect(winner.write((document) => document)).resolves.toMatchObject({ epoch: 1 });
  away(true);
  await winner.giveUp();
  away(false);
  await expect(claimLease(store, things, 'a', mine)).resolves.toMatchObject({ epoch: 2 });
});
