/** The checker of the faulty worlds is itself checked: a good end state passes, and every tampered one is reported. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { check } from '../faults/checker/check.ts';
import { readVaults } from '../faults/checker/vault-files.ts';
import { CALLS, LETTERS } from '../faults/datasets.ts';
import { underHold } from '../faults/operator.ts';
import { settle } from '../faults/settle.ts';
import { type FaultyWorld, openFaultyWorld } from '../faults/world.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const PREPARED_WITHIN_MS = 180_000;
const SETTLE_WITHIN_MS = 90_000;
const PURGE_DUE_IN_MS = 10_000;
const BIRCH = { owner: 'birch', customer: null, namespace: null, ids: null, person: null };
let world: FaultyWorld;

beforeAll(async () => {
  world = await openFaultyWorld(stackUrls(), names, 1);
  const { application } = world;
  const age = LETTERS.activeMs + LETTERS.archiveMs - PURGE_DUE_IN_MS;
  await application.insertFor({ ...LETTERS, triggerAgeMs: [age, age] }, 'acme', 'north', 3);
  await application.insertFor(CALLS, 'acme', 'south', 3);
  await application.insertFor(CALLS, 'birch', 'west', 3);
  // Not due: it is in the source at the end.
  await application.insertFor({ ...CALLS, triggerAgeMs: [0, 0] }, 'birch', 'north', 2);
  const isPlaced = await underHold(world, BIRCH, 'C-1', async () => {
    await world.moraine('run', '--flush');
    await world.emulator('clock', { advance: 'P2D' });
    await world.moraine('reconcile');
  });
  expect(isPlaced).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, PURGE_DUE_IN_MS));
  expect((await world.moraine('purge', '--yes')).code).toBe(0);
  expect(await settle(world, SETTLE_WITHIN_MS)).toMatchObject({ left: [] });
}, PREPARED_WITHIN_MS);
afterAll(() => world.close({ keep: false }));

const problems = async () => check(await world.endState());
const promises = async () => [...new Set((await problems()).map(({ promise }) => promise))];
const ledger = (collection: string) => world.client.db(world.ledgerDatabase).collection(collection);
const source = () => world.client.db(world.database).collection(CALLS.collection);

async function attemptOfCleared(): Promise<unknown> {
  return (await ledger('archives').findOne({ state: 'cleared' }))?.['attempt'];
}

/** Replaces the document of a collection that fits, as somebody with write access would; undone after the look. */
async function tampered(
  collection: ReturnType<typeof ledger>,
  filter: Record<string, unknown>,
  change: Record<string, unknown>,
): Promise<readonly number[]> {
  const before = await collection.findOne(filter);
  if (before === null) throw new Error(`nothing fits ${JSON.stringify(filter)}`);
  await collection.updateOne({ _id: before._id }, { $set: change });
  const found = await promises();
  await collection.replaceOne({ _id: before._id }, before);
  expect(await problems()).toEqual([]);
  return found;
}

test('the checker imports nothing of the product', () => {
  const folder = join(import.meta.dirname, '../faults/checker');
  for (const file of readdirSync(folder)) {
    expect(readFileSync(join(folder, file), 'utf8'), file).not.toMatch(/from '[./]*\/(src|jobs)\//);
  }
});

test('a good end state: no problem, and all kinds of ends are in it', async () => {
  const state = await world.endState();
  expect(check(state)).toEqual([]);
  const states = state.ledger.archives.map((archive) => archive.state).sort();
  expect(states).toEqual(['cleared', 'cleared', 'confirmed']);
  expect(state.ledger.certificates).toHaveLength(1);
  expect(state.source).toHaveLength(2);
});

test('a record is missing, changed, or back again', async () => {
  const missing = await source().findOne({ tenant: 'north' });
  if (missing === null) throw new Error('it should be there');
  await source().deleteOne({ _id: missing._id });
  expect(await promises()).toEqual(expect.arrayContaining([1, 2]));
  await source().insertOne({ ...missing, body: 'other bytes' });
  expect(await promises()).toEqual([2]);
  await source().replaceOne({ _id: missing._id }, missing);
  const archived = world.journal.entries.find(
    (entry) => entry.kind === 'write' && entry.version?.customer === 'west' && entry.version.owner === 'birch',
  );
  const back = { ...missing, _id: archived?.kind === 'write' ? archived.id : 0 };
  await source().insertOne(back as never);
  expect(await promises()).toEqual([2]);
  await source().deleteOne({ _id: back._id as never });
  expect(await problems()).toEqual([]);
});

test('a bit is flipped in a file of a vault; a file is there that nobody knows', async () => {
  const file = readVaults(world.vaultState).find(({ isDeleted }) => !isDeleted);
  const path = file?.paths[0] ?? '';
  const bytes = readFileSync(path);
  const flipped = Buffer.from(bytes);
  flipped[Math.floor(bytes.length / 2)]! ^= 1;
  writeFileSync(path, flipped);
  expect(await promises()).toContain(11);
  writeFileSync(path, bytes);
  expect(await problems()).toEqual([]);
  expect(await tampered(ledger('archives'), { state: 'cleared' }, { 'stored.vaultArchiveId': 'another' })).toContain(
    11,
  );
});

test('totals that are off, an audit entry that was changed, another party, a key that is gone', async () => {
  expect(await tampered(ledger('archives'), { state: 'cleared' }, { 'outcomes.deleted': 4 })).toEqual([2, 5]);
  expect(await tampered(ledger('archives'), { state: 'cleared' }, { customer: 'stranger' })).toContain(9);
  expect(await tampered(ledger('audit'), {}, { 'entries.0.actor': 'nobody' })).toEqual([10]);
  const key = { _id: await attemptOfCleared() };
  expect(await tampered(ledger('archiveKeys'), key, { state: 'destroyed' })).toContain(11);
});

test('purged too early or without proof; an attempt that was given up and can be opened; work that did not end', async () => {
  const purged = { state: 'confirmed' };
  expect(await tampered(ledger('archives'), purged, { 'purge.askedAt': new Date(0) })).toEqual([4]);
  const text = String((await ledger('certificates').findOne({}))?.['body']);
  expect(await tampered(ledger('certificates'), {}, { signature: Buffer.alloc(64) })).toEqual([4]);
  expect(await tampered(ledger('certificates'), {}, { body: text.replace('"archived":3', '"archived":2') })).toEqual([
    4,
  ]);
  const attempt = { _id: await attemptOfCleared() };
  expect(await tampered(ledger('attempts'), attempt, { state: 'abandoned' })).toEqual([7]);
  expect(await tampered(ledger('attempts'), attempt, { state: 'open' })).toEqual([7]);
  expect(await tampered(ledger('archives'), { state: 'cleared' }, { state: 'storing' })).toContain(7);
});

test('a held record is deleted while the hold is in force', async () => {
  await underHold(world, BIRCH, 'C-2', () => source().deleteOne({ tenant: 'north' }));
  const found = await problems();
  expect(found).toContainEqual(
    expect.objectContaining({ promise: 3, text: expect.stringContaining('left the source while it was held') }),
  );
}, 60_000);
