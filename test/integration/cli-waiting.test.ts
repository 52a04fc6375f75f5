/** What takes time through the real command line: inventories, signals, the queue, two policies of which one fails. */
import { Queue } from 'bullmq';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { queuePrefix } from '../../jobs/queues.ts';
import { connectRedis } from '../../jobs/redis.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const AS_OF = ['--as-of', '2024-06-01'];
const TENANTS = 12;

function policy(name: string, verify: string): string {
  return `
policy: ${name}
zone: UTC
dataset: { collection: ${world.namespace(name)}, owner: { value: acme }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 7 years, vault: cold, verify: ${verify} }
limits: { records: 100000, share: 1.0 }
`;
}

beforeAll(async () => {
  world = await openCliWorld(names);
  for (const name of ['slow', 'quick']) {
    await world.collection(name).createIndex({ tenant: 1, at: 1, _id: 1 });
    world.writePolicy(name, policy(name, name === 'slow' ? 'inventory' : 'checksum'));
  }
  await world.collection('slow').insertOne({ _id: 1, tenant: 'north', at: new Date('2022-01-01') } as never);
  await world.collection('quick').insertMany(
    Array.from({ length: TENANTS * 50 }, (_, n) => ({
      _id: n,
      tenant: `t${n % TENANTS}`,
      at: new Date(Date.UTC(2022, 0, 1 + (n % 28))),
      text: 'x'.repeat(2_000),
    })) as never[],
  );
  expect(await world.moraine('policy', 'publish', '--yes', ...AS_OF)).toMatchObject({ exitCode: 0 });
});
afterAll(async () => {
  await world.close();
});

test('run with an inventory to wait for: exit 0, stored, until when is said; run again takes it; then it is cleared', async () => {
  const first = await world.moraine('run', 'slow', '--flush', '--json', ...AS_OF);
  expect(first.exitCode).toBe(0);
  expect(first.json).toMatchObject({
    policies: [{ archives: [{ state: 'stored', records: 1 }], totals: { archived: 1, deleted: 0, pending: 1 } }],
    // A vault that never had an inventory does not say when the first will be there.
    waiting: { until: null },
  });
  expect(await world.collection('slow').countDocuments()).toBe(1);
  const text = await world.moraine('run', 'slow', ...AS_OF);
  expect(text.stdout).toContain('wait for an inventory of their vault, expected within a day');
  for (let day = 0; day < 6 && (await world.collection('slow').countDocuments()) > 0; day++) {
    await world.emulator.advance('P1D');
    expect(await world.moraine('run', 'slow', ...AS_OF)).toMatchObject({ exitCode: 0 });
  }
  expect(await world.collection('slow').countDocuments()).toBe(0);
  expect((await world.moraine('archives', '--policy', 'slow', '--json')).json).toMatchObject([{ state: 'cleared' }]);
});

test('run --wait: waits until the inventory is there and the archive is cleared', async () => {
  await world.collection('slow').insertOne({ _id: 2, tenant: 'north', at: new Date('2022-01-02') } as never);
  const running = world.start('run', 'slow', '--flush', '--wait', '--json', ...AS_OF);
  const clock = setInterval(() => void world.emulator.advance('PT12H'), 1_000);
  const { exitCode, stdout } = await running;
  clearInterval(clock);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    policies: [{ archives: [{ state: 'cleared' }], totals: { archived: 1, deleted: 1, pending: 0 } }],
    waiting: null,
  });
  expect(await world.collection('slow').countDocuments()).toBe(0);
}, 90_000);

test('one policy without its index never stops the next: exit 2, the other is run', async () => {
  await world.collection('slow').dropIndexes();
  const { exitCode, json } = await world.moraine('run', 'slow', 'quick', '--json', ...AS_OF);
  expect(exitCode).toBe(2);
  expect(json).toMatchObject({
    policies: [
      { policy: 'slow', archives: [], error: { code: 'INDEX_MISSING' } },
      { policy: 'quick', totals: { selected: TENANTS * 50 } },
    ],
  });
  expect(await world.collection('quick').countDocuments()).toBe(0);
});

test('SIGINT in the middle: the run stops cleanly, says what it did, and the next one goes on to the end', async () => {
  await world.collection('slow').createIndex({ tenant: 1, at: 1, _id: 1 });
  const records = Array.from({ length: TENANTS * 50 }, (_, n) => ({
    _id: 10_000 + n,
    tenant: `u${n % TENANTS}`,
    at: new Date(Date.UTC(2022, 0, 1 + (n % 28))),
    text: 'x'.repeat(2_000),
  }));
  await world.collection('quick').insertMany(records as never[]);
  const running = world.start('run', 'quick', '--flush', '--json', ...AS_OF);
  const ended = running.then((result) => result);
  while ((await world.collection('quick').countDocuments()) === records.length)
    await new Promise((next) => setTimeout(next, 20));
  running.kill('SIGINT');
  const { exitCode, stdout, stderr } = await ended;
  expect(stderr).toContain('SIGINT: stopping at the next safe point');
  const left = await world.collection('quick').countDocuments();
  // It may have been done before it looked; then nothing is left.
  if (exitCode === 1) {
    expect(JSON.parse(stdout)).toMatchObject({
      error: {
        code: 'WORK_STOPPED',
        changed: expect.stringMatching(/(Before it stopped: .+|Nothing was finished .+) settled by the next run/),
      },
    });
  } else expect({ exitCode, left }).toEqual({ exitCode: 0, left: 0 });
  expect(await world.moraine('run', 'quick', '--flush', ...AS_OF)).toMatchObject({ exitCode: 0 });
  expect(await world.collection('quick').countDocuments()).toBe(0);
  const { json } = await world.moraine('archives', '--policy', 'quick', '--json');
  expect(Array.isArray(json) ? json.map(({ state }) => state) : []).toEqual(
    expect.not.arrayContaining(['planned', 'storing', 'stored', 'verified']),
  );
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
});

test('run --queue: hands one job a policy to the daemon, the same again is one job', async () => {
  const { exitCode, json } = await world.moraine('run', 'quick', '--queue', '--json');
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({ queued: [expect.any(String)] });
  expect(await world.moraine('run', 'quick', '--queue')).toMatchObject({ exitCode: 0 });
  const { installation } = JSON.parse((await world.moraine('status', '--json')).stdout);
  const redis = await connectRedis(stackUrls().redis);
  const queue = new Queue('sweep', { connection: redis, prefix: queuePrefix(installation.id) });
  expect(await queue.getWaitingCount()).toBe(1);
  await queue.obliterate({ force: true });
  await queue.close();
  redis.disconnect();
});

test('reconcile --all --source: every vault is asked; a deleted record that came back is reported with 3', async () => {
  await world.collection('slow').insertOne({ _id: 1, tenant: 'north', at: new Date('2022-01-01') } as never);
  const { exitCode, json } = await world.moraine('reconcile', '--all', '--source', '--json', ...AS_OF);
  expect(exitCode).toBe(3);
  expect(json).toMatchObject({ reappeared: [{ namespace: world.namespace('slow'), records: 1 }] });
});
