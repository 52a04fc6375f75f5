/** Addenda for children that were written when the archive of their roots was cleared already. */
import type { ArchiveId, Namespace } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { claimArchive, findArchives, getArchive } from '../ledger/archives.ts';
import { holdsCovering } from '../ledger/holds-covering.ts';
import { assertNotPaused } from '../ledger/pauses.ts';
import { readRosterPage } from '../ledger/rosters.ts';
import { UNCLEARED_STATES } from '../ledger/states.ts';
import { unitPagesOf } from '../ledger/unit-pages.ts';
import { toShape } from '../policy/policy.ts';
import type { ChildRecord, ChildShape, DatasetShape } from '../source/port.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { knownRoots } from './known-roots.ts';
import { lateChildren, openAddenda, planAddendum, unitScopeOf } from './late-children.ts';
import { pinnedPolicy } from './published.ts';
import { partitionHolds } from './record-holds.ts';

/** Roots that one addendum names: what one read may name. */
const MOST_ROOTS = 1_000;

/**
 * Plans an addendum to a cleared archive for the children of these roots. `unknown`: the policy of the archive had no such
 * children; `waiting`: a hold covers the roots; `nothing`: what there is stays, in quarantine, held or just restored; `later`:
 * something else comes first. Throws LEASE_HELD, PAUSED.
 */
export async function addOrphansOf(
  context: Context,
  archive: ArchiveId,
  collection: Namespace,
  roots: readonly Uint8Array[],
): Promise<ArchiveDocument | 'unknown' | 'waiting' | 'nothing' | 'later'> {
  const { store } = context;
  const lease = await claimArchive(store, context.audit, archive, context);
  try {
    const { document } = lease;
    if (!mayGrow(context, document)) return 'waiting';
    await assertNotPaused(store, document);
    const shape = toShape(await pinnedPolicy(store, document.policyVersion));
    const child = shape.children?.find((rule) => rule.collection === collection);
    if (child === undefined) return 'unknown';
    const open = await openAddenda(context, document, shape);
    if (open.some((addendum) => addendum.collection === collection)) return 'later';
    // An archive of what is held would be void at once.
    if ((await holdsAbout(context, document, shape)).covering.length > 0) return 'waiting';
    const taken = roots.slice(0, MOST_ROOTS);
    let records = 0;
    let bytes = 0;
    for await (const batch of orphansOf(context, document, shape, child, taken)) {
      await lease.keep();
      records += batch.length;
      bytes += batch.reduce((sum, { raw }) => sum + raw.length, 0);
    }
    if (records === 0) return 'nothing';
    const addendum = await planAddendum(context, lease, collection, { records, bytes, lateRoots: taken });
    context.log.info({ archive, addendum, records }, 'Children of deleted records go into an addendum.');
    return await getArchive(store, addendum);
  } finally {
    await lease.giveUp();
  }
}

/** Its roots are deleted, its copy is kept for longer, and nobody else asks for what hangs on them. */
export function mayGrow(context: Context, { state, rosterShrunk, dueAt }: ArchiveDocument): boolean {
  return state === 'cleared' && rosterShrunk && dueAt !== null && dueAt > dueNow(context);
}

/**
 * The children of these roots that may be taken: of those that are still absent, are in no archive that is being cleared, and
 * were deleted by no archive that is kept for longer. A root that was restored and archived again has its children there.
 */
export async function* orphansOf(
  context: Context,
  archive: ArchiveDocument,
  shape: DatasetShape,
  child: ChildShape,
  roots: readonly Uint8Array[],
): AsyncGenerator<readonly ChildRecord[]> {
  assertNotStopped(context);
  const { source } = context;
  const there = await source.rootsThere(shape.namespace, child.parent, roots);
  const absent = roots.filter((root) => !there.has(source.keyOf(root)));
  // In this order: an archive that is cleared in between is known by its codes before its roster goes.
  const elsewhere = await rootsOnRosters(context, archive, child, new Set(absent.map((root) => source.keyOf(root))));
  const known = await knownRoots(context, shape.namespace, child.parent, absent);
  const own = absent.filter((root, at) => {
    const [first] = known.get(at) ?? [];
    return !elsewhere.has(source.keyOf(root)) && first?.kind === 'archived' && first.archive._id === archive._id;
  });
  const parents = new Map([[child.collection, own]]);
  yield* lateChildren(context, unitScopeOf(archive, shape), { parents }, child);
}

/** Which of these roots are on the roster of an archive that is not cleared. */
async function rootsOnRosters(
  { store, source }: Context,
  { partition }: ArchiveDocument,
  child: ChildShape,
  wanted: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const note = (name: Uint8Array) => {
    const key = source.keyOf(name);
    if (wanted.has(key)) found.add(key);
  };
  const unshrunk = { partition, rosterShrunk: false, state: { $in: [...UNCLEARED_STATES, 'cleared', 'quarantined'] } };
  for await (const { attempt, stored } of findArchives(store, unshrunk)) {
    if (attempt === null || stored === null) continue;
    for (let page = 0; page < stored.rosterPages; page++) {
      if (child.parent === '_id') {
        for (const { id } of (await readRosterPage(store, attempt, page))?.records ?? []) note(id);
        continue;
      }
      for await (const unit of unitPagesOf(store, attempt, page)) {
        if (unit.kind !== 'parents' || unit.collection !== child.collection) continue;
        for (const { value } of unit.parents) note(value);
      }
    }
  }
  return found;
}

/**
 * Holds that cover the archive of the roots, and so their children; and those that do not: an addendum was looked at for
 * them. Those that name children by key are looked at for each child.
 */
export async function holdsAbout(
  context: Context,
  { _id, owner, customer, namespace }: ArchiveDocument,
  shape: DatasetShape,
): Promise<{ readonly covering: readonly string[]; readonly leftOut: readonly string[] }> {
  const { ids, narrow } = await partitionHolds(context, { dataset: shape, owner, customer });
  const ofChildren = new Set(
    narrow.flatMap((hold) => (hold.collection != null && hold.recordKeys != null ? [hold._id] : [])),
  );
  const found = await holdsCovering(context.store, { owner, customer, namespace, archive: _id });
  const covering = found.flatMap((hold) => (ofChildren.has(hold._id) ? [] : [hold._id]));
  return { covering, leftOut: ids.filter((hold) => !covering.includes(hold)) };
}
