/** What hangs on the records of a page that is deleted without an archive, written down before the first of them goes. */
import type { Store } from '../ledger/store.ts';
import type { DatasetShape, FoundAttachment, RawRecord, SourcePort } from '../source/port.ts';
import type { WholeUnit } from './unit-reader.ts';
import { UnitRoster } from './unit-roster.ts';

export interface PageUnit {
  /** By collection: what children name the record by, where that is not its `_id`. */
  readonly parents: ReadonlyMap<DatasetShape['namespace'], Uint8Array>;
  readonly attachments: readonly FoundAttachment[];
}

/** Unit pages of one roster page have numbers of their own: more than there can be of them. */
const NUMBERS_A_PAGE = 1_000_000;

/** Children are not listed: without an archive it is those that are there when their root is gone. */
export function pageUnit(
  source: Pick<SourcePort, 'parentOf'>,
  shape: DatasetShape,
  { raw }: RawRecord,
  unit: WholeUnit,
): PageUnit {
  const parents = new Map<DatasetShape['namespace'], Uint8Array>();
  for (const child of shape.children ?? []) {
    const value = child.parent === '_id' ? null : source.parentOf(child, raw);
    if (value !== null) parents.set(child.collection, value);
  }
  return { parents, attachments: unit.attachments };
}

/** `first`: the ordinal of the page's first record. */
export async function writePageUnits(
  store: Store,
  of: { readonly archive: string; readonly attempt: string; readonly epoch: number },
  at: { readonly page: number; readonly first: number },
  units: readonly PageUnit[],
): Promise<void> {
  const roster = new UnitRoster(store, of, at.page * NUMBERS_A_PAGE);
  await roster.atPage(at.page);
  for (const [place, { parents, attachments }] of units.entries()) {
    const root = at.first + place;
    for (const [collection, value] of parents) roster.parent(collection, { root, value });
    for (const { facts: _, ...attachment } of attachments) await roster.attachment({ ...attachment, root, ordinal: 0 });
  }
  await roster.flush();
}
