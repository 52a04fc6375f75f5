/**
 * A retrieval of 1,000 records out of 200 archives that survives kills: SIGKILL while it asks, while it waits and while
 * it fetches, with a service that throttles and loses replies. Every record comes back byte for byte, out of the fetched
 * files, and no archive is asked for more than once beyond the calls that a kill may have cut.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListJobsCommand, ListVaultsCommand } from '@aws-sdk/client-glacier';
import { BSON } from 'bson';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const CHECKOUT = resolve(import.meta.dirname, '../..');
const NODE = join(CHECKOUT, 'node_modules/.bin/node');
const ENTRY = join(CHECKOUT, 'src/cli/moraine.ts');
const QUICK = join(CHECKOUT, 'test/harness/quick-waits.ts');
const ARCHIVES = 200;
const RECORDS = 1_000;
const DAY_MS = 86_400_000;
/** Calls that are under way when a process is killed: what one pass has at once. */
const CALLS_AT_ONCE = 8;
const NOW = ['--as-of', '2024-06-01'];

let world: CliWorld;
/** Raw bytes in hex, by id. */
const originals = new Map<string, string>();

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({ more: 'retrievals: { folder: fetched, inFlight: 120 }' });
  const calls = world.collection('calls');
  await calls.createIndex({ tenant: 1, at: 1, _id: 1 });
  const records = Array.from({ length: RECORDS }, (_, n) => ({
    _id: `call-${n}`,
    tenant: 'north',
    // Five every other day: a due window of a day makes an archive of each five.
    at: new Date(Date.UTC(2021, 0, 1) + Math.floor(n / 5) * 2 * DAY_MS + (n % 5) * 1_000),
    note: 'é'.repeat(n % 40),
    of: { 10: n, 2: [n, null, 1.5] },
  }));
  for (const record of records) originals.set(record._id, hex(BSON.serialize(record)));
  await calls.insertMany(records as never[]);
  world.writePolicy(
    'calls',
    `policy: calls
zone: UTC
dataset: { collection: ${world.namespace('calls')}, owner: { value: acme }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 1 day }
limits: { records: 100000, share: 1.0 }
`,
  );
  expect((await world.moraine('policy', 'publish', '--yes', ...NOW)).exitCode).toBe(0);
  const run = await execa(NODE, [ENTRY, 'run', 'calls', '--flush', '--json', ...NOW], { cwd: world.folder });
  expect(JSON.parse(run.stdout)).toMatchObject({ policies: [{ totals: { archived: RECORDS, deleted: RECORDS } }] });
}, 120_000);
afterAll(() => world.close());

function start(...args: readonly string[]) {
  return execa(NODE, ['--import', QUICK, ENTRY, ...args], { cwd: world.folder, reject: false, stdin: 'ignore' });
}

const ledger = () => world.client.db(`${names.database}_ledger`);
const counted = async (...states: readonly string[]) =>
  await ledger()
    .collection('retrievals')
    .countDocuments({ state: { $in: states } });

/** Kills it as soon as `isTime`; a process that ended before would make the test prove nothing. */
async function killWhen(running: ReturnType<typeof start>, isTime: () => Promise<boolean>): Promise<void> {
  let hasEnded = false;
  void running.then(() => {
    hasEnded = true;
  });
  while (!(await isTime())) {
    if (hasEnded) throw new Error(`It ended before it was killed: ${(await running).stderr}`);
    await sleep(5);
  }
  running.kill('SIGKILL');
  expect((await running).signal).toBe('SIGKILL');
}

async function jobsByArchive(): Promise<ReadonlyMap<string, number>> {
  const client = world.emulator.client();
  const jobs = new Map<string, number>();
  const { VaultList = [] } = await client.send(new ListVaultsCommand({ accountId: '-' }));
  for (const { VaultName: vaultName } of VaultList) {
    for (let marker: string | undefined; ; ) {
      const page = await client.send(new ListJobsCommand({ accountId: '-', vaultName, ...(marker ? { marker } : {}) }));
      for (const { Action, ArchiveId } of page.JobList ?? [])
        if (Action === 'ArchiveRetrieval') jobs.set(ArchiveId ?? '', (jobs.get(ArchiveId ?? '') ?? 0) + 1);
      if (!page.Marker) break;
      marker = page.Marker;
    }
  }
  return jobs;
}

test('1,000 records out of 200 archives: killed while asking, waiting and fetching, throttled, replies lost; all come back', async () => {
  let kills = 0;
  const kill = async (running: ReturnType<typeof start>, isTime: () => Promise<boolean>) => {
    await killWhen(running, isTime);
    kills += 1;
  };
  const asked = ['asking', 'requested'];
  await world.emulator.fault('throttle', 'InitiateJob', 2);
  const select = ['--owner', 'acme', '--tier', 'bulk', '--identity', world.identity, '--reason', 'drill', '--yes'];
  await kill(start('retrieve', ...select, '--wait'), async () => (await counted(...asked)) >= 30);
  const order = await ledger().collection('retrievalOrders').findOne({ state: 'open' });
  expect(order).toMatchObject({ archives: ARCHIVES, tier: 'bulk' });
  const goOn = () => start('retrieve', 'follow', String(order?._id));

  // Throttled, and with replies lost, while it asks for more.
  await world.emulator.fault('throttle', 'InitiateJob', 3);
  await world.emulator.fault('lost-reply', 'InitiateJob', 2);
  await kill(goOn(), async () => (await counted(...asked)) >= 80);
  // No more than may be in flight; then there is nothing to do but wait.
  await kill(goOn(), async () => (await counted('requested')) === 120);
  expect(await counted('wanted')).toBe(ARCHIVES - 120);

  await world.emulator.advance('PT13H');
  await kill(goOn(), async () => (await counted('fetched')) >= 20);
  await world.emulator.fault('throttle', 'GetJobOutput', 2);
  await kill(goOn(), async () => (await counted('fetched')) >= 70);
  const last = goOn();
  await expect.poll(() => counted('wanted', 'asking'), { timeout: 60_000 }).toBe(0);
  await world.emulator.advance('PT13H');
  const { exitCode, stderr, stdout } = await last;
  expect({ exitCode, stderr }, stdout).toMatchObject({ exitCode: 0 });
  expect(kills).toBe(5);
  expect(await counted('fetched')).toBe(ARCHIVES);

  const jobs = await jobsByArchive();
  const again = [...jobs.values()].map((count) => count - 1);
  expect(jobs.size).toBe(ARCHIVES);
  expect(Math.max(...again)).toBeLessThanOrEqual(1);
  expect(again.reduce((sum, more) => sum + more, 0)).toBeLessThanOrEqual(kills * CALLS_AT_ONCE);

  const folder = join(world.folder, 'fetched');
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(readdirSync(folder).filter((name) => name.endsWith('.archive'))).toHaveLength(ARCHIVES);
  // The vault has dropped its outputs: what comes back comes out of the folder.
  await world.emulator.advance('P3D');
  const archives = await ledger().collection<{ _id: string }>('archives').find().toArray();
  const ids = archives.map(({ _id }) => _id);
  const restored = await start('restore', ...ids, '--identity', world.identity, '--out', 'back', '--json');
  expect(restored.stderr).toBe('');
  expect(restored.exitCode).toBe(0);
  expect(restoredRecords()).toEqual(originals);
  expect(readdirSync(folder).filter((name) => name.endsWith('.archive'))).toEqual([]);
  expect(await counted('read')).toBe(ARCHIVES);
  await start('retrieve', 'list');
  expect(await ledger().collection('retrievalOrders').findOne({})).toMatchObject({ state: 'done' });
}, 180_000);

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function restoredRecords(): ReadonlyMap<string, string> {
  const bytes = readFileSync(join(world.folder, 'back', `${names.database}_data`, 'calls.bson'));
  const found = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const raw = bytes.subarray(at, at + bytes.readInt32LE(at));
    found.set(String(BSON.deserialize(raw)['_id']), hex(raw));
    at += raw.length;
  }
  return found;
}
