/** Makes the processor of a queue: a job's ids in, an act called, its outcome settled. */
import { DelayedError, UnrecoverableError, WaitingError } from 'bullmq';
import type { Json } from '../src/canonical-json.ts';
import { MoraineError } from '../src/errors.ts';
import { rememberScheduledRun } from '../src/ledger/schedules.ts';
import { assertNotStopped, type Context } from '../src/lifecycle/context.ts';
import type { Act, ActTools } from './act.ts';
import type { Margins } from './margins.ts';
import type { Outages } from './outages.ts';
import type { NotePaused } from './paused.ts';
import {
  type AnyJobData,
  isOpen,
  type JobData,
  type JobQueues,
  type PutOptions,
  putJob,
  type QueueName,
  readJobData,
} from './queues.ts';
import { sweepAct } from './schedules.ts';
import { codeAndIds, type Settlement, settle } from './settle-job.ts';

export interface ProcessorParts {
  /** A context whose acts stop when the signal is aborted. */
  readonly contextFor: (signal: AbortSignal) => Context;
  readonly queues: JobQueues;
  readonly outages: Outages;
  readonly margins: Margins;
  /** Remembers that a job waits for the end of a pause; without it the job looks again by itself. */
  readonly notePaused?: NotePaused;
  /** Aborted when the daemon stops. */
  readonly stop: AbortSignal;
}

/** What a processor needs of the job in its hands, so that a queue in memory can hand it out too. */
export interface TakenJob {
  readonly id?: string | undefined;
  readonly data: AnyJobData;
  moveToWait(token?: string): Promise<unknown>;
  moveToDelayed(timestamp: number, token?: string): Promise<unknown>;
}

/**
 * Three parameters, none with a default: BullMQ passes the abort signal only when the function's `length` is 3 or more.
 * `token` proves that this worker holds the job.
 */
export type Processor = (job: TakenJob, token: string | undefined, signal: AbortSignal | undefined) => Promise<Json>;

export function processorOf<N extends QueueName>(name: N, act: Act<N>, parts: ProcessorParts): Processor {
  return async (job, token, signal) => {
    const { outages } = parts;
    const stop = signal === undefined ? parts.stop : AbortSignal.any([signal, parts.stop]);
    const context = parts.contextFor(stop);
    const startedAt = context.clock.now();
    const log = (text: string, code: string) => context.log.error({ queue: name, job: job.id, code }, text);
    try {
      assertNotStopped(context);
      const data = readJobData(name, job.data);
      if (data === null) throw new UnrecoverableError('INTERNAL: the data of the job are not those of this queue');
      const result = await act(toolsOf(context, parts), data);
      outages.ended('mongodb');
      if (name === 'archive') outages.ended('vault');
      if (name === 'archive' || name === 'purge') outages.ended('time');
      await remember(context, name, data, startedAt);
      return result;
    } catch (error) {
      if (error instanceof UnrecoverableError) throw error;
      const settlement = settle(error, {
        now: context.clock.now(),
        isStopping: stop.aborted,
        margins: parts.margins,
      });
      if (settlement.kind === 'fail') {
        log(textOf(error), codeAndIds(error));
        const data = readJobData(name, job.data);
        // With the ledger away, the worst is that it is made up for once more.
        if (data !== null) await remember(context, name, data, startedAt).catch(() => undefined);
      }
      return await leave(name, job, token, settlement, parts);
    }
  };
}

export function toolsOf(context: Context, { queues, margins }: ProcessorParts): ActTools {
  return {
    context,
    margins,
    isOpen: (queue, job) => isOpen(queues, queue, job),
    put: (queue, data, options: PutOptions = {}) => putJob(queues, queue, data, context.clock.now(), options),
  };
}

/** How long a job is held before it is put off: no job comes back more often than this, whatever the clocks say. */
const BREATH_MS = 1_000;

/** Ends the job in this worker's hands in the way that was settled. Always throws. */
async function leave(
  name: QueueName,
  job: TakenJob,
  token: string | undefined,
  settlement: Settlement,
  { outages, contextFor, stop, notePaused }: ProcessorParts,
): Promise<never> {
  switch (settlement.kind) {
    case 'give-back':
      await job.moveToWait(token);
      throw new WaitingError();
    case 'delay': {
      const { clock } = contextFor(stop);
      if (settlement.waited !== null) outages.began(settlement.waited, settlement.code);
      // By our own clock, also where the reason is that it is wrong. A right instant (of the ledger's server) would not
      // help: BullMQ takes its own `Date.now()` for one that has passed, so a worker that is ahead writes its own time in
      // any case. One that is behind comes back early, and with two workers at once: so that this is no busy loop, the
      // job is held for a moment. See misdated.ts for the harm that is left.
      await clock.sleep(Math.min(settlement.ms, BREATH_MS), stop).catch(() => undefined);
      // Before it is put off: the other way round the end of the pause could be noticed in between, and the job not. Where it
      // cannot be written the job looks again by itself.
      if (settlement.pause !== undefined && job.id !== undefined)
        await notePaused?.(name, job.id, settlement.pause).catch(() => undefined);
      await job.moveToDelayed(clock.now().getTime() + settlement.ms, token);
      throw new DelayedError();
    }
    case 'retry':
      throw new Error(settlement.text);
    case 'fail':
      throw new UnrecoverableError(settlement.text);
  }
}

/** A run that failed for good has run: it is not made up for before its schedule comes round again. */
async function remember<N extends QueueName>(
  { store }: Context,
  name: N,
  data: JobData[N],
  startedAt: Date,
): Promise<void> {
  if ('policy' in data && name === 'sweep' && data.policy !== null) {
    await rememberScheduledRun(store, sweepAct(data.policy), startedAt);
  } else if (name !== 'sweep' && name !== 'archive' && name !== 'clear') {
    await rememberScheduledRun(store, name, startedAt);
  }
}

/** Our own texts name ids only. Those of other libraries may quote what they stumbled over: their stack says where. */
function textOf(error: unknown): string {
  if (error instanceof MoraineError) return `${error.message} ${error.changed} ${error.hint}`;
  if (!(error instanceof Error)) return 'Something that is no error was thrown.';
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return [error.name, ...frames].join('\n');
}
