/** One record's whole life on real servers: from expired to the certificate that it is gone. */
import { BSON } from 'bson';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { getArchive } from '../../src/ledger/archives.ts';
import { verifyAudit } from '../../src/ledger/audit.ts';
import { getCertificate } from '../../src/ledger/certificates.ts';
import { verifyCertificate } from '../../src/lifecycle/certificate.ts';
import { purgeArchives, purgeable } from '../../src/lifecycle/purge.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { restoreArchive } from '../../src/lifecycle/restore.ts';
import { requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { testNames } from '../harness/stack.ts';
import { openWorld, type World } from '../harness/world.ts';

const names = testNames(import.meta.filename);
let world: World;
beforeAll(async () => {
  world = await openWorld(names);
});
afterAll(async () => {
  await world.close();
});

const POLICY = () => `
policy: chats
zone: Europe/Amsterdam
dataset:
  collection: ${names.database}_data.chats
  owner: { field: owner }
  customer: { field: tenant }
  facets: { subject: { field: contact.email } }
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum }
limits: { records: 1000, share: 1.0 }
`;

test('a record is archived, verified, cleared, retrieved, restored byte for byte, purged, confirmed and certified', async () => {
  const chats = world.collection('chats');
  await chats.createIndex({ owner: 1, tenant: 1, createdAt: 1, _id: 1 });
  const record = {
    _id: 'chat-1',
    owner: 'acme',
    tenant: 'north',
    createdAt: new Date('2020-02-29T10:00:00Z'),
    contact: { email: 'a@b.example' },
    text: 'hello',
  };
  const young = {
    _id: 'chat-2',
    owner: 'acme',
    tenant: 'north',
    createdAt: new Date('2024-05-01T10:00:00Z'),
    text: 'young',
  };
  await chats.insertMany([record, young] as never[]);
  const policy = await world.publish(POLICY());

  const run = await world.run('2024-06-01T00:00:00Z', policy);
  expect(run.problems).toEqual([]);
  expect(run.totals).toMatchObject({ selected: 1, archived: 1, deleted: 1, pending: 0 });
  const [archive] = run.archives;
  expect(archive).toMatchObject({
    state: 'cleared',
    owner: 'acme',
    customer: 'north',
    dueAt: new Date('2029-02-28T10:00:00Z'),
  });
  expect(
    await chats
      .find()
      .map((chat) => chat._id)
      .toArray(),
  ).toEqual(['chat-2']);
  if (archive === undefined) return;

  const context = world.at('2024-06-02T00:00:00Z');
  const retrieval = await requestRetrieval(context, archive._id, 'standard');
  expect(retrieval.state).toBe('requested');
  await world.emulator.advance('PT6H');
  const restored: Uint8Array[] = [];
  const report = await restoreArchive(
    context,
    archive._id,
    world.openKey,
    {
      write: async (records) => {
        restored.push(...records.map((raw) => Uint8Array.from(raw)));
        return { inserted: records.length, existing: 0 };
      },
      finish: async () => undefined,
      discard: async () => undefined,
    },
    'files',
  );
  expect(report).toMatchObject({ records: 1, inserted: 1, void: 0 });
  expect(Buffer.from(restored[0] ?? [])).toEqual(Buffer.from(BSON.serialize(record)));

  const early = world.at('2029-02-28T09:59:59Z');
  for await (const due of purgeable(early, new Date('2029-02-28T09:59:59Z'), null))
    throw new Error(`too early: ${due._id}`);
  const late = world.at('2029-02-28T10:00:00Z');
  const purge = await purgeArchives(late, [archive._id]);
  expect(purge).toMatchObject({ purged: [archive._id], failed: [], held: [] });
  expect((await reconcile(late, { all: false, source: false })).confirmed).toEqual([]);
  const settled = await world.untilInventoriesAreTaken(late);
  expect(settled.confirmed).toEqual([archive._id]);

  const after = await getArchive(world.app.store, archive._id);
  expect(after.state).toBe('confirmed');
  const certificate = await getCertificate(world.app.store, after.purge?.certificate ?? '');
  expect(certificate).not.toBeNull();
  if (certificate !== null) await verifyCertificate(late, certificate);
  await expect(context.keys.readBack(after.attempt ?? ('' as never))).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
  expect(await verifyAudit(world.app.store)).toMatchObject({ ok: true, firstBad: null });
}, 60_000);
