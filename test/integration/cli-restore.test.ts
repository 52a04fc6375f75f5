/** `moraine restore` through the real command line: several archives, other namespaces, what is there already, and a kill. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BSON, type Document, EJSON } from 'bson';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const RUN_AS_OF = ['--as-of', '2024-06-01'];
const LONG_MS = 120_000;
/** Two customers, so two archives; enough records that a kill finds some restored and some not. */
const EACH = 6_000;

let world: CliWorld;
let archives: string[] = [];
let url = '';

const chat = (_id: string, tenant: string, more: Document = {}): Document => ({
  _id,
  tenant,
  at: new Date('2020-01-01'),
  updatedAt: new Date('2020-01-02'),
  text: 'x'.repeat(400),
  ...more,
});

beforeAll(async () => {
  world = await openCliWorld(names);
  url = stackUrls().mongodb;
  world.writePolicy(
    'chats',
    `
policy: chats
zone: UTC
dataset:
  collection: ${world.namespace('chats')}
  owner: { value: acme }
  customer: { field: tenant }
  version: { field: updatedAt }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum, maxWait: 1 day }
limits: { records: 100000, share: 1.0 }
`,
  );
  const chats = world.collection('chats');
  for (const tenant of ['north', 'south']) {
    await chats.insertMany(Array.from({ length: EACH }, (_, n) => chat(`${tenant}-${n}`, tenant)) as never[]);
  }
  await chats.createIndex({ tenant: 1, at: 1, _id: 1 }, { name: 'by_tenant' });
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  const run = await world.moraine('run', '--flush', '--json', ...RUN_AS_OF);
  expect(run.json).toMatchObject({ policies: [{ totals: { archived: 2 * EACH, deleted: 2 * EACH } }] });
  const { json } = await world.moraine('archives', '--json');
  const found = Array.isArray(json) ? json : [];
  archives = ['north', 'south'].map((tenant) => String(found.find(({ customer }) => customer === tenant)?.id));
  for (const archive of archives)
    await world.moraine('retrieve', archive, '--tier', 'standard', '--identity', world.identity, '--yes');
  await world.emulator.advance('PT6H');
}, LONG_MS);
afterAll(async () => {
  await world.client.db(`${names.database}_other`).dropDatabase();
  await world.close();
});
beforeEach(async () => {
  await world.collection('chats').deleteMany({});
});

async function restore(...args: readonly string[]) {
  return await world.moraine('restore', ...args, '--identity', 'alice.key', '--json', ...RUN_AS_OF);
}

async function retrieve() {
  const { exitCode } = await world.moraine('retrieve', ...archives, '--identity', 'alice.key', '--yes');
  expect(exitCode).toBe(0);
}

/** What a restore has read is asked for anew. */
async function retrieveAgain() {
  await retrieve();
  await world.emulator.advance('PT6H');
}

test('into MongoDB, what is there: previewed, refused, kept, the newest taken, all replaced; a change in between is not', {
  timeout: LONG_MS,
}, async () => {
  const north = archives[0] ?? '';
  const same = chat('north-1', 'north');
  const newer = chat('north-2', 'north', { updatedAt: new Date('2024-01-01'), text: 'newer' });
  const older = chat('north-3', 'north', { updatedAt: new Date('2019-01-01'), text: 'older' });
  await world.collection('chats').insertMany([same, newer, older] as never[]);
  const there = { records: EACH, existing: 3, same: 1, newer: 1, changed: 1, replaced: 0, void: 0 };

  const preview = await restore(north, '--into', url, '--preview');
  expect(preview.json).toMatchObject({ ...there, inserted: EACH - 3, exemptUntil: null });
  expect(await world.collection('chats').countDocuments()).toBe(3);

  const refused = await restore(north, '--into', url, '--on-conflict', 'fail');
  expect(refused).toMatchObject({
    exitCode: 3,
    json: { error: { code: 'RESTORE_CONFLICT', changed: 'Nothing was written.' } },
  });
  expect(await world.collection('chats').countDocuments()).toBe(3);

  const wouldTake = await restore(north, '--into', url, '--preview', '--on-conflict', 'newest');
  expect(wouldTake.json).toMatchObject({ inserted: EACH - 3, replaced: 1, same: 1, newer: 1, changed: 0 });

  const newest = await restore(north, '--into', url, '--on-conflict', 'newest');
  expect(newest.json).toMatchObject({ inserted: EACH - 3, replaced: 1, existing: 2, same: 1, newer: 1, changed: 0 });
  const texts = async (...ids: string[]) =>
    await Promise.all(ids.map(async (_id) => (await world.collection('chats').findOne({ _id } as never))?.['text']));
  const archived = same['text'];
  expect(await texts('north-1', 'north-2', 'north-3')).toEqual([archived, 'newer', archived]);

  await retrieveAgain();
  const hold = await world.moraine(
    'hold',
    'place',
    '--case',
    'C1',
    '--reason',
    'a claim',
    '--customer',
    'north',
    '--owner',
    'acme',
    '--yes',
    '--json',
  );
  expect(hold.exitCode).toBe(0);
  const held = await restore(north, '--into', url, '--on-conflict', 'replace', '--preview');
  expect(held.json).toMatchObject({ replaced: 1 });
  expect((await restore(north, '--into', url, '--on-conflict', 'replace')).json).toMatchObject({
    replaced: 0,
    held: 1,
  });
  expect(await texts('north-2')).toEqual(['newer']);
  // The grace of a release is real time, which nothing moves: as if there had been none.
  await world.client.db(`${names.database}_ledger`).collection('holds').deleteMany({});

  await retrieveAgain();
  expect((await restore(north, '--into', url, '--on-conflict', 'replace')).json).toMatchObject({
    replaced: 1,
    existing: EACH - 1,
  });
  expect(await texts('north-2')).toEqual([archived]);
  const plan = await world.moraine('plan', '--json', ...RUN_AS_OF);
  // The one that was there all the time is no restored record.
  expect(plan.json).toMatchObject({ policies: [{ totals: { due: 1 } }] });
  await retrieveAgain();
});

test('several archives into another database, under its name; restored records are exempt there', {
  timeout: LONG_MS,
}, async () => {
  const from = `${names.database}_data.*`;
  const reply = await restore(...archives, '--into', url, '--nsFrom', from, '--nsTo', `${names.database}_other.old_*`);
  expect(reply.json).toMatchObject({
    archives: archives.map((archive) => ({ archive, namespace: `${names.database}_other.old_chats`, inserted: EACH })),
  });
  expect(await world.collection('chats').countDocuments()).toBe(0);
  const other = world.client.db(`${names.database}_other`).collection('old_chats');
  expect(await other.countDocuments()).toBe(2 * EACH);
  const marks = world.client.db(`${names.database}_ledger`).collection('recordMarks');
  expect(await marks.countDocuments({ _id: { $regex: '_other\\.old_chats' } as never })).toBe(2 * EACH);
  const wrong = await restore(archives[0] ?? '', '--into', url, '--nsFrom', 'a.*', '--nsTo', 'b');
  expect(wrong).toMatchObject({ exitCode: 2, json: { error: { code: 'USAGE' } } });
  await retrieveAgain();
});

test('killed at any moment and run again: the same records, each once, also where it was killed between two archives', {
  timeout: LONG_MS,
}, async () => {
  for (const wantedRecords of [1, EACH / 2, EACH + 1]) {
    await world.collection('chats').deleteMany({});
    const args = ['restore', ...archives, '--identity', 'alice.key', '--into', url, ...RUN_AS_OF];
    const running = world.start(...args);
    let isOver = false;
    void running.then(() => {
      isOver = true;
    });
    while (!isOver && (await world.collection('chats').countDocuments()) < wantedRecords) await sleep(5);
    running.kill('SIGKILL');
    await running;
    expect(await world.collection('chats').countDocuments()).toBeGreaterThanOrEqual(wantedRecords);
  }
  const again = await restore(...archives, '--into', url);
  expect(again.exitCode).toBe(0);
  const [first, second] = (again.json as { archives: { inserted: number; existing: number; same: number }[] }).archives;
  expect((first?.inserted ?? 0) + (first?.same ?? 0)).toBe(EACH);
  expect((second?.inserted ?? 0) + (second?.same ?? 0)).toBe(EACH);
  expect(await world.collection('chats').countDocuments()).toBe(2 * EACH);
  const ids = await world.collection('chats').distinct('tenant');
  expect(ids.sort()).toEqual(['north', 'south']);
  expect((await world.moraine('plan', '--json', ...RUN_AS_OF)).json).toMatchObject({
    policies: [{ totals: { due: 0 } }],
  });
  await retrieveAgain();
});

test('into a folder: what mongodump would have written, nothing half after a kill, and nothing left of it afterwards', {
  timeout: LONG_MS,
}, async () => {
  const running = world.start('restore', ...archives, '--identity', 'alice.key', '--out', 'out', ...RUN_AS_OF);
  const partial = () => readdirSync(world.folder).filter((name) => name.startsWith('out'));
  let isOver = false;
  void running.then(() => {
    isOver = true;
  });
  while (!isOver && partial().length === 0) await sleep(5);
  running.kill('SIGKILL');
  await running;
  expect(partial()).toEqual([expect.stringMatching(/^out\.partial-/)]);

  const { exitCode } = await restore(
    ...archives,
    '--out',
    'out',
    '--nsFrom',
    `${names.database}_data.*`,
    '--nsTo',
    'copy.*',
  );
  expect(exitCode).toBe(0);
  expect(partial()).toEqual(['out']);
  const folder = join(world.folder, 'out');
  expect(readdirSync(folder, { recursive: true }).map(String).sort()).toEqual([
    'copy',
    join('copy', 'chats.bson'),
    join('copy', 'chats.metadata.json'),
  ]);
  const bytes = readFileSync(join(folder, 'copy', 'chats.bson'));
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readInt32LE(at);
    found.push(String(BSON.deserialize(bytes.subarray(at, at + length))['_id']));
    at += length;
  }
  expect(new Set(found).size).toBe(2 * EACH);
  expect(found).toHaveLength(2 * EACH);
  const metadata = EJSON.parse(readFileSync(join(folder, 'copy', 'chats.metadata.json'), 'utf8'));
  expect(metadata).toMatchObject({ collectionName: 'chats', type: 'collection', options: {} });
  expect(metadata.indexes.map(({ name }: Document) => name).sort()).toEqual(['_id_', 'by_tenant']);
  expect(existsSync(join(folder, 'attachments.jsonl'))).toBe(false);
});
