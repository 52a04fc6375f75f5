/**
 * The queues and what their jobs carry: ids only, never record content. Redis can be lost at any time: the ledger is
 * the truth, and the watchdog puts back what is missing.
 *
 * A job's id follows from its data, so the same work given twice is one job while it waits or runs. Once it has ended,
 * well or badly, the next one takes its place: a finished job never stands in the way.
 */
import { type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { id, type PartitionId } from '../src/ids.ts';
import { partitionId } from '../src/ledger/partitions.ts';

export const QUEUE_NAMES = ['sweep', 'archive', 'clear', 'purge', 'reconcile', 'retrieve', 'notify', 'audit'] as const;
export type QueueName = (typeof QUEUE_NAMES)[number];

const text = z.string().min(1);

/** What Redis gives back is checked: another program can write there. */
const JOB_DATA = {
  /** `policy` null: every policy in force, one job each. `by`: a person, `schedule` or `watchdog`. */
  sweep: z.strictObject({ policy: text.nullable(), flush: z.boolean(), by: text }),
  /** What a plan of this policy version took from a partition, or one archive to carry on. */
  archive: z.union([
    z.strictObject({ policy: text, version: text, dataset: text, owner: text, customer: text, plannedAt: text }),
    z.strictObject({ archive: text }),
  ]),
  clear: z.strictObject({ archive: text }),
  purge: z.strictObject({ by: text }),
  reconcile: z.strictObject({ by: text }),
  retrieve: z.strictObject({ by: text }),
  notify: z.strictObject({ by: text }),
  audit: z.strictObject({ by: text }),
} as const satisfies Record<QueueName, z.ZodType>;

export type JobData = { readonly [N in QueueName]: z.infer<(typeof JOB_DATA)[N]> };
export type AnyJobData = JobData[QueueName];
export type Queues = Readonly<Record<QueueName, Queue<AnyJobData>>>;

/** What giving work to a queue needs of it, so that a queue in memory can stand in for BullMQ's. */
export interface JobQueue {
  /** `waiting`, `active`, `delayed`, `completed`, `failed`, and others that are open too; `unknown`: there is none. */
  getJobState(id: string): Promise<string>;
  getJob(id: string): Promise<StoredJob | undefined>;
  /** Leaves a job of this id that is there already, open or ended, as it is. */
  add(name: string, data: AnyJobData, options: { readonly jobId: string }): Promise<unknown>;
}

export interface StoredJob {
  readonly finishedOn?: number | undefined;
  /** Throws while a worker holds it. */
  remove(): Promise<void>;
}

export type JobQueues = Readonly<Record<QueueName, JobQueue>>;

const SCHEMAS: { readonly [N in QueueName]: z.ZodType<JobData[N]> } = JOB_DATA;

/** The data of a job of this queue, or null when they are something else. */
export function readJobData<N extends QueueName>(queue: N, data: unknown): JobData[N] | null {
  const parsed = SCHEMAS[queue].safeParse(data);
  return parsed.success ? parsed.data : null;
}

/** Attempts at 2, 4, 8 … seconds, about four minutes in all; outages and leases of others use up none (see settle-job.ts). */
const ATTEMPTS = 8;
const BACKOFF_MS = 2_000;
/** Half of the wait is random, so that jobs that failed together do not come back together. */
const BACKOFF_JITTER = 0.5;
/** For the queue dashboard. The audit chain and the ledger's runs are the record. */
const KEEP_COMPLETED = 200;
const KEEP_FAILED = 1_000;

export const JOB_OPTIONS: JobsOptions = {
  attempts: ATTEMPTS,
  backoff: { type: 'exponential', delay: BACKOFF_MS, jitter: BACKOFF_JITTER },
  removeOnComplete: { count: KEEP_COMPLETED },
  removeOnFail: { count: KEEP_FAILED },
};

/** Keys in Redis begin with it: two installations that share a Redis never take each other's jobs. */
export function queuePrefix(installation: string): string {
  return `moraine-${installation}`;
}

export function openQueues(connection: Redis, prefix: string): Queues {
  const open = (name: QueueName) => new Queue<AnyJobData>(name, { connection, prefix, defaultJobOptions: JOB_OPTIONS });
  return {
    sweep: open('sweep'),
    archive: open('archive'),
    clear: open('clear'),
    purge: open('purge'),
    reconcile: open('reconcile'),
    retrieve: open('retrieve'),
    notify: open('notify'),
    audit: open('audit'),
  };
}

/** The id of a job. BullMQ allows no colon in it and no whole number. */
export function jobId<N extends QueueName>(queue: N, data: JobData[N]): string {
  if ('archive' in data) return `archive-${data.archive}`;
  if ('flush' in data) return `sweep-${data.policy ?? '(all)'}${data.flush ? '-(flush)' : ''}`;
  if ('dataset' in data) {
    const { dataset, owner, customer } = data;
    return partitionJobId(partitionId(id.namespace(dataset), id.owner(owner), id.customer(customer)));
  }
  return queue;
}

export function partitionJobId(partition: PartitionId): string {
  return `partition-${partition}`;
}

/** The job waits, for its turn or for a time, or runs. */
export async function isOpen(queues: JobQueues, queue: QueueName, job: string): Promise<boolean> {
  // finishedOn is set while a failed job waits for its next attempt too: only the state tells.
  const state = await queues[queue].getJobState(job);
  return state !== 'completed' && state !== 'failed' && state !== 'unknown';
}

export interface PutOptions {
  /** A job that ended this recently (ms) stays as it is, whatever became of it. Default 0: it is replaced. */
  readonly unlessEndedWithinMs?: number;
}

/** Puts a job into its queue, unless it waits or runs there already. True when it was put. */
export async function putJob<N extends QueueName>(
  queues: JobQueues,
  name: N,
  data: JobData[N],
  now: Date,
  { unlessEndedWithinMs = 0 }: PutOptions = {},
): Promise<boolean> {
  const queue = queues[name];
  const job = jobId(name, data);
  if (await isOpen(queues, name, job)) return false;
  const ended = await queue.getJob(job);
  if (ended !== undefined) {
    if (now.getTime() - (ended.finishedOn ?? 0) < unlessEndedWithinMs) return false;
    // Two may replace it at once. Removing again what the other one put loses nothing: it is put once more below.
    await ended.remove().catch(() => undefined);
  }
  await queue.add(name, data, { jobId: job });
  return true;
}
