/**
 * Jobs that wait for a time that nobody asked for. A delay is written as an instant, by the clock of the worker that asks
 * for it: one whose clock is years ahead leaves its jobs waiting for years, by everybody's clock. Such a job is open, so
 * neither a schedule nor the watchdog would put another beside it, and its work would stand still for as long.
 */
import type { Redis } from 'ioredis';
import type { Margins } from './margins.ts';
import { QUEUE_NAMES, type Queues } from './queues.ts';

/** The queue keeps delayed jobs by their instant (ms) times this, and numbers those of one instant below it. */
const SCORES_PER_MS = 0x1000;

/**
 * Lets every job go on that is delayed until later than `longestDelayMs` from `now`, and returns their ids. The next run
 * that a scheduler holds stays, be it months away; one that has started waits by a worker's clock like any other.
 *
 * `now` must be of a clock that its witnesses have just confirmed: for one that is behind, every wait is too long. At
 * worst a job looks early, and waits again. Several daemons may do it at once.
 */
export async function promoteMisdated(
  queues: Queues,
  redis: Redis,
  now: Date,
  { longestDelayMs }: Pick<Margins, 'longestDelayMs'>,
): Promise<readonly string[]> {
  const firstScore = (now.getTime() + longestDelayMs + 1) * SCORES_PER_MS;
  const promoted: string[] = [];
  for (const name of QUEUE_NAMES) {
    const queue = queues[name];
    for (const id of await redis.zrangebyscore(queue.toKey('delayed'), firstScore, '+inf')) {
      const job = await queue.getJob(id);
      if (job === undefined || (job.repeatJobKey !== undefined && job.attemptsStarted === 0)) continue;
      try {
        await job.promote();
        promoted.push(id);
      } catch (error) {
        // Another daemon has promoted or taken it meanwhile.
        if (await job.isDelayed()) throw error;
      }
    }
  }
  return promoted;
}
