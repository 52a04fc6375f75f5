/** Several due windows of one customer whose clearing waits for an inventory, through the real command line: one run, one inventory. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const NOW = ['--as-of', '2024-06-01'];
const MONTHS = 18;
/** Every month one of each tier for every day of a week. */
const RECORDS = MONTHS * 7 * 2;

let world: CliWorld;

const policy = () => `policy: calls
zone: Europe/Amsterdam
dataset: { collection: ${world.namespace('calls')}, owner: { value: acme }, customer: { field: tenant } }
trigger: { field: at }
active: { by: plan, of: { enterprise: 1 year }, otherwise: 3 months }
then: archive
archive: { for: 7 years, vault: cold, verify: inventory, dueWindow: 30 days }
limits: { records: 100000, share: 1.0 }
`;

beforeAll(async () => {
  world = await openCliWorld(names);
  const calls = world.collection('calls');
  await calls.createIndex({ tenant: 1, at: 1, _id: 1 });
  const records = Array.from({ length: RECORDS }, (_, n) => ({
    _id: n,
    tenant: 'north',
    at: new Date(Date.UTC(2021, Math.floor(n / 14), 1 + (n % 7))),
    ...(n % 14 < 7 ? { plan: 'enterprise' } : {}),
    text: 'x'.repeat(500),
  }));
  await calls.insertMany([...records, { _id: 'young', tenant: 'north', at: new Date('2024-05-20') }] as never[]);
  world.writePolicy('calls', policy());
  expect((await world.moraine('policy', 'publish', '--yes', ...NOW)).exitCode).toBe(0);
}, 120_000);
afterAll(() => world.close());

interface Listed {
  readonly id: string;
  readonly state: string;
  readonly records: number;
  readonly dueAt: string;
}

async function archives(): Promise<readonly Listed[]> {
  const { json } = await world.moraine('archives', '--policy', 'calls', '--json');
  if (!Array.isArray(json)) throw new Error('It lists no archives.');
  return json;
}

test('a year and a half of two tiers: one run stores all of it, in an archive for each window', async () => {
  const { exitCode, json } = await world.moraine('run', 'calls', '--flush', '--json', ...NOW);
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({
    policies: [{ totals: { selected: RECORDS, archived: RECORDS, pending: RECORDS, deleted: 0 } }],
  });
  const stored = await archives();
  expect(new Set(stored.map(({ state }) => state))).toEqual(new Set(['stored']));
  expect(stored.reduce((sum, { records }) => sum + records, 0)).toBe(RECORDS);
  // The windows of two tiers that lie nine months apart, over 18 months.
  expect(stored.length).toBeGreaterThanOrEqual(20);
  expect(new Set(stored.map(({ dueAt }) => dueAt)).size).toBe(stored.length);
  expect(await world.collection('calls').countDocuments()).toBe(RECORDS + 1);
  // Nothing is left to plan.
  const again = await world.moraine('run', 'calls', '--flush', '--json', ...NOW);
  expect(again.json).toMatchObject({ policies: [{ totals: { selected: 0 } }] });
  expect(await archives()).toHaveLength(stored.length);
}, 120_000);

test('one inventory lists them all: they are cleared together, each record by one archive', async () => {
  const before = await archives();
  let states = new Set(before.map(({ state }) => state));
  for (let half = 0; half < 12 && !states.has('cleared'); half++) {
    await world.emulator.advance('PT12H');
    expect((await world.moraine('reconcile')).exitCode).toBe(0);
    states = new Set((await archives()).map(({ state }) => state));
  }
  expect(states).toEqual(new Set(['cleared']));
  expect(await archives()).toHaveLength(before.length);
  expect((await world.collection('calls').find().toArray()).map(({ _id }) => _id)).toEqual(['young']);
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
}, 120_000);
