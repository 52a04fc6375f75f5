/**
 * What the daemon relies on in its queues, read from BullMQ on Redis and demanded of the queues in memory too. Time is the
 * driver's: it moves the clock of the fake and, on Redis, takes away what would lapse.
 */
import { DelayedError, UnrecoverableError, WaitingError } from 'bullmq';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TakenJob } from '../../jobs/processor.ts';
import { isOpen, type JobQueues, jobId, putJob } from '../../jobs/queues.ts';
import type { Work } from '../harness/memory-queues.ts';

export interface Held extends TakenJob {
  readonly id?: string | undefined;
  readonly attemptsMade: number;
}

export interface QueueWorld {
  readonly queues: JobQueues;
  readonly maxStalledCount: number;
  now(): Date;
  /** The next job of the queue `archive`. */
  takeNext(token: string): Promise<Held | null>;
  work(job: Held, token: string, processor: Work): Promise<void>;
  /** The worker of `job` freezes past its lock, while those of `living` go on. */
  freeze(job: Held, living?: readonly { readonly job: Held; readonly token: string }[]): Promise<void>;
  giveAwayStalled(): Promise<void>;
  /** The time comes that a delayed job waits for. */
  reachDelayed(id: string): Promise<void>;
  /** What the watchdog does with jobs that are delayed for longer than this. Returns their ids. */
  promoteMisdated(longestDelayMs: number): Promise<readonly string[]>;
  failedReason(id: string): Promise<string | null>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

const AT_ONCE = 50;
const ATTEMPTS = 8;
const DELAY_MS = 60_000;
const HOUR_MS = 3_600_000;
const TEN_YEARS_MS = 10 * 365 * 24 * HOUR_MS;

const succeed: Work = async () => ({ records: 1 });
const throws =
  (error: Error): Work =>
  async () => {
    throw error;
  };
const delays: Work = async (job, token) => {
  await job.moveToDelayed(Date.now() + DELAY_MS, token);
  throw new DelayedError();
};
const givesBack: Work = async (job, token) => {
  await job.moveToWait(token);
  throw new WaitingError();
};

export function queueContract(name: string, open: () => Promise<QueueWorld>): void {
  describe(`queues: ${name}`, () => {
    let world: QueueWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(() => world.close());

    const put = (archive: string, options = {}) => putJob(world.queues, 'archive', { archive }, world.now(), options);
    const idOf = (archive: string) => jobId('archive', { archive });
    const stateOf = (archive: string) => world.queues.archive.getJobState(idOf(archive));
    const add = (archive: string, data: string) =>
      world.queues.archive.add('archive', { archive: data }, { jobId: idOf(archive) });
    const take = async (token: string): Promise<Held> => {
      const job = await world.takeNext(token);
      if (job === null) throw new Error('nothing waits');
      return job;
    };
    const run = async (token: string, processor: Work) => world.work(await take(token), token, processor);

    test('a job waits, is handed out once with its data, and is completed', async () => {
      expect(await stateOf('a')).toBe('unknown');
      expect(await isOpen(world.queues, 'archive', idOf('a'))).toBe(false);
      expect(await put('a')).toBe(true);
      expect(await stateOf('a')).toBe('waiting');
      const job = await take('one');
      expect({ id: job.id, data: job.data, attemptsMade: job.attemptsMade }).toEqual({
        id: 'archive-a',
        data: { archive: 'a' },
        attemptsMade: 0,
      });
      expect(await stateOf('a')).toBe('active');
      expect(await world.takeNext('two')).toBe(null);
      await world.work(job, 'one', succeed);
      expect(await stateOf('a')).toBe('completed');
      expect(await isOpen(world.queues, 'archive', idOf('a'))).toBe(false);
    });

    test('queues are apart: the same id in another queue is another job', async () => {
      await put('a');
      expect(await world.queues.clear.getJobState(idOf('a'))).toBe('unknown');
      expect(await putJob(world.queues, 'clear', { archive: 'a' }, world.now())).toBe(true);
    });

    test('what is put twice while it waits, runs or is delayed is one job, with the data of the first', async () => {
      await put('a');
      expect(await put('a')).toBe(false);
      await add('a', 'other');
      const job = await take('one');
      expect(job.data).toEqual({ archive: 'a' });
      expect(await put('a')).toBe(false);
      await add('a', 'other');
      expect(await stateOf('a')).toBe('active');
      await world.work(job, 'one', delays);
      expect(await stateOf('a')).toBe('delayed');
      expect(await put('a')).toBe(false);
      await add('a', 'other');
      expect(await stateOf('a')).toBe('delayed');
      expect(await world.takeNext('two')).toBe(null);
    });

    test('an ended job stands in the way of add, and is replaced by put unless it ended too recently', async () => {
      for (const [processor, state] of [
        [succeed, 'completed'],
        [throws(new UnrecoverableError('no')), 'failed'],
      ] as const) {
        await put(state);
        await run('one', processor);
        await add(state, 'other');
        expect(await stateOf(state)).toBe(state);
        expect(await world.takeNext('two')).toBe(null);
        expect(await put(state, { unlessEndedWithinMs: HOUR_MS })).toBe(false);
        expect(await put(state)).toBe(true);
        expect((await take('three')).attemptsMade).toBe(0);
      }
    });

    test('fifty puts at once are one job, also where they replace an ended one', async () => {
      await Promise.all(Array.from({ length: AT_ONCE }, () => put('a')));
      await run('one', succeed);
      expect(await world.takeNext('two')).toBe(null);
      await Promise.all(Array.from({ length: AT_ONCE }, () => put('a')));
      expect(await stateOf('a')).toBe('waiting');
      await run('two', succeed);
      expect(await world.takeNext('three')).toBe(null);
    });

    test('fifty workers that take at once: one has the job', async () => {
      await put('a');
      const taken = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => world.takeNext(`worker ${n}`)));
      expect(taken.filter((job) => job !== null)).toHaveLength(1);
    });

    test('first in, first out; a job that is given back comes first; one whose delay is over comes last', async () => {
      for (const archive of ['a', 'b', 'c']) await put(archive);
      await run('one', delays);
      await run('two', givesBack);
      expect(await stateOf('b')).toBe('waiting');
      await put('d');
      await world.reachDelayed(idOf('a'));
      const order: (string | undefined)[] = [];
      for (const token of ['w', 'x', 'y', 'z']) order.push((await take(token)).id);
      expect(order).toEqual(['b', 'c', 'd', 'a'].map(idOf));
    });

    test('what is delayed for longer than any wait goes on, behind those that wait; other delays stay', async () => {
      const misdated: Work = async (job, token) => {
        await job.moveToDelayed(Date.now() + TEN_YEARS_MS, token);
        throw new DelayedError();
      };
      for (const archive of ['a', 'b', 'c']) await put(archive);
      await run('one', misdated);
      await run('two', delays);
      expect([await stateOf('a'), await stateOf('b')]).toEqual(['delayed', 'delayed']);
      expect(await world.promoteMisdated(HOUR_MS)).toEqual([idOf('a')]);
      expect([await stateOf('a'), await stateOf('b')]).toEqual(['waiting', 'delayed']);
      expect([(await take('three')).id, (await take('four')).id]).toEqual([idOf('c'), idOf('a')]);
      expect(await world.promoteMisdated(HOUR_MS)).toEqual([]);
    });

    test('giving back and delaying use up no attempt', async () => {
      await put('a');
      for (let round = 0; round < ATTEMPTS + 1; round += 1) {
        await run(`delay ${round}`, delays);
        await world.reachDelayed(idOf('a'));
        await run(`give back ${round}`, givesBack);
      }
      expect((await take('last')).attemptsMade).toBe(0);
    });

    test('an error is tried again after a wait, eight times in all, and then fails for good with its text', async () => {
      await put('a');
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const job = await take(`attempt ${attempt}`);
        expect(job.attemptsMade).toBe(attempt);
        await world.work(job, `attempt ${attempt}`, throws(new Error('VAULT_OUTCOME_UNKNOWN')));
        if (attempt === ATTEMPTS - 1) break;
        expect(await stateOf('a')).toBe('delayed');
        expect(await world.takeNext('too early')).toBe(null);
        await world.reachDelayed(idOf('a'));
      }
      expect(await stateOf('a')).toBe('failed');
      expect(await world.failedReason(idOf('a'))).toBe('VAULT_OUTCOME_UNKNOWN');
      expect((await world.queues.archive.getJob(idOf('a')))?.finishedOn).toBeGreaterThan(0);
    });

    test('an unrecoverable error fails at once', async () => {
      await put('a');
      await run('one', throws(new UnrecoverableError('ARCHIVE_CORRUPT')));
      expect(await stateOf('a')).toBe('failed');
      expect(await world.failedReason(idOf('a'))).toBe('ARCHIVE_CORRUPT');
    });

    test('remove: refused while a worker holds the job, done otherwise, twice too', async () => {
      await put('a');
      const stored = await world.queues.archive.getJob(idOf('a'));
      const job = await take('one');
      await expect(stored?.remove()).rejects.toThrow('locked by another worker');
      await world.work(job, 'one', succeed);
      await stored?.remove();
      await stored?.remove();
      expect(await stateOf('a')).toBe('unknown');
      expect(await world.queues.archive.getJob(idOf('a'))).toBe(undefined);
      await put('b');
      await (await world.queues.archive.getJob(idOf('b')))?.remove();
      expect(await world.takeNext('two')).toBe(null);
    });

    test('another token settles nothing', async () => {
      await put('a');
      const job = await take('one');
      await expect(job.moveToWait('two')).rejects.toThrow();
      await expect(job.moveToDelayed(Date.now() + DELAY_MS, 'two')).rejects.toThrow();
      expect(await stateOf('a')).toBe('active');
    });

    test('a stalled job is given to another, first in line, while its first worker still runs; only the second settles it', async () => {
      await put('a');
      await put('b');
      await put('c');
      const [a, b] = [await take('first'), await take('living')];
      await world.freeze(a, [{ job: b, token: 'living' }]);
      await world.giveAwayStalled();
      expect([await stateOf('a'), await stateOf('b')]).toEqual(['waiting', 'active']);
      const again = await take('second');
      expect([again.id, again.attemptsMade]).toEqual([a.id, 0]);
      for (const processor of [
        succeed,
        throws(new UnrecoverableError('no')),
        throws(new Error('no')),
        delays,
        givesBack,
      ]) {
        await world.work(a, 'first', processor);
        expect(await stateOf('a')).toBe('active');
      }
      await world.work(again, 'second', succeed);
      expect(await stateOf('a')).toBe('completed');
      await world.work(b, 'living', succeed);
      expect(await stateOf('b')).toBe('completed');
    });

    test('a frozen worker that wakes before anybody looked has lost its lock all the same', async () => {
      await put('a');
      const job = await take('first');
      await world.freeze(job);
      await world.work(job, 'first', succeed);
      expect(await stateOf('a')).toBe('active');
      await world.giveAwayStalled();
      expect((await take('second')).id).toBe(job.id);
    });

    test('a job that stalls more often than is allowed fails at its next turn, without being worked', async () => {
      await put('a');
      for (let stalls = 0; stalls <= world.maxStalledCount; stalls += 1) {
        await world.freeze(await take(`worker ${stalls}`));
        await world.giveAwayStalled();
        expect(await stateOf('a')).toBe('waiting');
      }
      let isWorked = false;
      await run('last', async () => {
        isWorked = true;
      });
      expect([isWorked, await stateOf('a')]).toEqual([false, 'failed']);
    });

    test('a flush takes everything, also from under a worker, whose settlement then finds nothing; and work can be put again', async () => {
      await put('a');
      await put('b');
      const jobs = [await take('one'), await take('two')];
      await world.flush();
      expect([await stateOf('a'), await stateOf('b')]).toEqual(['unknown', 'unknown']);
      for (const [job, token] of [
        [jobs[0], 'one'],
        [jobs[1], 'two'],
      ] as const) {
        if (job === undefined) throw new Error('two jobs were taken');
        for (const processor of [succeed, throws(new Error('no')), delays, givesBack])
          await world.work(job, token, processor);
      }
      expect([await stateOf('a'), await stateOf('b')]).toEqual(['unknown', 'unknown']);
      expect(await put('a')).toBe(true);
      expect((await take('three')).id).toBe(idOf('a'));
    });
  });
}
