/** Key stores through the real command line: one restored from an older backup, and a second one that was lost. */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const RUN = ['run', '--flush', '--json', '--as-of', '2024-06-01'];
let world: CliWorld;

interface Entry extends Document {
  readonly _id: string;
}

const keyStore = (at: 1 | 2) => world.client.db(`${names.database}_keys${at}`).collection<Entry>('archiveKeys');
const entriesOf = async (at: 1 | 2) => await keyStore(at).find({}).sort({ _id: 1 }).toArray();
const put = async (_id: number, at: string) =>
  await world.collection('calls').insertOne({ _id, tenant: 'north', at: new Date(at) } as never);

async function stateOf(attempt: string, at: 1 | 2): Promise<unknown> {
  return (await keyStore(at).findOne({ _id: attempt }))?.['state'];
}

beforeAll(async () => {
  world = await openCliWorld(names);
  const url = stackUrls().mongodb;
  world.configure({
    more: `keys: { url: "${url}", database: ${names.database}_keys1, second: { url: "${url}", database: ${names.database}_keys2 } }`,
  });
  await world.collection('calls').createIndex({ tenant: 1, at: 1, _id: 1 });
  world.writePolicy(
    'calls',
    `
policy: calls
zone: UTC
dataset: { collection: ${world.namespace('calls')}, owner: { value: acme }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 1 year, vault: cold, verify: checksum }
limits: { records: 10, share: 1.0 }
`,
  );
  expect(await world.moraine('policy', 'publish', '--yes', '--as-of', '2024-06-01')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => {
  await world.close();
});

test('restored from an older backup: a purged key comes back; everything stops until the replay, and it is gone again', async () => {
  await put(1, '2022-07-01');
  expect(await world.moraine(...RUN)).toMatchObject({ exitCode: 0 });
  const backup = await entriesOf(1);
  expect(backup).toMatchObject([{ state: 'kept' }]);
  const attempt = backup[0]?._id ?? '';
  const purged = await world.moraine('purge', '--yes', '--json', '--as-of', '2025-01-01');
  expect(purged.json).toMatchObject({ purged: [expect.any(String)] });
  expect(await stateOf(attempt, 1)).toBe('destroyed');
  expect((await world.moraine('keys', 'status')).exitCode).toBe(0);

  await keyStore(1).deleteMany({});
  await keyStore(1).insertMany(backup);
  expect(await stateOf(attempt, 1)).toBe('kept');
  const status = await world.moraine('keys', 'status', '--json');
  expect(status.exitCode).toBe(3);
  expect(status.json).toMatchObject({
    behind: true,
    stores: [
      { kept: 1, destroyed: 0 },
      { kept: 0, destroyed: 1 },
    ],
  });
  await put(2, '2022-08-01');
  const refused = await world.moraine(...RUN);
  expect(refused.exitCode).toBe(3);
  expect(refused.json).toMatchObject({
    error: { code: 'KEY_STORE_BEHIND', hint: expect.stringContaining('keys replay') },
  });
  expect(await world.collection('calls').countDocuments({})).toBe(1);
  // Nobody waves it through: it is found again.
  expect((await world.moraine('check', '--yes', '--json')).exitCode).not.toBe(0);
  expect((await world.moraine(...RUN)).json).toMatchObject({ error: { code: 'KEY_STORE_BEHIND' } });
  expect((await world.moraine('keys', 'replay', '--json')).json).toMatchObject({
    error: { code: 'CONFIRMATION_NEEDED' },
  });
  const replayed = await world.moraine('keys', 'replay', '--yes', '--json');
  expect(replayed.json).toEqual({ looked: 1, destroyed: 1 });
  const after = await entriesOf(1);
  expect(after).toMatchObject([{ _id: attempt, state: 'destroyed' }]);
  expect(after[0]).not.toHaveProperty('wrapped');
  expect((await world.moraine('keys', 'status')).exitCode).toBe(0);
  expect(await world.moraine(...RUN)).toMatchObject({ exitCode: 0 });
  expect(await world.collection('calls').countDocuments({})).toBe(0);
  expect((await world.moraine('audit', 'verify')).exitCode).toBe(0);
}, 120_000);

test('the second key store is lost: named, aligned from the first, and right again', async () => {
  const whole = await entriesOf(1);
  await keyStore(2).deleteMany({});
  const status = await world.moraine('keys', 'status', '--json');
  expect(status.json).toMatchObject({ behind: true, missing: [], onlyInOne: [expect.any(String)] });
  expect((await world.moraine('keys', 'align', '--json')).json).toEqual({ copied: 1, destroyed: 1 });
  expect((await world.moraine('keys', 'align', '--json')).json).toEqual({ copied: 0, destroyed: 0 });
  const ids = (entries: readonly Entry[]) => entries.map(({ _id, ...rest }) => [_id, rest['state'], rest['wrapped']]);
  expect(ids(await entriesOf(2))).toEqual(ids(whole));
  expect((await world.moraine('keys', 'status')).exitCode).toBe(0);
}, 60_000);

test('a key that is in no store: the archive that it opens is named', async () => {
  for (const at of [1, 2] as const) await keyStore(at).deleteMany({ state: 'kept' });
  const status = await world.moraine('keys', 'status', '--json');
  expect(status.exitCode).toBe(1);
  expect(status.json).toMatchObject({ behind: false, missing: [expect.any(String)] });
}, 60_000);
