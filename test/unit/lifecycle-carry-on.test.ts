/** Carrying an archive on: from each state as far as it goes now, under its own policy version, and not under a pause. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { archives, getArchive } from '../../src/ledger/archives.ts';
import { carryOn } from '../../src/lifecycle/carry-on.ts';
import { pause } from '../../src/lifecycle/pause.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { anArchive } from '../harness/an-archive.ts';
import { Process } from '../simulation/faults.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const A1 = id.archive('a1');
const YAML = (grace: string) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
grace: ${grace}
limits: { records: 1000, share: 1.0 }
`;

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(YAML('7 days'));
});

const contextOf = (process?: Process) => world.context(process, { asOf: RUN_AT });
const pauseAll = () => pause(world.context(), { what: 'all', name: null }, { by: 'person:test', reason: 'an audit' });

/** Where the call was found before: looking for it takes a life for each call. */
let foundAt = 1;

/** The archive of a run whose process died before this call. */
async function diedBefore(call: string) {
  for (let atCall = foundAt; atCall < 500; atCall++) {
    world = await MemoryWorld.open();
    policy = await world.publish(YAML('7 days'));
    world.put(policy, { _id: 'a', owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
    const process = new Process('dies before', atCall);
    await runPolicy(contextOf(process), policy, { flush: true, expired: null }).catch(() => undefined);
    world.letLeasesEnd();
    const [archive] = await world.archives();
    if (process.met !== call || archive === undefined) continue;
    foundAt = atCall;
    return archive;
  }
  throw new Error(`No run died before ${call}.`);
}

test('storing, its worker is dead: the attempt is abandoned, another stores it, and it goes on to cleared', async () => {
  const { _id, state } = await diedBefore('vault storeWhole');
  expect(state).toBe('storing');
  const done = await carryOn(contextOf(), _id, policy);
  expect(done).toMatchObject({ state: 'cleared', rosterShrunk: true, attemptCount: 2 });
  expect(await getArchive(world.store, _id)).toMatchObject({ lease: null, unaudited: [] });
  expect(world.idsIn(policy)).toEqual([]);
});

test('under the version that it pinned, whichever is handed in; one that the ledger does not have stops it', async () => {
  const { _id, policyVersion } = await diedBefore('vault storeWhole');
  const newer = await world.publish(YAML('8 days'));
  expect(await carryOn(contextOf(), _id, newer)).toMatchObject({ state: 'cleared', policyVersion });
  await archives(world.store).insert(anArchive({ state: 'stored', rosterShrunk: false, sequence: 9 }));
  await expect(carryOn(contextOf(), A1, newer)).rejects.toMatchObject({ code: 'POLICY_UNKNOWN' });
  expect(await getArchive(world.store, A1)).toMatchObject({ state: 'stored', lease: null });
});

test('paused: it stays where it is and its lease is given up; what is cleared may still shrink its roster', async () => {
  const { _id, policyVersion } = await diedBefore('vault storeWhole');
  await pauseAll();
  await expect(carryOn(contextOf(), _id, policy)).rejects.toMatchObject({ code: 'PAUSED' });
  expect(await getArchive(world.store, _id)).toMatchObject({ state: 'storing', lease: null });
  const nothing = { records: 0, rosterPages: 0 };
  const { stored } = anArchive();
  if (stored === null) throw new Error('It was not stored.');
  const cleared = anArchive({ rosterShrunk: false, policyVersion, sequence: 9, stored: { ...stored, ...nothing } });
  await archives(world.store).insert(cleared);
  expect(await carryOn(contextOf(), A1, policy)).toMatchObject({ state: 'cleared', rosterShrunk: true });
});

test('purged, or in quarantine: nothing is done', async () => {
  const { policyVersion } = await diedBefore('vault storeWhole');
  for (const [sequence, state] of (['purged', 'quarantined', 'abandoned'] as const).entries()) {
    const archive = id.archive(state);
    await archives(world.store).insert(
      anArchive({ _id: archive, state, policyVersion, sequence: sequence + 5, rosterShrunk: false }),
    );
    expect(await carryOn(contextOf(), archive, policy)).toMatchObject({ state, rosterShrunk: false });
  }
});
