/**
 * Two due windows of one partition, planned by one pass while clearing waits for an inventory: the process that plans and
 * stores them is cut at every call that it makes, in every way that faults.ts knows; then a fresh one takes over. No record
 * is ever in two archives that are not cleared, all go, each is deleted by one archive, and no page is left.
 */
import type { BSON } from 'bson';
import { expect, test } from 'vitest';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { readRosterPage } from '../../src/ledger/rosters.ts';
import { UNCLEARED_STATES } from '../../src/ledger/states.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { FAULTS, type Fault, Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';

const POLICY = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: { by: plan, of: { enterprise: 2 years }, otherwise: 3 months }
then: archive
archive: { for: 7 years, vault: cold, verify: inventory, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;

const record = (_id: string, day: string, plan?: string): BSON.Document => ({
  _id,
  owner: 'acme',
  tenant: 'north',
  at: new Date(day),
  ...(plan === undefined ? {} : { plan }),
});
const DUE = [record('a', '2022-01-01'), record('b', '2022-01-02', 'enterprise'), record('c', '2022-01-03')];

async function newWorld(): Promise<{ world: MemoryWorld; policy: Policy }> {
  const world = await MemoryWorld.open();
  const policy = await world.publish(POLICY);
  for (const document of DUE) world.put(policy, document);
  return { world, policy };
}

const run = (world: MemoryWorld, policy: Policy, process: Process) =>
  runPolicy(world.context(process), policy, { flush: true, expired: null });

/** The vault makes an inventory a day after its first archive. */
async function look(world: MemoryWorld): Promise<void> {
  for (let day = 0; day < 4; day++) {
    const report = await reconcile(world.context(), { all: false, source: false });
    if (!report.vaults.some(({ state }) => state === 'waiting')) return;
    world.vault.advance(25);
  }
}

async function assertInOneArchiveEach(world: MemoryWorld): Promise<void> {
  const holders = new Map<string, string[]>();
  const isUncleared = ({ state }: ArchiveDocument) => UNCLEARED_STATES.some((uncleared) => uncleared === state);
  for (const { _id, attempt, stored } of (await world.archives()).filter(isUncleared)) {
    for (let page = 0; page < (stored?.rosterPages ?? 0) && attempt !== null; page++) {
      for (const { id } of (await readRosterPage(world.store, attempt, page))?.records ?? []) {
        const key = Buffer.from(id).toString('hex');
        holders.set(key, [...(holders.get(key) ?? []), _id]);
      }
    }
  }
  for (const [key, archives] of holders) expect(archives, key).toHaveLength(1);
}

/** What went wrong, or null. */
async function attack(
  fault: Fault,
  atCall: number,
): Promise<{ readonly met: string | null; readonly failure: string | null }> {
  const { world, policy } = await newWorld();
  const cut = new Process(fault, atCall);
  // What the cut process throws is its own affair; what it leaves behind is ours.
  const running = run(world, policy, cut).catch(() => undefined);
  try {
    await Promise.race([running, cut.asleep]);
    world.letLeasesEnd();
    expect((await run(world, policy, new Process())).problems).toEqual([]);
    await assertInOneArchiveEach(world);
    cut.wake();
    await running;
    world.letLeasesEnd();
    await run(world, policy, new Process());
    await assertInOneArchiveEach(world);
    expect(world.idsIn(policy)).toEqual(['a', 'b', 'c']);
    // A plan that was cut between two of its archives leaves what the others would hold to the next one.
    for (let day = 0; day < 2 && world.idsIn(policy).length > 0; day++) {
      await look(world);
      await world.assertNothingIsLost(policy, DUE);
      await run(world, policy, new Process());
    }
    await look(world);
    expect(world.idsIn(policy)).toEqual([]);
    const archives = await world.archives();
    const sum = (of: 'deleted' | 'gone') => archives.reduce((total, { outcomes }) => total + outcomes[of], 0);
    expect({ deleted: sum('deleted'), gone: sum('gone') }).toEqual({ deleted: 3, gone: 0 });
    await world.assertTotalsHold();
    world.letLeasesEnd();
    await reconcile(world.context(), { all: false, source: false });
    await world.assertNothingIsOpen();
    return { met: cut.met, failure: null };
  } catch (error) {
    return { met: cut.met, failure: `call ${atCall} (${cut.met}): ${String(error)}` };
  }
}

test.each(FAULTS)(
  'a process %s at any one call: each record is in one archive, and all are gone in the end',
  async (fault) => {
    const failures: string[] = [];
    const met = new Set<string>();
    for (let atCall = 1; ; atCall++) {
      const told = await attack(fault, atCall);
      if (told.failure !== null) failures.push(told.failure);
      if (told.met === null) break;
      met.add(told.met);
    }
    expect(failures).toEqual([]);
    expect([...met].some((call) => call.includes('plannedRecords'))).toBe(true);
  },
);
