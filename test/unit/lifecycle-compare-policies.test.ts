/** Two versions on the same data: what becomes due earlier, later and never, for whom, and by what. */
import { beforeEach, expect, test } from 'vitest';
import { comparePolicies } from '../../src/lifecycle/compare-policies.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

/** The world's clock stands at 1 June 2024. */
const at = (day: string) => new Date(`${day}T00:00:00.000Z`);
const text = (schedule: string) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
${schedule}
limits: { records: 1000, share: 1.0 }
`;
const OLD = text('active: 1 year\nthen: archive\narchive: { for: 5 years, vault: cold }');

let world: MemoryWorld;
let context: Context;
let old: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open();
  context = world.context();
  old = await world.publish(OLD);
  for (const [_id, tenant, day, kind] of [
    ['overdue', 'north', '2023-05-01', 'chat'],
    ['young', 'north', '2024-05-01', 'chat'],
    ['bot', 'south', '2024-03-01', 'bot'],
    ['future', 'south', '2024-07-01', 'bot'],
  ] as const)
    world.put(old, { _id, owner: 'acme', tenant, at: at(day), kind });
});
const compare = (next: Policy, from: Policy | null = old) =>
  comparePolicies(context, from, next, { measuredAt: at('2024-06-01'), examples: 5 });

test('a rule that deletes bots sooner, a longer period for the rest: counted for each customer, with examples', async () => {
  const next = await world.publish(
    text(`active: 2 years
rules:
  - { name: bots, scope: label, when: { field: kind, is: [bot] }, delete: 1 month }
then: archive
archive: { for: 5 years, vault: cold }`),
  );
  const found = await compare(next);
  expect(found).toMatchObject({
    policy: 'chats',
    records: 3,
    totals: { earlier: { records: 1 }, later: { records: 2 }, never: { records: 0 }, newlyDue: { records: 1 } },
  });
  expect(found.totals).toMatchObject({ noLongerDue: { records: 1 }, goneSooner: { records: 1 } });
  expect(found.totals.earlier.bytes).toBeGreaterThan(40);
  expect(found.parties.map(({ customer, earlier, later }) => [customer, earlier.records, later.records])).toEqual([
    ['north', 0, 2],
    ['south', 1, 0],
  ]);
  expect(found.examples).toMatchObject([
    {
      customer: 'south',
      old: { dueAt: at('2025-03-01'), by: 'the active period of 1 year' },
      next: { dueAt: at('2024-04-01'), by: 'rule bots (label)' },
    },
    { customer: 'north', old: { dueAt: at('2024-05-01') }, next: { dueAt: at('2025-05-01') } },
    { customer: 'north' },
  ]);
});

test('a copy that is kept for less, or not at all, leaves nothing sooner although the day is the same', async () => {
  const shorter = await world.publish(text('active: 1 year\nthen: archive\narchive: { for: 1 year, vault: cold }'));
  expect((await compare(shorter)).totals).toMatchObject({ earlier: { records: 0 }, goneSooner: { records: 3 } });
  const deleted = await world.publish(text('active: 1 year\nthen: delete'));
  const found = await compare(deleted);
  expect(found.totals).toMatchObject({ earlier: { records: 0 }, goneSooner: { records: 3 } });
  expect((await compare(old, deleted)).totals).toMatchObject({ goneSooner: { records: 0 } });
});

test('nothing was due before the first version; what waits under the new one is never due', async () => {
  expect((await compare(old, null)).totals).toMatchObject({ earlier: { records: 3 }, newlyDue: { records: 1 } });
  const waits = await world.publish(
    text('active: { until: closedAt, atMost: 9 years }\nthen: archive\narchive: { for: 5 years, vault: cold }'),
  );
  expect((await compare(waits)).totals).toMatchObject({ later: { records: 3 }, noLongerDue: { records: 1 } });
  world.put(old, { _id: 'wrong', owner: 'acme', tenant: 'west', at: at('2023-01-01'), closedAt: 'soon' });
  expect((await compare(waits)).parties.find(({ customer }) => customer === 'west')).toMatchObject({
    never: { records: 1 },
    noLongerDue: { records: 1 },
  });
});
