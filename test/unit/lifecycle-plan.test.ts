/** What `plan` says, figure by figure: the same plan is what `run` takes, and the caps are asked about it. */
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { archives } from '../../src/ledger/archives.ts';
import { holds } from '../../src/ledger/holds.ts';
import { partitionId } from '../../src/ledger/partitions.ts';
import { exemptRecords, markQuarantined } from '../../src/ledger/record-marks.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { pause } from '../../src/lifecycle/pause.ts';
import { assertUsable, planPolicy } from '../../src/lifecycle/plan.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { keyCode } from '../../src/lifecycle/record-holds.ts';
import { type Policy, policyVersion, toShape } from '../../src/policy/policy.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { anArchive } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const AS_OF = '2024-06-01T00:00:00Z';
const text = (limits = '{ records: 1000, share: 1.0 }') => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, maxWait: 7 days }
limits: ${limits}
`;

let world: MemoryWorld;
let policy: Policy;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(text());
  context = world.context(undefined, { asOf: AS_OF });
});

const record = (_id: string, day = '2020-01-01', more: BSON.Document = {}) => ({
  _id,
  owner: 'acme',
  tenant: 'north',
  at: new Date(day),
  ...more,
});
const put = (...records: readonly BSON.Document[]) => {
  for (const one of records) world.put(policy, one);
};
const keyOf = (_id: string) => world.source.keyOf(idBytesOf(BSON.serialize({ _id })));
const bytesOf = (...records: readonly BSON.Document[]) =>
  records.reduce((sum, one) => sum + BSON.serialize(one).length, 0);
const plan = async (flush = true, on = context) => await planPolicy(on, policy, { flush });

test('figures of each partition and of all of them; what is taken is what is sealed now', async () => {
  const south = record('s', '2022-05-31', { tenant: 'south' });
  put(record('a'), record('b', '2020-01-02'), record('young', '2022-06-02'), record('old', '2010-01-01'), south);
  put({ _id: 'unfit', owner: 'acme', at: new Date('2020-01-01') }, { _id: 'unfit-too', owner: 7 });
  const found = await plan(false);
  const north = {
    owner: ACME.owner,
    customer: ACME.customer,
    dataset: ACME.namespace,
    due: 2,
    bytes: bytesOf(record('a'), record('b')),
    oldest: new Date('2022-01-01'),
    expired: 1,
    held: 0,
    paused: [],
  };
  expect(found).toMatchObject({
    policy: 'chats',
    version: policyVersion(policy),
    asOf: new Date(AS_OF),
    documents: 7,
    partitions: [
      { ...north, seal: { seal: true, reason: 'waited' } },
      { customer: 'south', due: 1, oldest: new Date('2024-05-31'), seal: { seal: false, reason: 'waiting' } },
    ],
    totals: { due: 3, bytes: bytesOf(record('a'), record('b'), south), expired: 1, held: 0, unfit: 2, taken: 2 },
    unfit: { 'customer-unusable': 1, 'owner-unusable': 1 },
    caps: { ok: true },
  });
  expect((await plan(true)).totals).toMatchObject({ taken: 3 });
});

test('nothing is there: nothing is due, and the caps let nothing through for that', async () => {
  put(record('young', '2024-01-01'));
  expect(await plan()).toMatchObject({
    partitions: [],
    totals: { due: 0, bytes: 0, expired: 0, held: 0, unfit: 0, taken: 0 },
    unfit: {},
  });
});

test.each([
  ['{ records: 1, share: 1.0 }', 'records'],
  ['{ records: 1000, share: 0.4 }', 'share'],
])('caps %s are asked about what is taken of what there is', async (limits, cap) => {
  policy = await world.publish(text(limits));
  put(record('a'), record('b'), record('young', '2024-01-01'), record('younger', '2024-01-02'));
  expect((await plan()).caps).toMatchObject({ ok: false, cap });
});

test('reasons: only those that are so, each with its number', async () => {
  put(record('a'));
  const [quiet] = (await plan()).partitions;
  expect(quiet?.reasons).toEqual(['Sealed now because --flush was given.']);
  put(record('old', '2010-01-01'), record('exempt'), record('apart'), record('near', '2022-06-01T12:00:00Z'));
  const scope = await markScope(context, ACME.namespace, ACME.owner, ACME.customer);
  await exemptRecords(world.store, scope, [keyOf('exempt')], new Date('2024-07-01'));
  await markQuarantined(world.store, scope, [keyOf('apart')]);
  const stranger = { ...context, owners: new Set([id.owner('other')]) };
  const [partition] = (await plan(true, stranger)).partitions;
  expect(partition).toMatchObject({ due: 1, expired: 1 });
  expect(partition?.reasons).toEqual([
    'Owner acme is not in moraine.yaml: nothing of it is archived.',
    '1 near the end of their active period are not due yet.',
    '1 were restored and are left alone for now.',
    '1 are in quarantine.',
    '1 are past their archive period too: they go with `moraine run --expired` only.',
    'Sealed now because --flush was given.',
  ]);
});

test('what lies in an archive that is not cleared waits for it, and is said', async () => {
  const [first, second] = [record('a'), record('b', '2020-01-02')];
  put(first, second);
  const made = anArchive({
    _id: id.archive('open'),
    state: 'verified',
    partition: partitionId(ACME.namespace, ACME.owner, ACME.customer),
  });
  const bound = world.source.position(toShape(policy), BSON.serialize(first));
  await archives(world.store).insert({ ...made, plan: { ...made.plan, bound } });
  const [partition] = (await plan()).partitions;
  expect(partition).toMatchObject({ due: 1, bytes: bytesOf(second) });
  expect(partition?.reasons).toContain('1 lie in archives that are not cleared yet.');
  await archives(world.store).removeMany({});
  await archives(world.store).insert({ ...made, state: 'cleared', plan: { ...made.plan, bound } });
  expect((await plan()).partitions[0]).toMatchObject({ due: 2 });
});

test('a hold on all of it: nothing is sealed, all is held and still counted, and each hold is named', async () => {
  put(record('a'), record('b'), record('old', '2010-01-01'));
  await holds(world.store).insert(aHold({ _id: 'h1', caseNumber: 'C-1' }));
  await holds(world.store).insert(aHold({ _id: 'h2', caseNumber: 'C-2', owner: ACME.owner }));
  const found = await plan();
  expect(found.partitions[0]).toMatchObject({
    due: 2,
    expired: 1,
    held: 3,
    seal: { seal: false, reason: 'nothing-due' },
  });
  expect(found.totals).toMatchObject({ due: 2, held: 3, taken: 0 });
  const covers = found.partitions[0]?.reasons.filter((reason) => reason.startsWith('Legal hold'));
  expect(covers).toEqual(['Legal hold h1 (case C-1) covers it.', 'Legal hold h2 (case C-2) covers it.']);
});

test('a hold on some of it: these are held, the rest is taken; one that keeps none is not named', async () => {
  put(record('a'), record('b', '2020-01-02'));
  const range = { ...ACME, triggerFrom: new Date('2020-01-02') };
  await holds(world.store).insert(aHold({ _id: 'h1', ...range }));
  const found = await plan();
  expect(found.partitions[0]).toMatchObject({ due: 1, held: 1, seal: { seal: true } });
  expect(found.totals).toMatchObject({ due: 1, held: 1, taken: 1 });
  expect(found.partitions[0]?.reasons).toContain('1 stay by legal hold h1 (case C-1).');
  await holds(world.store).removeMany({});
  await holds(world.store).insert(aHold({ _id: 'h1', ...range, triggerFrom: new Date('2020-01-03') }));
  const [free] = (await plan()).partitions;
  expect(free).toMatchObject({ due: 2, held: 0 });
  expect(free?.reasons).toEqual(['Sealed now because --flush was given.']);
});

test('many records, and a hold on the key of one: each is looked at, and one is held', async () => {
  put(...Array.from({ length: 1_500 }, (_, n) => record(`r${n}`)));
  const hmac = await context.keys.hmacFor(ACME.owner);
  await holds(world.store).insert(aHold({ ...ACME, recordKeys: [keyCode(hmac, keyOf('r7'))] }));
  expect((await plan()).totals).toMatchObject({ due: 1_499, held: 1, taken: 1_499 });
});

test('pauses: those of the policy and of the owner are named, and nothing is taken; those of others are not', async () => {
  put(record('a'), record('b', '2020-01-01', { owner: 'other' }));
  const because = { by: 'ann', reason: 'a look' };
  const { _id } = await pause(world.context(), { what: 'owner', name: 'acme' }, because);
  await pause(world.context(), { what: 'policy', name: 'mails' }, because);
  const found = await plan();
  expect(found.partitions.map(({ owner, paused, seal }) => [owner, paused, seal.seal, seal.reason])).toEqual([
    ['acme', [`${_id} (owner acme)`], false, 'waiting'],
    ['other', [], true, 'flush'],
  ]);
  expect(found.totals).toMatchObject({ due: 2, taken: 1 });
  // Those that the caller has read already count instead.
  expect((await planPolicy(context, policy, { flush: true, pauses: [] })).totals).toMatchObject({ taken: 2 });
});

test.each([
  ['no index', { index: false } as const, 'INDEX_MISSING'],
  ['a view', { kind: 'view' } as const, 'DATASET_UNFIT'],
])('%s: refused before anything is read of the data', async (_, settings, code) => {
  put(record('a'));
  world.source.settings(policy.dataset.collection, settings);
  const asked: string[] = [];
  const source = overlay(context.source, {
    partitions: () => {
      asked.push('partitions');
      return context.source.partitions(toShape(policy), 0);
    },
  });
  const error = await plan(true, { ...context, source }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code });
  expect(asked).toEqual([]);
});

test('a warning stops nothing; a missing collection is unfit', () => {
  const report = { index: 'i', explain: null, documents: 0 };
  const warning = { level: 'warning', code: 'INDEX_WITHOUT_ID', text: 'slow' } as const;
  expect(() => assertUsable(policy, { ...report, findings: [warning] })).not.toThrow();
  const missing = { level: 'error', code: 'COLLECTION_MISSING', text: 'none' } as const;
  expect(() => assertUsable(policy, { ...report, findings: [warning, missing] })).toThrow(
    expect.objectContaining({ code: 'DATASET_UNFIT' }),
  );
  const remedy = { level: 'error', code: 'INDEX_MISSING', text: 'none', remedy: 'db.x.createIndex()' } as const;
  expect(() => assertUsable(policy, { ...report, findings: [remedy] })).toThrow(
    expect.objectContaining({ code: 'INDEX_MISSING', hint: expect.stringContaining('db.x.createIndex()') }),
  );
});

test('told to stop: no partition is counted, and no unfit record', async () => {
  const stop = new AbortController();
  stop.abort();
  const stopped = () => plan(true, world.context(undefined, { asOf: AS_OF, signal: stop.signal }));
  put({ _id: 'unfit' });
  await expect(stopped()).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  world.source.remove(policy.dataset.collection, idBytesOf(BSON.serialize({ _id: 'unfit' })));
  put(record('a'));
  await expect(stopped()).rejects.toMatchObject({ code: 'WORK_STOPPED' });
});

test('the source fails in one part or in both: the first failure is told, and the second ends no process', async () => {
  put(record('a'));
  const broken = { partitions: new Error('No partitions.'), unfit: new Error('No unfit ones.') };
  const unfit = async function* (): AsyncGenerator<never> {
    yield* [];
    await new Promise((resolve) => setImmediate(resolve));
    throw broken.unfit;
  };
  const partitions = async function* (): AsyncGenerator<never> {
    yield* [];
    throw broken.partitions;
  };
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  const failing = (source: Partial<Context['source']>) =>
    plan(true, { ...context, source: overlay(context.source, source) });
  await expect(failing({ unfit })).rejects.toBe(broken.unfit);
  await expect(failing({ unfit, partitions })).rejects.toBe(broken.partitions);
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

test('many partitions: a few at a time, and each once', async () => {
  for (let n = 0; n < 20; n++) put(record(`r${n}`, '2020-01-01', { tenant: `t${n}` }));
  let atOnce = 0;
  let most = 0;
  const source = overlay(context.source, {
    scan: async function* (...args) {
      atOnce += 1;
      most = Math.max(most, atOnce);
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      yield* context.source.scan(...args);
      atOnce -= 1;
    },
  });
  expect((await plan(true, { ...context, source })).totals).toMatchObject({ due: 20, taken: 20 });
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(4);
});
