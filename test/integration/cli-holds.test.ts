/** Legal holds through the real command line: placed, seen by every command that shows them, released. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callsPolicy } from '../harness/calls-policy.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const RUN_AT = ['--as-of', '2022-06-01', '--yes', '--json'];
const PURGE_AT = ['--as-of', '2030-01-01', '--yes', '--json'];
const ledger = () => world.client.db(`${names.database}_ledger`);

beforeAll(async () => {
  world = await openCliWorld(names);
  const calls = world.collection('calls');
  await calls.createIndex({ tenant: 1, at: 1, _id: 1 });
  const record = (_id: number, tenant: string, mail: string) => ({ _id, tenant, at: new Date('2020-01-01'), mail });
  await calls.insertMany([
    record(1, 'south', 'Jo@example.org'),
    record(2, 'south', 'kim@example.org'),
    record(3, 'north', 'lee@example.org'),
  ] as never[]);
  world.writePolicy(
    'calls',
    callsPolicy('calls', world.namespace('calls'), { facets: '{ subject: { field: mail } }' }),
  );
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
}, 60_000);
afterAll(() => world.close());

const ids = async () => {
  const found = await world.collection('calls').find().sort({ _id: 1 }).toArray();
  return found.map(({ _id }) => Number(_id));
};

test('refused before anything is written: nothing named, --all beside something, a facet nobody declares, no --yes', async () => {
  const because = ['--case', 'C-1', '--reason', 'a claim'];
  for (const args of [
    [],
    ['--all', '--owner', 'acme'],
    ['--key', '1'],
    ['--owner', 'acme', '--facet', 'colour=red'],
    ['--owner', 'acme', '--facet', 'subject'],
    ['--trigger-from', '2020-02-01', '--trigger-before', '2020-01-01'],
  ]) {
    const { exitCode, json } = await world.moraine('hold', 'place', ...because, ...args, '--yes', '--json');
    expect(exitCode, args.join(' ')).toBe(2);
    expect(json).toMatchObject({ error: { code: 'USAGE' } });
  }
  const unasked = await world.moraine('hold', 'place', ...because, '--all', '--json');
  expect(unasked.json).toMatchObject({ error: { code: 'CONFIRMATION_NEEDED' } });
  expect((await world.moraine('hold', 'release', 'nothing', '--reason', 'x', '--yes', '--json')).exitCode).toBe(2);
  expect(await ledger().collection('holds').countDocuments()).toBe(0);
}, 120_000);

test('one person and one customer are held, the rest goes; shown everywhere; after release and grace it goes', async () => {
  const person = await world.moraine(
    ...['hold', 'place', '--case', 'C-1', '--reason', 'a claim', '--owner', 'acme'],
    ...['--facet', 'subject=JO@example.org', '--yes', '--json'],
  );
  expect(person.json).toMatchObject({ state: 'active', case: 'C-1', owner: 'acme', facet: 'subject', tooLate: [] });
  expect(person.exitCode).toBe(0);
  const customer = await world.moraine(
    ...['hold', 'place', '--case', 'C-2', '--reason', 'audit', '--owner', 'acme', '--customer', 'north'],
    ...['--dataset', world.namespace('calls'), '--yes'],
  );
  expect(customer.stdout).toContain('is in force');
  const holdIds = (await ledger().collection('holds').find().sort({ placedAt: 1 }).toArray()).map(
    ({ _id }) => `${_id}`,
  );
  const [personHold = '', customerHold = ''] = holdIds;

  const plan = await world.moraine('plan', ...RUN_AT);
  expect(plan.json).toMatchObject({ policies: [{ totals: { due: 2, held: 2, taken: 1 } }] });
  expect(plan.stdout).toContain(`${customerHold} (case C-2)`);
  expect((await world.moraine('run', ...RUN_AT)).json).toMatchObject({
    policies: [{ totals: { archived: 1, deleted: 1, held: 0 } }],
  });
  expect(await ids()).toEqual([1, 3]);
  expect((await world.moraine('explain', world.namespace('calls'), '1', ...RUN_AT)).json).toMatchObject({
    source: {
      decision: 'held',
      reasons: expect.arrayContaining([
        expect.objectContaining({ rule: 'hold', text: expect.stringContaining('C-1') }),
      ]),
    },
  });
  expect((await world.moraine('status', '--json')).json).toMatchObject({
    holds: 2,
    holdsInForce: [{ case: 'C-1' }, { case: 'C-2' }],
  });
  expect((await world.moraine('hold', 'list')).stdout).toMatch(/C-1 .*active .*facet subject[\s\S]*C-2 .*active/);
  expect((await world.moraine('audit', 'show', '--json')).stdout).not.toContain('jo@example.org');

  // The archive of record 2 was sealed with the hold looked at; one on its own person keeps it.
  await world.moraine(
    ...['hold', 'place', '--case', 'C-3', '--reason', 'a claim', '--owner', 'acme'],
    ...['--dataset', world.namespace('calls'), '--key', '2', '--yes', '--json'],
  );
  expect((await world.moraine('purge', ...PURGE_AT)).json).toMatchObject({ purged: [], held: [expect.anything()] });
  const keyHold = String((await ledger().collection('holds').findOne({ caseNumber: 'C-3' }))?._id);

  for (const hold of [personHold, customerHold, keyHold]) {
    const { exitCode, json } = await world.moraine('hold', 'release', hold, '--reason', 'settled', '--yes', '--json');
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({ state: 'released', releaseReason: 'settled' });
  }
  expect((await world.moraine('run', ...RUN_AT)).json).toMatchObject({ policies: [{ totals: { deleted: 0 } }] });
  expect((await world.moraine('hold', 'list', '--json')).json).toHaveLength(3);
  // The grace of a release is real time, which nothing moves: as if it were over.
  await ledger()
    .collection('holds')
    .updateMany({}, { $set: { heldUntil: new Date(0) } });
  expect((await world.moraine('hold', 'list', '--json')).json).toEqual([]);
  expect((await world.moraine('hold', 'list', '--all', '--json')).json).toHaveLength(3);
  expect((await world.moraine('run', ...RUN_AT)).json).toMatchObject({ policies: [{ totals: { deleted: 2 } }] });
  expect(await ids()).toEqual([]);
  expect((await world.moraine('purge', ...PURGE_AT)).json).toMatchObject({ purged: expect.anything(), held: [] });
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
}, 240_000);

test('placed after the vault was asked to delete: it says for which archive it is too late, and exits with 3', async () => {
  await world.collection('calls').insertOne({ _id: 4, tenant: 'south', at: new Date('2020-01-01') } as never);
  const ran = await world.moraine('run', '--flush', ...RUN_AT);
  expect(ran.json).toMatchObject({ policies: [{ totals: { deleted: 1 } }] });
  await world.emulator.stop();
  const purged = await world.moraine('purge', ...PURGE_AT);
  expect(purged.exitCode).toBe(1);
  const asked = await ledger().collection('archives').findOne({ state: 'purging' });
  expect(asked?.['purge'].askedAt).toBeInstanceOf(Date);
  const place = ['hold', 'place', '--case', 'C-9', '--reason', 'late', '--owner', 'acme', '--yes'];
  const placed = await world.moraine(...place, '--json');
  expect(placed.json).toMatchObject({ state: 'active', tooLate: expect.arrayContaining([asked?._id]) });
  expect(placed.exitCode).toBe(3);
  expect((await world.moraine(...place)).stdout).toContain(`Too late for archive ${asked?._id}`);
}, 120_000);
