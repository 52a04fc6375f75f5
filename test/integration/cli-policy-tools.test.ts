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
