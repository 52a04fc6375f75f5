/** Archives that an earlier run left unfinished, and the jobs that carry them on. */
import type { ArchiveDocument } from '../src/ledger/archive-document.ts';
import { findArchives } from '../src/ledger/archives.ts';
import { pausesInForce, stops } from '../src/ledger/pauses.ts';
import { UNCLEARED_STATES } from '../src/ledger/states.ts';
import type { Filter } from '../src/ledger/store.ts';
import type { Context } from '../src/lifecycle/context.ts';
import type { ActTools } from './act.ts';
import { type PutOptions, partitionJobId } from './queues.ts';

/** Those that can go on now: nobody works on them, and they do not wait for an inventory (`reconcile` takes them on). */
export async function* unfinishedArchives(context: Context, filter: Filter): AsyncIterable<ArchiveDocument> {
  const { store } = context;
  const now = (await store.serverTime()).getTime();
  const canGoOn = ({ state, verifyLevel, lease }: ArchiveDocument) =>
    !(state === 'stored' && verifyLevel === 'inventory') && (lease === null || lease.until.getTime() <= now);
  for await (const archive of findArchives(store, { ...filter, state: { $in: UNCLEARED_STATES } }))
    if (canGoOn(archive)) yield archive;
  for await (const archive of findArchives(store, { ...filter, state: 'cleared', rosterShrunk: false }))
    if (canGoOn(archive)) yield archive;
}

/** Gives each of them to its queue, but for what a person has paused. Returns how many had no job. */
export async function putUnfinished(
  { context, put, isOpen }: ActTools,
  filter: Filter,
  { quietMs = 0, ...options }: PutOptions & { readonly quietMs?: number } = {},
): Promise<number> {
  let count = 0;
  const changedBefore = context.clock.now().getTime() - quietMs;
  const pauses = await pausesInForce(context.store);
  for await (const { _id, state, changedAt, partition, policy, owner } of unfinishedArchives(context, filter)) {
    if (pauses.some((pause) => stops(pause, { policy, owner }))) continue;
    if (changedAt.getTime() > changedBefore) continue;
    // That job carries on what is unfinished in its partition before it plans more.
    if (await isOpen('archive', partitionJobId(partition))) continue;
    if (await put(state === 'verified' ? 'clear' : 'archive', { archive: _id }, options)) count += 1;
  }
  return count;
}
