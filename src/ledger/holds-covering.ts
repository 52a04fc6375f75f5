/**
 * Looking at holds before an act (design 4, "Announce, then look"). A hold that cannot be proved not to cover what is
 * about to be cleared or purged covers it whole; holds that cannot be read mean: held.
 *
 * What proves that a hold on less than a party does not cover an archive, one of:
 * - the hold was looked at for each record when the archive was sealed, and what it covers was left out;
 * - no trigger in the archive lies in its range;
 * - none of its record keys is in the archive's record index, or none of its keys of children in that of children;
 * - none of its facet codes is among the archive's, which kept them all for that facet.
 */
import type { ArchiveId } from '../ids.ts';
import { type ArchiveDocument, UNIT_ARCHIVE_VERSION } from './archive-document.ts';
import { archives } from './archives.ts';
import { childIndexPages, rootsOfChild } from './child-index.ts';
import { facetPages } from './facet-codes.ts';
import { type HoldDocument, holdsInForce, isWhole, namesParty, type Party, reachesTriggers } from './holds.ts';
import { recordIndexPages, segmentsOf } from './record-index.ts';
import type { Store } from './store.ts';
import { assertReadable } from './versions.ts';

/** What an act is about to touch. */
export interface ActScope extends Party {
  /** null: records that are in no archive. */
  readonly archive: ArchiveId | null;
  /** For records in no archive: holds whose records were left out when they were chosen. */
  readonly leftOut?: readonly string[];
}

/** The holds in force that cover the scope. Read on the primary after the announcement was written. */
export async function holdsCovering(store: Store, scope: ActScope): Promise<readonly HoldDocument[]> {
  return (await lookAtHolds(store, scope)).covering;
}

/** As {@link holdsCovering}, with all in force that name the party, whatever they cover of it. */
export async function lookAtHolds(
  store: Store,
  scope: ActScope,
): Promise<{ readonly covering: readonly HoldDocument[]; readonly naming: readonly HoldDocument[] }> {
  const covering: HoldDocument[] = [];
  const naming = (await holdsInForce(store)).filter((hold) => namesParty(hold, scope));
  for (const hold of naming) {
    if (scope.leftOut?.includes(hold._id)) continue;
    if (isWhole(hold) || scope.archive === null || (await coversArchiveWithId(store, hold, scope.archive))) {
      covering.push(hold);
    }
  }
  return { covering, naming };
}

async function coversArchiveWithId(store: Store, hold: HoldDocument, archiveId: ArchiveId): Promise<boolean> {
  const archive = await archives(store).get(archiveId);
  if (archive === null) return true;
  assertReadable(archive, UNIT_ARCHIVE_VERSION);
  return await coversArchive(store, hold, archive);
}

/** Can it not be proved that the archive holds nothing that the hold names? */
export async function coversArchive(store: Store, hold: HoldDocument, archive: ArchiveDocument): Promise<boolean> {
  if (!namesParty(hold, archive)) return false;
  if (isWhole(hold)) return true;
  const { stored } = archive;
  if (stored === null) return true;
  if (archive.leftOut?.includes(hold._id)) return false;
  if (!reachesTriggers(hold, stored.triggerFrom.getTime(), stored.triggerTo.getTime())) return false;
  return (await mayHaveKeys(store, hold, archive, stored.records)) && (await mayHaveFacet(store, hold, archive));
}

async function mayHaveKeys(
  store: Store,
  { recordKeys, collection }: HoldDocument,
  archive: ArchiveDocument,
  records: number,
): Promise<boolean> {
  // Before its roster shrinks an archive has no index; without one nothing is proved.
  if (recordKeys == null || !archive.rosterShrunk) return true;
  if (archive.addendumTo === undefined && collection != null) {
    return await mayHaveChildren(store, recordKeys, archive);
  }
  if (archive.addendumTo !== undefined) {
    // A hold names records, and those of an addendum are their children.
    if (collection == null) return true;
    if (collection !== archive.collection) return false;
  }
  if ((await recordIndexPages(store).count({ archive: archive._id })) === 0) return true;
  for (const key of recordKeys) {
    if ((await segmentsOf(store, archive._id, records, Buffer.from(key, 'base64url'))).length > 0) return true;
  }
  return false;
}

async function mayHaveChildren(
  store: Store,
  codes: readonly string[],
  { _id, stored }: ArchiveDocument,
): Promise<boolean> {
  const children = stored?.children ?? 0;
  if (children === 0) return false;
  if ((await childIndexPages(store).count({ subject: _id })) === 0) return true;
  for (const code of codes) {
    if ((await rootsOfChild(store, _id, children, Buffer.from(code, 'base64url'))).length > 0) return true;
  }
  return false;
}

async function mayHaveFacet(store: Store, { facet }: HoldDocument, archive: ArchiveDocument): Promise<boolean> {
  // Nothing is known of a facet that the policy did not declare when the archive was sealed.
  if (facet == null || !archive.facets?.includes(facet.name)) return true;
  let isKnown = false;
  for await (const page of facetPages(store).find({ archive: archive._id })) {
    assertReadable(page);
    if (page.coversEverything || facet.codes.some((code) => page.codes.includes(code))) return true;
    isKnown = true;
  }
  return !isKnown;
}
