/**
 * A pause at every interleaving with one worker: the worker sleeps at each of its calls in turn, the pause is asked for,
 * and the worker wakes. What was there when the pause was reported is there until it is resumed, but for what it named as
 * too late; then the work comes to the same end as if nobody had paused it. And pausing and resuming themselves are cut at
 * each of their calls.
 */
import { describe, expect, test } from 'vitest';
import { auditEntries } from '../../src/ledger/audit.ts';
import type { PauseTarget } from '../../src/ledger/pauses.ts';
import { pauses } from '../../src/ledger/pauses.ts';
import { pause, resume } from '../../src/lifecycle/pause.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { type Fault, Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';

const POLICY = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;
const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2032-06-01T00:00:00Z';
const BECAUSE = { by: 'person:test', reason: 'look first' };
const TARGETS: readonly PauseTarget[] = [
  { what: 'policy', name: 'chats' },
  { what: 'owner', name: 'acme' },
  { what: 'all', name: null },
];

interface World {
  readonly world: MemoryWorld;
  readonly policy: Policy;
}
type Act = (world: MemoryWorld, policy: Policy, process?: Process) => Promise<unknown>;

/** The expired one goes only by `run --expired`. */
async function newWorld(): Promise<World> {
  const world = await MemoryWorld.open();
  const policy = await world.publish(POLICY);
  for (const [_id, day] of [
    ['jo', '2020-01-01'],
    ['kim', '2020-01-02'],
    ['old', '2001-01-01'],
  ] as const)
    world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date(day) });
  return { world, policy };
}

const runAll: Act = (world, policy, process = new Process()) =>
  runPolicy(world.context(process, { asOf: RUN_AT }), policy, { flush: true, expired: { saidBy: 'ann' } });

const purgeAll: Act = async (world, _, process = new Process()) => {
  const context = world.context(process, { asOf: PURGE_AT });
  return await purgeArchives(context, (await planPurge(context, null)).due);
};

/** For each call of `act` in turn: it sleeps there, the pause is asked for, it wakes. Returns how many calls there were. */
async function raceAtEveryCall(
  prepare: () => Promise<World>,
  act: Act,
  target: PauseTarget,
  atTheEnd: (world: World) => Promise<void>,
): Promise<number> {
  for (let atCall = 1; ; atCall++) {
    const made = await prepare();
    const { world, policy } = made;
    const sleeper = new Process('sleeps', atCall);
    // What it throws is its own affair; what it leaves behind is ours.
    const acting = act(world, policy, sleeper).catch(() => undefined);
    await Promise.race([acting, sleeper.asleep]);
    const where = `call ${atCall}, ${sleeper.met}`;
    const paused = await pause(world.context(), target, BECAUSE);
    expect(paused.state, where).toBe('paused');
    const recordsThen = world.idsIn(policy);
    const filesThen = await filesOf(world);
    sleeper.wake();
    await acting;
    world.letLeasesEnd();
    await act(world, policy);
    expect(world.idsIn(policy), where).toEqual(recordsThen);
    const filesNow = await filesOf(world);
    for (const archive of filesThen) {
      if (!paused.tooLate.some((late) => late === archive)) expect(filesNow, `${where}: ${archive}`).toContain(archive);
    }
    await world.assertTotalsHold();

    expect(await resume(world.context(), target, BECAUSE), where).toHaveLength(1);
    world.letLeasesEnd();
    await act(world, policy);
    await world.assertTotalsHold();
    await atTheEnd(made);
    if (sleeper.met === null) return atCall;
  }
}

/** Acknowledged archives that lie in their vault with a key that can be read. */
async function filesOf(world: MemoryWorld): Promise<string[]> {
  const found: string[] = [];
  for (const { _id, stored, attempt, vault } of await world.archives()) {
    if (stored === null || attempt === null) continue;
    const files = world.vault.archivesIn(vault);
    if (!files.some(({ vaultArchiveId }) => vaultArchiveId === stored.vaultArchiveId)) continue;
    const key = world.context().keys.readBack(attempt);
    if (await key.then(() => true).catch(() => false)) found.push(_id);
  }
  return found;
}

/** All went, each with a good copy: a pause makes none void. */
async function allCleared({ world, policy }: World): Promise<void> {
  expect(world.idsIn(policy)).toEqual([]);
  const archives = (await world.archives()).filter(({ state }) => state !== 'abandoned');
  expect(archives.map(({ state }) => state)).toEqual(archives.map(() => 'cleared'));
  const sum = (outcome: 'archived' | 'deleted') => archives.reduce((n, { outcomes }) => n + outcomes[outcome], 0);
  expect([sum('archived'), sum('deleted')]).toEqual([2, 2]);
}

describe.each(TARGETS)('a pause of $what $name against a worker that sleeps at any one call', (target) => {
  test('archiving, clearing and expiring', async () => {
    expect(await raceAtEveryCall(newWorld, runAll, target, allCleared)).toBeGreaterThan(60);
  }, 120_000);

  test('purging', async () => {
    const cleared = async () => {
      const made = await newWorld();
      await runAll(made.world, made.policy);
      return made;
    };
    const purged = async ({ world }: World) => {
      for (const { state } of await world.archives()) expect(['purged', 'abandoned']).toContain(state);
    };
    expect(await raceAtEveryCall(cleared, purgeAll, target, purged)).toBeGreaterThan(15);
  }, 120_000);
});

const PAUSED_AND_RESUMED = ['pause intent', 'pause outcome', 'resume intent', 'resume outcome'];

async function entriesOf(world: MemoryWorld): Promise<string[]> {
  const found: string[] = [];
  for await (const { act, phase } of auditEntries(world.store)) found.push(`${act} ${phase}`);
  return found;
}

describe.each<Fault>(['dies before', 'dies after', 'gets an error', 'loses a reply'])('an operator who %s', (fault) => {
  const target: PauseTarget = { what: 'owner', name: 'acme' };

  test('pausing: once more, and one pause is in force', async () => {
    for (let atCall = 1; ; atCall++) {
      const { world, policy } = await newWorld();
      const cut = new Process(fault, atCall);
      await pause(world.context(cut), target, BECAUSE).catch(() => undefined);
      expect((await pause(world.context(), target, BECAUSE)).state).toBe('paused');
      expect(await pauses(world.store).count({}), `${atCall}, ${cut.met}`).toBe(1);
      await runAll(world, policy);
      expect(world.idsIn(policy)).toEqual(['jo', 'kim', 'old']);
      if (cut.met === null) return;
    }
  });

  test('resuming: it stops the work until it is lifted, and its first date stands', async () => {
    for (let atCall = 1; ; atCall++) {
      const { world, policy } = await newWorld();
      const { _id } = await pause(world.context(), target, BECAUSE);
      const cut = new Process(fault, atCall);
      await resume(world.context(cut), target, BECAUSE).catch(() => undefined);
      const between = await pauses(world.store).get(_id);
      world.clock.advance(1_000);
      await resume(world.context(), target, BECAUSE);
      const after = await pauses(world.store).get(_id);
      expect(after?.state, `${atCall}, ${cut.met}`).toBe('resumed');
      expect(await entriesOf(world), `${atCall}, ${cut.met}`).toEqual(PAUSED_AND_RESUMED);
      if (between?.state === 'resumed') expect(after?.resumedAt).toEqual(between.resumedAt);
      await runAll(world, policy);
      expect(world.idsIn(policy)).toEqual([]);
      if (cut.met === null) return;
    }
  });
});
