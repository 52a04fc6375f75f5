/**
 * Pages that a worker which slept past its lease wrote after its archive, or its disposal, had been
 * settled and closed by another. They say nothing any more; that they are there only keeps a number of records in the ledger.
 */
import type { ArchiveId } from '../ids.ts';
import { id } from '../ids.ts';
import { archives } from '../ledger/archives.ts';
import { removeClearingPages, withClearingPages } from '../ledger/clearing.ts';
import { DISPOSAL_PREFIX, disposals } from '../ledger/disposals.ts';
import { partitions } from '../ledger/partitions.ts';
import { removePlannedRecords, withPlannedRecords } from '../ledger/planned-records.ts';
import { removeRoster, withRosterPages } from '../ledger/rosters.ts';
import { withoutChildren } from '../ledger/unit-pages.ts';
import { assertNotStopped, type Context } from './context.ts';

/** Returns of how many archives and disposals it removed pages. */
export async function removeLeftPages(context: Context): Promise<number> {
  const removed = new Set<string>();
  for (const name of await withClearingPages(context.store)) {
    assertNotStopped(context);
    const whose = withoutChildren(name);
    if (!(await isClosed(context, whose))) continue;
    await removeClearingPages(context.store, name);
    removed.add(whose);
  }
  // Those of archives are removed with their attempts (clean-up-attempts.ts).
  for (const name of await withRosterPages(context.store, DISPOSAL_PREFIX)) {
    assertNotStopped(context);
    if (!(await isClosed(context, name))) continue;
    await removeRoster(context.store, name);
    removed.add(name);
  }
  for (const name of await leftPlanned(context)) {
    await removePlannedRecords(context.store, name);
    removed.add(name);
  }
  return removed.size;
}

/**
 * Archives that have pages of planned records and will not ask for them again; also those that never came into being,
 * where the lease under which they were planned is over.
 */
async function leftPlanned(context: Context): Promise<readonly ArchiveId[]> {
  const { store } = context;
  const left: ArchiveId[] = [];
  const now = await store.serverTime();
  for await (const { archive, partition, epoch } of withPlannedRecords(store)) {
    assertNotStopped(context);
    // In this order: an archive that is not there when the lease is over never comes with its pages in use.
    const planner = await partitions(store).get(partition);
    const isPlanning =
      planner !== null && planner.epoch === epoch && planner.lease !== null && planner.lease.until > now;
    const document = await archives(store).get(archive);
    if (document === null ? !isPlanning : document.rosterShrunk || document.state === 'abandoned') left.push(archive);
  }
  return left;
}

/** Nobody works under it again: its roster is shrunk, or it is done. */
async function isClosed({ store }: Context, name: string): Promise<boolean> {
  const archive = await archives(store).get(id.archive(name));
  if (archive !== null) return archive.rosterShrunk;
  return (await disposals(store).get(name))?.state === 'done';
}
