/**
 * Pages that a worker which slept past its lease wrote after its archive, or its disposal, had been
 * settled and closed by another. They say nothing any more; that they are there only keeps a number of records in the ledger.
 */
import { id } from '../ids.ts';
import { archives } from '../ledger/archives.ts';
import { removeClearingPages, withClearingPages } from '../ledger/clearing.ts';
import { disposals } from '../ledger/disposals.ts';
import { withoutChildren } from '../ledger/unit-pages.ts';
import { assertNotStopped, type Context } from './context.ts';

/** Returns of how many archives and disposals it removed pages. */
export async function removeLeftPages(context: Context): Promise<number> {
  let removed = 0;
  for (const name of await withClearingPages(context.store)) {
    assertNotStopped(context);
    if (!(await isClosed(context, withoutChildren(name)))) continue;
    await removeClearingPages(context.store, name);
    removed += 1;
  }
  return removed;
}

/** Nobody works under it again: its roster is shrunk, or it is done. */
async function isClosed({ store }: Context, name: string): Promise<boolean> {
  const archive = await archives(store).get(id.archive(name));
  if (archive !== null) return archive.rosterShrunk;
  return (await disposals(store).get(name))?.state === 'done';
}
