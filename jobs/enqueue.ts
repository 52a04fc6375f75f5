/** Hands a run to the daemon: `moraine run --queue`. */
import { systemClock } from '../src/clock.ts';
import { jobId, openQueues, putJob } from './queues.ts';
import { connectRedis } from './redis.ts';

export interface EnqueueOptions {
  /** `queuePrefix(installation id)`: that of the daemon that is to take it. */
  readonly prefix: string;
  /** Seal what waits for more records. */
  readonly flush?: boolean;
  /** Who asks, for the ledger's runs: `person:<name>`. */
  readonly by: string;
}

/**
 * Puts one sweep for each policy (null: for all in force) and returns their ids. A sweep that waits or runs already is
 * not put twice. Throws REDIS_UNAVAILABLE at once, REDIS_EVICTS.
 */
export async function enqueueRun(
  redisUrl: string,
  policies: readonly string[] | null,
  options: EnqueueOptions,
): Promise<{ readonly jobs: readonly string[] }> {
  const { prefix, flush = false, by } = options;
  const redis = await connectRedis(redisUrl);
  const queues = openQueues(redis, prefix);
  try {
    const jobs: string[] = [];
    for (const policy of policies ?? [null]) {
      const data = { policy, flush, by };
      await putJob(queues, 'sweep', data, systemClock.now());
      jobs.push(jobId('sweep', data));
    }
    return { jobs };
  } finally {
    await Promise.allSettled(Object.values(queues).map((queue) => queue.close()));
    redis.disconnect();
  }
}
