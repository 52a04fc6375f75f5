/** The daemon's own processors on the queues in memory: each class of error becomes the right state of the job. */
import { expect, test } from 'vitest';
import { MARGINS } from '../../jobs/margins.ts';
import { Outages } from '../../jobs/outages.ts';
import { processorOf } from '../../jobs/processor.ts';
import { putJob } from '../../jobs/queues.ts';
import type { Clock } from '../../src/clock.ts';
import { type ErrorCode, MoraineError } from '../../src/errors.ts';
import { MemoryQueues } from '../harness/memory-queues.ts';
import { MemoryWorld } from './memory-world.ts';

/** @param behindMs How much the worker's clock is behind that of the queues. */
async function open(behindMs = 0) {
  const world = await MemoryWorld.open();
  const memory = new MemoryQueues({ clock: world.clock, random: () => 1 });
  const stop = new AbortController();
  const clock: Clock = {
    now: () => new Date(world.clock.now().getTime() - behindMs),
    monotonicMs: () => world.clock.monotonicMs(),
    sleep: (ms, signal) => world.clock.sleep(ms, signal),
  };
  const parts = {
    contextFor: (signal: AbortSignal) => ({ ...world.context(undefined, { signal }), clock }),
    queues: memory.queues,
    outages: new Outages({ info: () => undefined, warn: () => undefined, error: () => undefined }),
    margins: MARGINS,
    stop: stop.signal,
  };
  const work = async (act: () => Promise<null>) => {
    const job = memory.takeNext('clear', 'worker');
    if (job === null) throw new Error('nothing waits');
    return await memory.work(job, processorOf('clear', act, parts));
  };
  await putJob(memory.queues, 'clear', { archive: 'a' }, world.clock.now());
  return { world, memory, stop, work };
}

test.each<[ErrorCode, string, number | null]>([
  ['MONGODB_UNAVAILABLE', 'delayed', MARGINS.outageRetryMs],
  ['LEASE_HELD', 'delayed', MARGINS.leaseRetryMs],
  ['CLOCK_JUMPED', 'delayed', MARGINS.gateRetryMs],
  ['VAULT_OUTCOME_UNKNOWN', 'delayed', 2_000],
  ['ARCHIVE_CORRUPT', 'failed', null],
])('%s leaves the job %s', async (code, state, waitMs) => {
  const { world, memory, work } = await open();
  const settled = await work(async () => {
    throw new MoraineError(code, 'It happened.');
  });
  expect(settled).toBe(state);
  expect(await memory.queues.clear.getJobState('archive-a')).toBe(state);
  expect(memory.nextAt()).toBe(waitMs === null ? null : world.clock.now().getTime() + waitMs);
});

test('a job that succeeds is completed; one whose daemon stops is given back as waiting', async () => {
  const { memory, stop, work, world } = await open();
  expect(await work(async () => null)).toBe('completed');
  await putJob(memory.queues, 'clear', { archive: 'a' }, world.clock.now());
  stop.abort();
  expect(await work(async () => null)).toBe('waiting');
  expect(memory.ids('clear', 'waiting')).toEqual(['archive-a']);
});

test('a worker whose clock is behind puts a job off into the past, and even so not in a busy loop', async () => {
  const { world, memory, work } = await open(20 * 60_000);
  const start = world.clock.now().getTime();
  for (let taken = 0; taken < 10; taken++) {
    await work(async () => {
      throw new MoraineError('MONGODB_UNAVAILABLE', 'It happened.');
    });
  }
  expect(world.clock.now().getTime() - start).toBeGreaterThanOrEqual(10_000);
  expect(memory.ids('clear', 'failed')).toEqual([]);
});
