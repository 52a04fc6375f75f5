/** Quarantine through the real command line: listed with who looks at it, taken up again, disposed of. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callsPolicy } from '../harness/calls-policy.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const RUN_AT = ['--as-of', '2022-06-01', '--yes', '--json'];
const BECAUSE = ['--reason', 'looked at it'];
const ledger = () => world.client.db(`${names.database}_ledger`);

beforeAll(async () => {
  world = await openCliWorld(names);
  const calls = world.collection('calls');
  await calls.createIndex({ tenant: 1, at: 1, _id: 1 });
  await calls.insertMany([
    { _id: 1, tenant: 'north', at: new Date('2020-01-01') },
    { _id: 2, tenant: 'north', at: 'some day' },
  ] as never[]);
  world.writePolicy('calls', callsPolicy('calls', world.namespace('calls')));
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
}, 60_000);
afterAll(() => world.close());

test('a record: named as it is listed; disposed of it is not new again; retried it is reported again', async () => {
  const first = await world.moraine('run', ...RUN_AT);
  expect(first.exitCode).toBe(3);
  expect(first.json).toMatchObject({ policies: [{ newlyQuarantined: 1, totals: { deleted: 1 } }] });
  const record = [world.namespace('calls'), '2'];
  expect((await world.moraine('quarantine', 'show', ...record)).stdout).toMatch(/acme looks at it/);
  expect((await world.moraine('quarantine', 'list', '--json')).json).toMatchObject([
    { contact: 'acme', state: 'open' },
  ]);

  for (const args of [
    ['retry', ...record],
    ['dispose', ...record, '--reason', ' '],
    ['retry', world.namespace('calls'), '99', ...BECAUSE],
    ['dispose', 'nothing', ...BECAUSE],
  ]) {
    const refused = await world.moraine('quarantine', ...args, '--yes', '--json');
    expect([args, refused.exitCode]).toEqual([args, 2]);
  }
  const unasked = await world.moraine('quarantine', 'dispose', ...record, ...BECAUSE, '--json');
  expect([unasked.exitCode, unasked.json]).toMatchObject([3, { error: { code: 'CONFIRMATION_NEEDED' } }]);

  const disposed = await world.moraine('quarantine', 'dispose', ...record, ...BECAUSE, '--yes', '--json');
  expect(disposed.exitCode).toBe(0);
  expect(disposed.json).toMatchObject({
    state: 'disposed',
    closedReason: 'looked at it',
    record: '{"$numberInt":"2"}',
  });
  expect((await world.moraine('run', ...RUN_AT)).exitCode).toBe(0);
  expect((await world.moraine('quarantine', 'list')).stdout).toContain('Nothing is in quarantine.');
  expect(await world.collection('calls').countDocuments()).toBe(1);

  const retried = await world.moraine('quarantine', 'retry', ...record, ...BECAUSE);
  expect([retried.exitCode, retried.stdout]).toEqual([0, expect.stringContaining('taken up again at the next run')]);
  expect((await world.moraine('quarantine', 'retry', ...record, ...BECAUSE)).stdout).toContain('was closed');
  expect((await world.moraine('run', ...RUN_AT)).exitCode).toBe(3);
  await world.collection('calls').updateOne({ _id: 2 as never }, { $set: { at: new Date('2020-01-02') } });
  expect((await world.moraine('run', '--flush', ...RUN_AT)).json).toMatchObject({
    policies: [{ totals: { deleted: 1 } }],
  });
}, 240_000);

test('a cleared archive whose copy is gone: its loss is accepted by name only, and retry takes it up when it is back', async () => {
  const archive = await ledger().collection('archives').findOne({ state: 'cleared' });
  const name = String(archive?._id);
  const { vaultArchiveId } = archive?.['stored'] ?? {};
  // As an inventory that does not list it leaves it.
  await ledger()
    .collection('archives')
    .updateOne({ state: 'cleared' }, { $set: { 'stored.vaultArchiveId': 'nowhere' } });
  for (let day = 0; day < 3; day++) {
    await world.moraine('reconcile', '--all', '--json');
    await world.emulator.advance('P1D');
  }
  const entries = await world.moraine('quarantine', 'list', '--json');
  if (!entries.stdout.includes(name)) throw new Error(`${name} is not in quarantine: ${entries.stdout}`);
  const refused = await world.moraine('quarantine', 'dispose', name, ...BECAUSE, '--yes', '--json');
  expect([refused.exitCode, refused.json]).toMatchObject([3, { error: { code: 'CONFIRMATION_NEEDED' } }]);
  expect(refused.stdout).toContain('--accept-loss');
  const accepted = await world.moraine('quarantine', 'dispose', name, ...BECAUSE, '--accept-loss', '--yes', '--json');
  expect(accepted.json).toMatchObject({ state: 'disposed', archiveState: 'quarantined' });
  await ledger()
    .collection('archives')
    .updateOne({ 'stored.vaultArchiveId': 'nowhere' }, { $set: { 'stored.vaultArchiveId': vaultArchiveId } });
  const back = await world.moraine('quarantine', 'retry', name, ...BECAUSE, '--json');
  expect(back.json).toMatchObject({ state: 'closed', archiveState: 'cleared' });
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
}, 240_000);
