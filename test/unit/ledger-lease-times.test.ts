/** When a lease begins and ends, by whose clock, and what a worker may still do under it. */
import { expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import {
  claimLease,
  LEASE_MS,
  LEASE_RENEW_AFTER_MS,
  LEASE_STOP_BEFORE_END_MS,
  type Leased,
  LONGEST_CALL_MS,
} from '../../src/ledger/leases.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import { MAX_CLASHES, type Store, type StoreCollection } from '../../src/ledger/store.ts';

/** The server's clock is an hour ahead of the worker's: neither must be taken for the other. */
const AHEAD_MS = 3_600_000;
const START = Date.UTC(2026, 4, 1);
const USABLE_MS = LEASE_MS - LEASE_STOP_BEFORE_END_MS;

interface Thing extends Leased {
  readonly n?: number;
}

let workers = 0;

async function world() {
  let nowMs = START;
  const advance = (ms: number) => {
    nowMs += ms;
  };
  const clock: Clock = { now: () => new Date(nowMs), monotonicMs: () => nowMs - START, sleep: async () => undefined };
  const inner = new MemoryStore({ ...clock, now: () => new Date(nowMs + AHEAD_MS) });
  let serverTakesMs = 0;
  const store: Store = {
    collection: (name) => inner.collection(name),
    serverTime: async () => {
      const time = await inner.serverTime();
      advance(serverTakesMs);
      return time;
    },
  };
  const things = inner.collection<Thing>('things');
  await things.insert({ _id: 'a', v: 1, epoch: 4, lease: null });
  const worker = id.worker(`worker-${workers++}`);
  // A monotonic clock begins anywhere.
  advance(1_000_000);
  const claim = (collection: StoreCollection<Thing> = things, signal?: AbortSignal) =>
    claimLease(store, collection, 'a', { worker, clock, signal });
  const claimByAnother = () => claimLease(store, things, 'a', { worker: id.worker(`worker-${workers++}`), clock });
  const serverTime = () => new Date(nowMs + AHEAD_MS);
  return {
    things,
    worker,
    advance,
    claim,
    claimByAnother,
    serverTime,
    serverTakes: (ms: number) => {
      serverTakesMs = ms;
    },
  };
}

/** The collection with one call replaced. */
function over(things: StoreCollection<Thing>, calls: Partial<StoreCollection<Thing>>): StoreCollection<Thing> {
  return new Proxy(things, {
    get: (target, name) => {
      const value: unknown = Reflect.get(Reflect.has(calls, name) ? calls : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function current(things: StoreCollection<Thing>): Promise<Thing & { readonly rev: number }> {
  const found = await things.get('a');
  if (found === null) throw new Error('It is gone.');
  return found;
}

test('the margins: no call that began under the lease is under way when it ends, and it is renewed long before', () => {
  expect(LEASE_STOP_BEFORE_END_MS).toBeGreaterThan(LONGEST_CALL_MS);
  expect(LEASE_RENEW_AFTER_MS).toBeLessThan(USABLE_MS);
});

test('a claim writes worker, the next epoch and an end in the time of the server', async () => {
  const { claim, things, worker, serverTime } = await world();
  const until = new Date(serverTime().getTime() + LEASE_MS);
  const lease = await claim();
  expect({ epoch: lease.epoch, subject: lease.subject }).toEqual({ epoch: 5, subject: 'a' });
  expect(await things.get('a')).toMatchObject({ epoch: 5, lease: { worker, until } });
  expect(lease.document).toEqual(await things.get('a'));
});

test('another worker may claim at the very end of a lease, not a millisecond before, and is told who has it and until when', async () => {
  const { claim, claimByAnother, advance, worker, serverTime } = await world();
  const until = new Date(serverTime().getTime() + LEASE_MS);
  const lease = await claim();
  advance(LEASE_MS - 1);
  await expect(claimByAnother()).rejects.toMatchObject({
    code: 'LEASE_HELD',
    retryAt: until,
    ids: { subject: 'a', worker },
  });
  advance(1);
  expect((await claimByAnother()).epoch).toBe(lease.epoch + 1);
});

test('work stops the margin before the end, by the clock of the worker, counted from before the claim went out', async () => {
  const { claim, advance, serverTakes } = await world();
  serverTakes(20_000);
  const lease = await claim();
  advance(USABLE_MS - 20_000 - 1);
  expect(() => lease.assertHeld()).not.toThrow();
  advance(1);
  expect(() => lease.assertHeld()).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
  await expect(lease.keep()).rejects.toMatchObject({ code: 'LEASE_LOST' });
  await expect(lease.write((thing) => thing)).rejects.toMatchObject({ code: 'LEASE_LOST' });
});

test('told to stop: WORK_STOPPED with the reason, before anything is written', async () => {
  const { claim, things } = await world();
  const stop = new AbortController();
  const lease = await claim(things, stop.signal);
  expect(() => lease.assertHeld()).not.toThrow();
  stop.abort('the daemon shuts down');
  expect(() => lease.assertHeld()).toThrow(
    expect.objectContaining({ code: 'WORK_STOPPED', cause: 'the daemon shuts down' }),
  );
  const { rev } = await current(things);
  await expect(lease.keep()).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  await expect(lease.write((thing) => ({ ...thing, n: 1 }))).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  expect(await things.get('a')).toMatchObject({ rev });
});

test('keep: writes nothing until a third is used up, then a new end, counted from before the server was asked', async () => {
  const { claim, things, worker, advance, serverTime, serverTakes } = await world();
  const lease = await claim();
  const { rev } = await current(things);
  advance(LEASE_RENEW_AFTER_MS - 1);
  await lease.keep();
  expect(await things.get('a')).toMatchObject({ rev });
  advance(1);
  serverTakes(30_000);
  const until = new Date(serverTime().getTime() + LEASE_MS);
  await lease.keep();
  expect(await things.get('a')).toMatchObject({ rev: rev + 1, epoch: 5, lease: { worker, until } });
  advance(USABLE_MS - 30_000 - 1);
  expect(() => lease.assertHeld()).not.toThrow();
  advance(1);
  expect(() => lease.assertHeld()).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
});

test('keep: the lease was taken out of the document under the same epoch: lost, not written back', async () => {
  const { claim, things, advance } = await world();
  const lease = await claim();
  await things.replace({ ...(await current(things)), lease: null });
  advance(LEASE_RENEW_AFTER_MS);
  await expect(lease.keep()).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(await things.get('a')).toMatchObject({ lease: null });
});

test('write: what somebody else wrote under the same epoch is read and kept; under another it is lost, and so is one that is gone', async () => {
  const { claim, things } = await world();
  const lease = await claim();
  await things.replace({ ...(await current(things)), n: 7 });
  expect(await lease.write((thing) => ({ ...thing, n: (thing.n ?? 0) + 1 }))).toMatchObject({ n: 8, epoch: 5 });
  expect(lease.document).toEqual(await things.get('a'));
  await things.replace({ ...(await current(things)), epoch: 6 });
  await expect(lease.write((thing) => ({ ...thing, n: 0 }))).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(await things.get('a')).toMatchObject({ n: 8, epoch: 6 });
  await things.removeMany({});
  await expect(lease.write((thing) => ({ ...thing, n: 0 }))).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(await things.count({})).toBe(0);
});

test('claim and write give up after MAX_CLASHES lost races, with LEDGER_CONTENTION', async () => {
  const { claim, things } = await world();
  let tries = 0;
  let isLosing = true;
  const losing = over(things, {
    replace: async (document) => {
      if (!isLosing) return await things.replace(document);
      tries += 1;
      return null;
    },
  });
  await expect(claim(losing)).rejects.toMatchObject({ code: 'LEDGER_CONTENTION' });
  expect(tries).toBe(MAX_CLASHES);
  isLosing = false;
  const lease = await claim(losing);
  isLosing = true;
  await expect(lease.write((thing) => thing)).rejects.toMatchObject({ code: 'LEDGER_CONTENTION' });
  expect(tries).toBe(2 * MAX_CLASHES);
});

test('what the ledger does not have cannot be claimed', async () => {
  const { claim, things } = await world();
  await things.removeMany({});
  await expect(claim()).rejects.toMatchObject({ code: 'ARCHIVE_UNKNOWN' });
});

test('fence: writes the document as it is, so that nothing sent before can still arrive', async () => {
  const { claim, things } = await world();
  const lease = await claim();
  const before = await current(things);
  expect(await lease.fence()).toEqual({ ...before, rev: before.rev + 1 });
  expect(await things.replace({ ...before, n: 1 })).toBeNull();
});

test('remember: kept in memory, written with the next move', async () => {
  const { claim, things } = await world();
  const lease = await claim();
  lease.remember({ ...lease.document, n: 3 });
  expect(lease.document).toMatchObject({ n: 3 });
  expect((await current(things)).n).toBeUndefined();
  await lease.write((thing) => thing);
  expect(await things.get('a')).toMatchObject({ n: 3 });
});

test('given up: free at once, with one call; also where somebody wrote in between; the lease of a later epoch stays', async () => {
  const { claim, claimByAnother, things, worker, advance } = await world();
  let gets = 0;
  const counting = over(things, {
    get: async (subject) => {
      gets += 1;
      return await things.get(subject);
    },
  });
  const first = await claim(counting);
  gets = 0;
  await first.giveUp();
  expect(gets).toBe(0);
  expect(await things.get('a')).toMatchObject({ epoch: 5, lease: null });

  const second = await claim(counting);
  await things.replace({ ...(await current(things)), n: 1 });
  await second.giveUp();
  expect(await things.get('a')).toMatchObject({ epoch: 6, lease: null, n: 1 });

  const third = await claim();
  expect((await current(things)).lease?.worker).toBe(worker);
  advance(LEASE_MS);
  const other = await claimByAnother();
  await third.giveUp();
  expect(await things.get('a')).toMatchObject({ epoch: other.epoch, lease: other.document.lease });
});

test('given up twice: the lease that this process holds meanwhile stays its own', async () => {
  const { claim } = await world();
  const first = await claim();
  await first.giveUp();
  const second = await claim();
  await first.giveUp();
  await expect(claim()).rejects.toMatchObject({ code: 'LEASE_HELD' });
  await expect(second.write((thing) => thing)).resolves.toMatchObject({ epoch: second.epoch });
});

test('given up what is gone, or free already: nothing is written', async () => {
  const { claim, things } = await world();
  const first = await claim();
  await things.replace({ ...(await current(things)), lease: null });
  const { rev } = await current(things);
  await first.giveUp();
  expect(await things.get('a')).toMatchObject({ rev });
  const second = await claim();
  await things.removeMany({});
  await second.giveUp();
  expect(await things.count({})).toBe(0);
});
