/**
 * The roots of a page that we deleted, and what their children name them by. A root that is in the source again (somebody
 * put it back) keeps whatever hangs on it.
 */
import type { Namespace } from '../ids.ts';
import { readPageState } from '../ledger/clearing.ts';
import { readRosterPage } from '../ledger/rosters.ts';
import { type UnitPage, unitPagesOf } from '../ledger/unit-pages.ts';
import type { DatasetShape, Party } from '../source/port.ts';
import type { Context } from './context.ts';

/** The records of an archive or a disposal, as far as what hangs on them goes. */
export interface UnitScope extends Party {
  /** Of the roots. */
  readonly shape: DatasetShape;
  readonly policy: string;
  /** The archive or disposal under which outcomes are kept. */
  readonly subject: string;
  /** The attempt, or the disposal again, that roster and unit pages belong to. */
  readonly attempt: string;
  /** Roster pages. */
  readonly pages: number;
}

export interface ClearedRoots {
  readonly page: number;
  /** Ordinals of the roots that were deleted and are absent now. */
  readonly gone: ReadonlySet<number>;
  /** All of the page. */
  readonly ordinals: { readonly first: number; readonly count: number };
  readonly units: readonly UnitPage[];
  /** By collection: what the children of the roots in `gone` name them by. */
  readonly parents: ReadonlyMap<Namespace, readonly Uint8Array[]>;
}

/** Page after page. Pages that are not settled, or of which the roster is gone, are left out. */
export async function* clearedRoots(context: Context, scope: UnitScope): AsyncGenerator<ClearedRoots> {
  let first = 0;
  for (let page = 0; page < scope.pages; page++) {
    const roster = await readRosterPage(context.store, scope.attempt, page);
    if (roster === null) return;
    const ordinals = { first, count: roster.records.length };
    first += roster.records.length;
    const { outcomes } = await readPageState(context.store, scope.subject, page);
    if (outcomes === null) continue;
    const deleted = roster.records.flatMap(({ id }, at) =>
      outcomes[at] === 'deleted' ? [{ id, ordinal: ordinals.first + at }] : [],
    );
    const back = await context.source.readByIds(
      scope.shape.namespace,
      deleted.map(({ id }) => id),
    );
    const gone = new Map(
      deleted.flatMap(({ id, ordinal }) => (back.has(context.source.keyOf(id)) ? [] : [[ordinal, id] as const])),
    );
    const units: UnitPage[] = [];
    for await (const unit of unitPagesOf(context.store, scope.attempt, page)) units.push(unit);
    yield { page, ordinals, units, gone: new Set(gone.keys()), parents: parentsOf(scope, gone, units) };
  }
}

function parentsOf(
  { shape }: UnitScope,
  gone: ReadonlyMap<number, Uint8Array>,
  units: readonly UnitPage[],
): ReadonlyMap<Namespace, readonly Uint8Array[]> {
  return new Map(
    (shape.children ?? []).map(({ collection, parent }) => {
      if (parent === '_id') return [collection, [...gone.values()]] as const;
      const named = units.flatMap((unit) =>
        unit.kind === 'parents' && unit.collection === collection ? unit.parents : [],
      );
      return [collection, named.flatMap(({ root, value }) => (gone.has(root) ? [value] : []))] as const;
    }),
  );
}
