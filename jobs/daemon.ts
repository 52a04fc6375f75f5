/**
 * The daemon: one worker for each queue, the schedules, and the watchdog. Any number of daemons may run at once, in one
 * process or many: what two of them take up is fenced by the leases in the ledger.
 *
 * It waits for Redis, MongoDB and the vault to come back, and says so once. At a shutdown it takes no more jobs, tells
 * the running ones to stop, gives them back as waiting, waits for them with a deadline, and disconnects; with Redis away
 * too it ends within `giveBackWithinMs + closeWithinMs`.
 */
import { type Job, Worker } from 'bullmq';
import type { App } from '../src/app.ts';
import type { Clock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import { MoraineError } from '../src/errors.ts';
import type { ActLog, Progress } from '../src/lifecycle/context.ts';
import { assertSafeToDestroy } from '../src/lifecycle/preflight.ts';
import type { Acts } from './act.ts';
import { archive, clear } from './archive.ts';
import { audit } from './audit.ts';
import { DEFAULT_CONCURRENCY, MARGINS, MAX_STALLED_COUNT, type Margins } from './margins.ts';
import { notify } from './notify.ts';
import { Outages } from './outages.ts';
import { notePausedIn } from './paused.ts';
import { type ProcessorParts, processorOf, toolsOf } from './processor.ts';
import { purge } from './purge.ts';
import { type AnyJobData, openQueues, QUEUE_NAMES, type QueueName, type Queues, queuePrefix } from './queues.ts';
import { reconcile, retrieve } from './reconcile.ts';
import { assertKeepsJobs, DaemonRedis } from './redis.ts';
import { FIXED_SCHEDULES, type FixedSchedules } from './schedules.ts';
import { settle } from './settle-job.ts';
import { sweep } from './sweep.ts';
import { lookAtTimes, lookOnce } from './watchdog.ts';

export interface DaemonOptions {
  readonly config: Config;
  readonly app: App;
  readonly log: ActLog;
  /** Aborted: the same as `close()`. */
  readonly signal?: AbortSignal;
  /** Archives worked on at once. */
  readonly concurrency?: number;
  /** Of the keys in Redis; default: by installation. */
  readonly prefix?: string;
  readonly schedules?: FixedSchedules;
  /** Counts what this daemon does, for metrics. */
  readonly progress?: Progress;
  readonly margins?: Partial<Margins>;
}

export interface Daemon {
  /** For the queue dashboard and metrics. Closed with the daemon. */
  readonly queues: Queues;
  /** Settles when the first look of the watchdog is over: schedules are in place, lost work has jobs. */
  readonly ready: Promise<void>;
  /** Ends within the deadline, whatever is away. May be called twice. */
  close(): Promise<void>;
}

const ACTS: Acts = { sweep, archive, clear, purge, reconcile, retrieve, notify, audit };

/**
 * Starts it. With Redis away it waits and goes on by itself; throws CONFIG_INVALID without `redis.url`, and REDIS_EVICTS
 * when a Redis that answers may drop jobs.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { config, app, log } = options;
  if (config.redis === null) {
    throw new MoraineError('CONFIG_INVALID', `${config.file} has no redis.url, and the daemon's queues live in Redis.`);
  }
  const margins = { ...MARGINS, ...options.margins };
  const outages = new Outages(log);
  const redis = new DaemonRedis(config.redis.url, outages);
  const stop = new AbortController();
  const prefix = options.prefix ?? queuePrefix(app.installation.id);
  const { progress = {} } = options;
  const contextFor = (signal: AbortSignal) => app.context({ signal, progress });
  const { clock } = app.context();
  if (await answers(redis, clock)) {
    try {
      await assertKeepsJobs(redis);
    } catch (error) {
      redis.cut();
      throw error;
    }
  }
  const queues = openQueues(redis, prefix);
  for (const name of QUEUE_NAMES) queues[name].on('error', () => undefined);
  const parts: ProcessorParts & { readonly queues: Queues } = {
    contextFor,
    queues,
    outages,
    margins,
    notePaused: notePausedIn(redis, queues),
    stop: stop.signal,
  };
  const inFlight = new Set<Promise<unknown>>();
  const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
  const workers = QUEUE_NAMES.map((name) => startWorker(name, { redis, prefix, concurrency, parts, inFlight, log }));
  const watch = watchOn(parts, redis, options.schedules ?? FIXED_SCHEDULES, log);

  let closing: Promise<void> | null = null;
  const close = () => {
    closing ??= shutDown({ workers, queues, redis, stop, inFlight, watching: watch.ended, clock, margins });
    return closing;
  };
  options.signal?.addEventListener('abort', () => void close(), { once: true });
  if (options.signal?.aborted) void close();
  return { queues, ready: watch.first, close };
}

/** How long the start waits for Redis before it goes on without: the workers take up their work when it is there. */
const FIRST_ANSWER_WITHIN_MS = 3_000;

async function answers(redis: DaemonRedis, clock: Clock): Promise<boolean> {
  const ready = new Promise<boolean>((resolve) => {
    redis.once('ready', () => resolve(true));
    redis.once('close', () => resolve(false));
  });
  return await within(ready, FIRST_ANSWER_WITHIN_MS, clock, false);
}

interface WorkerParts {
  readonly redis: DaemonRedis;
  readonly prefix: string;
  readonly concurrency: number;
  readonly parts: ProcessorParts;
  readonly inFlight: Set<Promise<unknown>>;
  readonly log: ActLog;
}

/** One at a time where an act looks at everything: two of them would only wait for each other's leases. */
const ONE_AT_A_TIME: ReadonlySet<QueueName> = new Set(['purge', 'reconcile', 'retrieve', 'notify', 'audit']);

function startWorker<N extends QueueName>(
  name: N,
  { redis, prefix, concurrency, parts, inFlight, log }: WorkerParts,
): Worker {
  const { margins } = parts;
  const processor = processorOf(name, ACTS[name], parts);
  const worker = new Worker<AnyJobData>(
    name,
    // Three parameters: see `Processor`.
    (job, token, signal) => {
      const work = processor(job, token, signal);
      inFlight.add(work);
      const done = () => inFlight.delete(work);
      work.then(done, done);
      return work;
    },
    {
      connection: redis,
      prefix,
      concurrency: ONE_AT_A_TIME.has(name) ? 1 : concurrency,
      lockDuration: margins.lockMs,
      stalledInterval: margins.stalledEveryMs,
      maxStalledCount: MAX_STALLED_COUNT,
    },
  );
  worker.on('failed', (job: Job<AnyJobData> | undefined, error: Error) => {
    log.error({ queue: name, job: job?.id, attempts: job?.attemptsMade }, `The job failed: ${error.message}`);
  });
  worker.on('stalled', (job: string) => {
    log.warn({ queue: name, job }, 'A job lost its worker and was given to another.');
  });
  // Connection errors: said once by the outage. A lost lock: the lease in the ledger decides who goes on.
  worker.on('error', () => undefined);
  return worker;
}

/** The watchdog looks at once, and then again and again. An error ends one look, never the watch. */
function watchOn(
  parts: ProcessorParts & { readonly queues: Queues },
  redis: DaemonRedis,
  fixed: FixedSchedules,
  log: ActLog,
): { readonly first: Promise<void>; readonly ended: Promise<void> } {
  const { contextFor, margins, outages, queues, stop } = parts;
  const context = contextFor(stop);
  const first = Promise.withResolvers<void>();
  let lastCode = '';
  const look = async () => {
    try {
      await lookOnce(toolsOf(context, parts), queues, redis, fixed);
      outages.ended('mongodb');
      // What stops destructive work does not stop the first look, only the one that needs to know the time.
      await assertSafeToDestroy(context);
      outages.ended('time');
      await lookAtTimes(toolsOf(context, parts), queues, redis, fixed);
      lastCode = '';
    } catch (error) {
      if (stop.aborted) return;
      const settlement = settle(error, { now: context.clock.now(), isStopping: false, margins });
      if (settlement.kind === 'delay' && settlement.waited !== null) {
        outages.began(settlement.waited, settlement.code);
        return;
      }
      const code = error instanceof MoraineError ? error.code : 'INTERNAL';
      // Said when it begins, not at every look.
      if (code === lastCode) return;
      lastCode = code;
      const text = error instanceof MoraineError ? `${error.message} ${error.hint}` : 'See the stack.';
      log.error(
        { code, stack: error instanceof MoraineError ? undefined : stackOf(error) },
        `The watchdog stopped: ${text}`,
      );
    }
  };
  const loop = async () => {
    while (!stop.aborted) {
      await look();
      first.resolve();
      await context.clock.sleep(margins.watchdogEveryMs, stop).catch(() => undefined);
    }
    first.resolve();
  };
  return { first: first.promise, ended: loop() };
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack?.split('\n').slice(1).join('\n') : undefined;
}

interface Running {
  readonly workers: readonly Worker[];
  readonly queues: Queues;
  readonly redis: DaemonRedis;
  readonly stop: AbortController;
  readonly inFlight: ReadonlySet<Promise<unknown>>;
  readonly watching: Promise<void>;
  readonly clock: Clock;
  readonly margins: Margins;
}

async function shutDown({ workers, queues, redis, stop, inFlight, watching, clock, margins }: Running): Promise<void> {
  // No more jobs are taken; the running ones stop before their next outside call and give their job back themselves.
  await Promise.all(workers.map((worker) => worker.pause(true)));
  stop.abort(new MoraineError('WORK_STOPPED', 'The daemon is shutting down.'));
  await within(Promise.allSettled([...inFlight]), margins.giveBackWithinMs, clock, null);
  // A job that was fetched just before the pause is given back by its processor, so `close` waits for it (no force).
  // It waits for a Redis that is away too, for ever if need be: past the deadline the connections are cut under it.
  const closed = Promise.allSettled([
    ...workers.map((worker) => worker.close()),
    ...QUEUE_NAMES.map((name) => queues[name].close()),
  ]);
  await within(closed, margins.closeWithinMs, clock, null);
  redis.cut();
  await within(watching, margins.closeWithinMs, clock, undefined);
}

/** `work`, or `otherwise` after `ms`. */
async function within<T>(work: Promise<T>, ms: number, clock: Clock, otherwise: T): Promise<T>;
async function within<T>(work: Promise<T>, ms: number, clock: Clock, otherwise: null): Promise<T | null>;
async function within<T>(work: Promise<T>, ms: number, clock: Clock, otherwise: T | null): Promise<T | null> {
  const timer = new AbortController();
  const late = clock.sleep(ms, timer.signal).then(
    () => otherwise,
    () => otherwise,
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}
