/** Jobs that a worker with a wrong clock has delayed for years go on; every other wait is left alone. */
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enqueueRun } from '../../jobs/enqueue.ts';
import { MARGINS } from '../../jobs/margins.ts';
import { promoteMisdated } from '../../jobs/misdated.ts';
import { openQueues, type Queues } from '../../jobs/queues.ts';
import { alignSchedulers, type Schedule } from '../../jobs/schedules.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import { knowSchedule } from '../../src/ledger/schedules.ts';
import {
  daemonOf,
  expectExactlyOnce,
  insertRecords,
  NEVER,
  policyYaml,
  QUIET,
  recordingLog,
  until,
  untilCleared,
  withAddresses,
} from '../harness/daemons.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { openWorld, type World } from '../harness/world.ts';

const HOUR_MS = 3_600_000;
const TEN_YEARS_MS = 10 * 365 * 24 * HOUR_MS;

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

function scene(): { readonly queues: Queues; readonly prefix: string } {
  serial += 1;
  const prefix = `${names.prefix}-${serial}`;
  return { prefix, queues: openQueues(redis, prefix) };
}

const clockAt = (offsetMs: number): Clock => ({ ...systemClock, now: () => new Date(Date.now() + offsetMs) });
const config = () => withAddresses(world.config, { redis: url });
const delay = (queues: Queues, archive: string, ms: number) =>
  queues.clear.add('clear', { archive }, { jobId: `archive-${archive}`, delay: ms });
const purges: Schedule = { act: 'purge', queue: 'purge', pattern: '0 0 1 * *', zone: 'UTC', policy: null };

test('only what is delayed beyond the longest delay goes on, and once', async () => {
  const { queues } = scene();
  await delay(queues, 'an-hour', HOUR_MS);
  await delay(queues, 'longest', MARGINS.longestDelayMs);
  await delay(queues, 'ten-years', TEN_YEARS_MS);
  await delay(queues, 'ten-years-too', TEN_YEARS_MS);
  const look = () => promoteMisdated(queues, redis, new Date(), MARGINS);
  const [one, other] = await Promise.all([look(), look()]);
  expect([...one, ...other].sort()).toEqual(['archive-ten-years', 'archive-ten-years-too']);
  const ids = async (state: 'waiting' | 'delayed') => (await queues.clear.getJobs([state])).map(({ id }) => id).sort();
  expect(await ids('waiting')).toEqual(['archive-ten-years', 'archive-ten-years-too']);
  expect(await ids('delayed')).toEqual(['archive-an-hour', 'archive-longest']);
  expect(await look()).toEqual([]);
});

test("a scheduler's next run stays, months away too; one that has started waits like any other job", async () => {
  const { queues, prefix } = scene();
  await alignSchedulers(queues, [{ ...purges, pattern: NEVER }]);
  const [next] = await queues.purge.getDelayed();
  if (next?.id === undefined) throw new Error('the scheduler has a next run');
  const months = new Date(Date.now() - MARGINS.longestDelayMs);
  expect(await promoteMisdated(queues, redis, months, MARGINS)).toEqual([]);
  expect(await next.getState()).toBe('delayed');

  await redis.zadd(queues.purge.toKey('delayed'), (Date.now() - HOUR_MS) * 0x1000, next.id);
  const worker = new Worker('purge', async () => null, { connection: redis, prefix, autorun: false });
  const taken = await worker.getNextJob('token', { block: false });
  expect(taken?.id).toBe(next.id);
  await taken?.moveToDelayed(Date.now() + TEN_YEARS_MS, 'token');
  expect(await queues.purge.getDelayedCount()).toBe(2);
  expect(await promoteMisdated(queues, redis, months, MARGINS)).toEqual([next.id]);
  expect((await queues.purge.getDelayed()).map(({ attemptsStarted }) => attemptsStarted)).toEqual([0]);
  await worker.close();
});

test('a daemon ten years ahead leaves a sweep for ten years; one whose clock is right goes on with it', async () => {
  const { queues, prefix } = scene();
  await insertRecords(world, 'ahead', 2, 5);
  await world.publish(policyYaml('ahead', `${names.database}_data.ahead`));
  await redis.set(`${prefix}:watchdog`, '1');
  const wrong = await daemonOf(config(), prefix, { clock: clockAt(TEN_YEARS_MS) });
  await enqueueRun(url, ['ahead'], { prefix, flush: true, by: 'person:test' });
  const misdated = async () =>
    (await queues.sweep.getDelayed()).find(
      ({ delay, repeatJobKey }) => repeatJobKey === undefined && delay > TEN_YEARS_MS - HOUR_MS,
    );
  await until('the sweep is misdated', async () => (await misdated()) !== undefined);
  await wrong.close();

  const job = (await misdated())?.id;
  const { log, lines } = recordingLog();
  const right = await daemonOf(config(), prefix, { log });
  await untilCleared(world, 'ahead', 'ahead');
  await right.close();
  await expectExactlyOnce(world, 'ahead', 'ahead', 10);
  const said = lines.filter(({ level, text }) => level === 'warn' && text.startsWith('Jobs were delayed'));
  expect(said.map(({ ids }) => ids)).toEqual([{ jobs: [job], count: 1 }]);
});

test('a daemon ten years ahead makes up for no runs: by its clock every schedule has come round again', async () => {
  const { queues, prefix } = scene();
  const retrieve: Schedule = { ...purges, act: 'retrieve', queue: 'retrieve' };
  await knowSchedule(world.app.context().store, retrieve.act, retrieve, new Date());
  await alignSchedulers(queues, [retrieve]);
  const [next] = await queues.retrieve.getDelayed();
  // BullMQ reads the system's clock: where that is ahead, this is what it leaves.
  await redis.hset(queues.retrieve.toKey(next?.id ?? ''), 'delay', 2 * TEN_YEARS_MS);
  const schedules = { ...QUIET, retrieve: retrieve.pattern };
  const wrong = await daemonOf(config(), prefix, { clock: clockAt(TEN_YEARS_MS), schedules });
  await wrong.ready;
  await wrong.close();
  expect(await queues.retrieve.getJob('retrieve')).toBe(undefined);
});

test('a daemon that is ten years behind lets nothing go on: every wait is too long for it', async () => {
  const { queues, prefix } = scene();
  await delay(queues, 'an-hour', HOUR_MS);
  const { log, lines } = recordingLog();
  const wrong = await daemonOf(config(), prefix, { clock: clockAt(-TEN_YEARS_MS), log });
  await wrong.ready;
  expect(lines.map(({ ids }) => ids['code'])).toContain('CLOCK_DISAGREES');
  const job = await queues.clear.getJob('archive-an-hour');
  // One that was let go would have been taken, and put off again because of the clock.
  expect([await job?.getState(), job?.attemptsStarted]).toEqual(['delayed', 0]);
  expect((await queues.purge.getJobSchedulers()).map(({ key }) => key)).toEqual(['purge']);
  await wrong.close();
});
