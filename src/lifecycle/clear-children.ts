/**
 * What hangs on deleted roots goes after them: each child under its own hash and guard, then attachments by their version,
 * then a look for children that came too late.
 *
 * Promises, and the order that keeps them:
 *  1. Nothing here is touched before its root has the settled outcome `deleted` and is absent when it is looked for.
 *     A root that stayed (changed, held, quarantined, treated) keeps its children and attachments.
 *  2. Children that were archived are deleted as records are (clear-page.ts): read again, compared, intent, guard, read back.
 *     One that changed since stays here, and is found by step 4.
 *  3. Attachments only where the policy says `exclusive`, exactly the version that was archived. After the children, because
 *     it is they and the root that name them.
 *  4. The look. With an archive, what it finds is planned as an addendum and deleted when that is verified; without one
 *     (disposition `delete`), it is deleted under its guard like the others, and looked for again.
 * A hold between root and children stops all of it: nothing is settled, and whoever comes next begins again here. A crash
 * anywhere does the same: roster, page outcomes and intents say what was done.
 */
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import type { RecordOutcome } from '../ledger/archive-document.ts';
import { type ClearingLease, type PageState, readPageState, settlePage, writePageIntent } from '../ledger/clearing.ts';
import { childrenSubject, type UnitAttachment, type UnitPage } from '../ledger/unit-pages.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import type { ChildRecord, ChildShape } from '../source/port.ts';
import { childDataset } from './child-dataset.ts';
import { clearPage } from './clear-page.ts';
import { type ClearedRoots, clearedRoots, type UnitScope } from './cleared-roots.ts';
import { assertNotStopped, type Context } from './context.ts';
import { lateChildren } from './late-children.ts';
import { quarantineRecord } from './quarantine-record.ts';
import { attachmentsOf } from './unit-reader.ts';

export interface UnitClearing extends UnitScope {
  readonly lease: ClearingLease;
  /** As for records: announces and looks. */
  askWarrant(): Promise<{ readonly warrant: ClearingWarrant } | { readonly holds: readonly string[] }>;
  /** What becomes of children that are found late. */
  readonly late: 'addendum' | 'delete';
  /** Of late children those that may go; absent: all. Those that may not are not told again. */
  mayGo?(child: ChildShape, late: readonly ChildRecord[]): Promise<readonly ChildRecord[]>;
}

export type UnitsCleared =
  | { readonly kind: 'settled' }
  /** Holds cover it: what was not deleted stays. */
  | { readonly kind: 'held'; readonly holds: readonly string[] }
  /** Children that are in no archive. */
  | {
      readonly kind: 'late';
      readonly found: ReadonlyMap<Namespace, { readonly records: number; readonly bytes: number }>;
    };

/** Looks without an archive: each ends with a delete, and a child that comes between two is met by the next. */
const MOST_LOOKS = 20;

/** Clears what hangs on the deleted roots of all settled pages. May be called again at any time. */
export async function clearUnits(context: Context, unit: UnitClearing): Promise<UnitsCleared> {
  if (!hasUnits(unit)) return { kind: 'settled' };
  const found = new Map<Namespace, { records: number; bytes: number }>();
  try {
    for await (const roots of clearedRoots(context, unit)) {
      assertNotStopped(context);
      for (const page of roots.units) if (page.kind === 'children') await clearChildren(context, unit, roots, page);
      // Without an archive no page lists the children: they are those that a look finds.
      if (unit.late === 'delete') await deleteAllLate(context, unit, roots);
      for (const page of roots.units) {
        if (page.kind !== 'attachments') continue;
        await clearAttachments(context, unit, roots, page.attachments);
        if (unit.late === 'delete') await deleteAllLate(context, unit, roots);
      }
      if (unit.late === 'delete') continue;
      for (const child of unit.shape.children ?? []) await countLate(context, unit, roots, child, found);
    }
    if (found.size === 0) return { kind: 'settled' };
    // An archive of what is held would be void at once.
    await warrantFor(unit);
    return { kind: 'late', found };
  } catch (error) {
    if (error instanceof UnitHeld) return { kind: 'held', holds: error.holds };
    throw error;
  }
}

export function hasUnits({ shape }: UnitScope): boolean {
  return (shape.children ?? []).length > 0 || (shape.attachments ?? []).length > 0;
}

/** Not an error of the world: how a hold ends the work from inside of it. */
class UnitHeld extends Error {
  readonly holds: readonly string[];
  constructor(holds: readonly string[]) {
    super('A hold covers what hangs on these roots.');
    this.holds = holds;
  }
}

async function warrantFor(unit: UnitClearing): Promise<{ readonly warrant: ClearingWarrant }> {
  const answer = await unit.askWarrant();
  if ('holds' in answer) throw new UnitHeld(answer.holds);
  return answer;
}

/**
 * One page of archived children. Its intents and outcomes are kept by the place in the whole page, for which of the roots
 * are absent may be another when it is taken up again.
 */
async function clearChildren(
  context: Context,
  unit: UnitClearing,
  roots: ClearedRoots,
  page: Extract<UnitPage, { readonly kind: 'children' }>,
): Promise<void> {
  const { store } = context;
  const child = ruleOf(unit, page.collection);
  const lease: ClearingLease = {
    subject: childrenSubject(unit.subject),
    epoch: unit.lease.epoch,
    assertHeld: () => unit.lease.assertHeld(),
    keep: () => unit.lease.keep(),
  };
  const state = await readPageState(store, lease.subject, page.number);
  if (state.outcomes !== null) return;
  const places = page.children.flatMap(({ root }, at) => (roots.gone.has(root) ? [at] : []));
  const roster = places.map((at) => {
    const { id, sha256 } = childAt(page.children, at);
    return { id, sha256, segment: 0 };
  });
  const subject = {
    shape: childDataset(child),
    treatment: null,
    askWarrant: () => warrantFor(unit),
    writeIntent: (number: number, present: readonly number[]) =>
      writePageIntent(
        store,
        lease,
        number,
        present.map((at) => placeOf(places, at)),
      ),
    settle: async (number: number, _: unknown, outcomes: readonly RecordOutcome[]) => {
      // Those whose root stayed stay with it.
      const whole = new Array<RecordOutcome>(page.children.length).fill('held');
      for (const [at, outcome] of outcomes.entries()) {
        const place = placeOf(places, at);
        whole[place] = outcome;
        if (outcome !== 'quarantined') continue;
        const idBytes = childAt(page.children, place).id;
        const { owner, customer, policy } = unit;
        const scope = { namespace: child.collection, owner, customer, policy };
        await quarantineRecord(context, scope, { idBytes, key: context.source.keyOf(idBytes) }, 'guard-refused');
      }
      await settlePage(store, lease, number, whole);
      return outcomes;
    },
  };
  // Holds say nothing about a page whose roots all stayed.
  if (places.length === 0) await subject.settle(page.number, roster, []);
  else await clearPage(context, subject, page.number, roster, withinPlaces(state, places));
}

function withinPlaces(state: PageState, places: readonly number[]): PageState {
  const intended = places.flatMap((place, at) => (state.intended.has(place) ? [at] : []));
  return { ...state, intended: new Set(intended) };
}

async function clearAttachments(
  context: Context,
  unit: UnitClearing,
  { gone }: ClearedRoots,
  attachments: readonly UnitAttachment[],
): Promise<void> {
  for (const attachment of attachments) {
    if (!attachment.exclusive || !gone.has(attachment.root)) continue;
    const { warrant } = await warrantFor(unit);
    const outcome = await attachmentsOf(context).remove(attachment, warrant);
    if (outcome === 'deleted') continue;
    const { kind, store } = attachment;
    const why = outcome === 'locked' ? 'a lock of its store keeps it' : 'it is another one now';
    context.log.warn({ policy: unit.policy, archive: unit.subject, kind, store }, `An attachment stays: ${why}.`);
  }
}

async function countLate(
  context: Context,
  unit: UnitClearing,
  roots: ClearedRoots,
  child: ChildShape,
  found: Map<Namespace, { records: number; bytes: number }>,
): Promise<void> {
  for await (const batch of lateChildren(context, unit, roots, child)) {
    await unit.lease.keep();
    const before = found.get(child.collection) ?? { records: 0, bytes: 0 };
    found.set(child.collection, {
      records: before.records + batch.length,
      bytes: before.bytes + batch.reduce((sum, { raw }) => sum + raw.length, 0),
    });
  }
}

async function deleteAllLate(context: Context, unit: UnitClearing, roots: ClearedRoots): Promise<void> {
  for (const child of unit.shape.children ?? []) await deleteLate(context, unit, roots, child);
}

/** Children of roots that were deleted without an archive: as they are now, each under its guard, until there are none. */
async function deleteLate(context: Context, unit: UnitClearing, roots: ClearedRoots, child: ChildShape): Promise<void> {
  for (let look = 0; look < MOST_LOOKS; look++) {
    let seen = 0;
    for await (const batch of lateChildren(context, unit, roots, child)) {
      const going = (await unit.mayGo?.(child, batch)) ?? batch;
      if (going.length === 0) continue;
      const { warrant } = await warrantFor(unit);
      await context.source.deleteGuarded(childDataset(child), going, warrant);
      seen += going.length;
    }
    if (seen === 0) return;
  }
  throw new MoraineError(
    'MONGODB_UNAVAILABLE',
    `Children in ${child.collection} came, or could not be deleted in time, ${MOST_LOOKS} times in a row.`,
    { changed: 'Their roots are deleted; the rest of the children is deleted at the next try.' },
  );
}

function ruleOf({ shape }: UnitScope, collection: Namespace): ChildShape {
  const rule = shape.children?.find((child) => child.collection === collection);
  if (rule !== undefined) return rule;
  throw new MoraineError('INTERNAL', `The policy has no children in ${collection}.`);
}

function childAt<T>(children: readonly T[], at: number): T {
  const child = children[at];
  if (child !== undefined) return child;
  throw new MoraineError('INTERNAL', `A page of children has no place ${at}.`);
}

function placeOf(places: readonly number[], at: number): number {
  return childAt(places, at);
}
