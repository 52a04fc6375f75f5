/** Jobs of what is paused wait until it is resumed, without looking again and again; then they go on at the next look. */
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enqueueRun } from '../../jobs/enqueue.ts';
import { notePausedIn, releaseResumed } from '../../jobs/paused.ts';
import { openQueues, type Queues } from '../../jobs/queues.ts';
import { pause, resume } from '../../src/lifecycle/pause.ts';
import { daemonOf, expectExactlyOnce, insertRecords, policyYaml, until, untilCleared } from '../harness/daemons.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { openWorld, type World } from '../harness/world.ts';

const BECAUSE = { by: 'person:test', reason: 'look first' };
const HOUR_MS = 3_600_000;

const names = testNames(import.meta.filename);
const url = stackUrls().redis;
let world: World;
let redis: Redis;
let serial = 0;
beforeAll(async () => {
  world = await openWorld(names);
  redis = new Redis(url, { maxRetriesPerRequest: null });
});
afterAll(async () => {
  redis.disconnect();
  await world.close();
});

function scene() {
  serial += 1;
  const prefix = `${names.prefix}-${serial}`;
  const queues = openQueues(redis, prefix);
  return { prefix, queues, note: notePausedIn(redis, queues), key: `${prefix}:paused` };
}

const delayed = (queues: Queues, archive: string) =>
  queues.clear.add('clear', { archive }, { jobId: `archive-${archive}`, delay: HOUR_MS });
const waiting = async (queues: Queues) => (await queues.clear.getJobs(['waiting'])).map(({ id }) => id).sort();

test('only jobs whose pause is over go on, once; what is noted of the others stays', async () => {
  const { queues, note, key } = scene();
  const context = world.app.context();
  const chats = await pause(context, { what: 'policy', name: 'chats' }, BECAUSE);
  const calls = await pause(context, { what: 'policy', name: 'calls' }, BECAUSE);
  for (const archive of ['a', 'b', 'c', 'unnoted']) await delayed(queues, archive);
  await note('clear', 'archive-a', chats._id);
  await note('clear', 'archive-b', chats._id);
  await note('clear', 'archive-c', calls._id);
  await note('clear', 'archive-that-is-gone', chats._id);
  const look = () => releaseResumed(world.app.store, redis, queues);
  expect(await look()).toEqual([]);
  await resume(context, { what: 'policy', name: 'chats' }, BECAUSE);
  const [one, other] = await Promise.all([look(), look()]);
  expect([...new Set([...one, ...other])].sort()).toEqual(['archive-a', 'archive-b']);
  expect(await waiting(queues)).toEqual(['archive-a', 'archive-b']);
  expect(await redis.hkeys(key)).toEqual(['clear archive-c']);
  expect(await look()).toEqual([]);
  await resume(context, { what: 'policy', name: 'calls' }, BECAUSE);
  expect(await look()).toEqual(['archive-c']);
  expect(await redis.exists(key)).toBe(0);
});

test('a job that is in the hands of a worker when the pause ends is let go on by the next look', async () => {
  const { queues, note, key } = scene();
  await queues.clear.add('clear', { archive: 'x' }, { jobId: 'archive-x' });
  const prefix = String(queues.clear.opts.prefix);
  const worker = new Worker('clear', async () => null, { connection: redis, prefix, autorun: false });
  const job = await worker.getNextJob('token', { block: false });
  await note('clear', 'archive-x', 'pause-that-is-over');
  expect(await releaseResumed(world.app.store, redis, queues)).toEqual([]);
  expect(await redis.hkeys(key)).toEqual(['clear archive-x']);
  await job?.moveToDelayed(Date.now() + HOUR_MS, 'token');
  expect(await releaseResumed(world.app.store, redis, queues)).toEqual(['archive-x']);
  await worker.close();
});

test('a daemon: a paused partition is looked at once and waits; resumed, it is archived within looks of the watchdog', async () => {
  const { prefix, queues, key } = scene();
  const name = 'paused';
  await insertRecords(world, name, 1, 5);
  await world.publish(policyYaml(name, `${names.database}_data.${name}`));
  await redis.set(`${prefix}:watchdog`, '1');
  // Swept before the pause: its job is there and meets the pause.
  const daemon = await daemonOf(world.config, prefix, { margins: { watchdogEveryMs: 500 } });
  await Promise.all(Object.values(queues).map((queue) => queue.pause()));
  await enqueueRun(url, [name], { prefix, flush: true, by: 'person:test' });
  await queues.sweep.resume();
  await until('it is swept', async () => (await queues.sweep.getCompletedCount()) === 1);
  const target = { what: 'policy', name } as const;
  await pause(world.app.context(), target, BECAUSE);
  await queues.archive.resume();
  await until('its job waits', async () => (await queues.archive.getDelayedCount()) === 1);
  expect(await redis.hlen(key)).toBe(1);
  const [job] = await queues.archive.getDelayed();
  expect(job?.delay ?? 0).toBeGreaterThan(0);
  const begun = job?.attemptsStarted ?? 0;
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect((await queues.archive.getDelayed()).map(({ attemptsStarted }) => attemptsStarted)).toEqual([begun]);
  await resume(world.app.context(), target, BECAUSE);
  await untilCleared(world, name, name);
  await expectExactlyOnce(world, name, name, 5);
  await daemon.close();
});
