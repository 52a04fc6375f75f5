/** Schedules on real Redis: kept equal to the policies in force, and runs that were missed in any way are made up for. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MARGINS } from '../../jobs/margins.ts';
import { openQueues, type Queues } from '../../jobs/queues.ts';
import { alignSchedulers, catchUp, type Schedule, schedulesNow } from '../../jobs/schedules.ts';
import { rememberScheduledRun } from '../../src/ledger/schedules.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { policyYaml, QUIET } from '../harness/daemons.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { openWorld, type World } from '../harness/world.ts';

const names = testNames(import.meta.filename);
let world: World;
let redis: Redis;
let serial = 0;
beforeAll(async () => {
  world = await openWorld(names);
  redis = new Redis(stackUrls().redis, { maxRetriesPerRequest: null });
});
afterAll(async () => {
  redis.disconnect();
  await world.close();
});

function scene(): { readonly queues: Queues; readonly prefix: string; readonly policy: string } {
  serial += 1;
  const prefix = `${names.prefix}-${serial}`;
  return { prefix, queues: openQueues(redis, prefix), policy: `s${serial}` };
}

const daily = (policy: string, pattern = '0 2 * * *'): Schedule => ({
  act: `sweep-${policy}`,
  queue: 'sweep',
  pattern,
  zone: 'Europe/Amsterdam',
  policy,
});

/** A context whose clock stands at `now`. */
const at = (now: string): Context => {
  const context = world.app.context();
  return { ...context, clock: { ...context.clock, now: () => new Date(now) } };
};

const onlyJob = async (queues: Queues) => {
  const [job, ...more] = await queues.sweep.getJobs(['waiting', 'delayed']);
  expect(more).toEqual([]);
  if (job === undefined) throw new Error('there is no job');
  return job;
};

/** BullMQ keeps delayed jobs by time * 4096. */
const makeOverdue = async (prefix: string, job: string) =>
  redis.zadd(`${prefix}:sweep:delayed`, (Date.now() - 3_600_000) * 4096, job);

test('trap: to write a scheduler again drops its overdue run; we leave one alone that is right', async () => {
  const { prefix, queues, policy } = scene();
  const schedule = daily(policy);
  expect(await alignSchedulers(queues, [schedule])).toEqual([schedule.act]);
  const overdue = await onlyJob(queues);
  await makeOverdue(prefix, overdue.id ?? '');
  expect(await alignSchedulers(queues, [schedule])).toEqual([]);
  const score = Number(await redis.zscore(`${prefix}:sweep:delayed`, overdue.id ?? ''));
  expect(score / 4096).toBeLessThan(Date.now());

  await queues.sweep.upsertJobScheduler(schedule.act, { pattern: schedule.pattern, tz: schedule.zone });
  const dropped = Number(await redis.zscore(`${prefix}:sweep:delayed`, (await onlyJob(queues)).id ?? ''));
  expect(dropped / 4096).toBeGreaterThan(Date.now());
});

test('a run that was missed while nothing ran: one job, however many were missed, and none when it has run', async () => {
  const { queues, policy } = scene();
  const schedules = [daily(policy)];
  // First seen in the middle of a day: nothing is owed for the time before.
  expect(await catchUp(at('2026-03-01T12:00:00Z'), queues, schedules, MARGINS)).toEqual([]);
  expect(await catchUp(at('2026-03-02T00:59:00Z'), queues, schedules, MARGINS)).toEqual([]);
  // Due at 02:00 in Amsterdam, 01:00 UTC; within the margin the queue may still be about to start it.
  expect(await catchUp(at('2026-03-02T01:00:30Z'), queues, schedules, MARGINS)).toEqual([]);
  expect(await catchUp(at('2026-03-05T12:00:00Z'), queues, schedules, MARGINS)).toEqual([`sweep-${policy}`]);
  const job = await onlyJob(queues);
  expect(job.data).toEqual({ policy, flush: false, by: 'watchdog' });
  expect(await catchUp(at('2026-03-05T12:01:00Z'), queues, schedules, MARGINS)).toEqual([]);
  await job.remove();
  await rememberScheduledRun(world.app.store, `sweep-${policy}`, new Date('2026-03-05T12:00:10Z'));
  expect(await catchUp(at('2026-03-05T12:02:00Z'), queues, schedules, MARGINS)).toEqual([]);
  expect(await catchUp(at('2026-03-06T12:00:00Z'), queues, schedules, MARGINS)).toEqual([`sweep-${policy}`]);
});

test('a run by a daemon ten years ahead does not say for ten years that nothing is missed', async () => {
  const { queues, policy } = scene();
  const schedules = [daily(policy)];
  const inDays = (days: number) => new Date(Date.now() + days * 24 * 3_600_000);
  expect(await catchUp(at(inDays(-2).toISOString()), queues, schedules, MARGINS)).toEqual([]);
  await rememberScheduledRun(world.app.store, `sweep-${policy}`, inDays(3_650));
  expect(await catchUp(at(new Date().toISOString()), queues, schedules, MARGINS)).toEqual([]);
  expect(await catchUp(at(inDays(2).toISOString()), queues, schedules, MARGINS)).toEqual([`sweep-${policy}`]);
});

test('a changed schedule replaces the old one and owes nothing for the time before', async () => {
  const { queues, policy } = scene();
  await alignSchedulers(queues, [daily(policy)]);
  expect(await catchUp(at('2026-03-01T12:00:00Z'), queues, [daily(policy)], MARGINS)).toEqual([]);
  const changed = daily(policy, '0 5 * * *');
  expect(await alignSchedulers(queues, [changed])).toEqual([changed.act]);
  expect((await queues.sweep.getJobSchedulers()).map(({ key, pattern }) => [key, pattern])).toEqual([
    [changed.act, '0 5 * * *'],
  ]);
  await onlyJob(queues);
  // 05:00 of this day lies before the change.
  expect(await catchUp(at('2026-03-02T12:00:00Z'), queues, [changed], MARGINS)).toEqual([]);
  expect(await catchUp(at('2026-03-03T12:00:00Z'), queues, [changed], MARGINS)).toEqual([changed.act]);
});

test('a chain that ended (its next job is gone) begins anew', async () => {
  const { queues, policy } = scene();
  const schedule = daily(policy);
  await alignSchedulers(queues, [schedule]);
  const job = await onlyJob(queues);
  await redis.del(queues.sweep.toKey(job.id ?? ''));
  await redis.zrem(queues.sweep.toKey('delayed'), job.id ?? '');
  expect(await queues.sweep.getJobSchedulers()).toHaveLength(1);
  expect(await alignSchedulers(queues, [schedule])).toEqual([schedule.act]);
  await onlyJob(queues);
});

test('schedules follow the policies in force: published, changed, and taken out of the calendar', async () => {
  const { queues, policy } = scene();
  const publish = (schedule: string) => world.publish(policyYaml(policy, `${names.database}_data.${policy}`, schedule));
  const align = async () => await alignSchedulers(queues, await schedulesNow(world.app.context(), QUIET));
  const patterns = async () =>
    Object.fromEntries((await queues.sweep.getJobSchedulers()).map(({ key, pattern }) => [key, pattern]));
  await publish('0 2 * * *');
  await align();
  expect(await patterns()).toEqual({ [`sweep-${policy}`]: '0 2 * * *' });
  await publish('30 3 * * 1');
  expect(await align()).toEqual([`sweep-${policy}`]);
  expect(await patterns()).toEqual({ [`sweep-${policy}`]: '30 3 * * 1' });
  await world.publish(policyYaml(policy, `${names.database}_data.${policy}`).replace(/schedule: .*/, ''));
  expect(await align()).toEqual([`sweep-${policy}`]);
  expect(await patterns()).toEqual({});
  expect((await queues.purge.getJobSchedulers()).map(({ key }) => key)).toEqual(['purge']);
});
