/** Working with policies through the real command line: checked, simulated, compared, published with a second person. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { callsPolicy } from '../harness/calls-policy.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const AT = ['--as-of', '2022-06-01'];
const calls = () => callsPolicy('calls', world.namespace('calls'));

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({ more: 'approvals: { required: [policy] }' });
  const record = (_id: number, tenant: string, at: string) => ({ _id, tenant, at: new Date(at), topic: 'sale' });
  await world
    .collection('calls')
    .insertMany([
      record(1, 'north', '2021-01-01'),
      record(2, 'north', '2022-02-01'),
      record(3, 'south', '2021-08-15'),
    ] as never[]);
  world.writePolicy('calls', calls());
}, 60_000);
afterAll(() => world.close());

const findings = z.object({
  ok: z.boolean(),
  findings: z.array(z.object({ level: z.string(), text: z.string(), hint: z.string().optional() })),
});

test('policy check: errors with line and exit 2, warnings and exit 0, the command for an index; offline without a server', async () => {
  const lacking = await world.moraine('policy', 'check', '--json');
  expect(lacking.exitCode).toBe(2);
  const [missing] = findings.parse(lacking.json).findings.filter(({ level }) => level === 'error');
  expect(missing?.hint).toContain('createIndex');
  await world.collection('calls').createIndex({ tenant: 1, at: 1, _id: 1 });
  expect(await world.moraine('policy', 'check')).toMatchObject({ exitCode: 0 });

  const rules = [
    'rules:',
    '  - { name: sales, when: { field: topic, is: sale }, delete: 3 years }',
    '  - { name: old, when: { field: age, is: old }, delete: 4 years }',
    '  - { name: others, when: { owner: umbra }, delete: 5 years }',
    '',
  ].join('\n');
  world.writePolicy('calls', `${calls()}${rules}`);
  world.configure({ mongodb: 'mongodb://127.0.0.1:9/?directConnection=true' });
  const offline = await world.moraine('policy', 'check', '--offline', '--json');
  expect(offline.exitCode).toBe(0);
  const warned = findings.parse(offline.json).findings.filter(({ level }) => level === 'warning');
  expect(warned.map(({ text }) => text).join('\n')).toMatch(
    /calls\.yaml:11.*sales and old[\s\S]*umbra|umbra[\s\S]*sales and old/,
  );
  expect((await world.moraine('policy', 'check')).exitCode).toBe(1);
  world.writePolicy('calls', calls().replace('1 year', '1 yaer'));
  const wrong = await world.moraine('policy', 'check', '--offline');
  expect(wrong.exitCode).toBe(2);
  expect(wrong.stdout).toContain('calls.yaml:5');
  world.configure({ more: 'approvals: { required: [policy] }' });
  world.writePolicy('calls', calls());
}, 120_000);

test('policy simulate: what goes in which month, for each customer; nothing is changed', async () => {
  const { exitCode, json } = await world.moraine(
    ...['policy', 'simulate', '--until', '2023-03-01', '--per', 'customer', '--json', ...AT],
  );
  expect(exitCode).toBe(0);
  const month = z.object({ month: z.string(), going: z.object({ records: z.number() }) });
  const shape = z.object({
    policies: z.array(
      z.object({
        months: z.array(month),
        customers: z.array(z.object({ customer: z.string(), months: z.array(month) })),
      }),
    ),
  });
  const [policy] = shape.parse(json).policies;
  const going = (months: readonly z.infer<typeof month>[]) =>
    months.flatMap((one) => (one.going.records === 0 ? [] : [`${one.month} ${one.going.records}`]));
  expect(going(policy?.months ?? [])).toEqual(['2022-06 1', '2022-08 1', '2023-02 1']);
  expect(policy?.customers.map(({ customer, months }) => `${customer}: ${going(months)}`)).toEqual([
    'north: 2022-06 1,2023-02 1',
    'south: 2022-08 1',
  ]);
  const text = await world.moraine('policy', 'simulate', '--until', '2023-03-01', ...AT);
  expect(text.stdout).toMatch(/2022-08 +1 +\d+ B/);
  expect((await world.moraine('policy', 'simulate', '--until', '2022-01-01', ...AT)).exitCode).toBe(2);
  expect(await world.collection('calls').countDocuments()).toBe(3);
}, 120_000);

const ALICE = ['--by', 'alice', '--yes', '--json'];
const BOB = ['--by', 'bob', '--yes', '--json'];
const published = z.object({
  policies: z.array(
    z.object({
      outcome: z.string(),
      version: z.string(),
      approval: z.string().nullable(),
      effectiveAt: z.string().nullable(),
    }),
  ),
});
const publish = async (...as: readonly string[]) => {
  const { exitCode, json } = await world.moraine('policy', 'publish', ...as);
  const [policy] = published.parse(json).policies;
  if (policy === undefined) throw new Error('Nothing was published.');
  return { exitCode, ...policy };
};
const grant = (approval: string | null, ...as: readonly string[]) =>
  world.moraine('approve', 'grant', approval ?? '', ...as, ...BOB);
const listed = async (asOf: string) => (await world.moraine('policy', 'list', '--as-of', asOf, '--json')).json;

test('policy publish: what deletes more waits for another person, then for the grace; what deletes less is in force at once', async () => {
  const first = await publish(...AT, ...ALICE);
  expect(first).toMatchObject({ exitCode: 3, outcome: 'waits' });
  expect((await grant(first.approval, ...AT)).exitCode).toBe(0);
  expect(await publish(...AT, ...ALICE)).toMatchObject({ exitCode: 0, outcome: 'published', effectiveAt: null });

  world.writePolicy('calls', calls().replace('1 year', '2 years'));
  const longer = await publish(...AT, ...ALICE);
  expect(longer).toMatchObject({ exitCode: 0, outcome: 'published', approval: null, effectiveAt: null });

  world.writePolicy('calls', calls().replace('1 year', '3 months'));
  const compared = await world.moraine('policy', 'diff', '--json', ...AT);
  expect(compared.json).toMatchObject({
    policies: [
      {
        fields: [{ field: 'active', old: '2 years', next: '3 months' }],
        makesMoreDeletable: ['The active period may be shorter.'],
        totals: { earlier: { records: 3 }, newlyDue: { records: 3 } },
        examples: [{ id: expect.stringContaining('1'), old: { by: 'the active period of 2 years' } }, {}, {}],
      },
    ],
  });
  expect((await world.moraine('policy', 'diff', ...AT)).stdout).toContain('active: 2 years -> 3 months');
  const waits = await publish(...AT, ...ALICE);
  expect(waits).toMatchObject({ exitCode: 3, outcome: 'waits' });
  // A day later another record is there: it is no part of what was asked, and asks for nothing anew.
  await world.collection('calls').insertOne({ _id: 4, tenant: 'north', at: new Date('2022-06-01T12:00:00Z') } as never);
  expect((await grant(waits.approval, '--as-of', '2022-06-02')).exitCode).toBe(0);
  const coming = await publish('--as-of', '2022-06-03', ...ALICE);
  expect(coming).toMatchObject({ exitCode: 0, outcome: 'published', approval: waits.approval });
  expect(coming.effectiveAt).toBe('2022-06-10T00:00:00.000Z');
  expect(await listed('2022-06-09')).toMatchObject([
    { inForce: longer.version, state: 'comes into force', coming: { version: coming.version } },
  ]);
  expect(await listed('2022-06-10')).toMatchObject([{ inForce: coming.version, coming: null, state: 'in force' }]);
  expect((await world.moraine('status', '--as-of', '2022-06-03')).stdout).toContain('comes into force on 2022-06-10');
  const notice = await world.moraine(
    'policy',
    'notice',
    '--owner',
    'acme',
    '--customer',
    'north',
    '--as-of',
    '2022-06-03',
  );
  expect(notice.stdout).toContain('2022-06-10');
  expect(await publish('--as-of', '2022-06-04', ...ALICE)).toMatchObject({ exitCode: 0, outcome: 'unchanged' });
  const run = await world.moraine('run', '--flush', '--yes', '--json', '--as-of', '2022-06-05');
  expect(run).toMatchObject({ exitCode: 0, json: { policies: [{ totals: { archived: 0 } }] } });

  // Another publication replaces what is coming.
  world.writePolicy('calls', calls().replace('1 year', '3 years'));
  expect(await publish('--as-of', '2022-06-06', ...ALICE)).toMatchObject({ exitCode: 0, effectiveAt: null });
  expect(await listed('2023-01-01')).toMatchObject([{ coming: null, state: 'in force' }]);
  const shown = await world.moraine('policy', 'show', 'calls', '--as-of', '2022-06-06');
  expect(shown.stdout).toContain('before it was in force');
  const audited = await world.moraine('audit', 'show', '--json');
  expect(audited.stdout).toContain('2022-06-10T00:00:00.000Z');
  expect((await world.moraine('audit', 'verify')).exitCode).toBe(0);
}, 180_000);

test('policy publish: raised limits take another person and no grace; a refusal is final for the same', async () => {
  world.writePolicy('calls', calls().replace('1 year', '3 years').replace('records: 1000', 'records: 2000'));
  const raised = await publish('--as-of', '2022-06-07', ...ALICE);
  expect(raised).toMatchObject({ exitCode: 3, outcome: 'waits' });
  expect((await grant(raised.approval, ...AT)).exitCode).toBe(0);
  expect(await publish('--as-of', '2022-06-07', ...ALICE)).toMatchObject({ exitCode: 0, effectiveAt: null });
  world.writePolicy('calls', calls().replace('1 year', '1 day').replace('records: 1000', 'records: 2000'));
  const waits = await publish('--as-of', '2022-06-08', ...ALICE);
  expect((await world.moraine('approve', 'refuse', waits.approval ?? '', '--reason', 'no', ...BOB)).exitCode).toBe(0);
  const refused = await publish('--as-of', '2022-06-09', ...ALICE);
  expect(refused).toMatchObject({ exitCode: 3, outcome: 'waits', approval: waits.approval });
}, 120_000);

test('reschedule: wrong input, later at once, earlier by another person; the archive keeps what was done', async () => {
  const late = ['--as-of', '2026-01-01'];
  const run = await world.moraine('run', 'calls', '--flush', '--yes', '--json', ...late);
  expect(run).toMatchObject({ exitCode: 0, json: { policies: [{ totals: { archived: 4, deleted: 4 } }] } });
  const dates = z.array(z.object({ customer: z.string(), dueAt: z.string() }));
  const dueDates = async () =>
    dates
      .parse((await world.moraine('archives', '--json')).json)
      .map(({ customer, dueAt }) => `${customer} ${dueAt.slice(0, 4)}`);
  const before = await dueDates();
  for (const wrong of [[], ['--for', '9 yaers'], ['--for', '9 years', '--due', '2040-01-01']]) {
    const { exitCode } = await world.moraine('reschedule', 'calls', ...wrong, '--reason', 'law', ...late, ...ALICE);
    expect(exitCode).toBe(2);
  }
  const to = (...args: readonly string[]) =>
    world.moraine('reschedule', 'calls', ...args, '--reason', 'law', ...late, ...ALICE);
  expect(await to('--customer', 'south', '--due', '2040-01-01')).toMatchObject({ exitCode: 0, json: { left: [] } });
  const afterwards = await dueDates();
  expect(afterwards.filter((one) => one === 'south 2040')).toHaveLength(1);
  expect(afterwards.filter((one) => one.startsWith('north'))).toEqual(before.filter((one) => one.startsWith('north')));

  const refused = await to('--customer', 'south', '--due', '2027-01-01');
  expect(refused.exitCode).toBe(3);
  const { error } = z.object({ error: z.object({ ids: z.object({ approval: z.string() }) }) }).parse(refused.json);
  expect(await dueDates()).toEqual(afterwards);
  expect((await grant(error.ids.approval, ...late)).exitCode).toBe(0);
  expect((await to('--customer', 'south', '--due', '2027-01-01')).exitCode).toBe(0);
  expect(await dueDates()).toContain('south 2027');
  const audited = await world.moraine('audit', 'show', '--json');
  expect(audited.stdout).toContain('archive reschedule');
  expect((await world.moraine('audit', 'verify')).exitCode).toBe(0);
}, 180_000);
