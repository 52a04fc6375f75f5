/**
 * Facets of an archive: keyed codes of the values (a person's e-mail, a ticket number) that its records carry, written
 * at sealing, because the daemon cannot read archives. A hold by facet looks here. An archive with more values than are
 * kept counts as covering every value.
 */

import type { ArchiveId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';

interface FacetPage extends LedgerDocument {
  readonly archive: ArchiveId;
  readonly coversEverything: boolean;
  readonly codes: readonly string[];
}

/** Keeps a page near 200 kB. */
const CODES_PER_PAGE = 8_000;

export const FACET_INDEXES: readonly LedgerIndex[] = [
  { collection: 'archiveFacets', keys: { archive: 1 } },
  { collection: 'archiveFacets', keys: { codes: 1 } },
];

export function facetPages(store: Store): StoreCollection<FacetPage> {
  return store.collection<FacetPage>('archiveFacets');
}

export type FacetCodes =
  | { readonly coversEverything: true }
  | { readonly coversEverything: false; readonly codes: readonly string[] };

/** Replaces what an earlier attempt wrote. */
export async function writeFacets(store: Store, of: { readonly _id: ArchiveId }, facets: FacetCodes): Promise<void> {
  const archive = of._id;
  await removeFacets(store, archive);
  if (facets.coversEverything) {
    await facetPages(store).insert({ _id: `${archive}:0`, v: 1, archive, coversEverything: true, codes: [] });
    return;
  }
  for (let start = 0; start < facets.codes.length; start += CODES_PER_PAGE) {
    const codes = facets.codes.slice(start, start + CODES_PER_PAGE);
    await facetPages(store).insert({ _id: `${archive}:${start}`, v: 1, archive, coversEverything: false, codes });
  }
}

export async function removeFacets(store: Store, archive: ArchiveId): Promise<void> {
  await facetPages(store).removeMany({ archive });
}
