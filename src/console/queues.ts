/** The job queues as the console sees them: through bull-board's adapters, which `jobs/board.ts` makes. */
import type { BaseAdapter } from '@bull-board/api/baseAdapter';
import type { Clock } from '../clock.ts';

export type QueueAdapter = BaseAdapter;

export const JOB_STATES = ['waiting', 'active', 'delayed', 'prioritized', 'completed', 'failed', 'paused'] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface QueueFigures {
  readonly name: string;
  readonly description: string;
  /** Null when Redis does not answer. */
  readonly jobs: Readonly<Record<JobState, number>> | null;
  readonly isPaused: boolean | null;
}

/** A queue library waits for a Redis that is away; a page does not. */
const REDIS_PATIENCE_MS = 2_000;

export async function readQueues(clock: Clock, adapters: readonly QueueAdapter[]): Promise<readonly QueueFigures[]> {
  return await Promise.all(adapters.map((adapter) => readQueue(clock, adapter)));
}

/** Whether Redis answers, asked through the first queue. */
export async function redisAnswers(clock: Clock, adapters: readonly QueueAdapter[]): Promise<boolean> {
  const [first] = adapters;
  return first !== undefined && (await orNull(clock, first.getJobCounts())) !== null;
}

async function readQueue(clock: Clock, adapter: QueueAdapter): Promise<QueueFigures> {
  const [counts, isPaused] = await Promise.all([
    orNull(clock, adapter.getJobCounts()),
    orNull(clock, adapter.isPaused()),
  ]);
  return {
    name: adapter.getName(),
    description: adapter.getDescription(),
    jobs: counts === null ? null : jobsOf(counts),
    isPaused,
  };
}

function jobsOf(counts: Readonly<Partial<Record<string, number>>>): Record<JobState, number> {
  const of = (state: JobState) => counts[state] ?? 0;
  return {
    waiting: of('waiting'),
    active: of('active'),
    delayed: of('delayed'),
    prioritized: of('prioritized'),
    completed: of('completed'),
    failed: of('failed'),
    paused: of('paused'),
  };
}

/** Null when the answer does not come in time, or is an error: a dashboard shows that Redis is away, and stays. */
async function orNull<T>(clock: Clock, answer: Promise<T>): Promise<T | null> {
  const waiting = new AbortController();
  const timeout = clock.sleep(REDIS_PATIENCE_MS, waiting.signal).then(
    () => null,
    () => null,
  );
  try {
    return await Promise.race([answer.catch(() => null), timeout]);
  } finally {
    waiting.abort();
  }
}
