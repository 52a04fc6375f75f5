/** Another purge date: later at once, earlier by approval of exactly these archives, never once a purge has begun. */
import { beforeEach, expect, test } from 'vitest';
import { grantApproval } from '../../src/ledger/approval-decisions.ts';
import { waitingApprovals } from '../../src/ledger/approvals.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives, claimArchive, moveArchive } from '../../src/ledger/archives.ts';
import { verifyAudit } from '../../src/ledger/audit.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { planReschedule, type RescheduleAsk, rescheduleArchives } from '../../src/lifecycle/reschedule.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

/** The world's clock stands at 1 June 2024. */
const at = (day: string) => new Date(`${day}T00:00:00.000Z`);
const ALICE = 'person:alice';
let world: MemoryWorld;
let context: Context;

beforeEach(async () => {
  world = await MemoryWorld.open();
  context = world.context();
  const policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 5 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
  for (const [_id, tenant, day] of [
    ['a', 'north', '2023-02-01'],
    ['b', 'north', '2023-02-20'],
    ['c', 'south', '2023-03-01'],
  ] as const)
    world.put(policy, { _id, owner: 'acme', tenant, at: at(day) });
  await runPolicy(context, policy, { flush: true, expired: null });
});

const ask = (to: RescheduleAsk['to'], more: Partial<RescheduleAsk> = {}): RescheduleAsk => ({
  ...{ policy: 'chats', owner: null, customer: null, to, reason: 'new law' },
  ...more,
});
const reschedule = async (asked: RescheduleAsk) =>
  await rescheduleArchives(context, await planReschedule(context, asked), ALICE);
const dueDates = async () =>
  Object.fromEntries(
    (await world.archives()).map(({ customer, dueAt }) => [customer, dueAt?.toISOString().slice(0, 10)]),
  );
const ofNorth = async (): Promise<ArchiveDocument> => {
  const found = (await world.archives()).find(({ customer }) => customer === 'north');
  if (found === undefined) throw new Error('There is no archive.');
  return found;
};
const grantAll = async () => {
  for (const { _id } of await waitingApprovals(world.store))
    await grantApproval(context, _id, { by: 'person:bob', asOf: null });
};

test('later: at once, from when the last record became due, kept with the archive and in the audit chain', async () => {
  expect(await dueDates()).toEqual({ north: '2029-02-20', south: '2029-03-01' });
  expect(await reschedule(ask({ period: 'P9Y' }))).toMatchObject({ left: [] });
  expect(await dueDates()).toEqual({ north: '2033-02-20', south: '2033-03-01' });
  const { rescheduled } = await ofNorth();
  expect(rescheduled).toEqual([
    {
      from: at('2029-02-20'),
      to: at('2033-02-20'),
      by: ALICE,
      reason: 'new law',
      approval: null,
      at: context.clock.now(),
    },
  ]);
  const told = (await world.all('audit')).flatMap((block) => JSON.stringify(block).match(/archive reschedule/g) ?? []);
  expect(told).toHaveLength(4);
  expect(await verifyAudit(world.store)).toMatchObject({ ok: true });
  const again = await planReschedule(context, ask({ period: 'P9Y' }));
  expect(again).toMatchObject({ later: [], earlier: [], unchanged: 2 });
});

test('earlier: nothing moves without another person, and only what was granted moves', async () => {
  const sooner = ask({ due: at('2026-01-01') });
  await expect(reschedule(sooner)).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  expect(await dueDates()).toEqual({ north: '2029-02-20', south: '2029-03-01' });
  const [{ _id = '', shown = '' } = {}] = await waitingApprovals(world.store);
  expect(shown).toContain((await ofNorth())._id);
  await expect(grantApproval(context, _id, { by: ALICE, asOf: null })).rejects.toMatchObject({
    code: 'APPROVAL_NOT_ALLOWED',
  });
  await grantAll();
  // Another reason, another date: another request.
  await expect(reschedule({ ...sooner, reason: 'other' })).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  await expect(reschedule(ask({ due: at('2025-01-01') }))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  expect((await reschedule(sooner)).moved).toHaveLength(2);
  expect(await dueDates()).toEqual({ north: '2026-01-01', south: '2026-01-01' });
  expect((await ofNorth()).rescheduled).toMatchObject([{ approval: _id }]);
});

test('a mixture does nothing of it before the approval; one customer alone is another set', async () => {
  const mixed = ask({ due: at('2029-02-25') });
  await expect(reschedule(mixed)).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  expect(await dueDates()).toEqual({ north: '2029-02-20', south: '2029-03-01' });
  const { customer } = await ofNorth();
  expect((await reschedule({ ...mixed, customer })).moved).toHaveLength(1);
  expect(await dueDates()).toEqual({ north: '2029-02-25', south: '2029-03-01' });
});

test('what is being purged is too late, and a date that somebody else moved meanwhile is left', async () => {
  const plan = await planReschedule(context, ask({ due: at('2035-01-01') }));
  await rescheduleArchives(context, await planReschedule(context, ask({ due: at('2034-01-01') })), ALICE);
  expect(await rescheduleArchives(context, plan, ALICE)).toMatchObject({
    moved: [],
    left: [{ text: expect.stringContaining('2034-01-01') }, {}],
  });
  const { _id, dueAt } = await ofNorth();
  const later = await planReschedule(context, ask({ due: at('2036-01-01') }));
  const lease = await claimArchive(world.store, context.audit, _id, context);
  const facts = {
    askedAt: null,
    acceptedAt: null,
    keyDestroyedAt: null,
    confirmedByInventoryAt: null,
    certificate: null,
  };
  const purge = { ...facts, claimedDueAt: dueAt ?? at('2034-01-01'), asOf: at('2034-01-02') };
  await moveArchive(context.audit, context.clock, lease, { to: 'purging', set: { purge } });
  // Under the lease of another worker it is left, and without it refused.
  expect(await rescheduleArchives(world.context(), later, ALICE)).toMatchObject({
    moved: [expect.any(String)],
    left: [{ archive: _id, text: expect.stringContaining('another worker') }],
  });
  await lease.giveUp();
  expect(await rescheduleArchives(context, later, ALICE)).toMatchObject({
    left: expect.arrayContaining([{ archive: _id, text: 'it is being purged: too late' }]),
  });
  expect((await archives(world.store).get(_id))?.dueAt).toEqual(at('2034-01-01'));
  expect((await planReschedule(context, ask({ due: at('2036-01-01') }))).purging).toEqual([_id]);
});
