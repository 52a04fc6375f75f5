/** Daemons as processes: killed, told to stop, and started from the command line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { serialize } from 'node:v8';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enqueueRun } from '../../jobs/enqueue.ts';
import { openQueues } from '../../jobs/queues.ts';
import type { Config } from '../../src/config.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import {
  archivesOf,
  daemonOf,
  expectExactlyOnce,
  insertRecords,
  policyYaml,
  QUICK,
  QUIET,
  until,
  untilCleared,
  withAddresses,
} from '../harness/daemons.ts';
import { dropKeys } from '../harness/drop-names.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { openWorld, type World } from '../harness/world.ts';

const MAIN = new URL('./jobs-daemon-process.ts', import.meta.url).pathname;
/** A lock that ends soon after its holder was killed, and a watchdog that leaves the job to the queue. */
const MARGINS = { ...QUICK, lockMs: 600, stalledEveryMs: 200, watchdogEveryMs: 60_000 };

const names = testNames(import.meta.filename);
const urls = stackUrls();
let world: World;
let redis: Redis;
const children: ChildProcess[] = [];
beforeAll(async () => {
  world = await openWorld(names);
  redis = new Redis(urls.redis, { maxRetriesPerRequest: null });
});
afterAll(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  redis.disconnect();
  await world.close();
});

async function startChild(config: Config, prefix: string): Promise<ChildProcess> {
  const argument = serialize({ config, prefix, margins: MARGINS, schedules: QUIET }).toString('base64');
  const child = spawn(process.execPath, [MAIN, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
  return child.exitCode;
}

test('SIGKILL, twice, mid-archive: the job is not failed for good, and a third worker finishes it', async () => {
  const prefix = `${names.prefix}-kill`;
  const queues = openQueues(redis, prefix);
  await insertRecords(world, 'kill', 1, 30);
  await world.publish(policyYaml('kill', `${names.database}_data.kill`));
  const slow = await TcpProxy.start(world.emulator.endpoint);
  slow.latencyMs = 60_000;
  const config = withAddresses(world.config, { glacier: slow.url });
  await enqueueRun(urls.redis, ['kill'], { prefix, flush: true, by: 'person:test' });
  for (const kill of [1, 2]) {
    const child = await startChild(config, prefix);
    await until(`worker ${kill} has the job`, async () =>
      (await queues.archive.getActive()).some(({ attemptsStarted }) => attemptsStarted >= kill),
    );
    await until('it is at work', async () => (await archivesOf(world, 'kill')).some(({ lease }) => lease !== null));
    await end(child, 'SIGKILL');
    // Its lease would end by itself after minutes; what is tested here is the queue.
    await world.client
      .db(`${names.database}_ledger`)
      .collection('archives')
      .updateMany({ lease: { $ne: null } }, { $set: { 'lease.until': new Date(0) } });
  }
  const third = await daemonOf(world.config, prefix, { margins: MARGINS });
  await untilCleared(world, 'kill', 'kill');
  await until('the job is done', async () => (await queues.archive.getCompletedCount()) === 1);
  const [job] = await queues.archive.getCompleted();
  expect(job?.stalledCounter).toBe(2);
  expect(await queues.archive.getFailedCount()).toBe(0);
  await expectExactlyOnce(world, 'kill', 'kill', 30);
  await third.close();
  await slow.close();
});

test('SIGTERM mid-archive: the process ends by itself with its work given back, and another finishes it', async () => {
  const prefix = `${names.prefix}-term`;
  const queues = openQueues(redis, prefix);
  await insertRecords(world, 'term', 3, 20);
  await world.publish(policyYaml('term', `${names.database}_data.term`));
  const slow = await TcpProxy.start(world.emulator.endpoint);
  slow.latencyMs = 200;
  const child = await startChild(withAddresses(world.config, { glacier: slow.url }), prefix);
  await enqueueRun(urls.redis, ['term'], { prefix, flush: true, by: 'person:test' });
  await until('bytes are on their way', async () =>
    (await archivesOf(world, 'term')).some((a) => a.state === 'storing'),
  );
  expect(await end(child, 'SIGTERM')).toBe(0);
  expect(await queues.archive.getActiveCount()).toBe(0);
  expect(await queues.archive.getWaitingCount()).toBeGreaterThan(0);
  expect((await archivesOf(world, 'term')).every(({ lease }) => lease === null)).toBe(true);
  const second = await daemonOf(world.config, prefix);
  await untilCleared(world, 'term', 'term');
  await expectExactlyOnce(world, 'term', 'term', 60);
  await second.close();
  await slow.close();
});

test('moraine worker and run --queue, end to end: it serves, works, shows it, and ends on SIGTERM', async () => {
  const cli: CliWorld = await openCliWorld({ ...names, database: `${names.database}_cli` });
  cli.writePolicy('calls', policyYaml('calls', cli.namespace('calls')));
  const calls = cli.collection('calls');
  await calls.createIndex({ owner: 1, tenant: 1, createdAt: 1, _id: 1 });
  await calls.insertMany(
    Array.from({ length: 12 }, (_, n) => ({
      n,
      owner: 'acme',
      tenant: `t${n % 2}`,
      createdAt: new Date('2020-01-01'),
    })),
  );
  expect((await cli.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  const worker = cli.start('worker', '--json', '--concurrency', '2');
  const [printed] = await once(worker.stdout, 'data');
  let text = String(printed);
  while (!text.trimEnd().endsWith('}')) text += String((await once(worker.stdout, 'data'))[0]);
  const served: unknown = JSON.parse(text);
  if (!isServed(served)) throw new Error(text);
  expect((await fetch(new URL('/metrics', served.dashboard))).status).toBe(200);

  const queued = await cli.moraine('run', '--queue', '--flush', '--json');
  expect([queued.exitCode, queued.json]).toMatchObject([0, { queued: [expect.stringContaining('sweep-')] }]);
  await until('all records are gone from the source', async () => (await calls.countDocuments()) === 0);
  worker.kill('SIGTERM');
  const { exitCode, stderr } = await worker;
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('The daemon has stopped')]);
  expect((await cli.moraine('worker', '--as-of', '2030-01-01')).exitCode).toBe(2);
  expect((await cli.moraine('worker', '--concurrency', '0')).exitCode).toBe(2);
  await dropKeys(urls.redis, `moraine-${served.installation}`);
  await cli.close();
});

function isServed(value: unknown): value is { readonly installation: string; readonly dashboard: string } {
  return typeof value === 'object' && value !== null && 'installation' in value && 'dashboard' in value;
}
