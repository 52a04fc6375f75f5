/** Records of one owner and customer that go different ways: each by its branch, once, also when a run is cut; and a copy that is kept until a date. */
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_APPROVAL_RULES } from '../../src/ledger/approval-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { disposals } from '../../src/ledger/disposals.ts';
import { type Amounts, amountsRequest } from '../../src/lifecycle/approve-amounts.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { planPolicy } from '../../src/lifecycle/plan.ts';
import { type PolicyRun, type RunOptions, runPolicy } from '../../src/lifecycle/run-policy.ts';
import { amountOf } from '../../src/lifecycle/under-caps.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const yaml = (then: string, { keptFor = '7 years', verify = 'checksum' } = {}) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: ${then}
archive: { for: ${keptFor}, vault: cold, verify: ${verify} }
limits: { records: 100000, share: 1.0 }
`;
const BY_PLAN =
  '{ by: plan, of: { trial: delete, gold: [archive, { redact: [text] }], free: { anonymise: [mail] } }, otherwise: archive }';

let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
});

function put(policy: Policy, _id: string, more: BSON.Document = {}): void {
  const fields = { mail: 'jo@example.org', text: 'hello' };
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01'), ...fields, ...more });
}
const found = (policy: Policy, _id: string) =>
  world.source
    .all(policy.dataset.collection)
    .map((raw) => BSON.deserialize(raw))
    .find((document) => document['_id'] === _id);
const run = (policy: Policy, on: Context = world.context(), more: Partial<RunOptions> = {}): Promise<PolicyRun> =>
  runPolicy(on, policy, { flush: true, expired: null, ...more });

async function filled(options?: Parameters<typeof yaml>[1]): Promise<Policy> {
  const policy = await world.publish(yaml(BY_PLAN, options));
  put(policy, 'plain-1');
  put(policy, 'trial-1', { plan: 'trial' });
  put(policy, 'gold-1', { plan: 'gold' });
  put(policy, 'free-1', { plan: 'free' });
  put(policy, 'plain-2', { plan: 'other', at: new Date('2020-01-02') });
  put(policy, 'trial-2', { plan: 'trial', at: new Date('2020-01-03') });
  put(policy, 'gold-2', { plan: 'gold', at: new Date('2020-01-04') });
  put(policy, 'odd', { plan: { name: 'gold' } });
  return policy;
}

function expectDone(policy: Policy): void {
  expect(world.idsIn(policy)).toEqual(['free-1', 'gold-1', 'gold-2', 'odd']);
  expect(found(policy, 'gold-1')).toMatchObject({ text: '[redacted]', mail: 'jo@example.org' });
  expect(found(policy, 'free-1')).toMatchObject({ text: 'hello' });
  expect(found(policy, 'free-1')).not.toHaveProperty('mail');
  expect(found(policy, 'odd')).toMatchObject({ text: 'hello', mail: 'jo@example.org' });
}

test('one run: each record by its branch; the next does nothing', async () => {
  const policy = await filled();
  const { totals, problems, archives: made, disposed } = await run(policy);
  expect(problems).toEqual([]);
  expect(totals).toMatchObject({ selected: 7, archived: 4, deleted: 4, treated: 3, pending: 0, changed: 0, gone: 0 });
  expectDone(policy);
  expect(disposed.map(({ kind, outcomes }) => [kind, outcomes.archived])).toEqual([
    ['delete', 2],
    ['treat', 1],
  ]);
  expect(made.map(({ plan, outcomes }) => [plan.branch?.split('-')[0], outcomes.deleted, outcomes.treated])).toEqual([
    ['archive', 0, 2],
    ['archive', 2, 0],
  ]);
  await world.assertTotalsHold();
  await world.assertNothingIsOpen();
  expect(await run(policy)).toMatchObject({ archives: [], disposed: [], totals: { selected: 0 } });
});

test('a plan has an entry for each branch, and each record is in one of them', async () => {
  const policy = await filled();
  const { partitions, totals } = await planPolicy(world.context(), policy, { flush: true });
  expect(partitions.map(({ disposition, due, pending }) => [disposition, due, pending])).toEqual(
    [
      ['delete', 2, 1],
      ['archive', 2, 0],
      ['archive', 2, 0],
      ['treat', 1, 0],
    ].sort((a, b) => Number(a[0] === 'archive') - Number(b[0] === 'archive')),
  );
  expect(new Set(partitions.map(({ branch }) => branch)).size).toBe(4);
  expect(totals).toMatchObject({ due: 7, taken: 7 });
});

describe('cut', () => {
  test.each(['deleteGuarded', 'replaceGuarded'] as const)(
    'after its first %s: the next runs settle it, every branch under its own key',
    async (call) => {
      const policy = await filled();
      const context = world.context();
      let cuts = 0;
      const once = async <T>(doing: () => Promise<T>): Promise<T> => {
        const reply = await doing();
        cuts += 1;
        if (cuts === 1) throw new Error('cut');
        return reply;
      };
      const source: Partial<SourcePort> =
        call === 'deleteGuarded'
          ? { deleteGuarded: async (...args) => await once(() => context.source.deleteGuarded(...args)) }
          : { replaceGuarded: async (...args) => await once(() => context.source.replaceGuarded(...args)) };
      await run(policy, { ...context, source: overlay(context.source, source) });
      expect(cuts).toBeGreaterThan(0);
      world.letLeasesEnd();
      await run(policy);
      await run(policy);
      expectDone(policy);
      for (const { branch } of (await world.all('expirations')) as { branch?: string }[]) expect(branch).toBeDefined();
      await world.assertTotalsHold();
      await world.assertNothingIsOpen();
    },
  );
});

test('with an inventory: what is deleted and treated does not wait for the archive of the others', async () => {
  const policy = await filled({ verify: 'inventory' });
  const { totals } = await run(policy);
  expect(totals).toMatchObject({ deleted: 2, treated: 1 });
  expect(world.idsIn(policy)).toEqual(['free-1', 'gold-1', 'gold-2', 'odd', 'plain-1', 'plain-2']);
  expect(await disposals(world.store).count({ state: 'done' })).toBe(2);
});

test('past the archive period, a person’s word takes each branch as it would have ended', async () => {
  const policy = await world.publish(yaml(BY_PLAN));
  const at = new Date('1990-01-01');
  put(policy, 'plain', { at });
  put(policy, 'gold', { at, plan: 'gold' });
  put(policy, 'trial', { at, plan: 'trial' });
  // What is deleted has no archive period to be past.
  expect(await run(policy)).toMatchObject({ totals: { deleted: 1, archived: 0 } });
  const ordered = await run(policy, world.context(), { expired: { saidBy: 'ann' } });
  expect(ordered.expired.map(({ kind }) => kind).sort()).toEqual(['expired', 'treat-expired']);
  expect(world.idsIn(policy)).toEqual(['gold']);
  expect(found(policy, 'gold')).toMatchObject({ text: '[redacted]' });
});

test('an approval is about each branch by itself: a grant for what is archived covers nothing that is deleted', async () => {
  const policy = await filled();
  const { partitions } = await planPolicy(world.context(), policy, { flush: true });
  const [deleted, archived] = ['delete', 'archive'].map((key) => partitions.find(({ branch }) => branch === key));
  if (deleted === undefined || archived === undefined) throw new Error('There is a branch too few.');
  const amounts = (of: Amounts['amounts']): Amounts => ({
    act: 'run',
    policy: policy.name,
    version: 'v',
    limits: { records: 1, share: 1 },
    caps: { ok: false, cap: 'records', text: 'too many' },
    amounts: of,
  });
  const context = { ...world.context(), approvals: { ...DEFAULT_APPROVAL_RULES, required: ['cap' as const] } };
  const request = (of: Amounts['amounts']) => {
    const asked = amountsRequest(context, amounts(of));
    if (typeof asked === 'string') throw new Error(`It is ${asked}.`);
    return asked;
  };
  const granted = request([amountOf(archived, 5)]).shown;
  expect(request([amountOf(archived, 4)]).covers?.(granted)).toBe(true);
  expect(request([amountOf(deleted, 4)]).covers?.(granted)).toBe(false);
});

test('kept until the end of a contract: one archive for each due window, with the latest of its dates, and no date waits', async () => {
  const policy = await world.publish(yaml('archive', { keptFor: '{ until: ends, atMost: 20 years }' }));
  put(policy, 'a', { ends: new Date('2030-01-01') });
  put(policy, 'b', { ends: new Date('2030-01-20') });
  put(policy, 'c', { ends: new Date('2035-01-01') });
  put(policy, 'open');
  put(policy, 'ended', { ends: new Date('2021-01-01') });
  put(policy, 'text', { ends: 'next year' });
  const { problems, totals } = await run(policy);
  expect([problems, totals.archived]).toEqual([[], 4]);
  const made = [];
  for await (const { dueAt, plan, stored } of archives(world.store).find({})) {
    expect(plan.latestPurgeAt.getTime()).toBeGreaterThanOrEqual(dueAt?.getTime() ?? Number.POSITIVE_INFINITY);
    made.push([dueAt?.toISOString().slice(0, 10), stored?.records]);
  }
  expect(made.sort()).toEqual([
    ['2030-01-20', 2],
    ['2035-01-01', 1],
    // No date: twenty years from the end of the active period.
    ['2042-01-01', 1],
  ]);
  expect(world.idsIn(policy)).toEqual(['ended', 'text']);
  // Its contract was over before it was due: a person says so.
  expect((await planPolicy(world.context(), policy, { flush: true })).partitions).toMatchObject([
    { expired: 1, pending: 1 },
  ]);
});
