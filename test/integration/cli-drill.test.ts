/** `moraine drill` through the real command line: chosen, asked, gone on with, compared on a real server, and what it leaves behind. */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const RUN_AS_OF = ['--as-of', '2024-06-01'];
const LONG_MS = 120_000;
let world: CliWorld;

beforeAll(async () => {
  world = await openCliWorld(names);
  world.writePolicy(
    'chats',
    `
policy: chats
zone: UTC
dataset: { collection: ${world.namespace('chats')}, owner: { value: acme }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum, maxWait: 1 day }
limits: { records: 10000, share: 1.0 }
`,
  );
  const chat = (tenant: string) => (n: number) => ({ _id: `${tenant}-${n}`, tenant, at: new Date('2020-01-01'), n });
  for (const tenant of ['north', 'south']) {
    const chats = Array.from({ length: 50 }, (_, n) => chat(tenant)(n));
    await world.collection('chats').insertMany(chats as never[]);
  }
  await world.collection('chats').createIndex({ tenant: 1, at: 1, _id: 1 });
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  expect((await world.moraine('run', '--flush', '--json', ...RUN_AS_OF)).exitCode).toBe(0);
}, LONG_MS);
afterAll(async () => {
  await world.close();
});

const drill = (...args: readonly string[]) => world.moraine('drill', ...args, '--json', ...RUN_AS_OF);
const drillsOf = (json: unknown): readonly Document[] => (json as { drills: Document[] }).drills;

async function scratchDatabases(): Promise<string[]> {
  const { databases } = await world.client.db('admin').admin().listDatabases({ nameOnly: true });
  return databases.map(({ name }) => name).filter((name) => name.startsWith('moraine_drill_d'));
}

test('whose administrator it is not may not ask; too dear is refused; what was chosen stays chosen', {
  timeout: LONG_MS,
}, async () => {
  const before = await scratchDatabases();
  const strange = await drill('--identity', 'bob.key', '--yes');
  expect(strange.json).toMatchObject({ error: { code: 'RETRIEVAL_NOT_ALLOWED' } });
  expect((await world.moraine('drill', 'list', '--json')).json).toEqual([]);
  const dear = await drill('--identity', 'alice.key', '--max-cost', '0', '--yes');
  expect(dear.json).toMatchObject({ error: { code: 'RETRIEVAL_OVER_LIMIT' } });
  const chosen = await world.moraine('drill', 'list', '--json');
  expect(chosen.json).toMatchObject([{ state: 'chosen' }, { state: 'chosen' }]);

  const asked = await drill('--identity', 'alice.key', '--tier', 'standard', '--yes');
  expect(asked.exitCode).toBe(0);
  const ids = drillsOf(asked.json).map(({ id }) => id);
  expect(ids.sort()).toEqual((chosen.json as Document[]).map(({ id }) => id).sort());
  for (const { state, waiting } of drillsOf(asked.json)) {
    expect(state).toBe('open');
    expect(waiting).toEqual([expect.stringContaining('is being retrieved')]);
  }
  expect(await scratchDatabases()).toEqual(before);
});

test('run again when the vault is ready: restored, compared, dropped; the source is as it was', {
  timeout: LONG_MS,
}, async () => {
  const before = await scratchDatabases();
  await world.emulator.advance('PT13H');
  const done = await drill('--identity', 'alice.key', '--yes');
  expect(done.exitCode).toBe(0);
  for (const each of drillsOf(done.json)) {
    expect(each).toMatchObject({ state: 'passed', of: 1, sample: [{ outcome: 'passed', records: 50 }] });
  }
  expect(await scratchDatabases()).toEqual(before);
  expect(await world.collection('chats').countDocuments()).toBe(0);
  const { stdout } = await world.moraine('drill', 'show', String(drillsOf(done.json)[0]?.['id']));
  expect(stdout).toContain('50 records, 0 children, 0 attachments came back as they went');
  const audit = await world.moraine('audit', 'show', '--json');
  const acts = (audit.json as { act: string }[]).map(({ act }) => act);
  expect(acts).toEqual(expect.arrayContaining(['drill chosen', 'archive drilled', 'drill ended', 'archive restore']));
});

test('what the ledger says is not what came back: exit 3, an alarm that names it and stops nothing', {
  timeout: LONG_MS,
}, async () => {
  const ledger = world.client.db(`${names.database}_ledger`).collection<Document & { _id: string }>('archives');
  await ledger.updateOne({ customer: 'north' }, { $set: { 'stored.merkleRoot': '00'.repeat(32) } });
  await drill('--identity', 'alice.key', '--tier', 'standard', '--yes');
  await world.emulator.advance('PT6H');
  const done = await drill('--identity', 'alice.key', '--yes');
  expect(done.exitCode).toBe(3);
  const states = Object.fromEntries(drillsOf(done.json).map(({ customer, state }) => [customer, state]));
  expect(states).toEqual({ north: 'failed', south: 'passed' });
  const status = await world.moraine('status', '--json');
  expect(status.json).toMatchObject({
    alarms: [{ code: 'DRILL_FAILED', text: expect.stringContaining("its Merkle root is not the ledger's") }],
  });
  expect((await world.moraine('run', '--json', ...RUN_AS_OF)).exitCode).toBe(0);
  expect((await world.moraine('check', '--json')).exitCode).toBe(3);
  expect((await world.moraine('check', '--yes', '--json')).exitCode).not.toBe(3);
});

test('given up with a reason', { timeout: LONG_MS }, async () => {
  const begun = await drill('--identity', 'alice.key', '--yes');
  const id = String(drillsOf(begun.json)[0]?.['id']);
  const { json } = await world.moraine('drill', 'cancel', id, '--reason', 'not today', '--json');
  expect(json).toMatchObject({ id, state: 'cancelled', reason: 'not today' });
  expect((await world.moraine('drill', 'cancel', id, '--reason', 'again', '--json')).exitCode).toBe(2);
});
