/** An archive whose roots are deleted and on which something still hangs: reported, and planned as an addendum where it can be. */
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import type { ArchiveLease } from '../ledger/archives.ts';
import type { DatasetShape } from '../source/port.ts';
import type { UnitsCleared } from './clear-children.ts';
import type { Context } from './context.ts';
import { openAddenda, planAddendum } from './late-children.ts';

export async function leaveUnits(
  context: Context,
  lease: ArchiveLease,
  shape: DatasetShape,
  units: Exclude<UnitsCleared, { readonly kind: 'settled' }>,
): Promise<ArchiveDocument> {
  const archive = lease.document;
  if (units.kind === 'held') {
    const text = `What hangs on its deleted records stays for now: ${units.holds.length} holds cover it.`;
    context.log.warn({ archive: archive._id, holds: units.holds.join(', ') }, text);
    return archive;
  }
  const open = await openAddenda(context, archive, shape);
  for (const [collection, found] of units.found) {
    // What is late is taken when the addendum is sealed; one that is sealed already is seen to first.
    if (open.some((addendum) => addendum.collection === collection)) continue;
    const addendum = await planAddendum(context, lease, collection, found);
    context.log.info({ archive: archive._id, addendum, records: found.records }, 'Late children go into an addendum.');
  }
  return archive;
}
