/**
 * The watchdog: compares the ledger with Redis and puts back what is missing. Redis may lose everything at any time
 * (FLUSHALL, a failover, an obliterated queue): it costs minutes, not data, because the ledger knows what is unfinished,
 * which policies are in force, and when each act last ran.
 *
 * Several daemons may look at once: every job's id follows from its work, so what two put is one.
 */
import type { Redis } from 'ioredis';
import { lastScheduledRun } from '../src/ledger/schedules.ts';
import { lookAtHeads } from '../src/lifecycle/publish-head.ts';
import type { ActTools } from './act.ts';
import { promoteMisdated } from './misdated.ts';
import { releaseResumed } from './paused.ts';
import type { Queues } from './queues.ts';
import { assertKeepsJobs } from './redis.ts';
import { alignSchedulers, catchUp, type FixedSchedules, type Schedule, schedulesNow } from './schedules.ts';
import { putUnfinished } from './unfinished.ts';

export interface WatchdogFindings {
  /** Schedulers put back, changed or removed. */
  readonly schedulers: readonly string[];
  /** Policies whose planned partitions may have been lost with Redis. */
  readonly sweptAgain: readonly string[];
  /** Unfinished archives that had no job and got one. */
  readonly archives: number;
  /** Jobs that waited for the end of a pause, and go on. */
  readonly resumed: readonly string[];
}

export interface TimeFindings {
  /** Jobs that waited for a time that only a wrong clock can have asked for, and go on. */
  readonly misdated: readonly string[];
  /** Acts whose run was missed and that got a job. */
  readonly caughtUp: readonly string[];
}

/** One look. Throws what MongoDB or Redis throw, and REDIS_EVICTS. */
export async function lookOnce(
  tools: ActTools,
  queues: Queues,
  redis: Redis,
  fixed: FixedSchedules,
): Promise<WatchdogFindings> {
  const { context, margins } = tools;
  await assertKeepsJobs(redis);
  const schedules = await schedulesNow(context, fixed);
  const schedulers = await alignSchedulers(queues, schedules);
  const sweptAgain = await sweepAfterLoss(tools, redis, queues, schedules);
  const archives = await putUnfinished(
    tools,
    {},
    { quietMs: margins.quietMs, unlessEndedWithinMs: margins.failedAgainAfterMs },
  );
  const resumed = await releaseResumed(context.store, redis, queues);
  if (resumed.length > 0) {
    context.log.info({ jobs: resumed.slice(0, IDS_IN_LOG), count: resumed.length }, 'A pause is over: its jobs go on.');
  }
  if (schedulers.length > 0) context.log.info({ schedulers }, 'Schedules were put in place.');
  if (sweptAgain.length > 0)
    context.log.warn({ policies: sweptAgain }, 'Redis has lost its keys: policies are swept again.');
  if (archives > 0) context.log.warn({ archives }, 'Unfinished archives had no job and got one.');
  return { schedulers, sweptAgain, archives, resumed };
}

/** So many ids say which work it was; thousands in one line of the log would say no more. */
const IDS_IN_LOG = 20;

/**
 * The part of a look that asks what time it is: only after the witnesses of our clock have confirmed it. By one that is
 * ahead another run would be missed at every look; by one that is behind every wait would be too long.
 */
export async function lookAtTimes(
  { context, margins }: ActTools,
  queues: Queues,
  redis: Redis,
  fixed: FixedSchedules,
): Promise<TimeFindings> {
  const misdated = await promoteMisdated(queues, redis, context.clock.now(), margins);
  if (misdated.length > 0) {
    context.log.warn(
      { jobs: misdated.slice(0, IDS_IN_LOG), count: misdated.length },
      'Jobs were delayed for longer than any wait, as by a worker whose clock is wrong: they go on.',
    );
  }
  await lookAtHeads(context);
  const caughtUp = await catchUp(context, queues, await schedulesNow(context, fixed), margins);
  if (caughtUp.length > 0) context.log.warn({ acts: caughtUp }, 'Runs were missed and are made up for.');
  return { misdated, caughtUp };
}

/**
 * A sweep leaves its partitions to the queue, and the ledger knows of one only when an archive of it is planned. So when
 * the mark in Redis is gone, everything else is: each policy that ever ran by a schedule is swept again. The mark is
 * written last: a crash before costs a sweep that finds nothing.
 */
async function sweepAfterLoss(
  { context, put }: ActTools,
  redis: Redis,
  queues: Queues,
  schedules: readonly Schedule[],
): Promise<readonly string[]> {
  const mark = `${queues.sweep.opts.prefix}:watchdog`;
  if ((await redis.exists(mark)) === 1) return [];
  const swept: string[] = [];
  for (const { act, policy } of schedules) {
    if (policy === null || (await lastScheduledRun(context.store, act)) === null) continue;
    if (await put('sweep', { policy, flush: false, by: 'watchdog' })) swept.push(policy);
  }
  await redis.set(mark, '1');
  return swept;
}
