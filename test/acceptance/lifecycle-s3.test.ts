/** The whole life on S3 with the Glacier storage classes, verified by inventory, to the certificate. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { getArchive } from '../../src/ledger/archives.ts';
import { verifyAudit } from '../../src/ledger/audit.ts';
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
