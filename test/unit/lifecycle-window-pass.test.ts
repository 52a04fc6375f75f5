/** Several due windows of one partition where clearing waits for an inventory: all in one run, each record in one archive. */
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { archivePartition } from '../../src/lifecycle/archive-partition.ts';
import { carryOn } from '../../src/lifecycle/carry-on.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { besideEachOther, planPolicy } from '../../src/lifecycle/plan.ts';
import { planNextArchives } from '../../src/lifecycle/plan-archive.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { removeLeftPages } from '../../src/lifecycle/remove-left-pages.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { MOST_WINDOWS } from '../../src/lifecycle/window-pass.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { AttachmentsPort } from '../../src/source/port.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { watched } from '../harness/ledger-world.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const DAY_MS = 86_400_000;

/** The world's clock stands at 1 June 2024. */
let world: MemoryWorld;
let policy: Policy;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await publish();
  context = world.context();
  account('free', 'free');
  account('big', 'enterprise');
});

const publish = (dueWindow = '30 days', more = '') =>
  world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }${more} }
lookUps: { account: { collection: data.accounts, from: account } }
trigger: { field: at }
active: { by: { lookUp: account, field: plan }, of: { enterprise: 2 years }, otherwise: 3 months }
then: archive
archive: { for: 7 years, vault: cold, verify: inventory, dueWindow: ${dueWindow} }
limits: { records: 100000, share: 1.0 }
`);

const record = (_id: string, day: string | Date, account = 'free', more: BSON.Document = {}) => ({
  _id,
  owner: 'acme',
  tenant: 'north',
  at: new Date(day),
  account,
  ...more,
});
const put = (...records: readonly BSON.Document[]) => {
  for (const one of records) world.put(policy, one);
};
const account = (_id: string, plan: string) =>
  world.put({ ...policy, dataset: { ...policy.dataset, collection: id.namespace('data.accounts') } }, { _id, plan });
const takeAway = (_id: string) => world.source.remove(policy.dataset.collection, idBytesOf(BSON.serialize({ _id })));
const run = (by = context) => runPolicy(by, policy, { flush: true, expired: null });

/** One record of each tier in every month of two years: windows lie across each other. */
function twoYears(): string[] {
  const months = Array.from({ length: 24 }, (_, n) => new Date(Date.UTC(2020, n, 1)));
  const all = months.flatMap((day, n) => [record(`f${n}`, day), record(`e${n}`, day, 'big')]);
  put(...all);
  return all.map(({ _id }) => _id);
}

/** The plan, its archives written, and nothing of them stored. */
async function planned(by = context): Promise<readonly ArchiveDocument[]> {
  const [partition] = (await planPolicy(by, policy, { flush: true })).partitions;
  if (partition === undefined) throw new Error('There is no plan.');
  const ids = await planNextArchives(by, policy, partition);
  return await Promise.all(ids.map(async (one) => (await archives(world.store).get(one)) ?? Promise.reject(one)));
}

/** An inventory is made a day after the first archive, and what it lists is cleared. */
async function look(): Promise<void> {
  for (let day = 0; day < 3; day++) {
    await reconcile(world.context(), { all: false, source: false });
    world.vault.advance(25);
  }
}

const held = async () =>
  (await world.archives()).filter(({ state }) => state !== 'abandoned').map(({ outcomes }) => outcomes.archived);
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

async function assertAllGoneOnce(count: number): Promise<void> {
  const all = await world.archives();
  expect(sum(all.map(({ outcomes }) => outcomes.deleted))).toBe(count);
  expect(sum(all.map(({ outcomes }) => outcomes.gone + outcomes.changed))).toBe(0);
  await world.assertTotalsHold();
  await world.assertNothingIsOpen();
}

test('two years of two tiers: every window is stored by one run, and cleared by one inventory', async () => {
  const all = twoYears();
  const { totals, problems, archives: made } = await run();
  expect(problems).toEqual([]);
  expect(totals).toMatchObject({ selected: 48, archived: 48, pending: 48 });
  expect(made.length).toBeGreaterThan(12);
  expect(made.every(({ state }) => state === 'stored')).toBe(true);
  for (const { stored, dueAt, plan } of made) {
    expect(dueAt?.getTime()).toBe(plan.latestPurgeAt.getTime());
    expect(stored?.records).toBe(plan.records);
    // The window: no copy is kept for more than 30 days longer than its own period.
    expect((dueAt?.getTime() ?? 0) - 30 * DAY_MS).toBeLessThanOrEqual(firstPurge(made, dueAt));
  }
  expect((await run()).totals).toMatchObject({ selected: 0 });
  expect(world.idsIn(policy)).toEqual(all.toSorted());
  await look();
  expect(world.idsIn(policy)).toEqual([]);
  await assertAllGoneOnce(48);
});

function firstPurge(made: readonly ArchiveDocument[], dueAt: Date | null): number {
  const own = made.find((archive) => archive.dueAt === dueAt)?.stored?.oldestDueAt;
  return Date.UTC((own?.getUTCFullYear() ?? 0) + 7, own?.getUTCMonth() ?? 0, own?.getUTCDate());
}

test('the source is read three times for all windows: counted, sorted, and each record once by its id', async () => {
  twoYears();
  const read = { scans: 0, byId: 0 };
  const source = new Proxy(context.source, {
    get: (target, name) => {
      if (name === 'scan') {
        return async function* (...given: Parameters<typeof target.scan>) {
          read.scans += 1;
          yield* target.scan(...given);
        };
      }
      if (name === 'readByIds') {
        return async (...given: Parameters<typeof target.readByIds>) => {
          read.byId += given[1].length;
          return await target.readByIds(...given);
        };
      }
      return Reflect.get(target, name);
    },
  });
  const { archives: made } = await run({ ...context, source });
  expect(made.length).toBeGreaterThan(12);
  // To count, to tell what exceptions will shorten, and to sort.
  expect(read.scans).toBeLessThanOrEqual(3);
  expect(read.byId).toBe(48);
});

test('archives of a pass share their bounds and their sequence goes on; the next plan stands above all of them', async () => {
  put(record('f1', '2021-01-01'), record('e1', '2021-01-02', 'big'), record('young', '2024-05-30'));
  const made = await planned();
  expect(made.map(({ sequence, plan }) => [sequence, plan.records])).toEqual([
    [1, 1],
    [2, 1],
  ]);
  const [one, two] = made;
  expect(one?.plan.bound).toEqual(two?.plan.bound);
  expect(one?.plan.pass).toEqual(two?.plan.pass);
  // Nothing of them is stored yet, and what came since lies above them: planned beside them.
  put(record('f2', '2021-02-01'));
  const [next] = await planned();
  expect(next).toMatchObject({ sequence: 3, plan: { records: 1, after: one?.plan.bound } });
  expect(next?.plan.pass?.id).not.toBe(one?.plan.pass?.id);
  await run();
  await look();
  expect(world.idsIn(policy)).toEqual(['young']);
  await assertAllGoneOnce(3);
});

test('what came below the bound since is in none of them, and is the plan’s after they are cleared', async () => {
  put(record('f1', '2021-03-01'), record('e1', '2021-03-02', 'big'));
  const made = await planned();
  put(record('late', '2021-03-01T12:00:00Z'));
  for (const { _id } of made) expect((await carryOn(context, _id, policy)).outcomes.archived).toBe(1);
  expect((await run()).totals.selected).toBe(0);
  await look();
  expect(world.idsIn(policy)).toEqual(['late']);
  await run();
  await look();
  await assertAllGoneOnce(3);
});

test('an account that changes between the plan and its archives moves a record into none of them twice', async () => {
  put(record('f1', '2021-01-01'), record('e1', '2021-01-02', 'big'), record('f2', '2021-01-03', 'mine'));
  account('mine', 'free');
  const [free, enterprise] = await planned();
  expect([free?.plan.records, enterprise?.plan.records]).toEqual([2, 1]);
  account('mine', 'enterprise');
  for (const archive of [free, enterprise]) await carryOn(world.context(), archive!._id, policy);
  expect(await held()).toEqual([1, 1]);
  expect((await run(world.context())).totals.selected).toBe(0);
  await look();
  expect(world.idsIn(policy)).toEqual(['f2']);
  await run(world.context());
  await look();
  await assertAllGoneOnce(3);
});

test('one that was sealed with the record keeps it, whatever its account says when the other is sealed', async () => {
  put(record('f1', '2021-01-01'), record('e1', '2021-01-02', 'big'), record('f2', '2021-01-03', 'mine'));
  account('mine', 'free');
  const [free, enterprise] = await planned();
  await carryOn(context, free!._id, policy);
  account('mine', 'enterprise');
  await carryOn(world.context(), enterprise!._id, policy);
  expect(await held()).toEqual([2, 1]);
  expect((await run(world.context())).totals.selected).toBe(0);
  await look();
  await assertAllGoneOnce(3);
});

test('a record that moved above the bound since is the next plan’s alone, whichever of the two is sealed first', async () => {
  put(record('f1', '2021-03-01'), record('e1', '2021-03-02', 'big'), record('moves', '2021-03-01T12:00:00Z'));
  const below = await planned();
  put(record('moves', '2021-06-01'));
  const above = await planned();
  expect(above).toMatchObject([{ sequence: 3, plan: { records: 1 } }]);
  for (const { _id } of [...above, ...below]) await carryOn(context, _id, policy);
  expect(await held()).toEqual([1, 1, 1]);
  await look();
  await assertAllGoneOnce(3);
});

test.each([
  ['to another customer', { tenant: 'south' }],
  ['to another owner', { owner: 'zenith' }],
  ['to before what is due, by a date that cannot be used', { at: 'yesterday' }],
])('a record that moved %s since it was sorted is in none of them', async (_, change) => {
  put(record('f1', '2021-03-01'), record('e1', '2021-03-02', 'big'), record('moves', '2021-03-01T12:00:00Z'));
  const made = await planned();
  put({ ...record('moves', '2021-03-01'), ...change });
  for (const { _id } of made) await carryOn(context, _id, policy);
  expect(await held()).toEqual([1, 1]);
  await look();
  expect(world.idsIn(policy)).toEqual(['moves']);
  await assertAllGoneOnce(2);
});

test('a record that is gone since leaves its archive; one that is left with nothing is abandoned', async () => {
  put(record('f1', '2021-03-01'), record('e1', '2021-03-02', 'big'));
  const made = await planned();
  takeAway('f1');
  const states: string[] = [];
  for (const { _id } of made) states.push((await carryOn(context, _id, policy)).state);
  expect(states).toEqual(['abandoned', 'stored']);
  await look();
  await assertAllGoneOnce(1);
});

test('more windows than a pass fills: it ends there, and the next one begins in the same run', async () => {
  policy = await publish('1 day');
  const count = MOST_WINDOWS + 6;
  put(...Array.from({ length: count }, (_, n) => record(`r${n}`, new Date(Date.UTC(2021, 0, 1) + n * 3 * DAY_MS))));
  const { archives: made, totals } = await run();
  expect(made).toHaveLength(count);
  expect(totals).toMatchObject({ archived: count, pending: count });
  expect(new Set(made.map(({ plan }) => plan.pass?.id)).size).toBe(2);
  expect(made.map(({ plan }) => plan.pass?.reachedEnd)).toContain(false);
  await look();
  await assertAllGoneOnce(count);
});

test('no more than the plan counted: what came since waits, above the bound', async () => {
  put(record('f1', '2021-03-01'), record('e1', '2021-03-02', 'big'), record('f2', '2021-03-03'));
  const [partition] = (await planPolicy(context, policy, { flush: true })).partitions;
  const ids = await planNextArchives(context, policy, { ...partition!, due: 2 });
  for (const one of ids) await carryOn(context, one, policy);
  expect(await held()).toEqual([1, 1]);
  expect((await run()).totals).toMatchObject({ selected: 1 });
});

test('pages are of a size that can be read back at once', async () => {
  const wide = 'x'.repeat(1_500);
  put(...Array.from({ length: 60 }, (_, n) => record(`${String(n).padStart(2, '0')}${wide}`, '2021-03-01')));
  await planned();
  const pages = await world.all('plannedRecords');
  expect(pages.length).toBeGreaterThan(1);
  for (const page of pages) expect((page as never as { packed: Uint8Array }).packed.length).toBeLessThan(40_000);
  await run();
  await look();
  await assertAllGoneOnce(60);
});

test('a window that is full gets a second archive, and all is stored by the same run', async () => {
  const noise = (bytes: number) => ({ noise: new BSON.Binary(new Uint8Array(bytes)) });
  put(...Array.from({ length: 16 }, (_, n) => record(`f${n}`, '2021-03-01', 'free', noise(15.5 * 1024 * 1024))));
  put(record('e', '2021-03-02', 'big'));
  const { totals } = await run();
  expect(totals).toMatchObject({ archived: 17, pending: 17 });
  expect((await held()).sort()).toEqual([1, 14, 2]);
  expect((await world.archives()).every(({ plan }) => plan.pass?.reachedEnd === true)).toBe(true);
}, 60_000);

test('what hangs on records counts: a window that is full by its files and children gets a second archive', async () => {
  policy = await publish(
    '30 days',
    ', children: [{ collection: data.notes, key: chat }], attachments: [{ gridfs: data.fs, file: photo, exclusive: false }]',
  );
  put(record('a', '2021-03-01'), record('b', '2021-03-02'), record('c', '2021-03-03', 'free', { photo: 'is-away' }));
  const notes = { ...policy, dataset: { ...policy.dataset, collection: id.namespace('data.notes') } };
  const note = { _id: 1, chat: 'a', text: 'x'.repeat(5_000) };
  world.put(notes, note);
  const found = { found: [{ bytes: 150 * 1024 * 1024 }] } as unknown as Awaited<ReturnType<AttachmentsPort['find']>>;
  const attachments = {
    inspect: async () => [],
    find: async (_: unknown, raw: Uint8Array) =>
      BSON.deserialize(raw)['photo'] === 'is-away' ? { problem: 'attachment-missing' } : found,
  } as unknown as AttachmentsPort;
  const made = await planned({ ...context, attachments });
  // Two files of 150 MiB do not fit into one archive; the record whose file is missing is weighed without it.
  expect(made.map(({ plan }) => plan.records)).toEqual([1, 2]);
  const alone = BSON.serialize(record('a', '2021-03-01')).length;
  expect(made[0]?.plan.bytes).toBe(alone + BSON.serialize(note).length + 150 * 1024 * 1024);
});

test('cut between two of its archives: those that are there go on, what the others would hold goes after them', async () => {
  put(record('f1', '2021-03-01'), record('e1', '2021-03-02', 'big'), record('f2', '2021-06-01'));
  let inserts = 0;
  const store = watched(context.store, async (at, made) => {
    if (at !== 'archives' || made !== 'insert') return;
    inserts += 1;
    if (inserts > 1) throw new Error('cut');
  });
  expect((await run({ ...context, store })).problems).toHaveLength(1);
  world.letLeasesEnd();
  expect((await run(world.context())).totals).toMatchObject({ selected: 0, archived: 1 });
  await look();
  expect(world.idsIn(policy)).toEqual(['e1', 'f2']);
  await run(world.context());
  await look();
  expect(world.idsIn(policy)).toEqual([]);
  await assertAllGoneOnce(3);
});

test('cut before its first archive: the next plan removes the pages, or reconcile does where none comes', async () => {
  put(record('f1', '2021-03-01'), record('e1', '2021-03-02', 'big'));
  const store = watched(context.store, async (at, made) => {
    if (at === 'archives' && made === 'insert') throw new Error('cut');
  });
  expect((await run({ ...context, store })).problems).toHaveLength(1);
  expect(await world.archives()).toEqual([]);
  expect(await world.all('plannedRecords')).toHaveLength(2);
  const made = await planned(world.context());
  expect(new Set((await world.all('plannedRecords')).map(({ _id }) => _id.split(':')[0]))).toEqual(
    new Set(made.map(({ _id }) => _id)),
  );
  // Those of planned archives stay.
  expect(await removeLeftPages(world.context())).toBe(0);
  for (const { _id, rev } of made) await archives(world.store).remove(_id, rev);
  expect(await removeLeftPages(world.context())).toBe(2);
  expect(await world.all('plannedRecords')).toEqual([]);
});

test('pages of a plan that is being made are nobody’s to remove; once its lease is over they are', async () => {
  put(record('f1', '2021-03-01'), record('e1', '2021-03-02', 'big'));
  const removed: number[] = [];
  let looked = false;
  const store = watched(context.store, async (at, made) => {
    if (at !== 'archives' || made !== 'insert' || looked) return;
    looked = true;
    removed.push(await removeLeftPages(world.context()));
    world.letLeasesEnd();
    removed.push(await removeLeftPages(world.context()));
  });
  // It slept: its archives find nothing put down for them, and its records are the next plan's.
  await run({ ...context, store });
  expect(removed).toEqual([0, 2]);
  for (let more = 0; more < 2; more++) {
    await run(world.context());
    await look();
  }
  expect(world.idsIn(policy)).toEqual([]);
  await assertAllGoneOnce(2);
});

test('two branches that archive: one pass takes both, each in archives of its own, within what was counted for each', async () => {
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: { by: plan, of: { enterprise: 2 years }, otherwise: 3 months }
then: { by: kind, of: { voice: [archive, { redact: [text] }], spam: delete }, otherwise: archive }
archive: { for: 7 years, vault: cold, verify: inventory, dueWindow: 30 days }
limits: { records: 100000, share: 1.0 }
`);
  const all = (_id: string, day: string, more: BSON.Document = {}) => put({ ...record(_id, day), ...more });
  all('spam', '2021-01-01', { kind: 'spam' });
  all('chat', '2021-01-02');
  all('voice', '2021-01-03', { kind: 'voice', text: 'secret' });
  all('chat-later', '2021-06-01');
  all('voice-big', '2021-01-04', { kind: 'voice', plan: 'enterprise', text: 'secret' });
  const first = await run();
  expect(first.problems).toEqual([]);
  expect(first.totals).toMatchObject({ selected: 5, archived: 4, pending: 4, deleted: 1 });
  const made = first.archives.map(({ plan, outcomes }) => [plan.branch, outcomes.archived]);
  expect(made.filter(([branch]) => branch === 'archive')).toHaveLength(2);
  expect(made).toHaveLength(4);
  expect(new Set(first.archives.map(({ plan }) => plan.pass?.id)).size).toBe(1);
  await look();
  expect(world.idsIn(policy)).toEqual(['voice', 'voice-big']);
  expect(sum((await world.archives()).map(({ outcomes }) => outcomes.treated))).toBe(2);
  expect((await run()).totals).toMatchObject({ selected: 0 });
  await world.assertTotalsHold();
  await world.assertNothingIsOpen();
});

test('a branch of which more came than was counted ends the pass; the next one takes the rest of the others', async () => {
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 3 months
then: { by: kind, of: { voice: [archive, { redact: [text] }] }, otherwise: archive }
archive: { for: 7 years, vault: cold, verify: inventory, dueWindow: 30 days }
limits: { records: 100000, share: 1.0 }
`);
  const voice = { kind: 'voice', text: 'secret' };
  put(record('c1', '2021-01-01'), record('v1', '2021-01-02', 'free', voice), record('c9', '2021-01-09'));
  const { partitions } = await planPolicy(context, policy, { flush: true });
  put(record('v2', '2021-01-03', 'free', voice));
  const touched = new Set<ArchiveDocument['_id']>();
  for (const partition of besideEachOther(partitions)) await archivePartition(context, policy, partition, touched);
  expect(touched.size).toBe(3);
  expect(new Set((await world.archives()).map(({ plan }) => plan.pass?.id)).size).toBe(2);
  expect(sum(await held())).toBe(3);
  await look();
  await run();
  await look();
  expect(world.idsIn(policy)).toEqual(['v1', 'v2']);
  await world.assertTotalsHold();
});
