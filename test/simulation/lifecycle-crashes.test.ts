/**
 * A small life (plan, archive, verify, clear, purge, confirm), cut at every call that it makes, in every way that
 * faults.ts knows; then a fresh process takes over. Promises 1, 2, 5 and 6 hold at the cut and at the end.
 */
import type { BSON } from 'bson';
import { expect, test } from 'vitest';
import { type PurgeReport, purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { type PolicyRun, runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { FAULTS, type Fault, Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';

const POLICY = `
policy: chats
zone: Europe/Amsterdam
dataset:
  collection: data.chats
  owner: { field: owner }
  customer: { field: tenant }
  facets: { subject: { field: mail } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: VERIFY, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;

const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2030-06-01T00:00:00Z';
const DUE: readonly BSON.Document[] = [
  { _id: 'a', owner: 'acme', tenant: 'north', at: new Date('2020-01-01T00:00:00Z'), mail: 'x@example.com' },
  { _id: 'b', owner: 'acme', tenant: 'north', at: new Date('2020-01-02T00:00:00Z') },
];
const YOUNG: BSON.Document = { _id: 'y', owner: 'acme', tenant: 'north', at: new Date('2024-05-01T00:00:00Z') };

async function newWorld(verify: 'checksum' | 'inventory'): Promise<{ world: MemoryWorld; policy: Policy }> {
  const world = await MemoryWorld.open();
  const policy = await world.publish(POLICY.replace('VERIFY', verify));
  for (const document of [...DUE, YOUNG]) world.put(policy, document);
  return { world, policy };
}

/** Looks at the inventories; a day and an hour pass at the vault between two looks, for it makes them a day after its first archive to the second. */
async function lookAtInventories(world: MemoryWorld, process: Process, asOf: string): Promise<void> {
  for (let day = 0; day < 5; day++) {
    const report = await reconcile(world.context(process, { asOf }), { all: false, source: false });
    if (!report.vaults.some(({ state }) => state === 'waiting')) return;
    world.vault.advance(25);
  }
}

async function archiveAndClear(world: MemoryWorld, policy: Policy, process: Process): Promise<PolicyRun> {
  const run = await runPolicy(world.context(process, { asOf: RUN_AT }), policy, { flush: true, expired: null });
  await lookAtInventories(world, process, RUN_AT);
  return run;
}

async function purgeAndConfirm(world: MemoryWorld, process: Process): Promise<PurgeReport> {
  const context = world.context(process, { asOf: PURGE_AT });
  const report = await purgeArchives(context, (await planPurge(context, null)).due);
  await lookAtInventories(world, process, PURGE_AT);
  return report;
}

async function assertEnded(world: MemoryWorld, policy: Policy): Promise<void> {
  expect(world.idsIn(policy)).toEqual(['y']);
  const archives = await world.archives();
  for (const archive of archives) expect(['confirmed', 'abandoned'], archive._id).toContain(archive.state);
  const deleted = archives.reduce((sum, { outcomes }) => sum + outcomes.deleted, 0);
  const gone = archives.reduce((sum, { outcomes }) => sum + outcomes.gone, 0);
  expect({ deleted, gone }).toEqual({ deleted: DUE.length, gone: 0 });
  await world.assertTotalsHold();
  await world.assertNothingIsOpen();
  for (const collection of ['archiveFacets', 'recordIndex', 'rosterExceptions'])
    expect(await world.all(collection), collection).toEqual([]);
  expect((await world.all('certificates')).length).toBe(archives.filter(({ state }) => state === 'confirmed').length);
}

async function callsOfWholeLife(verify: 'checksum' | 'inventory'): Promise<number> {
  const { world, policy } = await newWorld(verify);
  const process = new Process();
  await archiveAndClear(world, policy, process);
  await purgeAndConfirm(world, process);
  await assertEnded(world, policy);
  return process.calls;
}

/** What went wrong, or null. */
async function attack(verify: 'checksum' | 'inventory', fault: Fault, atCall: number): Promise<string | null> {
  const { world, policy } = await newWorld(verify);
  const cut = new Process(fault, atCall);
  const fresh = new Process();
  // What the cut process throws is its own affair; what it leaves behind is ours.
  const run = archiveAndClear(world, policy, cut).catch(() => undefined);
  try {
    await Promise.race([run, cut.asleep]);
    await world.assertTotalsHold();
    await world.assertNothingIsLost(policy, DUE);
    world.letLeasesEnd();
    const again = await archiveAndClear(world, policy, fresh);
    expect(again.problems).toEqual([]);
    cut.wake();
    await run;
    await archiveAndClear(world, policy, fresh);
    expect(world.idsIn(policy)).toEqual(['y']);
    await world.assertNothingIsLost(policy, DUE);
    if (cut.met === null) await attackPurge(world, cut);
    expect(await purgeAndConfirm(world, fresh)).toMatchObject({ held: [], failed: [], waiting: [] });
    await assertEnded(world, policy);
    return null;
  } catch (error) {
    return `call ${atCall} (${cut.met}): ${String(error)}`;
  }
}

async function attackPurge(world: MemoryWorld, cut: Process): Promise<void> {
  const purge = purgeAndConfirm(world, cut).catch(() => undefined);
  await Promise.race([purge, cut.asleep]);
  await world.assertTotalsHold();
  world.letLeasesEnd();
  await purgeAndConfirm(world, new Process());
  cut.wake();
  await purge;
}

const ATTACKS: readonly (readonly ['checksum' | 'inventory', Fault])[] = [
  ...FAULTS.map((fault) => ['checksum', fault] as const),
  ['inventory', 'dies after'],
];

test.each(ATTACKS)(
  'life verified by %s, a process %s at any one call: a fresh one finishes, nothing is lost or left over',
  async (verify, fault) => {
    const calls = await callsOfWholeLife(verify);
    expect(calls).toBeGreaterThan(100);
    const failures: string[] = [];
    for (let atCall = 1; atCall <= calls; atCall++) {
      const failure = await attack(verify, fault, atCall);
      if (failure !== null) failures.push(failure);
    }
    expect(failures).toEqual([]);
  },
);
