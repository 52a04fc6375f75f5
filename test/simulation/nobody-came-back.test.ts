/**
 * What was left by a process that was cut and that no next step takes up by itself; each was found by simulated lives.
 * Whoever comes next, the daemon or `reconcile`, settles it.
 */
import { describe, expect, test } from 'vitest';
import type { ActTools } from '../../jobs/act.ts';
import { MARGINS } from '../../jobs/margins.ts';
import { sweep } from '../../jobs/sweep.ts';
import { id } from '../../src/ids.ts';
import { attempts } from '../../src/ledger/attempts.ts';
import type { LedgerDocument } from '../../src/ledger/store.ts';
import { placeHold } from '../../src/lifecycle/hold.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';
import { yearPolicy } from './year-policy.ts';

const RUN_AT = '2021-06-01T00:00:00Z';
const PURGE_AT = '2023-06-01T00:00:00Z';
const DAY_MS = 86_400_000;

async function newWorld(): Promise<{ world: MemoryWorld; policy: Policy }> {
  const world = await MemoryWorld.open();
  const policy = await world.publish(yearPolicy());
  for (const _id of ['a', 'b']) world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
  return { world, policy };
}

async function run(world: MemoryWorld, policy: Policy, process = new Process(), asOf = RUN_AT, saidBy?: string) {
  const expired = saidBy === undefined ? null : { saidBy };
  return await runPolicy(world.context(process, { asOf }), policy, { flush: true, expired });
}

async function purge(world: MemoryWorld, process = new Process()) {
  const context = world.context(process, { asOf: PURGE_AT });
  return await purgeArchives(context, (await planPurge(context, null)).due);
}

/** The number of the call of this name, counted in a life without faults. */
async function callNamed(name: string, act: (process: Process) => Promise<unknown>): Promise<number> {
  const names: string[] = [];
  const process = new Process();
  const wrap = process.wrap.bind(process);
  process.wrap = (port, kind, pure, label = kind) => watched(wrap(port, kind, pure, label), label, names, pure);
  await act(process);
  const at = names.indexOf(name);
  if (at < 0) throw new Error(`No call is named ${name}: ${names.join(', ')}`);
  return at + 1;
}

function watched<T extends object>(port: T, label: string, names: string[], pure: readonly (keyof T)[]): T {
  return new Proxy(port, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || pure.some((key) => key === name)) return value;
      return (...args: unknown[]) => {
        names.push(`${label} ${String(name)}`);
        return Reflect.apply(value, target, args);
      };
    },
  });
}

test('a deletion of expired records that was cut is carried on by the daemon, not only by the next person', async () => {
  const { world, policy } = await newWorld();
  const atCall = await callNamed('mongodb deleteGuarded', async (process) => {
    const other = await newWorld();
    await run(other.world, other.policy, process, PURGE_AT, 'ann');
  });
  await run(world, policy, new Process('dies before', atCall), PURGE_AT, 'ann').catch(() => undefined);
  expect(world.idsIn(policy)).toEqual(['a', 'b']);
  world.letLeasesEnd();
  const context = world.context(new Process(), { asOf: PURGE_AT });
  const tools: ActTools = { context, margins: MARGINS, isOpen: async () => false, put: async () => true };
  await sweep(tools, { policy: 'chats', flush: false, by: 'schedule' });
  expect(world.idsIn(policy)).toEqual([]);
  expect(await world.all('expirations')).toMatchObject([{ state: 'done', outcomes: { deleted: 2 } }]);
});

test('a purge that was claimed and cut is in the audit chain before anybody asks the vault', async () => {
  const { world, policy } = await newWorld();
  await run(world, policy);
  const [archive] = await world.archives();
  const atCall = await callNamed('audit insert', async (process) => {
    const other = await newWorld();
    await run(other.world, other.policy);
    await purge(other.world, process);
  });
  await purge(world, new Process('dies before', atCall)).catch(() => undefined);
  expect((await world.archives())[0]).toMatchObject({ state: 'purging' });
  world.letLeasesEnd();
  const isInChain = async () =>
    (await world.all('audit')).some((block) => JSON.stringify(block).includes(`${archive?._id}:cleared-purging`));
  const { vault } = world;
  const deleteArchive = vault.deleteArchive.bind(vault);
  const seen: boolean[] = [];
  vault.deleteArchive = async (...args) => {
    seen.push(await isInChain());
    return await deleteArchive(...args);
  };
  expect(await purge(world)).toMatchObject({ purged: [archive?._id] });
  expect(seen).toEqual([true]);
});

describe('a purge without an answer, and then a hold', () => {
  async function unanswered(fault: 'gets an error' | 'loses a reply') {
    const { world, policy } = await newWorld();
    await run(world, policy);
    const atCall = await callNamed('vault deleteArchive', async (process) => {
      const other = await newWorld();
      await run(other.world, other.policy);
      await purge(other.world, process);
    });
    await purge(world, new Process(fault, atCall));
    const hold = {
      caseNumber: 'C-1',
      reason: 'a claim',
      owner: id.owner('acme'),
      customer: null,
      namespace: null,
      triggerFrom: null,
      triggerBefore: null,
      recordIds: [],
      facet: null,
    };
    const [archive] = await world.archives();
    expect(await placeHold(world.context(), hold, 'ann')).toMatchObject({ tooLate: [archive?._id] });
    expect(await purge(world)).toMatchObject({ held: [archive?._id] });
    return world;
  }

  async function daysPass(world: MemoryWorld): Promise<void> {
    for (let day = 0; day < 6; day++) {
      world.clock.advance(DAY_MS);
      await reconcile(world.context(), { all: false, source: false });
      await purge(world);
    }
  }

  test('the inventory says that the file is gone: the purge goes to its end', async () => {
    const world = await unanswered('loses a reply');
    await daysPass(world);
    const [archive] = await world.archives();
    expect(archive).toMatchObject({ state: 'confirmed' });
    await expect(world.context().keys.readBack(archive!.attempt!)).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
  });

  test('the inventory still lists it after three days: it is cleared again, and held', async () => {
    const world = await unanswered('gets an error');
    await reconcile(world.context(), { all: true, source: false });
    expect(await world.archives()).toMatchObject([{ state: 'purging' }]);
    await daysPass(world);
    expect(await world.archives()).toMatchObject([{ state: 'cleared', purge: null }]);
    expect(await purge(world)).toMatchObject({ purged: [] });
  });
});

test('pages that a sleeper wrote after its archive was closed go; those of one that is under way stay', async () => {
  const { world, policy } = await newWorld();
  await run(world, policy);
  const [archive] = await world.archives();
  const page = { v: 1, page: 3, intended: [], tries: 0, outcomes: 'h' };
  for (const name of [archive!._id, 'under way'])
    await world.store
      .collection<LedgerDocument>('clearingPages')
      .insert({ _id: `${name}:3`, archive: name, ...page } as never);
  await reconcile(world.context(), { all: false, source: false });
  expect((await world.all('clearingPages')).map(({ _id }) => _id)).toEqual(['under way:3']);
});

describe('attempts', () => {
  test('one that was abandoned without its key being destroyed loses its key', async () => {
    const { world, policy } = await newWorld();
    await run(world, policy);
    const [archive] = await world.archives();
    const context = world.context();
    const half = id.attempt('half');
    await context.keys.createArchiveKey(id.owner('acme'), archive!._id, half);
    const [attempt] = await world.all('attempts');
    const { rev: _rev, ...rest } = attempt!;
    await attempts(world.store).insert({
      ...(rest as unknown as Parameters<ReturnType<typeof attempts>['insert']>[0]),
      _id: half,
      state: 'abandoned',
      keyDestroyedAt: null,
      endedAt: world.clock.now(),
    });
    await reconcile(world.context(), { all: false, source: false });
    expect(await context.keys.readBack(half)).toMatchObject({ attempt: half });
    world.clock.advance(DAY_MS);
    await reconcile(world.context(), { all: false, source: false });
    await expect(context.keys.readBack(half)).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
    expect(await context.keys.readBack(archive!.attempt!)).toMatchObject({ attempt: archive!.attempt });
  });

  test('one that was written after its archive went on without it is given up; the one of the archive stays', async () => {
    const { world, policy } = await newWorld();
    await run(world, policy);
    const [archive] = await world.archives();
    const context = world.context();
    const [attempt] = await world.all('attempts');
    const { rev: _rev, ...rest } = attempt!;
    const late = id.attempt('late');
    const open = {
      ...(rest as unknown as Parameters<ReturnType<typeof attempts>['insert']>[0]),
      _id: late,
      state: 'open' as const,
      epoch: 0,
      keyDestroyedAt: null,
      endedAt: null,
    };
    await attempts(world.store).insert(open);
    world.clock.advance(DAY_MS);
    await reconcile(context, { all: false, source: false });
    expect(await attempts(world.store).get(late)).toMatchObject({
      state: 'abandoned',
      keyDestroyedAt: expect.any(Date),
    });
    expect(await attempts(world.store).get(archive!.attempt!)).toMatchObject({ state: 'acknowledged' });
    // A key that is made for it later still finds the tombstone.
    const lateKey = context.keys.createArchiveKey(id.owner('acme'), archive!._id, late);
    await expect(lateKey).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
  });
});
