/** policies/contact-centre: each customer's own periods, what each has chosen to happen then, a contract that ends, and who changed what. */
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
/** Each has chosen something else; the kiosk nothing. */
const TENANTS = ['bank', 'clinic', 'garage', 'kiosk', 'shop'];
const WITH_CASES = ['bank', 'clinic', 'shop'];
/** The middle of each month, so that no record lies on an edge. */
const DAYS = monthly('2021-01-15T10:00:00Z', 40);

/** Every second one is a call with its recording. */
function interaction(tenant: string, n: number, endedAt: Date): Document {
  const caller = ['jo@example.org', 'kim@example.org', 'lee@example.org'][n % 3];
  return {
    _id: `${tenant}-${n}`,
    tenant,
    kind: n % 2 === 0 ? 'chat' : 'voice',
    endedAt,
    seconds: 60 + n,
    caller: { email: caller, name: `Caller ${n % 3}`, phone: `+31 20 ${1000 + n}` },
    notes: [{ at: endedAt, text: `asked about invoice ${n}` }],
  };
}

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
    tenants: readonly string[],
    days: readonly Date[],
  ) => {
    await world.collection(name).createIndex({ tenant: 1, [instant]: 1, _id: 1 });
    await world
      .collection(name)
      .insertMany(tenants.flatMap((tenant) => days.map((at, n) => make(tenant, n, at))) as never[]);
  };
  await seed('interactions', 'endedAt', interaction, TENANTS, DAYS);
  await seed('cases', 'openedAt', aCase, WITH_CASES, DAYS.slice(0, 26));
  await world.collection('customers').createIndex({ tenant: 1 }, { unique: true });
  await world.collection('customers').insertMany([
    { tenant: 'bank', keepMonths: 6 },
    { tenant: 'clinic', keepMonths: 6 },
    { tenant: 'garage', keepMonths: 3 },
    { tenant: 'shop', keepMonths: 24 },
  ]);
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

async function count(tenant: string, filter: Document = {}): Promise<number> {
  return await world.collection('interactions').countDocuments({ tenant, ...filter });
}
const TREATED = { _moraine: { $exists: true } };

test('a life: periods by customer, and what each has chosen; a period and a choice that change, a contract that ends, the change log, the certificates', async ({
  task,
}) => {
  const first = await runAll(world, AS_OF, '--flush');
  // Each customer by its own months; who sets nothing has a year; the bank's contract says five.
  const due = {
    clinic: olderThan(6).length,
    garage: olderThan(3).length,
    kiosk: olderThan(12).length,
    shop: olderThan(24).length,
  };
  expect(new Set(Object.values(due)).size).toBe(4);
  const voices = Math.floor(due.shop / 2);
  expect(first['interactions']).toMatchObject({
    archived: 0,
    deleted: due.garage + voices,
    treated: due.clinic + due.kiosk + due.shop - voices,
  });
  expect([await count('bank'), await count('bank', TREATED)]).toEqual([DAYS.length, 0]);
  expect([await count('clinic'), await count('clinic', TREATED)]).toEqual([DAYS.length, due.clinic]);
  expect([await count('garage'), await count('garage', TREATED)]).toEqual([DAYS.length - due.garage, 0]);
  expect([await count('kiosk'), await count('kiosk', TREATED)]).toEqual([DAYS.length, due.kiosk]);
  expect([await count('shop'), await count('shop', TREATED)]).toEqual([DAYS.length - voices, due.shop - voices]);
  expect((await runAll(world, AS_OF, '--flush'))['interactions']).toMatchObject({
    deleted: 0,
    treated: 0,
    selected: 0,
  });

  // The person is out of the record and the record is there; the same person has the same pseudonym in another customer.
  const of = async (_id: string) => await world.collection('interactions').findOne({ _id: _id as never });
  const [one, same, another] = [await of('clinic-0'), await of('kiosk-3'), await of('clinic-1')];
  expect(one).toMatchObject({ seconds: 60, endedAt: DAYS[0], notes: [{ at: DAYS[0], text: '[redacted]' }] });
  expect(Object.keys(one?.['caller'])).toEqual(['email', 'name']);
  expect(one?.['caller'].email).toMatch(/^pseudonym:/);
  expect(another?.['caller'].email).not.toBe(one?.['caller'].email);
  expect(await of('clinic-39')).toEqual(interaction('clinic', 39, DAYS[39] as Date));
  // The kiosk has chosen nothing: names are replaced, and the rest is as it was.
  expect(same?.['caller']).toEqual({ ...one?.['caller'], phone: '+31 20 1003' });
  expect(same?.['notes']).toEqual([{ at: DAYS[3], text: 'asked about invoice 3' }]);
  // The shop's messages have no caller at all.
  expect(await of('shop-0')).not.toHaveProperty('caller');
  expect(await of('shop-0')).toMatchObject({ kind: 'chat', notes: [{ text: '[redacted]' }] });

  // A customer changes its period: by itself, on its page, and through a new version of the policy.
  await world.collection('customers').updateOne({ tenant: 'clinic' }, { $set: { keepMonths: 3 } });
  const longer = (text: string) => text.replace('bank: 5 years', 'bank: 5 years\n    shop: 4 years');
  installSchedule(world, SCHEDULE, longer);
  await done(world, 'policy', 'publish', 'interactions', '--yes', '--by', 'carol');
  // The bank wants two years instead of five, and the kiosk chooses at last: what deletes more takes another person, and
  // then the grace.
  world.configure({ more: 'approvals: { required: [policy] }' });
  installSchedule(world, SCHEDULE, (text) =>
    longer(text)
      .replace('bank: 5 years', 'bank: 2 years')
      .replace('garage: delete', 'garage: delete\n    kiosk: delete'),
  );
  const publish = ['policy', 'publish', 'interactions', '--yes', '--by', 'carol', '--as-of', '2024-07-01'];
  expect((await world.moraine(...publish)).exitCode).toBe(3);
  expect(await grantAll(world, '--as-of', '2024-07-01')).toBe(1);
  const [{ effectiveAt }] = (await done(world, ...publish)).policies;
  expect(effectiveAt).toBe('2024-07-08T00:00:00.000Z');
  const shopBefore = await count('shop');
  await runAll(world, '2024-07-05', 'interactions');
  expect([await count('bank'), await count('kiosk')]).toEqual([DAYS.length, DAYS.length]);
  await runAll(world, '2024-08-01', '--flush');
  expect(await count('clinic', TREATED)).toBe(DAYS.length - DAYS.filter((at) => at >= new Date('2024-05-01')).length);
  expect(await count('shop')).toBe(shopBefore);
  expect(await count('bank')).toBe(DAYS.filter((at) => at > new Date('2022-08-01')).length);
  expect(await count('kiosk')).toBe(DAYS.filter((at) => at > new Date('2023-08-01')).length);

  // Cases: closed a week after they were opened, a year at hand, then in the archive; those that nobody closed wait.
  const cases = await world
    .collection('cases')
    .find({ closedAt: { $exists: true } })
    .toArray();
  expect(cases.map(({ closedAt }) => closedAt).every((at) => at > new Date('2023-01-01'))).toBe(true);
  const archives: readonly { customer: string; state: string; records: number }[] = await done(world, 'archives');
  expect(new Set(archives.map(({ customer }) => customer))).toEqual(new Set(WITH_CASES));
  expect(archives.every(({ state }) => state === 'cleared')).toBe(true);

  // The clinic leaves: everything is given back, then all of it is gone, in the database and in the vault.
  const report = await offboard(world, { owner: 'acme', customer: 'clinic', asOf: '2024-08-01' });
  expect(report).toMatchObject({ state: 'done', certificate: expect.stringMatching(/^offboard-/) });
  for (const name of ['interactions', 'cases'])
    expect([name, await world.collection(name).countDocuments({ tenant: 'clinic' })]).toEqual([name, 0]);
  expect(await count('shop')).toBe(shopBefore);

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
  const published = log.filter(({ act, subject }) => act === 'policy publish' && subject['policy'] === 'interactions');
  expect(new Set(published.map(({ actor }) => actor))).toEqual(new Set(['person:alice', 'person:carol']));
  const acts = new Set(log.map(({ act }) => act));
  for (const act of ['records treat', 'records delete', 'archive planned', 'customer offboard'])
    expect([act, acts.has(act)]).toEqual([act, true]);
  expect(JSON.stringify(log)).not.toMatch(/example\.org|\+31 20/);

  task.meta.shown = await shownBy(world, `${names.database}_ledger`);
  expect(task.meta.shown.purged).toBe(task.meta.shown.archived);
}, 180_000);
