/** Schedules at work: look-ups, events, tiers and exceptions from the plan to what is cleared, on memory. */
import { type BSON, serialize } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { type ExceptionDocument, exceptions } from '../../src/ledger/exceptions.ts';
import { carryOn } from '../../src/lifecycle/carry-on.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { oldestRecords } from '../../src/lifecycle/oldest-records.ts';
import { type PolicyPlan, planPolicy } from '../../src/lifecycle/plan.ts';
import { planNextArchives } from '../../src/lifecycle/plan-archive.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

/** The world's clock stands at 1 June 2024. */
const at = (day: string) => new Date(`${day}T00:00:00.000Z`);
const LISTS = id.namespace('data.lists');

let world: MemoryWorld;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  context = world.context();
});

const text = (schedule: string, dataset = '') => `
policy: contacts
zone: UTC
dataset: { collection: data.contacts, owner: { field: owner }, customer: { field: tenant }${dataset} }
${schedule}
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;
const record = (_id: string, day: string, more: BSON.Document = {}) => ({
  _id,
  owner: 'acme',
  tenant: 'north',
  at: at(day),
  ...more,
});
const put = (policy: Policy, ...records: readonly BSON.Document[]) => {
  for (const one of records) world.put(policy, one);
};
const putList = (policy: Policy, document: BSON.Document) =>
  world.put({ ...policy, dataset: { ...policy.dataset, collection: LISTS } }, document);
const plan = (policy: Policy) => planPolicy(context, policy, { flush: true });
const run = (policy: Policy) => runPolicy(context, policy, { flush: true, expired: null });

/** A context whose calls of the source are counted by name. */
function counting(of: Context): { context: Context; calls: Map<string, number> } {
  const calls = new Map<string, number>();
  const source = new Proxy(of.source, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== 'function') return found;
      return (...input: unknown[]) => {
        calls.set(String(name), (calls.get(String(name)) ?? 0) + 1);
        return Reflect.apply(found, target, input);
      };
    },
  });
  return { context: { ...of, source }, calls };
}

async function grant(policy: Policy, over: Partial<ExceptionDocument>): Promise<void> {
  await exceptions(world.store).insert({
    _id: 'x1',
    v: 1,
    policy: policy.name,
    effect: 'shorter',
    active: 'P1M',
    owner: null,
    customer: null,
    value: null,
    reason: 'asked for',
    requestedBy: 'ann',
    from: null,
    until: null,
    state: 'granted',
    requestedAt: at('2024-05-01'),
    graceMs: 7 * 86_400_000,
    approval: 'a1',
    grantedBy: ['bob'],
    grantedAt: at('2024-06-01'),
    endedAt: null,
    endedBy: null,
    endReason: null,
    ...over,
  });
}

const LISTED = text(`trigger: { expires: { lookUp: list, field: expiresAt }, created: at, latest: 10 years }
lookUps: { list: { collection: data.lists, from: listId } }`);

describe('look-ups', () => {
  test('a contact goes when its list expires; without a list, without a date or with a text for one it stays and is pending', async () => {
    const policy = await world.publish(LISTED);
    putList(policy, { _id: 1, expiresAt: at('2024-05-01') });
    putList(policy, { _id: 2, expiresAt: at('9999-12-31') });
    putList(policy, { _id: 3, expiresAt: '2024-05-01' });
    putList(policy, { _id: 4 });
    put(policy, record('gone', '2024-01-01', { listId: 1 }), record('same', '2024-02-01', { listId: 1.0 }));
    put(policy, ...[2, 3, 4, 5].map((listId) => record(`list-${listId}`, '2024-01-02', { listId })));
    put(policy, record('no-list', '2023-01-01'));
    const { partitions } = await plan(policy);
    expect(partitions).toMatchObject([
      { due: 2, oldest: at('2024-05-01'), pending: 4, oldestPending: at('2023-01-01') },
    ]);
    expect(partitions[0]?.reasons).toContain(
      '4 are pending: they wait for an event or a value, the oldest since 2023-01-01 00:00.',
    );
    expect((await oldestRecords(context))[0]).toMatchObject({
      dueAt: at('2024-05-01'),
      pendingSince: at('2023-01-01'),
    });
    const { totals, problems } = await run(policy);
    expect(problems).toEqual([]);
    expect(totals).toMatchObject({ archived: 2, deleted: 2 });
    expect(world.idsIn(policy).sort()).toEqual(['list-2', 'list-3', 'list-4', 'list-5', 'no-list']);
    await world.assertTotalsHold();
  });

  test('whoever moves the date of the list moves it for all of its contacts', async () => {
    const policy = await world.publish(LISTED);
    putList(policy, { _id: 1, expiresAt: at('2024-05-01') });
    put(policy, record('a', '2024-01-01', { listId: 1 }), record('b', '2024-01-02', { listId: 1 }));
    expect((await plan(policy)).totals.due).toBe(2);
    putList(policy, { _id: 1, expiresAt: at('2025-05-01') });
    expect((await plan(policy)).totals.due).toBe(0);
  });

  test('each document is asked for once in a plan, however many customers and records', async () => {
    const policy = await world.publish(LISTED);
    putList(policy, { _id: 1, expiresAt: at('2024-05-01') });
    for (const tenant of ['north', 'south', 'west']) {
      put(
        policy,
        ...Array.from({ length: 50 }, (_, n) => record(`${tenant}-${n}`, '2024-01-01', { listId: 1, tenant })),
      );
    }
    const counted = counting(context);
    expect((await planPolicy(counted.context, policy, { flush: true })).totals.due).toBe(150);
    expect(counted.calls.get('readByKey')).toBeLessThanOrEqual(3);
    expect(counted.calls.get('inspectLookUp')).toBeLessThanOrEqual(2);
  });

  test('one leads to the next, by a key of its own', async () => {
    const policy = await world.publish(
      text(`trigger: { field: at }
lookUps:
  contract: { collection: data.contracts, key: number, from: contractNumber }
  customer: { collection: data.customers, from: { lookUp: contract, field: customerId } }
active: { by: { lookUp: customer, field: plan }, of: { enterprise: 2 years }, otherwise: 3 months }`),
    );
    const into = (collection: string, document: BSON.Document) =>
      world.put({ ...policy, dataset: { ...policy.dataset, collection: id.namespace(collection) } }, document);
    into('data.contracts', { _id: 'c1', number: 'N-1', customerId: 'e' });
    into('data.contracts', { _id: 'c2', number: 'N-2', customerId: 'f' });
    into('data.customers', { _id: 'e', plan: 'enterprise' });
    into('data.customers', { _id: 'f', plan: 'free' });
    put(
      policy,
      record('kept', '2024-01-01', { contractNumber: 'N-1' }),
      record('goes', '2024-01-01', { contractNumber: 'N-2' }),
    );
    await run(policy);
    expect(world.idsIn(policy)).toEqual(['kept']);
    into('data.contracts', { _id: 'c3', number: 'N-1', customerId: 'f' });
    await expect(plan(policy)).rejects.toMatchObject({ code: 'DATASET_UNFIT' });
  });

  test('a collection that is away, or has no index on the key, stops the policy: nothing is decided', async () => {
    const policy = await world.publish(LISTED);
    put(policy, record('a', '2001-01-01', { listId: 1 }));
    await expect(plan(policy)).rejects.toMatchObject({ code: 'DATASET_UNFIT' });
    await expect(run(policy)).rejects.toMatchObject({ code: 'DATASET_UNFIT' });
    expect((await oldestRecords(context))[0]?.problem).toMatchObject({ code: 'DATASET_UNFIT' });
    const byNumber = await world.publish(LISTED.replace('from: listId', 'key: number, from: listId'));
    putList(byNumber, { _id: 'x', number: 1, expiresAt: at('2024-05-01') });
    world.source.settings(LISTS, { index: false });
    await expect(plan(byNumber)).rejects.toMatchObject({ code: 'INDEX_MISSING' });
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('a collection that goes between the plan and its archive takes nothing with it', async () => {
    const policy = await world.publish(LISTED);
    putList(policy, { _id: 1, expiresAt: at('2024-05-01') });
    put(policy, record('a', '2001-01-01', { listId: 1 }));
    const [partition] = (await plan(policy)).partitions;
    if (partition === undefined) throw new Error('There is no plan.');
    const [archive] = await planNextArchives(context, policy, partition);
    if (archive === undefined) throw new Error('Nothing was planned.');
    world.source.settings(LISTS, { index: false });
    const away = new Proxy(context.source, {
      get: (target, name) =>
        name === 'inspectLookUp'
          ? async () => [{ level: 'error', code: 'COLLECTION_MISSING', text: 'There is no collection data.lists.' }]
          : (Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)),
    });
    await expect(carryOn({ ...context, source: away }, archive, policy)).rejects.toMatchObject({
      code: 'DATASET_UNFIT',
    });
    expect(world.idsIn(policy)).toEqual(['a']);
  });
});

describe('several periods side by side', () => {
  const TIERS = `trigger: { field: at }
active: { by: plan, of: { enterprise: 2 years }, otherwise: 3 months }`;

  test('an archive holds those whose copies are purged within one window; the others are the next one’s', async () => {
    const policy = await world.publish(text(TIERS));
    const days = ['2022-03-01', '2022-03-02', '2022-03-03', '2022-03-04'];
    put(policy, ...days.flatMap((day) => [record(`e-${day}`, day, { plan: 'enterprise' }), record(`f-${day}`, day)]));
    const { totals, problems, archives } = await run(policy);
    expect(problems).toEqual([]);
    expect(totals).toMatchObject({ archived: 8, deleted: 8 });
    expect(world.idsIn(policy)).toEqual([]);
    expect(archives.map(({ stored }) => stored?.records)).toEqual([4, 4]);
    const purges = archives.map(({ dueAt }) => dueAt?.toISOString().slice(0, 10)).sort();
    expect(purges).toEqual(['2029-06-04', '2031-03-04']);
    for (const { dueAt, plan: planned } of archives)
      expect(dueAt?.getTime()).toBeLessThanOrEqual(planned.latestPurgeAt.getTime());
    await world.assertTotalsHold();
  });

  test('a record whose copy would be kept for longer than its plan said is the next plan’s', async () => {
    const policy = await world.publish(text(TIERS));
    put(policy, record('stays-free', '2022-03-01'), record('becomes-enterprise', '2022-03-02'));
    const [partition] = (await plan(policy)).partitions;
    if (partition === undefined) throw new Error('There is no plan.');
    const [archive] = await planNextArchives(context, policy, partition);
    if (archive === undefined) throw new Error('Nothing was planned.');
    put(policy, record('becomes-enterprise', '2022-03-02', { plan: 'enterprise' }));
    world.source.remove(policy.dataset.collection, idBytesOf(serialize({ _id: 'stays-free' })));
    const { state, plan: planned } = await carryOn(context, archive, policy);
    expect({ state, reachedEnd: planned.reachedEnd }).toEqual({ state: 'abandoned', reachedEnd: false });
    expect(world.idsIn(policy)).toEqual(['becomes-enterprise']);
    await run(policy);
    expect(world.idsIn(policy)).toEqual([]);
  });

  test('the plan is the same for any order of the records', async () => {
    const all = Array.from({ length: 60 }, (_, n) =>
      record(`r${n}`, `202${2 + (n % 3)}-0${1 + (n % 5)}-1${n % 9}`, {
        plan: ['enterprise', 'free', 7, ['x'], null][n % 5],
        tenant: `t${n % 4}`,
      }),
    );
    const plans: PolicyPlan[] = [];
    for (const order of [all, all.toReversed(), all.toSorted((a, b) => a._id.localeCompare(b._id))]) {
      world = await MemoryWorld.open();
      context = world.context();
      const policy = await world.publish(text(TIERS));
      put(policy, ...order);
      plans.push(await plan(policy));
    }
    expect(plans[0]?.totals.due).toBeGreaterThan(10);
    expect(plans[1]).toEqual(plans[0]);
    expect(plans[2]).toEqual(plans[0]);
  });
});

describe('exceptions', () => {
  const TWO_YEARS = 'trigger: { field: at }\nactive: 2 years';

  test('a shorter one is shown before it bites, does nothing before, and is pinned by the plan that it made', async () => {
    const policy = await world.publish(text(TWO_YEARS));
    put(
      policy,
      record('young', '2024-04-01'),
      record('old', '2022-01-01'),
      record('of-another', '2024-04-01', { tenant: 'south' }),
    );
    await grant(policy, { customer: id.customer('north') });
    const before = await plan(policy);
    expect(before.partitions[0]).toMatchObject({ customer: 'north', due: 1, exceptions: ['x1'] });
    expect(before.partitions[0]?.reasons).toContain('1 are shortened on 2024-06-08 00:00 by exception x1.');
    context = { ...context, asOf: at('2024-06-09') };
    const after = await plan(policy);
    expect(after.totals.due).toBe(2);
    const { archives } = await run(policy);
    expect(archives.map(({ plan: planned }) => planned.exceptions)).toEqual(archives.map(() => ['x1']));
    expect(world.idsIn(policy)).toEqual(['of-another']);
    // What bit on 8 June counts its archive period from then.
    expect(archives.map(({ dueAt }) => dueAt?.toISOString().slice(0, 10)).sort()).toEqual(
      ['2031-01-01', '2031-06-08'].sort(),
    );
  });

  test('a customer that has nothing due before it bites is shown too', async () => {
    const policy = await world.publish(text(TWO_YEARS));
    put(policy, record('young', '2024-04-01'));
    await grant(policy, {});
    const { partitions, totals } = await plan(policy);
    expect(totals.due).toBe(0);
    expect(partitions.map(({ reasons }) => reasons[0])).toEqual([
      '1 are shortened on 2024-06-08 00:00 by exception x1.',
    ]);
  });

  test('what is granted or ended, and a policy that is published, during a run are for the next one', async () => {
    const policy = await world.publish(text(TWO_YEARS));
    put(policy, record('a', '2022-05-01'), record('b', '2024-04-20'));
    await grant(policy, { grantedAt: at('2024-05-01') });
    const [partition] = (await plan(policy)).partitions;
    if (partition === undefined) throw new Error('There is no plan.');
    expect(partition.due).toBe(2);
    const [archive] = await planNextArchives(context, policy, partition);
    if (archive === undefined) throw new Error('Nothing was planned.');
    await grant(policy, { _id: 'x2', effect: 'longer', active: 'P9Y' });
    await exceptions(world.store).replace({
      ...(await exceptions(world.store).get('x1'))!,
      state: 'ended',
      endedAt: at('2024-06-02'),
    });
    const changed = await world.publish(text('trigger: { field: at }\nactive: 9 years'));
    expect((await plan(changed)).totals.due).toBe(0);
    const { stored, outcomes } = await carryOn(context, archive, changed);
    expect(stored?.records).toBe(2);
    expect(outcomes).toMatchObject({ archived: 2, deleted: 2 });
  });

  test('a longer one keeps what it is about, and only the customers that it names are counted one by one', async () => {
    const policy = await world.publish(text(TWO_YEARS));
    const tenants = ['north', 'south', 'west'];
    // More than one batch of a scan each, so that the server is asked to count.
    for (const tenant of tenants) {
      put(policy, ...Array.from({ length: 1_200 }, (_, n) => record(`${tenant}-${n}`, '2022-01-01', { tenant })));
    }
    await grant(policy, { effect: 'longer', active: 'P5Y', customer: id.customer('north') });
    const counted = counting(context);
    const planned = await planPolicy(counted.context, policy, { flush: true });
    expect(planned.partitions.map(({ customer, due }) => [customer, due])).toEqual([
      ['north', 0],
      ['south', 1_200],
      ['west', 1_200],
    ]);
    expect(counted.calls.get('summarise')).toBe(4);
  });
});

test('a text where a date belongs: pending, and nothing is deleted', async () => {
  const policy = await world.publish(
    text('trigger: { event: closedAt, created: at, latest: 1 year }\nactive: 1 month'),
  );
  put(
    policy,
    record('text', '2001-01-01', { closedAt: '2001-01-01' }),
    record('never', '2001-01-01', { closedAt: at('9999-12-31') }),
  );
  put(policy, record('open', '2024-01-01'), record('closed', '2024-01-01', { closedAt: at('2024-02-01') }));
  const { totals } = await run(policy);
  expect(totals).toMatchObject({ archived: 1, deleted: 1 });
  expect(world.idsIn(policy).sort()).toEqual(['never', 'open', 'text']);
});
