/** Redis loses everything, goes away, or is set up wrongly. A Redis of the file's own, because it is flushed and stopped. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ensureServices, stopStack } from '../../infra/local-stack/index.ts';
import { enqueueRun } from '../../jobs/enqueue.ts';
import { openQueues, putJob, QUEUE_NAMES, type Queues } from '../../jobs/queues.ts';
import { connectRedis } from '../../jobs/redis.ts';
import {
  archivesOf,
  daemonOf,
  expectExactlyOnce,
  insertRecords,
  policyYaml,
  QUICK,
  recordingLog,
  until,
  untilCleared,
  withAddresses,
} from '../harness/daemons.ts';
import { testNames } from '../harness/stack.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { openWorld, type World } from '../harness/world.ts';

const names = testNames(import.meta.filename);
let world: World;
let stackDir: string;
let url: string;
let redis: Redis;
let serial = 0;
beforeAll(async () => {
  vi.stubEnv('MORAINE_REDIS_URL', '');
  stackDir = await mkdtemp(join(tmpdir(), 'moraine-jobs-redis-'));
  url = (await ensureServices({ services: ['redis'], stackDir, progress: () => undefined })).redis ?? '';
  vi.unstubAllEnvs();
  redis = new Redis(url, { maxRetriesPerRequest: null });
  world = await openWorld(names);
});
afterAll(async () => {
  redis.disconnect();
  await world.close();
  await stopStack({ stackDir });
  await rm(stackDir, { recursive: true, force: true });
});

async function scene(customers: number, each: number, schedule?: string) {
  serial += 1;
  const name = `r${serial}`;
  await insertRecords(world, name, customers, each);
  await world.publish(policyYaml(name, `${names.database}_data.${name}`, schedule));
  const prefix = `${names.prefix}-${serial}`;
  // Nothing was lost: the policies of the other tests, in the same ledger, are not swept again here.
  await redis.set(`${prefix}:watchdog`, '1');
  return { name, prefix, records: customers * each, queues: openQueues(redis, prefix) };
}

const schedulersOf = async (queues: Queues) =>
  (await Promise.all(QUEUE_NAMES.map((name) => queues[name].getJobSchedulers())))
    .flat()
    .map(({ key }) => key)
    .sort();

test('FLUSHALL mid-archive: schedules and lost jobs are put back, and every record is handled exactly once', async () => {
  const { name, prefix, records, queues } = await scene(4, 20);
  const slow = await TcpProxy.start(world.emulator.endpoint);
  slow.latencyMs = 100;
  const { log, lines } = recordingLog();
  const config = withAddresses(world.config, { redis: url, glacier: slow.url });
  const daemon = await daemonOf(config, prefix, { log, concurrency: 1 });
  await daemon.ready;
  const before = await schedulersOf(queues);
  expect(before).toEqual(expect.arrayContaining(['purge', 'reconcile', 'retrieve', `sweep-${name}`]));
  await enqueueRun(url, [name], { prefix, flush: true, by: 'person:test' });
  await until('an archive is stored', async () =>
    (await archivesOf(world, name)).some(({ stored }) => stored !== null),
  );
  await redis.flushall();
  await until('the schedulers are back', async () => (await schedulersOf(queues)).join() === before.join());
  const says = (what: string) => lines.filter(({ text }) => text === what).length;
  await until('it says so', async () => says('Schedules were put in place.') >= 2);
  await untilCleared(world, name, name);
  await expectExactlyOnce(world, name, name, records);
  await daemon.close();
  await slow.close();
});

test('FLUSHALL while no daemon runs: what was unfinished is finished by the next one', async () => {
  const { name, prefix, records, queues } = await scene(2, 20);
  const slow = await TcpProxy.start(world.emulator.endpoint);
  slow.latencyMs = 200;
  const first = await daemonOf(withAddresses(world.config, { redis: url, glacier: slow.url }), prefix);
  await enqueueRun(url, [name], { prefix, flush: true, by: 'person:test' });
  await until('bytes are on their way', async () => (await archivesOf(world, name)).some((a) => a.state === 'storing'));
  await first.close();
  await slow.close();
  await redis.flushall();
  const left = (await archivesOf(world, name)).filter(({ state }) => state !== 'cleared');
  expect(left.length).toBeGreaterThan(0);

  const second = await daemonOf(withAddresses(world.config, { redis: url }), prefix);
  await untilCleared(world, name, name);
  await expectExactlyOnce(world, name, name, records);
  await second.close();
  expect(await queues.archive.getFailedCount()).toBe(0);
});

test('obliterate takes the schedulers along: the watchdog puts them back', async () => {
  const { name, prefix, queues } = await scene(1, 1);
  const daemon = await daemonOf(withAddresses(world.config, { redis: url }), prefix);
  await daemon.ready;
  await queues.sweep.obliterate({ force: true });
  expect(await queues.sweep.getJobSchedulers()).toEqual([]);
  // `obliterate` pauses the queue and leaves it so when it is cut; a person resumes it.
  await queues.sweep.resume();
  await until('it is back', async () => (await schedulersOf(queues)).includes(`sweep-${name}`));
  await daemon.close();
});

test('Redis is away at the start, comes, goes and comes again: said once each time, and work goes on', async () => {
  const { name, prefix, records } = await scene(2, 10);
  const proxy = await TcpProxy.start(url);
  proxy.cut();
  const { log, lines } = recordingLog();
  const daemon = await daemonOf(withAddresses(world.config, { redis: proxy.url }), prefix, { log });
  proxy.restore();
  await daemon.ready;
  proxy.cut();
  await until('it is missed', async () => said(lines).length === 3);
  proxy.restore();
  await enqueueRun(url, [name], { prefix, flush: true, by: 'person:test' });
  await untilCleared(world, name, name, 40_000);
  await expectExactlyOnce(world, name, name, records);
  expect(said(lines)).toEqual(['error', 'info', 'error', 'info']);
  await daemon.close();
  await proxy.close();
});

const said = (lines: ReturnType<typeof recordingLog>['lines']) =>
  lines.filter(({ text }) => text.startsWith('Redis is')).map(({ level }) => level);

test('close with Redis down, idle or working: ends within its deadline', async () => {
  const { name, prefix } = await scene(2, 20);
  const deadlineMs = (QUICK.giveBackWithinMs ?? 0) + 2 * (QUICK.closeWithinMs ?? 0);
  for (const isWorking of [false, true]) {
    const proxy = await TcpProxy.start(url);
    const slow = await TcpProxy.start(world.emulator.endpoint);
    slow.latencyMs = 100;
    const config = withAddresses(world.config, { redis: proxy.url, glacier: slow.url });
    const daemon = await daemonOf(config, prefix, { margins: { giveBackWithinMs: 2_000 } });
    await daemon.ready;
    if (isWorking) {
      await enqueueRun(url, [name], { prefix, flush: true, by: 'person:test' });
      await until('it works', async () => (await archivesOf(world, name)).length > 0);
    }
    proxy.cut();
    const startedAt = Date.now();
    await daemon.close();
    expect(Date.now() - startedAt).toBeLessThan(deadlineMs);
    await slow.close();
  }
});

test('a Redis that is away fails a command at once, with REDIS_UNAVAILABLE', async () => {
  const proxy = await TcpProxy.start(url);
  proxy.cut();
  const startedAt = Date.now();
  const options = { prefix: names.prefix, by: 'person:test' };
  await expect(enqueueRun(proxy.url, ['any'], options)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
  expect(Date.now() - startedAt).toBeLessThan(5_000);
});

test('a Redis that may evict jobs is refused: by commands and by the daemon', async () => {
  const { prefix } = await scene(1, 1);
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
  try {
    await expect(connectRedis(url)).rejects.toMatchObject({ code: 'REDIS_EVICTS' });
    const daemon = daemonOf(withAddresses(world.config, { redis: url }), prefix);
    await expect(daemon).rejects.toMatchObject({ code: 'REDIS_EVICTS' });
  } finally {
    await redis.config('SET', 'maxmemory-policy', 'noeviction');
  }
});

test('an id put twice is one job; a finished or failed one does not stand in the way', async () => {
  const { prefix, queues } = await scene(1, 1);
  const data = { policy: 'nobody', flush: false, by: 'test' };
  const now = new Date();
  expect(await putJob(queues, 'sweep', data, now)).toBe(true);
  expect(await putJob(queues, 'sweep', data, now)).toBe(false);
  expect(await queues.sweep.getWaitingCount()).toBe(1);
  const daemon = await daemonOf(withAddresses(world.config, { redis: url }), prefix);
  await until('it failed: there is no such policy', async () => (await queues.sweep.getFailedCount()) === 1);
  const failed = await queues.sweep.getJob('sweep-nobody');
  expect(failed?.failedReason).toBe('POLICY_NOT_PUBLISHED policy=nobody');
  expect(await putJob(queues, 'sweep', data, new Date(), { unlessEndedWithinMs: 60_000 })).toBe(false);
  expect(await putJob(queues, 'sweep', data, new Date())).toBe(true);
  await until('it ran again', async () => {
    const again = await queues.sweep.getJob('sweep-nobody');
    return again !== undefined && again.timestamp !== failed?.timestamp && (await again.isFailed());
  });
  const done = await putJob(queues, 'retrieve', { by: 'test' }, new Date());
  await until('it completed', async () => (await queues.retrieve.getCompletedCount()) === 1);
  expect([done, await putJob(queues, 'retrieve', { by: 'test' }, new Date())]).toEqual([true, true]);
  await daemon.close();
});
