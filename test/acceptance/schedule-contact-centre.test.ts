/** policies/contact-centre: each customer's own periods, people out of the records, a contract that ends, and who changed what. */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import {
  done,
  grantAll,
  installSchedule,
  monthly,
  offboard,
  publishAll,
  reconcileUntilNone,
  runAll,
  shownBy,
} from '../harness/schedule.ts';
import { testNames } from '../harness/stack.ts';

const SCHEDULE = 'contact-centre';
const names = testNames(import.meta.filename);
let world: CliWorld;

const AS_OF = '2024-06-01';
const TENANTS = ['bank', 'clinic', 'shop'];
/** The middle of each month, so that no record lies on an edge. */
const DAYS = monthly('2021-01-15T10:00:00Z', 40);

function interaction(tenant: string, n: number, endedAt: Date): Document {
  const caller = ['jo@example.org', 'kim@example.org', 'lee@example.org'][n % 3];
  return {
    _id: `${tenant}-${n}`,
    tenant,
    endedAt,
    seconds: 60 + n,
    caller: { email: caller, name: `Caller ${n % 3}`, phone: `+31 20 ${1000 + n}` },
    notes: [{ at: endedAt, text: `asked about invoice ${n}` }],
  };
}

const recording = (tenant: string, n: number, endedAt: Date) => ({
  _id: `${tenant}-${n}`,
  tenant,
  endedAt,
  seconds: n,
});
/** Every fourth case is not closed. */
const aCase = (tenant: string, n: number, openedAt: Date) => ({
  _id: `${tenant}-${n}`,
  tenant,
  openedAt,
  ...(n % 4 === 3 ? {} : { closedAt: new Date(openedAt.getTime() + 7 * 24 * 3_600_000) }),
  caller: { email: 'jo@example.org' },
  outcome: 'refund',
});

beforeAll(async () => {
  world = await openCliWorld(names);
  const seed = async (
    name: string,
    instant: string,
    make: (tenant: string, n: number, at: Date) => object,
    days: readonly Date[],
  ) => {
    await world.collection(name).createIndex({ tenant: 1, [instant]: 1, _id: 1 });
    await world
      .collection(name)
      .insertMany(TENANTS.flatMap((tenant) => days.map((at, n) => make(tenant, n, at))) as never[]);
  };
  await seed('interactions', 'endedAt', interaction, DAYS);
  await seed('recordings', 'endedAt', recording, DAYS);
  await seed('cases', 'openedAt', aCase, DAYS.slice(0, 26));
  await world.collection('customers').createIndex({ tenant: 1 }, { unique: true });
  await world
    .collection('customers')
    .insertMany([{ tenant: 'bank', keepMonths: 24 }, { tenant: 'clinic', keepMonths: 6 }, { tenant: 'shop' }]);
  installSchedule(world, SCHEDULE);
  await publishAll(world, '--by', 'alice');
});
afterAll(async () => {
  await world.close();
});

const olderThan = (months: number) => DAYS.filter((at) => at < (monthly(AS_OF, 1)[0] as Date) && isOlder(at, months));
function isOlder(at: Date, months: number): boolean {
  const until = new Date(at);
  until.setUTCMonth(until.getUTCMonth() + months);
  return until <= new Date(AS_OF);
}

async function treated(tenant: string): Promise<number> {
  return await world.collection('interactions').countDocuments({ tenant, _moraine: { $exists: true } });
}

test('a life: periods by customer, deletion, redaction and pseudonyms, a period that is shortened, a contract that ends, the change log, the certificates', async ({
  task,
}) => {
  const first = await runAll(world, AS_OF, '--flush');
  // Each customer by its own months; who sets nothing has a year.
  const counts = { bank: olderThan(24).length, clinic: olderThan(6).length, shop: olderThan(12).length };
  expect(new Set(Object.values(counts)).size).toBe(3);
  for (const [tenant, count] of Object.entries(counts))
    expect([tenant, await treated(tenant)]).toEqual([tenant, count]);
  expect(first['interactions']).toMatchObject({ treated: counts.bank + counts.clinic + counts.shop, deleted: 0 });

  // The person is out of the record and the record is there; the same person has the same pseudonym in another customer.
  expect(await world.collection('interactions').countDocuments()).toBe(TENANTS.length * DAYS.length);
  const of = async (_id: string) => await world.collection('interactions').findOne({ _id: _id as never });
  const [one, same, another] = [await of('clinic-0'), await of('shop-3'), await of('clinic-1')];
  expect(one).toMatchObject({ seconds: 60, endedAt: DAYS[0], notes: [{ at: DAYS[0], text: '[redacted]' }] });
  expect(Object.keys(one?.['caller'])).toEqual(['email', 'name']);
  expect(one?.['caller'].email).toMatch(/^pseudonym:/);
  expect(same?.['caller']).toEqual(one?.['caller']);
  expect(another?.['caller'].email).not.toBe(one?.['caller'].email);
  expect(await of('clinic-39')).toEqual(interaction('clinic', 39, DAYS[39] as Date));

  // Recordings: five years, one year, ninety days.
  const left = async (tenant: string) => await world.collection('recordings').countDocuments({ tenant });
  expect([await left('bank'), await left('clinic')]).toEqual([DAYS.length, DAYS.length - olderThan(12).length]);
  const shopBefore = await left('shop');
  expect(shopBefore).toBe(DAYS.filter((at) => at.getTime() > Date.parse(AS_OF) - 90 * 24 * 3_600_000).length);

  // A customer changes its period: by itself, on its page, and through a new version of the policy.
  await world.collection('customers').updateOne({ tenant: 'clinic' }, { $set: { keepMonths: 3 } });
  const longer = (text: string) => text.replace('clinic: 1 year', 'clinic: 1 year\n    shop: 1 year');
  installSchedule(world, SCHEDULE, longer);
  await done(world, 'policy', 'publish', 'recordings', '--yes', '--by', 'carol');
  // The bank wants two years instead of five: what deletes more takes another person, and then the grace.
  world.configure({ more: 'approvals: { required: [policy] }' });
  installSchedule(world, SCHEDULE, (text) => longer(text).replace('bank: 5 years', 'bank: 2 years'));
  const publish = ['policy', 'publish', 'recordings', '--yes', '--by', 'carol', '--as-of', '2024-07-01'];
  expect((await world.moraine(...publish)).exitCode).toBe(3);
  expect(await grantAll(world, '--as-of', '2024-07-01')).toBe(1);
  const [{ effectiveAt }] = (await done(world, ...publish)).policies;
  expect(effectiveAt).toBe('2024-07-08T00:00:00.000Z');
  await runAll(world, '2024-07-05', 'recordings');
  expect(await left('bank')).toBe(DAYS.length);
  await runAll(world, '2024-08-01', '--flush');
  expect(await treated('clinic')).toBe(DAYS.length - DAYS.filter((at) => at >= new Date('2024-05-01')).length);
  expect(await left('shop')).toBe(shopBefore);
  expect(await left('bank')).toBe(DAYS.filter((at) => at > new Date('2022-08-01')).length);

  // Cases: closed a week after they were opened, a year at hand, then in the archive; those that nobody closed wait.
  const cases = await world
    .collection('cases')
    .find({ closedAt: { $exists: true } })
    .toArray();
  expect(cases.map(({ closedAt }) => closedAt).every((at) => at > new Date('2023-01-01'))).toBe(true);
  const archives: readonly { customer: string; state: string; records: number }[] = await done(world, 'archives');
  expect(new Set(archives.map(({ customer }) => customer))).toEqual(new Set(TENANTS));
  expect(archives.every(({ state }) => state === 'cleared')).toBe(true);

  // The clinic leaves: everything is given back, then all of it is gone, in the database and in the vault.
  const report = await offboard(world, { owner: 'acme', customer: 'clinic', asOf: '2024-08-01' });
  expect(report).toMatchObject({ state: 'done', certificate: expect.stringMatching(/^offboard-/) });
  for (const name of ['interactions', 'recordings', 'cases'])
    expect([name, await world.collection(name).countDocuments({ tenant: 'clinic' })]).toEqual([name, 0]);
  expect(await world.collection('interactions').countDocuments()).toBe(2 * DAYS.length);

  // The others to their end: four years of archive after one at hand, nine for the bank.
  await done(world, 'purge', '--yes', '--as-of', '2029-06-01');
  const states = async () => {
    const all: readonly { customer: string; state: string }[] = await done(world, 'archives');
    return new Set(all.map(({ customer, state }) => `${customer} ${state}`));
  };
  expect(await states()).toEqual(new Set(['bank cleared', 'clinic purged', 'shop purged']));
  await done(world, 'purge', '--yes', '--as-of', '2034-06-01');
  await reconcileUntilNone(world, '2034-06-01', ['purged']);
  expect(await states()).toEqual(new Set(['bank confirmed', 'clinic confirmed', 'shop confirmed']));

  // Who changed what: versions with their publisher, what each run did, the request, the grant and the end of the contract.
  const log: readonly { act: string; actor: string; phase: string; subject: Record<string, string> }[] = await done(
    world,
    ...['audit', 'show', '--limit', '1000'],
  );
  const published = log.filter(({ act, subject }) => act === 'policy publish' && subject['policy'] === 'recordings');
  expect(new Set(published.map(({ actor }) => actor))).toEqual(new Set(['person:alice', 'person:carol']));
  const acts = new Set(log.map(({ act }) => act));
  for (const act of ['records treat', 'records delete', 'archive planned', 'customer offboard'])
    expect([act, acts.has(act)]).toEqual([act, true]);
  expect(JSON.stringify(log)).not.toMatch(/example\.org|\+31 20/);

  task.meta.shown = await shownBy(world, `${names.database}_ledger`);
  expect(task.meta.shown.purged).toBe(task.meta.shown.archived);
}, 180_000);
