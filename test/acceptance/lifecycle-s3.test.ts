/** The whole life on S3 with the Glacier storage classes, verified by inventory, to the certificate. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { getArchive } from '../../src/ledger/archives.ts';
import { verifyAudit } from '../../src/ledger/audit.ts';
import { holds } from '../../src/ledger/holds.ts';
import { update } from '../../src/ledger/update.ts';
import { bringGuards } from '../../src/lifecycle/guard-archives.ts';
import { placeHold, releaseHold } from '../../src/lifecycle/hold.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { restoreArchive } from '../../src/lifecycle/restore.ts';
import { requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { testNames } from '../harness/stack.ts';
import { noise, openWorld, type World } from '../harness/world.ts';

const names = testNames(import.meta.filename);
let world: World;
beforeAll(async () => {
  world = await openWorld(names);
});
afterAll(async () => {
  await world.close();
});

const NOW = '2024-06-01T00:00:00Z';
const RECORDS = 60;

test('records in an S3 bucket: stored in parts, listed, cleared, restored, purged, confirmed', async () => {
  const tickets = world.collection('tickets');
  await tickets.createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
  const records = Array.from({ length: RECORDS }, (_, at) => ({
    owner: 'acme',
    tenant: 'north',
    at: new Date(Date.parse('2020-01-01T00:00:00Z') + at * 1000),
    text: noise(512 * 1024),
  }));
  await tickets.insertMany(records);
  const policy = await world.publish(`
policy: tickets
zone: UTC
dataset: { collection: ${names.database}_data.tickets, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: deep, verify: inventory }
limits: { records: 1000, share: 1.0 }
`);
  const run = await world.run(NOW, policy);
  expect(run.problems).toEqual([]);
  expect(run.totals).toMatchObject({ archived: RECORDS, pending: RECORDS, deleted: 0 });
  expect(await tickets.countDocuments()).toBe(RECORDS);
  const [archive] = run.archives;
  if (archive === undefined) return;

  const context = world.at(NOW);
  await until(async () => (await reconcile(context, { all: false, source: false })).cleared.includes(archive._id));
  expect(await tickets.countDocuments()).toBe(0);

  await requestRetrieval(context, archive._id, 'standard');
  let restored = 0;
  const target = {
    write: async (batch: readonly Uint8Array[]) => {
      restored += batch.length;
      return { inserted: batch.length, existing: 0 };
    },
    finish: async () => undefined,
    discard: async () => undefined,
  };
  await until(async () => {
    try {
      await restoreArchive(context, archive._id, world.openKey, target, 'files');
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'RETRIEVAL_NOT_READY') return false;
      throw error;
    }
  });
  expect(restored).toBe(RECORDS);

  const late = world.at('2030-01-01T00:00:00Z');
  expect(await purgeArchives(late, (await planPurge(late, null)).due)).toMatchObject({
    purged: [archive._id],
    failed: [],
  });
  await until(async () => (await reconcile(late, { all: false, source: false })).confirmed.includes(archive._id));
  expect(await getArchive(world.app.store, archive._id)).toMatchObject({
    state: 'confirmed',
    outcomes: { deleted: RECORDS },
  });
  expect(await verifyAudit(world.app.store)).toMatchObject({ ok: true });
}, 120_000);

/** The service has its own pace: asks a few times a second, half a minute long. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let time = 0; time < 100; time++) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  throw new Error('It did not come.');
}

test('GLACIER_IR, locked in compliance mode: held in the bucket too, purged when the lock has ended and not before', async () => {
  const letters = world.collection('letters');
  await letters.createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
  const now = new Date();
  // Due for purge in a little more than the minute that the lock ends before it: the lock is real, and so is its end.
  const at = new Date(now.getTime() + LOCK_MS + 60_000);
  at.setUTCFullYear(at.getUTCFullYear() - 9);
  await letters.insertOne({ owner: 'acme', tenant: 'north', at, text: noise(1024) });
  const policy = await world.publish(`
policy: letters
zone: UTC
dataset: { collection: ${names.database}_data.letters, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: locked, storageClass: GLACIER_IR }
limits: { records: 1000, share: 1.0 }
`);
  const run = await world.run(now.toISOString(), policy);
  expect(run.problems).toEqual([]);
  expect(run.totals).toMatchObject({ archived: 1, deleted: 1 });
  const [{ _id } = { _id: id.archive('none') }] = run.archives;
  const archive = await getArchive(world.app.store, _id);
  expect(archive).toMatchObject({ vault: { storageClass: 'GLACIER_IR' }, guard: { lock: 'done' } });
  const context = world.at(now.toISOString());

  // Read at once, without waiting for anything.
  const retrieval = await requestRetrieval(context, _id, 'standard');
  let restored = 0;
  const target = {
    write: async (batch: readonly Uint8Array[]) => {
      restored += batch.length;
      return { inserted: batch.length, existing: 0 };
    },
    finish: async () => undefined,
    discard: async () => undefined,
  };
  await restoreArchive(context, _id, world.openKey, target, 'files');
  expect(restored).toBe(1);
  expect(retrieval).toBeDefined();

  const ask = { caseNumber: 'C-1', reason: 'a claim', owner: id.owner('acme'), customer: null, namespace: null };
  const all = { triggerFrom: null, triggerBefore: null, recordIds: [], facet: null };
  const hold = await placeHold(context, { ...ask, ...all }, 'person:ann');
  expect(await guardOf(archive)).toMatchObject({ held: true });
  const late = world.at(new Date(at.getTime() + 10 * YEAR_MS).toISOString());
  expect(await purgeArchives(late, [_id])).toMatchObject({ held: [_id], purged: [] });
  await releaseHold(context, hold._id, { by: 'person:ann', reason: 'settled' });
  // The grace of a day is over.
  await update(holds(world.app.store), hold._id, (document) => ({ ...document, heldUntil: new Date(0) }));
  await bringGuards(context);
  expect(await guardOf(archive)).toMatchObject({ held: false });

  // Due by the date of the sandbox, and the bucket does not let it go before its own.
  const early = await purgeArchives(late, [_id]);
  expect(early).toMatchObject({ purged: [], failed: [{ id: _id, code: 'VAULT_VETO' }] });
  expect((await getArchive(world.app.store, _id)).state).toBe('cleared');
  await until(async () => (await purgeArchives(late, [_id])).purged.includes(_id));
  expect(Date.now()).toBeGreaterThan(now.getTime() + LOCK_MS - 1_000);
  await until(async () => (await reconcile(late, { all: false, source: false })).confirmed.includes(_id));
  expect(await verifyAudit(world.app.store)).toMatchObject({ ok: true });
}, 120_000);

/** From its making: what comes before the purge takes less. */
const LOCK_MS = 25_000;
const YEAR_MS = 366 * 86_400_000;

/** What the bucket itself keeps of an archive. */
async function guardOf({ vault: location, stored }: ArchiveDocument) {
  const vault = world.at(NOW).vaults.get(location.key);
  if (vault === undefined || stored === null) throw new Error('The archive is in no vault.');
  const inventory = await vault.readInventory(location, await vault.requestInventory(location));
  for await (const { vaultArchiveId, guard } of inventory.entries())
    if (vaultArchiveId === stored.vaultArchiveId) return guard ?? null;
  return null;
}
