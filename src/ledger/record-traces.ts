/**
 * What the ledger holds about single records of an archive: what was planned, rosters, exceptions, the record index and that of children, facet codes, outcomes
 * of pages. At purge all of it goes (design 6), so that nothing about a record outlives its copy; the counts and the
 * Merkle root stay in the archive's document.
 */
import type { ArchiveId } from '../ids.ts';
import { childIndexPages } from './child-index.ts';
import { removeClearingPages } from './clearing.ts';
import { removeFacets } from './facet-codes.ts';
import { removePlannedRecords } from './planned-records.ts';
import { recordIndexPages } from './record-index.ts';
import { removeExceptions, removeRostersOf } from './rosters.ts';
import type { Store } from './store.ts';
import { childrenSubject } from './unit-pages.ts';

/** Idempotent. */
export async function removeRecordTraces(store: Store, archive: ArchiveId): Promise<void> {
  await Promise.all([
    removeRostersOf(store, archive),
    removePlannedRecords(store, archive),
    removeExceptions(store, archive),
    recordIndexPages(store).removeMany({ archive }),
    childIndexPages(store).removeMany({ subject: archive }),
    removeFacets(store, archive),
    removeClearingPages(store, archive),
    removeClearingPages(store, childrenSubject(archive)),
  ]);
}
