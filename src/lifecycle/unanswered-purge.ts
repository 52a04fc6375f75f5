/**
 * A purge whose vault was asked and whose answer never came. Mostly the next purge simply asks again; under a hold it may
 * not, and nobody knows whether there is still something to hold. The vault's inventory says: the file is gone, and the
 * purge goes to its end; or it is listed long after it was asked, and the purge is taken back, so that the hold holds.
 */
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import type { ArchiveLease } from '../ledger/archives.ts';
import { markAccepted, takeBackAsking } from '../ledger/purging.ts';
import type { InventoryEntry } from '../vault/port.ts';
import type { Context } from './context.ts';
import { outlives } from './quiet-vault.ts';

/** Not before this is an inventory asked for: the next purge, an hour later, mostly settles it. */
const WAITS_FOR_PURGE_MS = 6 * 3_600_000;
/** Since when an answer is missing that an inventory could give; null where none is. */
export function unansweredSince(archive: ArchiveDocument, now: Date): Date | null {
  const asked = askedAt(archive);
  return asked !== null && now.getTime() - asked.getTime() >= WAITS_FOR_PURGE_MS ? asked : null;
}

/** What an inventory says about it: nothing yet, that the file is gone, or that the vault never deleted it. */
export function answerOf(
  archive: ArchiveDocument,
  entry: InventoryEntry | null,
  inventoryDate: Date,
  now: Date,
): 'none' | 'gone' | 'not-deleted' {
  const asked = askedAt(archive);
  if (asked === null || archive.stored === null) return 'none';
  // It was in the vault before this inventory was made, and is not in it.
  if (entry === null) return inventoryDate > archive.stored.at ? 'gone' : 'none';
  return outlives(asked, now) ? 'not-deleted' : 'none';
}

/** `gone`: the next purge destroys the key and ends it, whatever else holds. `not-deleted`: it is `cleared` again. */
export async function settleUnanswered(
  context: Context,
  lease: ArchiveLease,
  answer: 'gone' | 'not-deleted',
  inventoryDate: Date,
): Promise<void> {
  if (askedAt(lease.document) === null) return;
  if (answer === 'gone') await markAccepted(lease, inventoryDate);
  else await takeBackAsking(context, lease, `the inventory of ${inventoryDate.toISOString()} still lists it`);
}

function askedAt({ state, purge }: ArchiveDocument): Date | null {
  return state === 'purging' && purge !== null && purge.acceptedAt === null ? purge.askedAt : null;
}
