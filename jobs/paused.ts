/**
 * Jobs of what a person has paused. Such a job is put off for long (`pausedRetryMs`), and Redis remembers beside it for the
 * end of which pause it waits; the watchdog lets it go on when that pause is over. So a pause of weeks costs next to nothing,
 * and its end is noticed at the next look.
 *
 * One hash, `queue job -> pause`. It is written before the job is put off, and an entry goes before its job goes on; a job
 * that is still in a worker's hands is left for the next look. Whatever is lost (a crash in between, a flushed Redis, an
 * error) costs a wait of `pausedRetryMs`, after which the job looks by itself. To go on too early does no harm: each act
 * looks at the pauses.
 */
import type { Redis } from 'ioredis';
import { pausesInForce } from '../src/ledger/pauses.ts';
import type { Store } from '../src/ledger/store.ts';
import { QUEUE_NAMES, type QueueName, type Queues } from './queues.ts';

/** Entries read from Redis in one call. */
const READ_AT_ONCE = 500;

export type NotePaused = (queue: QueueName, job: string, pause: string) => Promise<unknown>;

export function notePausedIn(redis: Redis, queues: Queues): NotePaused {
  return (queue, job, pause) => redis.hset(keyOf(queues), `${queue} ${job}`, pause);
}

/** Lets those go on whose pause is over, and returns their ids. Several daemons may do it at once. */
export async function releaseResumed(store: Store, redis: Redis, queues: Queues): Promise<readonly string[]> {
  const key = keyOf(queues);
  if ((await redis.hlen(key)) === 0) return [];
  const inForce = new Set((await pausesInForce(store)).map(({ _id }) => _id));
  const released: string[] = [];
  let cursor = '0';
  do {
    const [next, found] = await redis.hscan(key, cursor, 'COUNT', READ_AT_ONCE);
    cursor = next;
    for (let at = 0; at + 1 < found.length; at += 2) {
      const [field = '', pause = ''] = found.slice(at, at + 2);
      if (!inForce.has(pause) && (await letGoOn(redis, queues, field))) released.push(jobOf(field).id);
    }
  } while (cursor !== '0');
  return released;
}

async function letGoOn(redis: Redis, queues: Queues, field: string): Promise<boolean> {
  const { queue, id } = jobOf(field);
  const job = queue === undefined ? undefined : await queues[queue].getJob(id);
  if (await job?.isActive()) return false;
  // What it waits for next would be noted by a worker after this.
  await redis.hdel(keyOf(queues), field);
  if (job === undefined || !(await job.isDelayed())) return false;
  try {
    await job.promote();
    return true;
  } catch (error) {
    // Another daemon has promoted or taken it meanwhile.
    if (await job.isDelayed()) throw error;
    return false;
  }
}

function jobOf(field: string): { readonly queue: QueueName | undefined; readonly id: string } {
  const space = field.indexOf(' ');
  return { queue: QUEUE_NAMES.find((name) => name === field.slice(0, space)), id: field.slice(space + 1) };
}

function keyOf(queues: Queues): string {
  return `${queues.sweep.opts.prefix}:paused`;
}
