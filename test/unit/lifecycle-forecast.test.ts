/** What will go when: each record at the first instant that its policy and its exceptions allow, counted by month. */
import type { BSON } from 'bson';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { type ExceptionDocument, exceptions } from '../../src/ledger/exceptions.ts';
import { holds } from '../../src/ledger/holds.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { forecastPolicy } from '../../src/lifecycle/forecast.ts';
import { planPolicy } from '../../src/lifecycle/plan.ts';
import { planNextArchives } from '../../src/lifecycle/plan-archive.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { compile } from '../../src/policy/compile.ts';
import { GoingSeer, goingBefore } from '../../src/policy/going.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { monthAt, monthsBetween } from '../../src/policy/months.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { aHold } from '../harness/a-hold.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

/** The world's clock stands at 1 June 2024. */
const at = (day: string) => new Date(`${day}T00:00:00.000Z`);
const DAY_MS = 86_400_000;

const text = (schedule: string) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
${schedule}
limits: { records: 1000, share: 1.0 }
`;
const YEAR = `trigger: { field: at }
active: 1 year
then: archive
archive: { for: 6 months, vault: cold, dueWindow: 30 days }`;

describe('when a record goes', () => {
  const day = fc.integer({ min: 0, max: 900 }).map((days) => at('2022-01-01').getTime() + days * DAY_MS);
  const period = fc.constantFrom('P10D', 'P3M', 'P6M', 'P1Y', 'P2Y');
  const exception = fc.record({
    id: fc.uuid(),
    effect: fc.constantFrom('longer' as const, 'shorter' as const),
    active: period,
    scope: fc.constant({ owner: null, customer: null, value: null }),
    from: day,
    until: fc.option(day),
    bitesAt: day,
  });
  const { loaded } = loadPolicy(
    'p.yaml',
    text('trigger: { field: at }\nactive: { until: end, atMost: 1 year }\nthen: delete\ngrace: 20 days'),
  );
  if (loaded === null) throw new Error('The policy is wrong.');
  const { policy } = loaded;
  const facts = (trigger: number, end: number | null, exemptUntil: number | null) => ({
    owner: id.owner('acme'),
    customer: id.customer('north'),
    trigger,
    values: { end: end === null ? null : { instant: end } },
    exemptUntil,
    quarantined: false,
    unfit: [],
  });

  test('is the first day whose decision says so, whatever exceptions begin, bite and end', () => {
    let moved = 0;
    fc.assert(
      fc.property(
        fc.record({
          policy: fc.constant(policy),
          exceptions: fc.array(exception, { maxLength: 4 }),
          trigger: day,
          end: fc.option(day),
          exemptUntil: fc.option(day),
          now: day,
        }),
        ({ exceptions, trigger, end, exemptUntil, now }) => {
          const compiled = compile(policy, { exceptions, environment: 'production' });
          const record = facts(trigger, end, exemptUntil);
          let first = Number.POSITIVE_INFINITY;
          for (let t = now; t < now + 2_000 * DAY_MS && first === Number.POSITIVE_INFINITY; t += DAY_MS)
            if (compiled.decision(record, false, t) === 'due') first = t;
          const going = new GoingSeer(compiled, now).of(record);
          expect(going.at).toBe(first);
          if (exceptions.length > 0 && first > now) moved += 1;
          // Whoever asks the query for what may go finds it.
          if (Number.isFinite(first)) expect(trigger).toBeLessThan(goingBefore(compiled, now, first));
        },
      ),
      { numRuns: 1_500 },
    );
    expect(moved).toBeGreaterThan(300);
  });

  test('a value that no rule can use, quarantine, and treatment: never; and pending is told', () => {
    const seer = new GoingSeer(compile(policy), at('2024-01-01').getTime());
    const old = facts(at('2022-01-01').getTime(), null, null);
    expect(seer.of({ ...old, values: { end: 'tomorrow' } })).toMatchObject({
      at: Number.POSITIVE_INFINITY,
      isPending: true,
    });
    expect(seer.of({ ...old, quarantined: true })).toMatchObject({ at: Number.POSITIVE_INFINITY, isPending: false });
    expect(seer.of(old).at).toBe(at('2024-01-01').getTime());
    const young = facts(at('2023-12-01').getTime(), null, null);
    expect(seer.of(young)).toMatchObject({ at: at('2024-12-01').getTime(), isPending: true });
  });
});

test('months begin on the wall clock of the zone, and every instant lies in one', () => {
  const from = Date.parse('2024-10-15T12:00:00Z');
  const months = monthsBetween(from, Date.parse('2025-01-10T00:00:00Z'), 'Europe/Amsterdam');
  expect(months.map(({ month }) => month)).toEqual(['2024-10', '2024-11', '2024-12', '2025-01']);
  expect(months[1]?.from).toBe(Date.parse('2024-10-31T23:00:00Z'));
  expect(monthAt(months, from)).toBe(0);
  expect(monthAt(months, from - 1)).toBe(-1);
  expect(monthAt(months, Date.parse('2024-10-31T22:59:59.999Z'))).toBe(0);
  expect(monthAt(months, Date.parse('2024-10-31T23:00:00Z'))).toBe(1);
  expect(monthAt(months, Number.NaN)).toBe(-1);
  expect(() => monthsBetween(from, from - 1, 'UTC')).toThrow('lies in the past');
  expect(() => monthsBetween(from, Date.parse('2200-01-01'), 'UTC')).toThrow('hundred years');
});

describe('a forecast', () => {
  let world: MemoryWorld;
  let context: Context;
  beforeEach(async () => {
    world = await MemoryWorld.open();
    context = world.context();
  });
  const put = (policy: Policy, _id: string, day: string, more: BSON.Document = {}) =>
    world.put(policy, { _id, owner: 'acme', tenant: 'north', at: at(day), ...more });
  const forecast = (policy: Policy, until = '2025-06-01', byCustomer = false) =>
    forecastPolicy(context, policy, { until: at(until), byCustomer });
  const going = ({ months }: Awaited<ReturnType<typeof forecast>>) =>
    Object.fromEntries(months.flatMap(({ month, going }) => (going.records === 0 ? [] : [[month, going.records]])));

  test('counts what is overdue in the first month, the rest in its own, and copies where they end', async () => {
    const policy = await world.publish(text(YEAR));
    put(policy, 'overdue', '2023-05-01');
    put(policy, 'july', '2023-07-10');
    put(policy, 'last', '2024-06-01');
    put(policy, 'later', '2024-06-02');
    put(policy, 'expired', '2020-01-01');
    put(policy, 'south', '2023-07-20', { tenant: 'south' });
    const found = await forecast(policy, '2025-06-01', true);
    expect(going(found)).toEqual({ '2024-06': 1, '2024-07': 2, '2025-06': 1 });
    expect(found.expired.records).toBe(1);
    const copies = found.months.flatMap(({ month, futurePurges }) => (futurePurges.records > 0 ? [month] : []));
    expect(copies).toEqual(['2024-11', '2025-01']);
    expect(
      found.customers?.map(({ customer, months }) => [customer, months.reduce((n, m) => n + m.going.records, 0)]),
    ).toEqual([
      ['north', 3],
      ['south', 1],
    ]);
    const bytes = found.months.reduce((sum, month) => sum + month.going.bytes, 0);
    expect(bytes).toBeGreaterThan(100);
    expect(await world.archives()).toEqual([]);
  });

  test('what a hold keeps, what waits and what was put into quarantine is told beside', async () => {
    const policy = await world.publish(
      text('trigger: { latestOf: [closedAt], created: at, latest: 10 years }\nactive: 1 month\nthen: delete'),
    );
    put(policy, 'open', '2023-01-01');
    put(policy, 'closed', '2023-01-02', { closedAt: at('2024-06-15') });
    put(policy, 'held', '2023-01-03', { closedAt: at('2024-06-15'), tenant: 'south' });
    await holds(world.store).insert(aHold({ customer: id.customer('south') }));
    const found = await forecast(policy);
    expect(going(found)).toEqual({ '2024-07': 1 });
    expect(found).toMatchObject({ held: { records: 1 }, pending: { records: 1 }, dispositions: ['delete'] });
  });

  test('an exception that bites later makes records go on that day, and one that ends lets go after the grace', async () => {
    const policy = await world.publish(text(`${YEAR}\ngrace: 7 days`));
    put(policy, 'a', '2024-03-01');
    put(policy, 'b', '2023-01-01', { tenant: 'south' });
    const common = {
      ...{ v: 1, policy: policy.name, owner: null, value: null, reason: 'asked for', requestedBy: 'ann', from: null },
      ...{ state: 'granted' as const, requestedAt: at('2024-05-01'), approval: 'a1', grantedBy: ['bob'] },
      ...{ grantedAt: at('2024-06-01'), endedAt: null, endedBy: null, endReason: null, graceMs: 40 * DAY_MS },
    };
    const shorter: ExceptionDocument = {
      ...{
        ...common,
        _id: 'x1',
        rev: 0,
        effect: 'shorter',
        active: 'P1M',
        customer: id.customer('north'),
        until: null,
      },
    };
    const longer: ExceptionDocument = {
      ...{ ...common, _id: 'x2', rev: 0, effect: 'longer', active: 'P9Y', customer: id.customer('south') },
      until: at('2024-09-28'),
    };
    for (const one of [shorter, longer]) await exceptions(world.store).insert(one);
    expect(going(await forecast(policy))).toEqual({ '2024-07': 1, '2024-10': 1 });
  });

  test('archives go by their purge date, and what lies in those that are not cleared is theirs', async () => {
    const policy = await world.publish(text(YEAR));
    put(policy, 'a', '2023-05-01');
    await runPolicy(context, policy, { flush: true, expired: null });
    put(policy, 'b', '2023-05-02');
    const [partition] = (await planPolicy(context, policy, { flush: true })).partitions;
    if (partition === undefined) throw new Error('Nothing is due.');
    await planNextArchives(context, policy, partition);
    put(policy, 'c', '2024-01-01');
    const found = await forecast(policy, '2025-06-01', true);
    expect(found.inUnclearedArchives).toBe(1);
    expect(going(found)).toEqual({ '2025-01': 1 });
    const purges = found.months.flatMap(({ month, purges }) => (purges.archives > 0 ? [[month, purges]] : []));
    expect(purges).toEqual([['2024-11', { archives: 1, records: 1, bytes: expect.any(Number) }]]);
  });
});
