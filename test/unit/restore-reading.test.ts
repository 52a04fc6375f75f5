/** A purge and a restore at the same archive: whoever reads is not overtaken, whatever became of the retrieval meanwhile. */
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { databaseTarget } from '../../src/cli/restore-database.ts';
import type { ArchiveId } from '../../src/ids.ts';
import { id } from '../../src/ids.ts';
import { unwrapArchiveKey } from '../../src/keys/administrator.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { findMarks } from '../../src/ledger/record-marks.ts';
import { isBeingRead, Reading } from '../../src/ledger/restoring.ts';
import { liveRetrievals } from '../../src/ledger/retrievals.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { type RestoreTarget, restoreArchive } from '../../src/lifecycle/restore.ts';
import { cancelRetrieval, requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const PURGE_AT = '2032-06-01T00:00:00Z';
const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));

let world: MemoryWorld;
let policy: Policy;
let archive: ArchiveId;
beforeEach(async () => {
  world = await MemoryWorld.open(recipient);
  policy = await world.publish(`
policy: chats
zone: UTC
dataset:
  collection: data.chats
  owner: { field: owner }
  customer: { field: tenant }
  children: [{ collection: data.comments, key: chat }]
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 5000, share: 1.0 }
`);
  world.put(policy, { _id: 'a', owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
  world.source.put(id.namespace('data.comments'), BSON.serialize({ _id: 'c', chat: 'a' }));
  await runPolicy(world.context(undefined, { asOf: '2024-06-01' }), policy, { flush: true, expired: null });
  const [found] = await world.archives();
  if (found === undefined) throw new Error('An archive was expected.');
  archive = found._id;
  await requestRetrieval(world.context(), archive, 'standard');
  world.vault.advance(6);
});

const purge = () => purgeArchives(world.context(undefined, { asOf: PURGE_AT }), [archive]);
const restore = (target: RestoreTarget, kind: 'files' | 'database' = 'files') =>
  restoreArchive(world.context(), archive, (wrapped) => unwrapArchiveKey(wrapped, identity), target, kind);

function target(write: () => Promise<void>): RestoreTarget {
  const inserted = async (records: readonly Uint8Array[]) => {
    await write();
    return { inserted: records.length, existing: 0 };
  };
  const unit = {
    write: (_: unknown, records: readonly Uint8Array[]) => inserted(records),
    attachment: async () => 'inserted' as const,
  };
  return { write: inserted, unit, finish: async () => undefined, discard: async () => undefined };
}

test('the retrieval is given up while it is read: the purge waits until the restore has ended, then goes', async () => {
  const attempts: unknown[] = [];
  await restore(
    target(async () => {
      for (const { _id } of await liveRetrievals(world.store, archive)) await cancelRetrieval(world.context(), _id);
      attempts.push(await purge());
    }),
  );
  expect(attempts).not.toHaveLength(0);
  for (const attempt of attempts) {
    expect(attempt).toMatchObject({ purged: [], waiting: [{ reason: 'a restore is reading it' }] });
  }
  expect(await isBeingRead(world.store, archive)).toBe(false);
  expect(await purge()).toMatchObject({ purged: [archive] });
});

test('a restore that fails keeps no archive; one that was killed keeps it for half an hour', async () => {
  const full = new Error('The disk is full.');
  await expect(restore(target(async () => Promise.reject(full)))).rejects.toBe(full);
  expect(await isBeingRead(world.store, archive)).toBe(false);
  for (const { _id } of await liveRetrievals(world.store, archive)) await cancelRetrieval(world.context(), _id);
  await Reading.begin(world.store, world.clock, 'killed', archive);
  expect(await purge()).toMatchObject({ purged: [], waiting: [{ reason: 'a restore is reading it' }] });
  world.clock.advance(31 * 60_000);
  expect(await purge()).toMatchObject({ purged: [archive] });
});

test('a restore that begins when the purge has begun is refused, and touches nothing', async () => {
  world.vault.failNext('deleteArchive', 'lost-reply');
  for (const { _id } of await liveRetrievals(world.store, archive)) await cancelRetrieval(world.context(), _id);
  await purge();
  let writes = 0;
  const refused = restore(
    target(async () => {
      writes += 1;
    }),
  );
  await expect(refused).rejects.toMatchObject({ code: 'ARCHIVE_NOT_RETRIEVABLE' });
  expect(writes).toBe(0);
  expect(await isBeingRead(world.store, archive)).toBe(false);
});

test('a reading that slept past its end looks at its archive again before the next byte, and keeps it again', async () => {
  const reading = await Reading.begin(world.store, world.clock, 'r', archive);
  world.clock.advance(20 * 60_000);
  let looks = 0;
  const look = async () => {
    looks += 1;
  };
  await reading.keep(look);
  world.clock.advance(20 * 60_000);
  expect(await isBeingRead(world.store, archive)).toBe(true);
  world.clock.advance(31 * 60_000);
  expect(looks).toBe(0);
  expect(await isBeingRead(world.store, archive)).toBe(false);
  await reading.keep(look);
  expect(looks).toBe(1);
  expect(await isBeingRead(world.store, archive)).toBe(true);
});

test('into MongoDB under another name: records and children are exempt there, each for itself', async () => {
  const until = new Date('2024-09-01');
  const [document] = await world.archives();
  if (document === undefined) throw new Error('An archive was expected.');
  const rename = (namespace: string) => id.namespace(namespace.replace('data.', 'copy.'));
  const context = world.context();
  const report = await restore(databaseTarget(context, world.source, document, until, { rename }), 'database');
  expect(report).toMatchObject({ inserted: 1, children: { inserted: 1 } });
  for (const [collection, _id] of [
    ['copy.chats', 'a'],
    ['copy.comments', 'c'],
  ] as const) {
    const namespace = id.namespace(collection);
    expect(world.source.all(namespace).map((raw) => BSON.deserialize(raw)['_id'])).toEqual([_id]);
    const scope = await markScope(context, namespace, document.owner, document.customer);
    const raw = BSON.serialize({ _id });
    const key = world.source.keyOf(Uint8Array.from([raw[4] ?? 0, ...raw.subarray(9, raw.length - 1)]));
    expect((await findMarks(world.store, scope, [key])).get(key)?.exemptUntil).toEqual(until);
  }
});
