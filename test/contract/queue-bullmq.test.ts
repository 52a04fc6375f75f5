import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll } from 'vitest';
import { promoteMisdated } from '../../jobs/misdated.ts';
import { type AnyJobData, openQueues, QUEUE_NAMES } from '../../jobs/queues.ts';
import { dropKeys } from '../harness/drop-names.ts';
import type { Work } from '../harness/memory-queues.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { type QueueWorld, queueContract } from './queue-contract.ts';

const MAX_STALLED_COUNT = 2;
const LOCK_MS = 60_000;
/** BullMQ marks at one look and gives away at the next. */
const STALLED_EVERY_MS = 60;
const LOOKS = 4;

const names = testNames(import.meta.filename);
const redis = new Redis(stackUrls().redis, { maxRetriesPerRequest: null });
afterAll(() => redis.disconnect());
let serial = 0;

async function openBullmq(): Promise<QueueWorld> {
  serial += 1;
  const prefix = `${names.prefix}-${serial}`;
  const queues = openQueues(redis, prefix);
  const processors = new Map<string, Work>();
  const worker = new Worker<AnyJobData>(
    'archive',
    (job, token, signal) => {
      const processor = processors.get(token ?? '');
      if (processor === undefined) throw new Error(`nobody works for ${token}`);
      return processor(job, token, signal);
    },
    {
      connection: redis,
      prefix,
      autorun: false,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_EVERY_MS,
      maxStalledCount: MAX_STALLED_COUNT,
    },
  );
  // A settlement without the lock is emitted here, and the worker goes on.
  worker.on('error', () => undefined);
  const jobOf = async (id = '') => {
    const job = await queues.archive.getJob(id);
    if (job === undefined) throw new Error(`there is no job ${id}`);
    return job;
  };
  const taken = new Map<object, NonNullable<Awaited<ReturnType<typeof worker.getNextJob>>>>();
  return {
    queues,
    maxStalledCount: MAX_STALLED_COUNT,
    now: () => new Date(),
    takeNext: async (token) => {
      const job = await worker.getNextJob(token, { block: false });
      if (job === undefined) return null;
      taken.set(job, job);
      return job;
    },
    work: async (held, token, processor) => {
      const job = taken.get(held);
      if (job === undefined) throw new Error('it was not taken here');
      processors.set(token, processor);
      await worker.processJob(job, token, () => false);
    },
    freeze: async ({ id }) => {
      await redis.del(`${prefix}:archive:${id}:lock`);
    },
    giveAwayStalled: async () => {
      await worker.startStalledCheckTimer();
      await new Promise((resolve) => setTimeout(resolve, STALLED_EVERY_MS * LOOKS));
    },
    reachDelayed: async (id) => (await jobOf(id)).promote(),
    promoteMisdated: (longestDelayMs) => promoteMisdated(queues, redis, new Date(), { longestDelayMs }),
    failedReason: async (id) => (await jobOf(id)).failedReason ?? null,
    flush: () => dropKeys(stackUrls().redis, prefix),
    close: async () => {
      await Promise.allSettled([worker.close(true), ...QUEUE_NAMES.map((name) => queues[name].close())]);
    },
  };
}

queueContract('BullMQ on Redis', openBullmq);
