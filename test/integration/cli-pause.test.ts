/** A person's brake through the real command line: paused, seen by every command that shows it, resumed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RULES } from '../../src/policy/rules.ts';
import { callsPolicy } from '../harness/calls-policy.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const RUN_AT = ['--as-of', '2022-06-01', '--yes', '--json'];
const PURGE_AT = ['--as-of', '2030-01-01', '--yes', '--json'];
const BECAUSE = ['--reason', 'look first'];
const ledger = () => world.client.db(`${names.database}_ledger`);

beforeAll(async () => {
  world = await openCliWorld(names);
  for (const name of ['calls', 'chats']) {
    const collection = world.collection(name);
    await collection.createIndex({ tenant: 1, at: 1, _id: 1 });
    await collection.insertOne({ _id: 1, tenant: 'north', at: new Date('2020-01-01') } as never);
    world.writePolicy(name, callsPolicy(name, world.namespace(name)));
  }
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
}, 60_000);
afterAll(() => world.close());

const left = async () => {
  const counts = await Promise.all(['calls', 'chats'].map((name) => world.collection(name).countDocuments()));
  return { calls: counts[0], chats: counts[1] };
};

test('refused before anything is written: no reason, no name, a name that nobody knows', async () => {
  for (const [args, code] of [
    [['pause'], 'USAGE'],
    [['pause', 'policy', 'calls'], 'USAGE'],
    [['pause', 'policy', 'calls', '--reason', ' '], 'USAGE'],
    [['pause', 'policy', ...BECAUSE], 'USAGE'],
    [['pause', 'calls', ...BECAUSE], 'USAGE'],
    // An owner's name where a policy's belongs, and the other way round.
    [['pause', 'policy', 'acme', ...BECAUSE], 'POLICY_UNKNOWN'],
    [['pause', 'owner', 'calls', ...BECAUSE], 'USAGE'],
    [['resume', 'policy', 'acme'], 'POLICY_UNKNOWN'],
    [['resume', 'owner', 'calls'], 'USAGE'],
  ] as const) {
    const { exitCode, json } = await world.moraine(...args, '--json');
    expect([args, exitCode]).toEqual([args, 2]);
    expect(json).toMatchObject({ error: { code } });
  }
  expect(await ledger().collection('pauses').countDocuments()).toBe(0);
}, 120_000);

test('a policy: it waits and the other goes on; shown everywhere; once resumed it goes; not being paused is no mistake', async () => {
  const paused = await world.moraine('pause', 'policy', 'calls', ...BECAUSE);
  expect(paused.exitCode).toBe(0);
  expect(paused.stdout).toMatch(/✓ Policy calls is paused: pause-\S+, since .*, because: look first/);
  expect((await world.moraine('pause', 'policy', 'calls', '--reason', 'again', '--json')).json).toMatchObject({
    state: 'paused',
    reason: 'look first',
  });
  const id = String((await ledger().collection('pauses').findOne({}))?._id);

  expect((await world.moraine('plan', ...RUN_AT)).json).toMatchObject({
    policies: [
      { policy: 'calls', totals: { due: 1, taken: 0 }, partitions: [{ paused: [`${id} (policy calls)`] }] },
      { policy: 'chats', totals: { due: 1, taken: 1 }, partitions: [{ paused: [] }] },
    ],
  });
  const run = await world.moraine('run', ...RUN_AT);
  expect(run.exitCode).toBe(0);
  expect(run.json).toMatchObject({
    policies: [
      { policy: 'calls', paused: [`${id} (policy calls)`], archives: [], totals: { deleted: 0 } },
      { policy: 'chats', paused: [], totals: { deleted: 1 } },
    ],
  });
  expect(await left()).toEqual({ calls: 1, chats: 0 });
  expect((await world.moraine('run', 'calls', '--as-of', '2022-06-01', '--yes')).stdout).toContain(`Paused by ${id}`);
  expect((await world.moraine('status', '--json')).json).toMatchObject({
    pauses: [{ id, what: 'policy', name: 'calls', state: 'paused', reason: 'look first' }],
  });
  expect((await world.moraine('status')).stdout).toMatch(/Paused since .*policy calls, because: look first/);
  expect((await world.moraine('pause', 'list')).stdout).toMatch(/policy calls +paused/);
  const explain = ['explain', world.namespace('calls'), '1', '--as-of', '2022-06-01'];
  const rules = JSON.parse((await world.moraine(...explain, '--json')).stdout).source.rules;
  expect(rules.map(({ rule }: { rule: string }) => rule)).toEqual(RULES);
  expect(rules.filter(({ applies }: { applies: boolean }) => applies)).toMatchObject([
    { rule: 'policy' },
    { rule: 'pause', text: `A person has paused the work: ${id} (policy calls).` },
    { rule: 'waiting', text: `Paused: ${id} (policy calls).` },
    { rule: 'disposition' },
  ]);
  expect((await world.moraine(...explain)).stdout).toMatch(/! pause +A person has paused.*\n +uncleared-archive/);

  expect((await world.moraine('resume', 'policy', 'calls', '--json')).json).toMatchObject({
    error: { code: 'CONFIRMATION_NEEDED' },
  });
  const resumed = await world.moraine('resume', 'policy', 'calls', '--yes', '--json');
  expect(resumed.json).toMatchObject({ resumed: [{ id, state: 'resumed' }], stillPausedBy: [] });
  const again = await world.moraine('resume', 'policy', 'calls', '--yes');
  expect([again.exitCode, again.stdout]).toEqual([0, expect.stringContaining('Policy calls was not paused.')]);
  expect((await world.moraine('run', ...RUN_AT)).json).toMatchObject({
    policies: [{ totals: { deleted: 1 } }, { totals: { deleted: 0 } }],
  });
  expect(await left()).toEqual({ calls: 0, chats: 0 });
}, 240_000);

test('owner and everything overlap: resuming one leaves the other; a purge waits; too late exits with 3', async () => {
  await world.moraine('pause', 'owner', 'acme', ...BECAUSE);
  await world.moraine('pause', 'all', ...BECAUSE);
  const purge = await world.moraine('purge', ...PURGE_AT);
  expect(purge.exitCode).toBe(0);
  expect(purge.json).toMatchObject({ purged: [], held: [], failed: [], paused: [{}, {}] });
  expect((await world.moraine('explain', world.namespace('calls'), '1')).stdout).toMatch(
    /; paused by pause-\S+ \(owner acme\), pause-\S+ \(all\)\./,
  );
  const resumed = await world.moraine('resume', 'all', '--yes');
  expect(resumed.exitCode).toBe(0);
  expect(resumed.stdout).toMatch(/! pause-\S+ \(owner acme\) is still in force: look first/);
  expect((await world.moraine('purge', ...PURGE_AT)).json).toMatchObject({ purged: [], paused: [{}, {}] });
  await world.moraine('resume', 'owner', 'acme', '--yes');
  expect((await world.moraine('pause', 'list', '--json')).json).toEqual([]);
  expect((await world.moraine('pause', 'list', '--all', '--json')).json).toHaveLength(3);

  // The vault does not answer after the ledger has said that it is asked: it may have deleted.
  await world.emulator.stop();
  expect((await world.moraine('purge', 'calls', ...PURGE_AT)).exitCode).toBe(1);
  const asked = await ledger().collection('archives').findOne({ state: 'purging' });
  const late = await world.moraine('pause', 'policy', 'calls', ...BECAUSE);
  expect([late.exitCode, late.stdout]).toEqual([3, expect.stringContaining(`Too late for archive ${asked?._id}`)]);
  expect((await world.moraine('pause', 'list')).stdout).toContain('too late for 1 archive');
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
}, 240_000);
