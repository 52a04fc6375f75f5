/** The queues as bull-board, and so the console, takes them. Made here because it needs BullMQ, which `jobs` alone imports. */
import type { BaseAdapter } from '@bull-board/api/baseAdapter';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { ActLog } from '../src/lifecycle/context.ts';
import { Outages } from './outages.ts';
import { openQueues, QUEUE_NAMES, type QueueName, type Queues } from './queues.ts';
import { DaemonRedis } from './redis.ts';

const DESCRIPTIONS: Readonly<Record<QueueName, string>> = {
  sweep: 'plans what is due, one job a policy',
  archive: 'archives a partition, or carries an archive on',
  clear: 'deletes what a verified archive holds',
  purge: 'destroys archives whose period is over',
  reconcile: 'compares the ledger with the vaults',
  retrieve: 'follows retrievals until they are ready',
  audit: 'publishes the newest head of the audit chain',
  notify: 'tells owners what is in force and what will be destroyed',
};

/** For `startConsole({ queues })`. Read-only unless `isWritable` (console.bullBoardWritable). */
export function boardAdapters(
  queues: Queues,
  { isWritable }: { readonly isWritable: boolean },
): readonly BaseAdapter[] {
  return QUEUE_NAMES.map(
    (name) =>
      new BullMQAdapter(queues[name], {
        readOnlyMode: !isWritable,
        allowRetries: isWritable,
        description: DESCRIPTIONS[name],
      }),
  );
}

/** Queues of their own, for a console without a daemon. Redis may be away: its figures are missing until it is back. */
export function openBoard(options: {
  readonly url: string;
  /** Of the keys in Redis: `queuePrefix(installation)`. */
  readonly prefix: string;
  readonly isWritable: boolean;
  readonly log: ActLog;
}): { readonly adapters: readonly BaseAdapter[]; close(): void } {
  const { url, prefix, isWritable, log } = options;
  const redis = new DaemonRedis(url, new Outages(log));
  const queues = openQueues(redis, prefix);
  // What a queue says when its connection goes, the connection has said already.
  for (const name of QUEUE_NAMES) queues[name].on('error', () => undefined);
  return { adapters: boardAdapters(queues, { isWritable }), close: () => redis.cut() };
}
