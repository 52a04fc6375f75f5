/** Which copies of children and attachments are void: those whose root stayed, or that were not deleted as they were archived. */
import { type ArchiveDocument, NO_OUTCOMES, type Outcomes, type RecordOutcome } from '../ledger/archive-document.ts';
import { countOutcomes, readPageState } from '../ledger/clearing.ts';
import { readRosterPage } from '../ledger/rosters.ts';
import { childrenSubject, readUnitVoids, type UnitVoid, unitPagesOf, writeUnitVoid } from '../ledger/unit-pages.ts';
import type { Context } from './context.ts';

/** Outcomes of the children of an archive whose pages are all settled; null where it has none. */
export async function childOutcomes(context: Context, { _id, stored }: ArchiveDocument): Promise<Outcomes | null> {
  if (stored?.children === undefined) return null;
  const outcomes = await countOutcomes(context.store, childrenSubject(_id), stored.children);
  // Pages of which no root was deleted are not gone through: all of their children stayed.
  return { ...NO_OUTCOMES, ...outcomes, held: outcomes.held + outcomes.pending, pending: 0 };
}

/** Before roster and outcomes go. Idempotent. */
export async function writeVoidUnits(context: Context, archive: ArchiveDocument): Promise<void> {
  let number = 0;
  for await (const found of voidInPages(context, archive)) {
    await writeUnitVoid(context.store, archive._id, number, found);
    number += 1;
  }
}

/** The numbers of void copies by collection; attachments under null. */
export async function voidUnits(
  context: Context,
  archive: ArchiveDocument,
): Promise<ReadonlyMap<string | null, ReadonlySet<number>>> {
  const voids = new Map<string | null, Set<number>>();
  const source = archive.rosterShrunk ? readUnitVoids(context.store, archive._id) : voidInPages(context, archive);
  for await (const { collection, ordinals } of source) {
    const known = voids.get(collection) ?? new Set();
    for (const ordinal of ordinals) known.add(ordinal);
    voids.set(collection, known);
  }
  return voids;
}

/** While the archive is being cleared: those that are known by now. */
async function* voidInPages({ store }: Context, { _id, attempt, stored }: ArchiveDocument): AsyncGenerator<UnitVoid> {
  if (attempt === null || stored === null) return;
  let first = 0;
  for (let page = 0; page < stored.rosterPages; page++) {
    const roster = await readRosterPage(store, attempt, page);
    if (roster === null) return;
    const { outcomes } = await readPageState(store, _id, page);
    const from = first;
    const isVoidRoot = (root: number) => isVoid(outcomes?.[root - from]);
    first += roster.records.length;
    for await (const unit of unitPagesOf(store, attempt, page)) {
      if (unit.kind === 'attachments') {
        const ordinals = unit.attachments.flatMap(({ root, ordinal }) => (isVoidRoot(root) ? [ordinal] : []));
        if (ordinals.length > 0) yield { collection: null, ordinals };
      }
      if (unit.kind !== 'children') continue;
      const { outcomes: ofChildren } = await readPageState(store, childrenSubject(_id), unit.number);
      const ordinals = unit.children.flatMap(({ root, ordinal }, at) =>
        isVoidRoot(root) || isVoid(ofChildren?.[at]) ? [ordinal] : [],
      );
      if (ordinals.length > 0) yield { collection: unit.collection, ordinals };
    }
  }
}

/** Not settled is not void yet; a record that was treated is what its copy was. */
function isVoid(outcome: RecordOutcome | undefined): boolean {
  return outcome !== undefined && outcome !== 'deleted' && outcome !== 'treated';
}
