/**
 * Promise 3 at every interleaving of one worker and one hold: the worker sleeps at each of its calls in turn, the hold is
 * placed, and the worker wakes. What was there when the hold was reported active is there in the end, but for what the
 * hold named as too late. And placing and releasing themselves are cut at each of their calls.
 */
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { holds } from '../../src/ledger/holds.ts';
import { type HoldRequest, placeHold, releaseHold } from '../../src/lifecycle/hold.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { type Fault, Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';

const POLICY = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }, facets: { subject: { field: mail } } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;
const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2032-06-01T00:00:00Z';
const REQUEST: HoldRequest = {
  caseNumber: 'C-1',
  reason: 'a claim',
  owner: id.owner('acme'),
  customer: null,
  namespace: null,
  triggerFrom: null,
  triggerBefore: null,
  recordIds: [],
  facet: null,
};
const JO: HoldRequest = { ...REQUEST, facet: { name: 'subject', values: ['jo@example.org'] } };

async function newWorld(): Promise<{ world: MemoryWorld; policy: Policy }> {
  const world = await MemoryWorld.open();
  const policy = await world.publish(POLICY);
  world.put(policy, { _id: 'jo', owner: 'acme', tenant: 'north', at: new Date('2020-01-01'), mail: 'jo@example.org' });
  world.put(policy, {
    _id: 'kim',
    owner: 'acme',
    tenant: 'north',
    at: new Date('2020-01-02'),
    mail: 'kim@example.org',
  });
  return { world, policy };
}

async function run(world: MemoryWorld, policy: Policy, process = new Process()): Promise<void> {
  await runPolicy(world.context(process, { asOf: RUN_AT }), policy, { flush: true, expired: null });
}

async function purge(world: MemoryWorld, process = new Process()): Promise<void> {
  const context = world.context(process, { asOf: PURGE_AT });
  await purgeArchives(context, (await planPurge(context, null)).due);
}

/** For each call of `act` in turn: it sleeps there, the hold is placed, it wakes. Returns how many calls there were. */
async function raceAtEveryCall(
  prepare: () => Promise<{ world: MemoryWorld; policy: Policy }>,
  act: (world: MemoryWorld, policy: Policy, process: Process) => Promise<void>,
  request: HoldRequest,
  held: (id: string) => boolean,
): Promise<number> {
  for (let atCall = 1; ; atCall++) {
    const { world, policy } = await prepare();
    const sleeper = new Process('sleeps', atCall);
    // What it throws is its own affair; what it leaves behind is ours.
    const acting = act(world, policy, sleeper).catch(() => undefined);
    await Promise.race([acting, sleeper.asleep]);
    const where = `call ${atCall}, ${sleeper.met}`;
    const hold = await placeHold(world.context(), request, 'person:test');
    expect(hold.state, where).toBe('active');
    const recordsThen = world.idsIn(policy).filter(held);
    const filesThen = await filesOf(world);
    sleeper.wake();
    await acting;
    world.letLeasesEnd();
    await act(world, policy, new Process());
    expect(world.idsIn(policy), where).toEqual(expect.arrayContaining(recordsThen));
    const filesNow = await filesOf(world);
    for (const [archive, there] of filesThen) {
      if (there && !hold.tooLate.includes(archive)) expect(filesNow.get(archive), `${where}: ${archive}`).toBe(true);
    }
    await world.assertTotalsHold();
    if (sleeper.met === null) return atCall;
  }
}

/** Which acknowledged archives lie in their vault with a key that can be read. */
async function filesOf(world: MemoryWorld) {
  const found = new Map<ReturnType<typeof id.archive>, boolean>();
  for (const archive of await world.archives()) {
    if (archive.stored === null || archive.attempt === null) continue;
    const { vaultArchiveId } = archive.stored;
    const isInVault = world.vault.archivesIn(archive.vault).some((file) => file.vaultArchiveId === vaultArchiveId);
    const hasKey = await world
      .context()
      .keys.readBack(archive.attempt)
      .then(() => true)
      .catch(() => false);
    found.set(archive._id, isInVault && hasKey);
  }
  return found;
}

describe('a hold against a worker that sleeps at any one call', () => {
  test('archiving and clearing, the owner held', async () => {
    expect(await raceAtEveryCall(newWorld, run, REQUEST, () => true)).toBeGreaterThan(40);
  }, 60_000);

  test('archiving and clearing, one person held', async () => {
    expect(await raceAtEveryCall(newWorld, run, JO, (record) => record === 'jo')).toBeGreaterThan(40);
  }, 60_000);

  test('purging, one person held', async () => {
    const cleared = async () => {
      const made = await newWorld();
      await run(made.world, made.policy);
      return made;
    };
    const act = (world: MemoryWorld, _: Policy, process: Process) => purge(world, process);
    expect(await raceAtEveryCall(cleared, act, JO, () => true)).toBeGreaterThan(15);
  }, 60_000);
});

describe.each<Fault>(['dies before', 'dies after', 'gets an error', 'loses a reply'])('an operator who %s', (fault) => {
  test('placing: from the moment that anything says so nothing goes; once more, and one hold is active', async () => {
    for (let atCall = 1; ; atCall++) {
      const { world, policy } = await newWorld();
      const cut = new Process(fault, atCall);
      await placeHold(world.context(cut), REQUEST, 'person:test').catch(() => undefined);
      const hold = await placeHold(world.context(), REQUEST, 'person:test');
      expect(hold.state).toBe('active');
      expect(await holds(world.store).count({}), `${atCall}, ${cut.met}`).toBe(1);
      await run(world, policy);
      expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
      if (cut.met === null) return;
    }
  });

  test('releasing: it holds until it is released, and its first date stands', async () => {
    for (let atCall = 1; ; atCall++) {
      const { world, policy } = await newWorld();
      const { _id } = await placeHold(world.context(), REQUEST, 'person:test');
      const cut = new Process(fault, atCall);
      const because = { by: 'person:test', reason: 'settled' };
      await releaseHold(world.context(cut), _id, because).catch(() => undefined);
      const between = await holds(world.store).get(_id);
      world.clock.advance(1_000);
      const released = await releaseHold(world.context(), _id, because);
      if (between?.state === 'released') expect(released.heldUntil).toEqual(between.heldUntil);
      await run(world, policy);
      expect(world.idsIn(policy), `${atCall}, ${cut.met}`).toEqual(['jo', 'kim']);
      world.clock.advance((released.heldUntil?.getTime() ?? 0) - world.clock.now().getTime());
      await run(world, policy);
      expect(world.idsIn(policy)).toEqual([]);
      if (cut.met === null) return;
    }
  });
});
