/** Exceptions through the real command line: asked for, granted by another, seen, ended. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { callsPolicy } from '../harness/calls-policy.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const AT = ['--as-of', '2022-06-01'];
const ALICE = ['--by', 'alice', '--yes', '--json'];
const BOB = ['--by', 'bob', '--yes', '--json'];
const ledger = () => world.client.db(`${names.database}_ledger`);

beforeAll(async () => {
  world = await openCliWorld(names);
  const calls = world.collection('calls');
  await calls.createIndex({ tenant: 1, at: 1, _id: 1 });
  const record = (_id: number, tenant: string, at: string) => ({ _id, tenant, at: new Date(at), topic: 'sale' });
  await calls.insertMany([
    record(1, 'north', '2021-01-01'),
    record(2, 'north', '2022-02-01'),
    record(3, 'south', '2021-01-01'),
  ] as never[]);
  world.writePolicy('calls', callsPolicy('calls', world.namespace('calls')));
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
}, 60_000);
afterAll(() => world.close());

const asked = z.object({ id: z.string(), state: z.string(), approval: z.string() });
const request = (...args: readonly string[]) =>
  world.moraine('exception', 'request', 'calls', ...args, '--reason', 'contract', ...AT, ...ALICE);
const list = async (...args: readonly string[]) =>
  (await world.moraine('exception', 'list', ...args, ...AT, '--json')).json;

/** No document of the ledger has such a text. */
async function expectNowhere(text: RegExp): Promise<void> {
  for (const { name } of await ledger().listCollections().toArray()) {
    const found = (await ledger().collection(name).find({}).toArray()).filter((one) => text.test(JSON.stringify(one)));
    expect(found, name).toEqual([]);
  }
}

const planned = z.object({ policies: z.array(z.object({ totals: z.object({ due: z.number() }) })) });
const dueAt = async (asOf: string) => {
  const { json } = await world.moraine('plan', '--as-of', asOf, '--json');
  return planned.parse(json).policies[0]?.totals.due;
};

test('what cannot be an exception is refused before anything is written', async () => {
  for (const args of [
    ['--customer', 'north', '--open-ended'],
    ['--longer', '3 years', '--shorter', '1 day', '--customer', 'north', '--open-ended'],
    ['--longer', 'three years', '--customer', 'north', '--open-ended'],
    ['--longer', '3 years', '--open-ended'],
    ['--longer', '3 years', '--all', '--customer', 'north', '--open-ended'],
    ['--longer', '3 years', '--customer', 'north'],
    ['--longer', '3 years', '--customer', 'north', '--until', '2030-01-01', '--open-ended'],
    ['--longer', '3 years', '--customer', 'north', '--from', '2031-01-01', '--until', '2030-01-01'],
    ['--longer', '3 years', '--customer', 'north', '--until', '2022-05-31'],
    ['--longer', '3 years', '--value', 'topic', '--open-ended'],
    ['--longer', '3 years', '--value', 'topic=a', '--value', 'theme=b', '--open-ended'],
  ]) {
    const { exitCode, json } = await request(...args);
    expect(exitCode, args.join(' ')).toBe(2);
    expect(json).toMatchObject({ error: { code: 'USAGE' } });
  }
  const unknown = await world.moraine(
    'exception',
    'request',
    'chats',
    '--longer',
    '3 years',
    '--all',
    '--open-ended',
    '--reason',
    'x',
    ...ALICE,
  );
  expect(unknown.json).toMatchObject({ error: { code: 'POLICY_NOT_PUBLISHED' } });
  expect(await ledger().collection('exceptions').countDocuments()).toBe(0);
  expect(await ledger().collection('approvals').countDocuments()).toBe(0);
}, 120_000);

test('longer: nothing before its grant, in force after it, seen; its end takes an approval, too', async () => {
  const first = await request('--longer', '3 years', '--customer', 'north', '--until', '2030-01-01');
  expect(first.exitCode).toBe(3);
  const { id, approval } = asked.parse(first.json);
  expect(
    asked.parse((await request('--longer', '3 years', '--customer', 'north', '--until', '2030-01-01')).json).id,
  ).toBe(id);
  expect(await list()).toMatchObject([{ id, state: 'requested', text: `waits for ${approval}` }]);
  expect((await world.moraine('approve', 'grant', approval, ...ALICE)).exitCode).toBe(3);
  expect(await dueAt('2022-06-01')).toBe(2);
  const granted = await world.moraine('approve', 'grant', approval, ...AT, ...BOB);
  expect(granted.json).toMatchObject({ state: 'granted', exceptionInForce: id });
  expect(await list()).toMatchObject([
    { id, state: 'granted', text: 'in force', grantedBy: ['person:bob'], requestedBy: 'person:alice' },
  ]);
  expect(await dueAt('2022-06-01')).toBe(1);
  const explained = await world.moraine('explain', world.namespace('calls'), '1', ...AT);
  expect(explained.stdout).toContain(id);
  const shown = await world.moraine('exception', 'show', id, ...AT);
  expect(shown.stdout).toContain('longer: P3Y for customer north');
  expect(shown.stdout).toContain('granted by person:bob');
  expect(await world.moraine('exception', 'list', '--as-of', '2030-01-02', '--json')).toMatchObject({ json: [] });

  const end = () => world.moraine('exception', 'end', id, '--reason', 'contract over', ...AT, ...ALICE);
  const refused = await end();
  expect(refused.exitCode).toBe(3);
  const { error } = z
    .object({ error: z.object({ code: z.string(), ids: z.object({ approval: z.string() }) }) })
    .parse(refused.json);
  expect(error.code).toBe('APPROVAL_NEEDED');
  expect(await list()).toMatchObject([{ id, state: 'granted', endedAt: null }]);
  expect((await world.moraine('approve', 'grant', error.ids.approval, ...BOB)).exitCode).toBe(0);
  expect((await end()).json).toMatchObject({
    id,
    state: 'ended',
    endedBy: 'person:alice',
    endedAt: '2022-06-01T00:00:00.000Z',
  });
  // Nothing goes on the day that it ends; the grace of the policy later it does.
  expect(await dueAt('2022-06-01')).toBe(1);
  expect(await dueAt('2022-07-15')).toBe(2);
  expect(await list()).toEqual([]);
  expect(await list('calls', '--all')).toMatchObject([{ id, text: 'ended by person:alice' }]);
}, 120_000);

test('shorter: bites after the grace, ends at once; refused, it is withdrawn', async () => {
  const args = ['--shorter', '90 days', '--value', 'topic=sale', '--value', 'topic=trial', '--open-ended'];
  const { id, approval } = asked.parse((await request(...args)).json);
  // Who approves has to know for which values it is: all of them, and no other.
  const grant = (...values: readonly string[]) =>
    world.moraine('approve', 'grant', approval, ...values.flatMap((value) => ['--value', value]), ...AT, ...BOB);
  for (const values of [[], ['topic=sale'], ['topic=sale', 'topic=trail'], ['topic=sale', 'topic=trial', 'topic=x']]) {
    const refused = await grant(...values);
    expect([refused.exitCode, refused.json], values.join()).toMatchObject([2, { error: { code: 'USAGE' } }]);
    expect(refused.stdout + refused.stderr).not.toMatch(/sale|trail|trial/);
  }
  expect((await grant('theme=sale')).json).toMatchObject({ error: { code: 'USAGE' } });
  expect(await list()).toMatchObject([{ id, state: 'requested' }]);
  expect((await grant('topic=trial', 'topic=sale')).exitCode).toBe(0);
  expect(await list()).toMatchObject([
    { id, owner: 'acme', value: { field: 'topic', values: 2 }, bitesAt: expect.stringMatching(/^2022-06-/) },
  ]);
  const values = ['--value', 'topic=sale', '--value', 'topic=other'];
  expect((await world.moraine('exception', 'show', id, ...values, ...AT, '--json')).json).toMatchObject({
    named: [true, false],
  });
  const shown = await world.moraine('exception', 'show', id, ...values, ...AT);
  expect(shown.stdout).toContain('for owner acme, 2 values of topic');
  expect(shown.stdout).toContain('value 2 of 2 given is not named');
  const seen = await world.moraine('plan', ...AT);
  expect(seen.stdout).toContain(`by exception ${id} (2 values of topic)`);
  const said = [
    shown,
    seen,
    await world.moraine('approve', 'show', approval),
    await world.moraine('audit', 'show'),
    await world.moraine('explain', world.namespace('calls'), '2', ...AT),
  ];
  for (const { stdout, stderr } of said) expect(stdout + stderr).not.toMatch(/\bsale\b|trial/);
  await expectNowhere(/\bsale\b|trial/);
  expect((await world.moraine('exception', 'list', ...AT)).stdout).toContain('bites from 2022-06-');
  // Retained by the grace of the longer one that ended, record 1 stays; 2 is due by the shorter one once that bites.
  expect(await dueAt('2022-06-01')).toBe(1);
  expect(await dueAt('2022-07-15')).toBe(3);
  const ended = await world.moraine('exception', 'end', id, '--reason', 'not needed', ...AT, ...ALICE);
  expect(ended).toMatchObject({ exitCode: 0, json: { state: 'ended' } });

  const other = asked.parse((await request('--shorter', '30 days', '--all', '--open-ended')).json);
  const refused = await world.moraine('approve', 'refuse', other.approval, '--reason', 'too short', ...BOB);
  expect(refused.exitCode).toBe(0);
  expect((await world.moraine('exception', 'show', other.id, '--json')).json).toMatchObject({
    state: 'withdrawn',
    text: 'withdrawn: refused: too short',
  });
  expect((await world.moraine('audit', 'verify')).exitCode).toBe(0);
  for (const command of ['show', 'end'])
    expect(
      (
        await world.moraine(
          'exception',
          command,
          'exception-1',
          ...(command === 'end' ? ['--reason', 'x'] : []),
          '--yes',
        )
      ).exitCode,
    ).toBe(2);
}, 120_000);

test('what may be a slip is said when it is asked for', async () => {
  const slip = await request('--longer', '90 days', '--owner', 'nobody', '--open-ended');
  expect(slip.exitCode).toBe(3);
  expect(slip.json).toMatchObject({
    doubts: [
      'moraine.yaml has no owner nobody.',
      'All records of policy calls are of owner acme: it fits none.',
      "Policy calls has 1 year for all its records: 90 days makes no record's period longer.",
    ],
  });
  const shorter = await request('--shorter', '2 years', '--customer', 'north', '--open-ended');
  expect(shorter.json).toMatchObject({
    doubts: ["Policy calls has 1 year for all its records: 2 years makes no record's period shorter."],
  });
  const sound = await request('--shorter', '2 months', '--customer', 'north', '--open-ended');
  expect(sound.json).toMatchObject({ doubts: [] });
}, 60_000);
