/**
 * The queues in memory, for simulations: what the daemon needs of BullMQ and Redis, with time from a `Clock` and nothing
 * that runs by itself. A simulator takes a job (`takeNext`), works it with the daemon's own processor (`work`), renews
 * its lock as long as its worker lives (`renew`), and gives away what a dead or frozen worker held (`giveAwayStalled`).
 *
 * It obeys the rules that test/contract/queue-contract.ts reads from the real thing: an id that is there stays as it is,
 * first in first out, a job that was given back or stalled comes first, a failed attempt waits with growing delays, a
 * settlement without the lock does nothing. It is stricter in these:
 * - data and results must be plain JSON values: BullMQ writes a `Date` or `undefined` and reads something else.
 * - ids have no colon and are no whole numbers.
 * - a lock that has lapsed is given away at the first look, not at the second.
 * - a job is handed out with attempts and backoff spelled out in its options, never with a default.
 *
 * Faults it may have: `flush` (all is lost, also under running workers), and `restore` of an older `save` (set back).
 */
import { isDeepStrictEqual } from 'node:util';
import { MARGINS, MAX_STALLED_COUNT } from '../../jobs/margins.ts';
import type { TakenJob } from '../../jobs/processor.ts';
import {
  type AnyJobData,
  JOB_OPTIONS,
  type JobQueue,
  type JobQueues,
  QUEUE_NAMES,
  type QueueName,
  type StoredJob,
} from '../../jobs/queues.ts';
import type { Clock } from '../../src/clock.ts';

export type JobState = 'waiting' | 'active' | 'delayed' | 'completed' | 'failed';

/** What became of a job that was worked: `lost` means that the worker held it no more, and nothing was settled. */
export type Worked = JobState | 'lost';

/** A processor as BullMQ calls it. */
export type Work = (job: TakenJob, token: string | undefined, signal: AbortSignal | undefined) => Promise<unknown>;

export interface MemoryQueuesOptions {
  readonly clock: Clock;
  /** From 0 to 1, for the jitter of the backoff. */
  readonly random: () => number;
  readonly lockMs?: number;
  readonly maxStalledCount?: number;
}

interface Entry {
  readonly id: string;
  readonly json: string;
  state: JobState;
  attemptsMade: number;
  stalledCount: number;
  /** Sorts the delayed ones of one instant. */
  serial: number;
  delayedUntil: number;
  lock: { readonly token: string; until: number } | null;
  finishedOn: number | undefined;
  failedReason: string | undefined;
}

interface State {
  readonly entries: Map<string, Entry>;
  /** Ids; the first is taken next. */
  waiting: string[];
  /** Ids of ended jobs, the oldest first. */
  completed: string[];
  failed: string[];
}

export interface HeldJob extends TakenJob {
  readonly id: string;
  readonly queue: QueueName;
  readonly token: string;
  readonly attemptsMade: number;
  readonly stalledCount: number;
}

export class MemoryQueues {
  readonly queues: JobQueues;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #lockMs: number;
  readonly #maxStalledCount: number;
  #states = emptyStates();
  #serial = 0;

  constructor({ clock, random, lockMs = MARGINS.lockMs, maxStalledCount = MAX_STALLED_COUNT }: MemoryQueuesOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#lockMs = lockMs;
    this.#maxStalledCount = maxStalledCount;
    const port = (name: QueueName) => this.#port(name);
    this.queues = {
      sweep: port('sweep'),
      archive: port('archive'),
      clear: port('clear'),
      purge: port('purge'),
      reconcile: port('reconcile'),
      retrieve: port('retrieve'),
      notify: port('notify'),
      audit: port('audit'),
    };
  }

  /** The next job of the queue, locked for this token, or null. Delayed ones whose time has come wait again, behind the others. */
  takeNext(queue: QueueName, token: string): HeldJob | null {
    const state = this.#states[queue];
    const now = this.#now();
    this.#promote(queue, ({ delayedUntil }) => delayedUntil <= now);
    const id = state.waiting.shift();
    const entry = id === undefined ? undefined : state.entries.get(id);
    if (entry === undefined) return null;
    entry.state = 'active';
    entry.lock = { token, until: this.#now() + this.#lockMs };
    return {
      id: entry.id,
      queue,
      token,
      data: JSON.parse(entry.json),
      attemptsMade: entry.attemptsMade,
      stalledCount: entry.stalledCount,
      moveToWait: async (by) => this.#giveBack(queue, entry.id, by),
      moveToDelayed: async (until, by) => this.#delay(queue, entry.id, by, until, 0),
    };
  }

  /** Works a taken job and settles it as BullMQ's worker does. Rejects only for a result that is no JSON; never settles when the
   * processor does not. */
  async work(job: HeldJob, processor: Work, signal?: AbortSignal): Promise<Worked> {
    const { queue, id, token } = job;
    if (job.stalledCount > this.#maxStalledCount) {
      return this.#settle(() => this.#fail(queue, id, token, 'job stalled more than allowable limit', true));
    }
    let result: unknown;
    try {
      result = await processor(job, token, signal);
    } catch (error) {
      const { name, message } = error instanceof Error ? error : { name: 'unknown', message: String(error) };
      if (name === 'WaitingError') return 'waiting';
      if (name === 'DelayedError') return 'delayed';
      return this.#settle(() => this.#fail(queue, id, token, message, name === 'UnrecoverableError'));
    }
    return this.#settle(() => this.#complete(queue, id, token, result));
  }

  /** What a living worker does while it works. False when another holds the job, or nobody can: it is gone. */
  renew({ queue, id, token }: Pick<HeldJob, 'queue' | 'id' | 'token'>): boolean {
    const lock = this.#states[queue].entries.get(id)?.lock;
    if (lock?.token !== token || lock.until <= this.#now()) return false;
    lock.until = this.#now() + this.#lockMs;
    return true;
  }

  /** Puts back, first in line, the active jobs whose lock has lapsed. Returns their ids. */
  giveAwayStalled(): readonly string[] {
    const now = this.#now();
    const given: string[] = [];
    for (const queue of QUEUE_NAMES) {
      const state = this.#states[queue];
      for (const entry of state.entries.values()) {
        if (entry.state !== 'active' || (entry.lock !== null && entry.lock.until > now)) continue;
        entry.stalledCount += 1;
        toFront(state, entry);
        given.push(entry.id);
      }
    }
    return given;
  }

  /** What the watchdog does with jobs that a wrong clock delayed: those delayed until later than `until` (ms) wait. Returns their ids. */
  promoteBeyond(until: number): readonly string[] {
    const promoted: string[] = [];
    for (const queue of QUEUE_NAMES) promoted.push(...this.#promote(queue, ({ delayedUntil }) => delayedUntil > until));
    return promoted;
  }

  /** The next instant (ms) at which a delayed job can be taken or a lock lapses; null when nothing will change by itself. */
  nextAt(): number | null {
    let next: number | null = null;
    for (const queue of QUEUE_NAMES) {
      for (const { state, delayedUntil, lock } of this.#states[queue].entries.values()) {
        const at = state === 'delayed' ? delayedUntil : state === 'active' && lock !== null ? lock.until : null;
        if (at !== null && (next === null || at < next)) next = at;
      }
    }
    return next;
  }

  /** Ids of the jobs in this state, the next one first. */
  ids(queue: QueueName, wanted: JobState): readonly string[] {
    const { waiting, entries } = this.#states[queue];
    if (wanted === 'waiting') return [...waiting];
    return [...entries.values()].filter(({ state }) => state === wanted).map(({ id }) => id);
  }

  /** Why the job failed last, or null. */
  failedReason(queue: QueueName, id: string): string | null {
    return this.#states[queue].entries.get(id)?.failedReason ?? null;
  }

  /** Redis loses everything, also what workers hold: their settlements find nothing. */
  flush(): void {
    this.#states = emptyStates();
  }

  /** A copy of everything, for `restore`: a Redis that is set back to a snapshot. Locks come back as they were. */
  save(): unknown {
    return structuredClone(this.#states);
  }

  restore(saved: unknown): void {
    if (!isStates(saved)) throw new Error('this was not saved here');
    this.#states = structuredClone(saved);
  }

  #port(name: QueueName): JobQueue {
    return {
      getJobState: async (id) => this.#states[name].entries.get(id)?.state ?? 'unknown',
      getJob: async (id) => {
        const entry = this.#states[name].entries.get(id);
        return entry === undefined ? undefined : this.#stored(name, entry);
      },
      add: async (_name, data, { jobId }) => this.#add(name, jobId, data),
    };
  }

  #stored(queue: QueueName, { id, finishedOn }: Entry): StoredJob {
    return {
      finishedOn,
      remove: async () => {
        const state = this.#states[queue];
        const entry = state.entries.get(id);
        if (entry === undefined) return;
        if (entry.lock !== null && entry.lock.until > this.#now()) {
          throw new Error(`Job ${id} could not be removed because it is locked by another worker`);
        }
        state.entries.delete(id);
        state.waiting = state.waiting.filter((each) => each !== id);
        state.completed = state.completed.filter((each) => each !== id);
        state.failed = state.failed.filter((each) => each !== id);
      },
    };
  }

  #add(queue: QueueName, id: string, data: AnyJobData): void {
    if (id === '' || id.includes(':') || /^\d+$/.test(id)) throw new Error(`${id} is no id for a job`);
    const state = this.#states[queue];
    if (state.entries.has(id)) return;
    state.entries.set(id, {
      id,
      json: toJson(data),
      state: 'waiting',
      attemptsMade: 0,
      stalledCount: 0,
      serial: 0,
      delayedUntil: 0,
      lock: null,
      finishedOn: undefined,
      failedReason: undefined,
    });
    state.waiting.push(id);
  }

  /** Delayed jobs go to the end of those that wait, the earliest first. */
  #promote(queue: QueueName, isMeant: (entry: Entry) => boolean): readonly string[] {
    const state = this.#states[queue];
    const meant = [...state.entries.values()].filter((entry) => entry.state === 'delayed' && isMeant(entry));
    meant.sort((a, b) => a.delayedUntil - b.delayedUntil || a.serial - b.serial);
    for (const entry of meant) {
      entry.state = 'waiting';
      state.waiting.push(entry.id);
    }
    return meant.map(({ id }) => id);
  }

  /** The job in the hands of this token. Throws as BullMQ's scripts do when it is not. */
  #held(queue: QueueName, id: string, token: string | undefined): Entry {
    const entry = this.#states[queue].entries.get(id);
    if (entry === undefined) throw new Error(`Missing key for job ${id}`);
    if (entry.lock === null || entry.lock.until <= this.#now()) throw new Error(`Missing lock for job ${id}`);
    if (entry.lock.token !== token) throw new Error(`Lock mismatch for job ${id}`);
    return entry;
  }

  #giveBack(queue: QueueName, id: string, token: string | undefined): void {
    toFront(this.#states[queue], this.#held(queue, id, token));
  }

  #delay(queue: QueueName, id: string, token: string | undefined, until: number, attempts: number): JobState {
    const entry = this.#held(queue, id, token);
    this.#serial += 1;
    entry.state = 'delayed';
    entry.lock = null;
    entry.attemptsMade += attempts;
    entry.delayedUntil = until;
    entry.serial = this.#serial;
    return 'delayed';
  }

  #complete(queue: QueueName, id: string, token: string, result: unknown): JobState {
    assertJson(result);
    const entry = this.#held(queue, id, token);
    entry.attemptsMade += 1;
    return this.#end(this.#states[queue], entry, 'completed');
  }

  #fail(queue: QueueName, id: string, token: string, reason: string, isFinal: boolean): JobState {
    const entry = this.#held(queue, id, token);
    entry.failedReason = reason;
    const { attempts, delay, jitter } = BACKOFF;
    if (isFinal || entry.attemptsMade + 1 >= attempts) {
      entry.attemptsMade += 1;
      return this.#end(this.#states[queue], entry, 'failed');
    }
    const most = delay * 2 ** entry.attemptsMade;
    const waitMs = Math.floor(most * (1 - jitter) + this.#random() * most * jitter);
    return this.#delay(queue, id, token, this.#now() + waitMs, 1);
  }

  #end(state: State, entry: Entry, as: 'completed' | 'failed'): JobState {
    entry.state = as;
    entry.lock = null;
    entry.finishedOn = this.#now();
    const ended = state[as];
    ended.push(entry.id);
    while (ended.length > BACKOFF.keep[as]) {
      const oldest = ended.shift();
      if (oldest !== undefined) state.entries.delete(oldest);
    }
    return as;
  }

  #settle(settlement: () => JobState): Worked {
    try {
      return settlement();
    } catch (error) {
      if (error instanceof NotJson) throw error;
      // BullMQ's worker emits it as an error and goes on: whoever holds the job now settles it.
      return 'lost';
    }
  }

  #now(): number {
    return this.#clock.now().getTime();
  }
}

function emptyStates(): Record<QueueName, State> {
  const empty = (): State => ({ entries: new Map(), waiting: [], completed: [], failed: [] });
  return {
    sweep: empty(),
    archive: empty(),
    clear: empty(),
    purge: empty(),
    reconcile: empty(),
    retrieve: empty(),
    notify: empty(),
    audit: empty(),
  };
}

function isStates(saved: unknown): saved is Record<QueueName, State> {
  return typeof saved === 'object' && saved !== null && QUEUE_NAMES.every((name) => name in saved);
}

function toFront(state: State, entry: Entry): void {
  entry.state = 'waiting';
  entry.lock = null;
  state.waiting.unshift(entry.id);
}

/** As the daemon's queues are opened. */
const BACKOFF = readOptions();

function readOptions() {
  const { attempts, backoff, removeOnComplete, removeOnFail } = JOB_OPTIONS;
  const count = (keep: typeof removeOnComplete) => (typeof keep === 'object' ? keep.count : undefined);
  const keep = { completed: count(removeOnComplete), failed: count(removeOnFail) };
  if (typeof backoff !== 'object' || backoff.type !== 'exponential')
    throw new Error('only exponential backoff is known here');
  const { delay, jitter } = backoff;
  if (attempts === undefined || delay === undefined || jitter === undefined) throw new Error('an option has no value');
  if (keep.completed === undefined || keep.failed === undefined) throw new Error('ended jobs are kept for ever');
  return { attempts, delay, jitter, keep: { completed: keep.completed, failed: keep.failed } };
}

class NotJson extends Error {}

function assertJson(value: unknown): void {
  toJson(value);
}

function toJson(value: unknown): string {
  const json = JSON.stringify(value);
  if (json === undefined || !isDeepStrictEqual(JSON.parse(json), value)) {
    throw new NotJson('a job carries plain JSON: what comes back would differ');
  }
  return json;
}
