/** One policy whose customers have chosen what happens to their records, through the real command line on real servers. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const AS_OF = ['--as-of', '2022-06-01', '--yes', '--json'];
const ledger = () => world.client.db(`${names.database}_ledger`);
const calls = () => world.collection('calls');

const policy = (bolt: string) => `
policy: calls
zone: UTC
dataset:
  collection: ${world.namespace('calls')}
  owner: { value: acme }
  customer: { field: tenant }
trigger: { field: at }
active: 2 years
then:
  by: customer
  of:
    bolt: ${bolt}
    clinic: [{ redact: [notes.text] }, { pseudonymise: [mail] }]
    dorn:
      by: plan
      of: { gold: [archive, { anonymise: [phone] }], trial: delete }
      otherwise: archive
  otherwise: archive
archive: { for: 7 years, vault: cold, maxWait: 1 day }
limits: { records: 1000, share: 1.0 }
`;

const call = (_id: string, tenant: string, more: object = {}) => ({
  _id,
  tenant,
  at: new Date('2019-01-01'),
  mail: 'jo@example.org',
  notes: [{ text: 'called' }],
  phone: '+31 20 123',
  ...more,
});

async function json(...args: readonly string[]) {
  const { exitCode, json: document, stderr } = await world.moraine(...args, ...AS_OF);
  expect([exitCode, stderr]).toEqual([0, expect.any(String)]);
  return JSON.parse(JSON.stringify(document));
}

beforeAll(async () => {
  world = await openCliWorld(names);
  await calls().createIndex({ tenant: 1, at: 1, _id: 1 });
  await calls().insertMany([
    call('n1', 'north'),
    call('n2', 'north', { at: new Date('2022-01-01') }),
    call('b1', 'bolt'),
    call('b2', 'bolt'),
    call('c1', 'clinic'),
    call('d1', 'dorn', { plan: 'gold' }),
    call('d2', 'dorn', { plan: 'trial' }),
    call('d3', 'dorn', { at: new Date('2019-02-01') }),
    call('d4', 'dorn', { plan: { name: 'gold' } }),
  ] as never[]);
  world.writePolicy('calls', policy('delete'));
  expect((await world.moraine('policy', 'check', '--offline')).exitCode).toBe(0);
  expect((await world.moraine('policy', 'publish', 'calls', '--yes')).exitCode).toBe(0);
}, 60_000);
afterAll(() => world.close());

test('plan tells each customer’s own disposition, and several of one whose records differ', async () => {
  const { policies } = await json('plan', 'calls');
  const told = policies[0].partitions.map((one: Record<string, unknown>) => [
    one['customer'],
    one['disposition'],
    one['due'],
  ]);
  expect(told).toEqual([
    ['bolt', 'delete', 2],
    ['clinic', 'treat', 1],
    ['dorn', 'delete', 1],
    ['dorn', 'archive', 1],
    ['dorn', 'archive', 1],
    ['north', 'archive', 1],
  ]);
  expect(policies[0].totals).toMatchObject({ due: 7, taken: 7 });
  expect(JSON.stringify(policies[0])).toContain('these fields are treated in place: notes.text (redact)');
  // A plan whose value is of no use waits, and is told once.
  expect(policies[0].partitions.map(({ pending }: { pending: number }) => pending)).toEqual([0, 0, 1, 0, 0, 0]);
}, 60_000);

test('simulate splits what goes by what becomes of it', async () => {
  const { policies } = await json('policy', 'simulate', 'calls', '--until', '2022-12-01');
  expect(policies[0].dispositions).toEqual(['delete', 'treat', 'archive']);
  const [{ goingBy }] = policies[0].months;
  expect(goingBy).toMatchObject({ archive: { records: 3 }, delete: { records: 3 }, treat: { records: 1 } });
  const shown = await world.moraine('policy', 'simulate', 'calls', '--until', '2022-12-01', '--as-of', '2022-06-01');
  expect(shown.stdout).toMatch(/deleted +size +treated in place +size +archived/);
}, 60_000);

test('one run: archived, deleted with a certificate, redacted and marked, each as its customer chose', async () => {
  const { policies } = await json('run', 'calls');
  expect(policies[0]).toMatchObject({
    problems: [],
    totals: { selected: 7, archived: 3, deleted: 5, treated: 2, pending: 0, changed: 0, gone: 0 },
  });
  const left = await calls().find({}).sort({ _id: 1 }).toArray();
  expect(left.map(({ _id }) => _id)).toEqual(['c1', 'd1', 'd4', 'n2']);
  const [clinic, gold, odd] = left;
  expect(clinic).toMatchObject({
    mail: expect.stringMatching(/^pseudonym:/),
    notes: [{ text: '[redacted]' }],
    phone: '+31 20 123',
  });
  expect(gold).toMatchObject({ mail: 'jo@example.org', notes: [{ text: 'called' }] });
  expect(gold).not.toHaveProperty('phone');
  expect([clinic, gold].map((one) => one?.['_moraine'].treatment)).toEqual([
    expect.stringMatching(/^[0-9a-f]{16}$/),
    expect.stringMatching(/^[0-9a-f]{16}$/),
  ]);
  expect(clinic?.['_moraine'].treatment).not.toBe(gold?.['_moraine'].treatment);
  expect(odd).not.toHaveProperty('_moraine');

  const bodies = (await ledger().collection('certificates').find({}).toArray()).map(({ body }) =>
    JSON.parse(String(body)),
  );
  expect(
    bodies.map(({ customer, what, records }) => [customer, what, records.deleted, records.treated]).sort(),
  ).toEqual([
    ['bolt', 'records deleted', 2, 0],
    ['clinic', 'records treated', 0, 1],
    ['dorn', 'records deleted', 1, 0],
  ]);
  const archives = await json('archives');
  expect(
    archives.map(({ customer, state, records }: Record<string, unknown>) => [customer, state, records]).sort(),
  ).toEqual([
    ['dorn', 'cleared', 1],
    ['dorn', 'cleared', 1],
    ['north', 'cleared', 1],
  ]);
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
}, 180_000);

test('a second run does nothing', async () => {
  const before = await calls().find({}).sort({ _id: 1 }).toArray();
  expect((await json('run', 'calls')).policies[0]).toMatchObject({
    archives: [],
    disposed: [],
    problems: [],
    totals: { selected: 0, archived: 0, deleted: 0, treated: 0 },
  });
  expect(await calls().find({}).sort({ _id: 1 }).toArray()).toEqual(before);
}, 120_000);

test('explain says what happens and where the policy says so; a notice tells a customer its own', async () => {
  const explained = await json('explain', world.namespace('calls'), 'c1');
  expect(explained.source).toMatchObject({
    decision: 'treated',
    disposition: { does: 'treat', by: 'customer is clinic' },
  });
  const young = await json('explain', world.namespace('calls'), 'n2');
  expect(young.source).toMatchObject({
    decision: 'not-due',
    disposition: { does: 'archive', by: 'customer is none of bolt, clinic, dorn' },
  });
  const notice = await world.moraine('policy', 'notice', '--customer', 'clinic');
  expect([notice.exitCode, notice.stdout, notice.stderr]).toEqual([
    0,
    expect.stringContaining('“notes.text” in it is replaced by a fixed text'),
    expect.any(String),
  ]);
}, 60_000);

test('diff tells whose records are disposed of otherwise, and that it takes more', async () => {
  await calls().insertOne(call('b3', 'bolt', { at: new Date('2021-01-01') }) as never);
  world.writePolicy('calls', policy('archive'));
  const kinder = (await json('policy', 'diff', 'calls')).policies[0];
  expect(kinder).toMatchObject({
    makesMoreDeletable: [],
    totals: { otherwise: { records: 1 }, earlier: { records: 0 } },
  });
  expect(kinder.examples).toMatchObject([
    { id: 'b3', old: { does: 'it is deleted' }, next: { does: 'it is archived' } },
  ]);
  world.writePolicy(
    'calls',
    policy('delete').replace('clinic: [{ redact', 'clinic: [{ anonymise: [phone] }, { redact'),
  );
  expect((await json('policy', 'diff', 'calls')).policies[0]).toMatchObject({
    makesMoreDeletable: ['Fields are treated that were not, or in another way: phone for customer clinic.'],
    // What was treated as the version in force says goes once more.
    totals: { newlyDue: { records: 1 }, otherwise: { records: 0 } },
  });
}, 60_000);
