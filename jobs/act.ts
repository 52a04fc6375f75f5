/** What the acts of the queues are given, and the form that all of them have. */
import type { Json } from '../src/canonical-json.ts';
import type { Context } from '../src/lifecycle/context.ts';
import type { Margins } from './margins.ts';
import type { JobData, PutOptions, QueueName } from './queues.ts';

export interface ActTools {
  readonly context: Context;
  readonly margins: Margins;
  /** A job of this id waits or runs. */
  isOpen(queue: QueueName, job: string): Promise<boolean>;
  /** Gives work to another queue, or leaves the job that is there. */
  put<N extends QueueName>(queue: N, data: JobData[N], options?: PutOptions): Promise<boolean>;
}

/** Translates a job into acts of the lifecycle. What it returns goes to Redis: counts, ids, codes. */
export type Act<N extends QueueName> = (tools: ActTools, data: JobData[N]) => Promise<Json>;

export type Acts = { readonly [N in QueueName]: Act<N> };
