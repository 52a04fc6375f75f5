import { describe, expect, test } from 'vitest';
import { MemoryQueues } from '../harness/memory-queues.ts';
import { MovableClock } from '../simulation/memory-world.ts';
import { type Held, type QueueWorld, queueContract } from './queue-contract.ts';

const LOCK_MS = 60_000;
const MAX_STALLED_COUNT = 2;

function openMemory() {
  // The contract's processors delay by the system's clock.
  const clock = new MovableClock(new Date().toISOString());
  const memory = new MemoryQueues({ clock, random: () => 0.5, lockMs: LOCK_MS, maxStalledCount: MAX_STALLED_COUNT });
  const heldBy = ({ id = '' }: Held, token: string) => ({ queue: 'archive' as const, id, token });
  const world: QueueWorld = {
    queues: memory.queues,
    maxStalledCount: MAX_STALLED_COUNT,
    now: () => clock.now(),
    takeNext: async (token) => memory.takeNext('archive', token),
    work: async (job, token, processor) => {
      await memory.work({ stalledCount: 0, ...job, ...heldBy(job, token) }, processor);
    },
    freeze: async (_job, living = []) => {
      clock.advance(LOCK_MS / 2);
      for (const { job, token } of living) expect(memory.renew(heldBy(job, token))).toBe(true);
      clock.advance(LOCK_MS / 2);
    },
    giveAwayStalled: async () => void memory.giveAwayStalled(),
    reachDelayed: async () => clock.advance((memory.nextAt() ?? 0) - clock.now().getTime()),
    promoteMisdated: async (longestDelayMs) => memory.promoteBeyond(clock.now().getTime() + longestDelayMs),
    failedReason: async (id) => memory.failedReason('archive', id),
    flush: async () => memory.flush(),
    close: async () => undefined,
  };
  return { world, memory, clock };
}

queueContract('memory', async () => openMemory().world);

describe('queues in memory: stricter than Redis', () => {
  test('data and results that JSON would change are refused', async () => {
    const { memory } = openMemory();
    const { archive } = memory.queues;
    await archive.add('archive', { archive: 'a' }, { jobId: 'a' });
    const job = memory.takeNext('archive', 'one');
    if (job === null) throw new Error('a waits');
    await expect(memory.work(job, async () => ({ at: new Date(0) }))).rejects.toThrow('plain JSON');
    await expect(memory.work(job, async () => undefined)).rejects.toThrow('plain JSON');
    for (const id of ['1', 'a:b', '']) {
      await expect(archive.add('archive', { archive: 'a' }, { jobId: id })).rejects.toThrow('is no id');
    }
  });

  test('set back to a copy: what ended since waits again, what was put since is gone', async () => {
    const { memory } = openMemory();
    const { archive } = memory.queues;
    await archive.add('archive', { archive: 'a' }, { jobId: 'a' });
    const saved = memory.save();
    const job = memory.takeNext('archive', 'one');
    await archive.add('archive', { archive: 'b' }, { jobId: 'b' });
    if (job === null) throw new Error('a waits');
    expect(await memory.work(job, async () => null)).toBe('completed');
    memory.restore(saved);
    expect([await archive.getJobState('a'), await archive.getJobState('b')]).toEqual(['waiting', 'unknown']);
    memory.restore(saved);
    expect(memory.takeNext('archive', 'two')?.id).toBe('a');
  });
});
