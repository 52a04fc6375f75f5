/**
 * What repeats: a sweep for each policy in force that has a schedule, in the policy's zone, the purge, the reconciliation,
 * the look at retrievals, the telling of owners, and the publishing of audit heads.
 *
 * The queue's schedulers are kept equal to this. They are left alone while they are right: to write a scheduler again
 * drops the run that it holds, also one that is overdue. What was missed in any way (a daemon that was off, a scheduler
 * lost with Redis, a chain that ended) is found by comparing the schedule with the last run in the ledger, and made up
 * for by one job, however many runs were missed.
 */
import { CronExpressionParser } from 'cron-parser';
import { policiesInForce } from '../src/ledger/policies.ts';
import { knowSchedule } from '../src/ledger/schedules.ts';
import type { Context } from '../src/lifecycle/context.ts';
import { policiesToRun } from '../src/lifecycle/published.ts';
import type { Margins } from './margins.ts';
import { type AnyJobData, JOB_OPTIONS, putJob, QUEUE_NAMES, type QueueName, type Queues } from './queues.ts';
import { codeAndIds } from './settle-job.ts';

/** Cron lines of five fields, in UTC. */
export interface FixedSchedules {
  readonly purge: string;
  readonly reconcile: string;
  readonly retrieve: string;
  /** Only where moraine.yaml names ways. */
  readonly notify: string;
  /** Only where moraine.yaml names a place for audit heads. */
  readonly audit: string;
}

/** Off the full hour, when everything else begins. */
export const FIXED_SCHEDULES: FixedSchedules = {
  purge: '7 * * * *',
  reconcile: '37 * * * *',
  retrieve: '*/10 * * * *',
  notify: '3-59/5 * * * *',
  audit: '13 * * * *',
};

export interface Schedule {
  /** Names the scheduler in Redis and the act in the ledger. */
  readonly act: string;
  readonly queue: QueueName;
  readonly pattern: string;
  readonly zone: string;
  /** Policy of a sweep, else null. */
  readonly policy: string | null;
}

/** What should repeat now. A policy that cannot be read has no schedule and is reported; the others keep theirs. */
export async function schedulesNow(context: Context, fixed: FixedSchedules): Promise<readonly Schedule[]> {
  const tellsOwners = (context.notifying?.ways.length ?? 0) > 0;
  const publishes = context.heads !== undefined;
  const acts = [
    ...(['purge', 'reconcile', 'retrieve'] as const),
    ...(tellsOwners ? (['notify'] as const) : []),
    ...(publishes ? (['audit'] as const) : []),
  ];
  const schedules: Schedule[] = acts.map((queue) => ({
    act: queue,
    queue,
    pattern: fixed[queue],
    zone: 'UTC',
    policy: null,
  }));
  for await (const { name } of policiesInForce(context.store)) {
    try {
      const [policy] = await policiesToRun(context.store, [name]);
      if (policy === undefined || policy.schedule === null) continue;
      const { schedule: pattern, zone } = policy;
      schedules.push({ act: sweepAct(name), queue: 'sweep', pattern, zone, policy: name });
    } catch (error) {
      context.log.error({ policy: name, code: codeAndIds(error) }, 'The policy cannot be read: it is not scheduled.');
    }
  }
  return schedules;
}

export function sweepAct(policy: string): string {
  return `sweep-${policy}`;
}

/** Makes the schedulers equal to the schedules. Returns what it put or removed, by act. */
export async function alignSchedulers(queues: Queues, schedules: readonly Schedule[]): Promise<readonly string[]> {
  const changed: string[] = [];
  for (const queue of QUEUE_NAMES) {
    const known = new Map((await queues[queue].getJobSchedulers()).map((scheduler) => [scheduler.key, scheduler]));
    for (const schedule of schedules.filter((each) => each.queue === queue)) {
      const { act, pattern, zone } = schedule;
      const scheduler = known.get(act);
      known.delete(act);
      const isRight = scheduler?.pattern === pattern && scheduler.tz === zone;
      if (isRight && (await hasNextJob(queues, queue, act, scheduler.next))) continue;
      // One without its next job would be left as it is: the chain begins anew.
      await queues[queue].removeJobScheduler(act);
      const template = { name: queue, data: scheduledData(schedule), opts: JOB_OPTIONS };
      await queues[queue].upsertJobScheduler(act, { pattern, tz: zone }, template);
      changed.push(act);
    }
    for (const act of known.keys()) {
      if (await queues[queue].removeJobScheduler(act)) changed.push(act);
    }
  }
  return changed;
}

/** A scheduler names the time of its next job; the job of that time is the chain. */
async function hasNextJob(queues: Queues, queue: QueueName, act: string, next: number | undefined): Promise<boolean> {
  if (next === undefined) return false;
  const job = await queues[queue].getJob(`repeat:${act}:${next}`);
  if (job === undefined) return false;
  const state = await job.getState();
  return state !== 'unknown' && state !== 'completed' && state !== 'failed';
}

function scheduledData({ policy }: Schedule): AnyJobData {
  return policy === null ? { by: 'schedule' } : { policy, flush: false, by: 'schedule' };
}

/** Gives one job to every act that should have run since its last run and has none. Returns those acts. */
export async function catchUp(
  context: Context,
  queues: Queues,
  schedules: readonly Schedule[],
  margins: Margins,
): Promise<readonly string[]> {
  const caughtUp: string[] = [];
  const now = context.clock.now();
  for (const schedule of schedules) {
    const { act, queue, policy } = schedule;
    const { since, lastRunAt } = await knowSchedule(context.store, act, schedule, now);
    const due = previousRun(schedule, new Date(now.getTime() - margins.catchUpAfterMs));
    if (due === null || due <= since || (lastRunAt !== null && due <= lastRunAt)) continue;
    if (await isUnderWay(queues, schedule, now)) continue;
    const put =
      policy === null
        ? await putJob(queues, queue, scheduledData(schedule), now)
        : await putJob(queues, 'sweep', { policy, flush: false, by: 'watchdog' }, now);
    if (put) caughtUp.push(act);
  }
  return caughtUp;
}

/** The newest time at or before `now` at which the schedule comes round. */
export function previousRun({ pattern, zone }: Pick<Schedule, 'pattern' | 'zone'>, now: Date): Date | null {
  // `prev` is strictly before: a millisecond more makes it "at or before".
  const currentDate = new Date(now.getTime() + 1);
  const interval = CronExpressionParser.parse(pattern, { currentDate, tz: zone });
  return interval.hasPrev() ? interval.prev().toDate() : null;
}

/** A job for it waits or runs already, from the schedule or by hand. The scheduler's own next one does not count. */
async function isUnderWay(queues: Queues, { queue, policy }: Schedule, now: Date): Promise<boolean> {
  const jobs = await queues[queue].getJobs(['active', 'waiting', 'prioritized', 'delayed']);
  return jobs.some((job) => {
    const isFuture =
      job.repeatJobKey !== undefined && job.attemptsStarted === 0 && job.timestamp + job.delay > now.getTime();
    return !isFuture && (!('policy' in job.data) || job.data.policy === policy);
  });
}
