/**
 * Documents at the extremes through the whole life on real servers: archived, deleted, restored into MongoDB and compared
 * byte for byte with what was there before; or quarantined with the reason and still there.
 */
import { Binary, BSON, ObjectId, UUID } from 'bson';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import { restoreArchive } from '../../src/lifecycle/restore.ts';
import { requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { EXTREMES, IDS, NOT_CANONICAL, ordered, TRIGGER } from '../contract/source-documents.ts';
import { testNames } from '../harness/stack.ts';
import { noise, openWorld, type World } from '../harness/world.ts';

const names = testNames(import.meta.filename);
const OWNER_OBJECT_ID = new ObjectId('65f000000000000000000009');
const OWNER_UUID = new UUID('11111111-2222-4333-8444-555555555555');
let world: World;
beforeAll(async () => {
  world = await openWorld(names, {
    owners: ['acme', `oid:${OWNER_OBJECT_ID.toHexString()}`, `uuid:${OWNER_UUID.toHexString(true)}`],
  });
});
afterAll(async () => {
  await world.close();
});

const NOW = '2024-06-01T00:00:00Z';
const MIB = 1024 * 1024;

function fit(_id: unknown, value: unknown, owner: unknown = 'acme', tenant: unknown = 'north'): Uint8Array {
  return ordered(['_id', _id], ['owner', owner], ['tenant', tenant], ['at', TRIGGER], ['value', value]);
}

test('every BSON type, name and size, every _id, owners and customers of every kind: archived and restored byte for byte, or quarantined', async () => {
  const things = world.collection('things');
  await things.createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
  const policy = await world.publish(`
policy: things
zone: UTC
dataset: { collection: ${names.database}_data.things, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum }
limits: { records: 1000, share: 1.0 }
`);
  const namespace = policy.dataset.collection;
  const { source } = world.app;
  const documents = [
    ...Object.values(IDS).map((_id) => fit(_id, 1)),
    ...Object.entries(EXTREMES).map(([name, value]) => fit(`extreme ${name}`, value)),
    fit('12 MiB', new Binary(Buffer.from(noise(12 * MIB)))),
    fit('by object ids', 1, OWNER_OBJECT_ID, new ObjectId('65f00000000000000000000a')),
    fit('by uuids', 1, OWNER_UUID.toBinary(), new UUID('21111111-2222-4333-8444-555555555555').toBinary()),
  ];
  const tooLarge = fit('16 MiB', new Binary(Buffer.alloc(16 * MIB - 200)));
  const payload = NOT_CANONICAL['a NaN with a payload'] ?? new Uint8Array();
  for (const raw of [...documents, tooLarge, payload]) await source.insertMissing(namespace, [raw]);
  // What the server made of them is what counts: it may refuse one, or change the order of fields.
  const before = await rawDocuments(namespace);
  expect(before.size).toBeGreaterThan(documents.length * 0.9);

  const run = await world.run(NOW, policy);
  expect(run.problems).toEqual([]);
  const left = await rawDocuments(namespace);
  const quarantined = new Map<string, string>();
  for await (const entry of findQuarantine(world.app.store, { state: 'open' }))
    if (entry.idBytes !== null) quarantined.set(source.keyOf(entry.idBytes), entry.reason);
  expect([...left.keys()].sort()).toEqual([...quarantined.keys()].sort());
  expect(new Set(quarantined.values())).toEqual(new Set(['too-large', 'not-canonical']));
  expect(run.totals).toMatchObject({
    selected: before.size,
    archived: before.size - left.size,
    deleted: before.size - left.size,
    unfit: left.size,
    quarantined: left.size,
  });
  expect(new Set(run.archives.map(({ owner }) => owner)).size).toBe(3);

  const restored = id.namespace(`${names.database}_data.restored`);
  const context = world.at(NOW);
  for (const { _id } of run.archives) await requestRetrieval(context, _id, 'standard');
  await world.emulator.advance('PT6H');
  for (const { _id, outcomes } of run.archives) {
    const target = {
      write: async (records: readonly Uint8Array[]) => {
        const { inserted, existing } = await source.insertMissing(restored, records);
        return { inserted, existing: existing.length };
      },
      finish: async () => undefined,
      discard: async () => undefined,
    };
    const report = await restoreArchive(context, _id, world.openKey, target, 'database');
    expect(report).toMatchObject({ records: outcomes.deleted, inserted: outcomes.deleted, existing: 0, void: 0 });
  }
  const after = await rawDocuments(restored);
  for (const [key, raw] of before) {
    if (!quarantined.has(key)) expect(Buffer.compare(after.get(key) ?? Buffer.alloc(0), raw), key).toBe(0);
  }
  expect(after.size).toBe(before.size - left.size);
}, 120_000);

/** Every document of a collection as the server sends it, by record key. */
async function rawDocuments(namespace: string): Promise<Map<string, Buffer>> {
  const [database, collection] = [
    namespace.slice(0, namespace.indexOf('.')),
    namespace.slice(namespace.indexOf('.') + 1),
  ];
  const found = new Map<string, Buffer>();
  const cursor = world.client.db(database).collection(collection).find({}, { raw: true, batchSize: 20 });
  for await (const raw of cursor) {
    if (!(raw instanceof Uint8Array)) throw new Error('Raw bytes were asked for.');
    const copy = Buffer.from(raw);
    const position = world.app.source.keyOf(idBytesOf(copy));
    found.set(position, copy);
  }
  return found;
}

/** `_id` is the first element: type byte, name of four bytes, then the value, whose end a document of `_id` alone tells. */
function idBytesOf(raw: Uint8Array): Uint8Array {
  const { _id } = BSON.deserialize(raw, { promoteValues: false, bsonRegExp: true });
  const alone = BSON.serialize(new Map([['_id', _id]]), { ignoreUndefined: false });
  return Uint8Array.from([alone[4] ?? 0, ...alone.subarray(9, -1)]);
}
