/**
 * A daemon of the simulated world: the product's own processors and acts, fed by the queues in memory. It takes what
 * waits, renews its locks while it lives, and comes back some time after it was killed, with nothing in its memory.
 */

import { archive, clear } from '../../../jobs/archive.ts';
import { audit } from '../../../jobs/audit.ts';
import { DEFAULT_CONCURRENCY, MARGINS } from '../../../jobs/margins.ts';
import { notify } from '../../../jobs/notify.ts';
import { Outages } from '../../../jobs/outages.ts';
import { type ProcessorParts, processorOf, toolsOf } from '../../../jobs/processor.ts';
import { purge } from '../../../jobs/purge.ts';
import { type JobQueues, QUEUE_NAMES, type QueueName } from '../../../jobs/queues.ts';
import { reconcile, retrieve } from '../../../jobs/reconcile.ts';
import { sweep } from '../../../jobs/sweep.ts';
import { putUnfinished } from '../../../jobs/unfinished.ts';
import { MoraineError } from '../../../src/errors.ts';
import { assertSafeToDestroy } from '../../../src/lifecycle/preflight.ts';
import type { HeldJob } from '../../harness/memory-queues.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import { contextsOf, type Installed } from './context.ts';

const PROCESSORS = {
  sweep: (parts: ProcessorParts) => processorOf('sweep', sweep, parts),
  archive: (parts: ProcessorParts) => processorOf('archive', archive, parts),
  clear: (parts: ProcessorParts) => processorOf('clear', clear, parts),
  purge: (parts: ProcessorParts) => processorOf('purge', purge, parts),
  reconcile: (parts: ProcessorParts) => processorOf('reconcile', reconcile, parts),
  retrieve: (parts: ProcessorParts) => processorOf('retrieve', retrieve, parts),
  notify: (parts: ProcessorParts) => processorOf('notify', notify, parts),
  audit: (parts: ProcessorParts) => processorOf('audit', audit, parts),
};
const ONE_AT_A_TIME: ReadonlySet<QueueName> = new Set(['purge', 'reconcile', 'retrieve', 'notify', 'audit']);

export class Daemon {
  readonly process: SimulatedProcess;
  readonly #parts: ProcessorParts;
  readonly #stop = new AbortController();
  readonly #running = new Map<QueueName, number>();
  readonly #servers: Installed['servers'];
  readonly #changed: () => void;
  #tokens = 0;
  #isStopping = false;
  /** Until then its locks are not renewed although it lives: a connection to Redis that went quiet. */
  #isSilentUntil = 0;

  /** @param changed Called when the queues may have something for somebody. */
  constructor(process: SimulatedProcess, installed: Installed, changed: () => void) {
    this.process = process;
    this.#servers = installed.servers;
    this.#changed = changed;
    const contextOf = contextsOf(process, installed);
    this.#parts = {
      contextFor: (signal) => contextOf(signal),
      queues: this.#queues(),
      outages: new Outages(installed.log),
      margins: MARGINS,
      stop: this.#stop.signal,
    };
  }

  get isUp(): boolean {
    return !this.process.isGone && !this.#isStopping;
  }

  /** Takes what there is room for. */
  take(): void {
    if (!this.isUp || this.process.isFrozen) return;
    for (const queue of QUEUE_NAMES) {
      const most = ONE_AT_A_TIME.has(queue) ? 1 : DEFAULT_CONCURRENCY;
      while ((this.#running.get(queue) ?? 0) < most) {
        const job = this.#servers.queues.takeNext(queue, `${this.process.name}-${this.#tokens++}`);
        if (job === null) break;
        void this.#work(queue, job);
      }
    }
  }

  /** The orderly way: running jobs are told to stop and give themselves back. */
  shutDown(): void {
    this.#isStopping = true;
    this.#stop.abort(new MoraineError('WORK_STOPPED', 'The daemon is shutting down.'));
  }

  /** Its locks lapse while it goes on: what it works on is given to another too. */
  goSilent(ms: number): void {
    this.#isSilentUntil = this.#servers.timeline.now + ms;
  }

  /** One look of the watchdog: what is unfinished and has no job gets one, and jobs that a wrong clock delayed go on. */
  async watch(): Promise<void> {
    await this.#promoteMisdated().catch(() => undefined);
    const tools = toolsOf(this.#parts.contextFor(this.#stop.signal), this.#parts);
    const { quietMs, failedAgainAfterMs } = MARGINS;
    await putUnfinished(tools, {}, { quietMs, unlessEndedWithinMs: failedAgainAfterMs }).catch(() => 0);
  }

  /** As promoteMisdated of jobs/misdated.ts on Redis, and under the same condition. */
  async #promoteMisdated(): Promise<void> {
    const context = this.#parts.contextFor(this.#stop.signal);
    await assertSafeToDestroy(context);
    const until = context.clock.now().getTime() + MARGINS.longestDelayMs;
    await this.#asks('promote', async () => this.#servers.queues.promoteBeyond(until));
    this.#changed();
  }

  async #work(queue: QueueName, job: HeldJob): Promise<void> {
    this.#running.set(queue, (this.#running.get(queue) ?? 0) + 1);
    const { process } = this;
    let isOver = false;
    void this.#renew(job, () => isOver);
    const processor = PROCESSORS[queue](this.#parts);
    const hands = {
      ...job,
      moveToWait: (token?: string) => this.#asks('moveToWait', () => job.moveToWait(token)),
      moveToDelayed: (until: number, token?: string) =>
        this.#asks('moveToDelayed', () => job.moveToDelayed(until, token)),
    };
    await this.#servers.queues.work(job, async (_job, token, signal) => {
      const result = await processor(hands, token, signal);
      // To say that it is done is a call too, and may never come.
      await process.call('queue', 'settle', { whole: async () => undefined });
      return result;
    });
    isOver = true;
    this.#running.set(queue, (this.#running.get(queue) ?? 1) - 1);
    this.#changed();
  }

  async #renew(job: HeldJob, isOver: () => boolean): Promise<void> {
    for (;;) {
      await this.process.clock.sleep(MARGINS.lockMs / 2);
      if (isOver()) return;
      if (this.#servers.timeline.now < this.#isSilentUntil) continue;
      if (!this.#servers.queues.renew(job)) return;
    }
  }

  #queues(): JobQueues {
    const of = (name: QueueName): JobQueues[QueueName] => {
      const real = this.#servers.queues.queues[name];
      return {
        getJobState: (id) => this.#asks('getJobState', () => real.getJobState(id)),
        getJob: (id) =>
          this.#asks('getJob', async () => {
            const found = await real.getJob(id);
            return found && { ...found, remove: () => this.#asks('remove', () => found.remove()) };
          }),
        add: async (job, data, options) => {
          const added = await this.#asks('add', () => real.add(job, data, options));
          this.#changed();
          return added;
        },
      };
    };
    return {
      sweep: of('sweep'),
      archive: of('archive'),
      clear: of('clear'),
      purge: of('purge'),
      reconcile: of('reconcile'),
      retrieve: of('retrieve'),
      notify: of('notify'),
      audit: of('audit'),
    };
  }

  async #asks<R>(name: string, act: () => Promise<R>): Promise<R> {
    return (await this.process.call('queue', name, { whole: act })) as R;
  }
}
