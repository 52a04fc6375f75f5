/** Pages that a sleeper left: removed from what is closed, and from nothing that somebody may still settle. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { archives } from '../../src/ledger/archives.ts';
import { clearingPages } from '../../src/ledger/clearing.ts';
import { disposals, startDisposal } from '../../src/ledger/disposals.ts';
import { partitionId } from '../../src/ledger/partitions.ts';
import { writeRosterPage } from '../../src/ledger/rosters.ts';
import { removeLeftPages } from '../../src/lifecycle/remove-left-pages.ts';
import { ACME } from '../harness/a-hold.ts';
import { anArchive } from '../harness/an-archive.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
});

/** Two pages of an archive or disposal. */
async function leave(name: string): Promise<void> {
  for (const page of [0, 1]) {
    const document = { _id: `${name}:${page}`, v: 1, archive: name, page, intended: [0], tries: 1, outcomes: null };
    await clearingPages(world.store).insert(document);
  }
}

/** One roster page, of a record with the id 1. */
async function leaveRoster(name: string): Promise<void> {
  const record = { id: Uint8Array.of(0x10, 1, 0, 0, 0), sha256: new Uint8Array(32), segment: 0 };
  await writeRosterPage(world.store, { archive: name, attempt: name, epoch: 1 }, 0, [record]);
}

/** A disposal of a partition of its own; its id. */
async function order(name: string): Promise<string> {
  const { policy, policyVersion } = anArchive();
  const customer = id.customer(name);
  const partition = partitionId(ACME.namespace, ACME.owner, customer);
  const told = { kind: 'expired', saidBy: 'ann', asOf: world.clock.now(), mostRecords: 2, after: null } as const;
  const of = { ...ACME, customer, policy, policyVersion, partition, ...told };
  return (await startDisposal(world.store, world.clock, null, of)) ?? 'taken';
}

async function whoseArePages(): Promise<string[]> {
  return [...new Set((await world.all('clearingPages')).map(({ _id }) => _id.split(':')[0] ?? ''))].sort();
}

test('of an archive whose roster is shrunk and of a deletion that is done; what is open, or unknown, keeps its own', async () => {
  await archives(world.store).insert(anArchive({ _id: id.archive('shrunk') }));
  await archives(world.store).insert(anArchive({ _id: id.archive('open'), sequence: 2, rosterShrunk: false }));
  const deleting = await order('deleting');
  const done = await disposals(world.store).get(await order('done'));
  if (done === null) throw new Error('It is gone.');
  await disposals(world.store).replace({ ...done, state: 'done' });
  for (const name of ['shrunk', 'open', done._id, deleting, 'unknown']) await leave(name);
  expect(await removeLeftPages(world.context())).toBe(2);
  expect(await whoseArePages()).toEqual(['open', 'unknown', deleting]);
  expect(await removeLeftPages(world.context())).toBe(0);
});

test('a roster page that a sleeper wrote for a deletion that is done; one that is open, or an archive, keeps its own', async () => {
  await archives(world.store).insert(anArchive({ _id: id.archive('a1') }));
  const deleting = await order('deleting');
  const done = await disposals(world.store).get(await order('done'));
  if (done === null) throw new Error('It is gone.');
  await disposals(world.store).replace({ ...done, state: 'done' });
  for (const name of ['a1', done._id, deleting]) await leaveRoster(name);
  expect(await removeLeftPages(world.context())).toBe(1);
  expect((await world.all('rosterPages')).map(({ _id }) => _id).sort()).toEqual(['a1:000000', `${deleting}:000000`]);
});

test('told to stop: nothing is removed', async () => {
  await archives(world.store).insert(anArchive());
  await leave('a1');
  const stopped = world.context(undefined, { signal: AbortSignal.abort('enough') });
  await expect(removeLeftPages(stopped)).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  expect(await whoseArePages()).toEqual(['a1']);
});
