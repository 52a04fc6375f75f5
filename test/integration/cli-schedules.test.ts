/** A schedule with everything in it through the real command line, on a real server: checked, planned, explained and run. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const NOW = ['--as-of', '2024-06-01'];
const at = (day: string) => new Date(`${day}T00:00:00Z`);

const policy = (lookUps: string) => `policy: tickets
zone: UTC
dataset: { collection: ${world.namespace('tickets')}, owner: { value: acme }, customer: { field: tenant } }
lookUps: { account: ${lookUps} }
trigger: { event: closedAt, created: at, latest: 10 years }
active: { by: { lookUp: account, field: plan }, of: { enterprise: 2 years }, otherwise: 3 months }
rules:
  - { name: disputes, when: { field: labels, is: dispute }, retain: 7 years }
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 100, share: 1.0 }
`;

beforeAll(async () => {
  world = await openCliWorld(names);
  const tickets = world.collection('tickets');
  await tickets.createIndex({ tenant: 1, at: 1, _id: 1 });
  const ticket = (_id: string, account: number, more: object = {}) => {
    return { _id, tenant: 'north', at: at('2023-01-01'), account, ...more } as never;
  };
  const closedAt = at('2024-01-01');
  await tickets.insertMany([
    ticket('free', 1, { closedAt }),
    ticket('enterprise', 2, { closedAt }),
    ticket('disputed', 1, { closedAt, labels: ['vip', 'dispute'] }),
    ticket('open', 1),
    ticket('text', 1, { closedAt: '2024-01-01' }),
    ticket('nobodys', 3, { closedAt: at('2024-04-01') }),
  ]);
  await world.collection('accounts').insertMany([
    { number: 1, plan: 'free' },
    { number: 2, plan: 'enterprise' },
  ]);
}, 60_000);
afterAll(() => world.close());

test('a look-up without an index is told with the command that makes it; then it is in order', async () => {
  const lookUp = `{ collection: ${world.namespace('accounts')}, key: number, from: account }`;
  world.writePolicy('tickets', policy(lookUp));
  const checked = await world.moraine('check');
  expect(checked.exitCode).toBe(2);
  expect(checked.stdout).toMatch(/has no index on number, by which it is looked up/);
  expect(checked.stdout).toContain('.createIndex({ "number": 1 }, { unique: true })');
  expect((await world.moraine('plan', ...NOW, '--json')).json).toMatchObject({
    policies: [{ error: { code: 'INDEX_MISSING' }, totals: { due: 0 } }],
  });
  await world.collection('accounts').createIndex({ number: 1 }, { unique: true });
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
}, 120_000);

test('the plan counts what is pending, and explain names what was weighed', async () => {
  expect((await world.moraine('plan', ...NOW, '--json')).json).toMatchObject({
    policies: [{ totals: { due: 1 }, partitions: [{ due: 1, pending: 2, oldestPending: '2023-01-01T00:00:00.000Z' }] }],
  });
  const explained = async (id: string) =>
    (await world.moraine('explain', world.namespace('tickets'), id, ...NOW)).stdout;
  expect(await explained('enterprise')).toMatch(/plan of account is enterprise: 2 years\./);
  expect(await explained('disputed')).toMatch(
    /! retention-rule +Rule disputes \(label\) retains it until 2031-01-01 00:00 \(UTC\)\./,
  );
  expect(await explained('open')).toMatch(
    /! pending +There is no closedAt yet: the record waits for it until 2033-01-01/,
  );
  expect(await explained('text')).toMatch(/! pending +closedAt holds a text where a date belongs/);
}, 120_000);

test('a run takes the one that is due, and nothing that waits or is retained', async () => {
  const { exitCode, json } = await world.moraine('run', '--flush', ...NOW, '--yes', '--json');
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({ policies: [{ totals: { archived: 1, deleted: 1 } }] });
  const left = await world.collection('tickets').distinct('_id');
  expect(left.map(String).sort()).toEqual(['disputed', 'enterprise', 'nobodys', 'open', 'text']);
}, 120_000);

test('the accounts are away: nothing is decided, and the command says why', async () => {
  await world.collection('accounts').drop();
  const { exitCode, stdout } = await world.moraine('run', '--flush', '--as-of', '2050-01-01', '--yes', '--json');
  expect(exitCode).not.toBe(0);
  expect(stdout).toContain('DATASET_UNFIT');
  expect(await world.collection('tickets').countDocuments()).toBe(5);
}, 120_000);
