/** What goes into an addendum, when it is sealed. */
import { MoraineError } from '../errors.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { type ArchiveLease, getArchive } from '../ledger/archives.ts';
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_RECORDS } from '../policy/limits.ts';
import { type Policy, toShape } from '../policy/policy.ts';
import type { ChildRecord, ChildShape, DatasetShape, RawRecord } from '../source/port.ts';
import { clearedRoots } from './cleared-roots.ts';
import type { Context } from './context.ts';
import { lateChildren, unitScopeOf } from './late-children.ts';
import { holdsAbout, mayGrow, orphansOf } from './orphan-addenda.ts';
import type { Selection } from './select-records.ts';
import { ALONE, type WholeUnit } from './unit-reader.ts';

/** Streams to `take` what an addendum is to hold: what is late of its collection now. */
export async function selectLate(
  context: Context,
  lease: ArchiveLease,
  policy: Policy,
  take: (record: RawRecord, unit: WholeUnit) => Promise<void>,
): Promise<Selection> {
  const { addendumTo, collection, _id } = lease.document;
  const shape = toShape(policy);
  const child = shape.children?.find((rule) => rule.collection === collection);
  if (addendumTo === undefined || child === undefined) {
    throw new MoraineError('INTERNAL', `Archive ${_id} is no addendum of this policy.`, { ids: { archive: _id } });
  }
  const roots = await getArchive(context.store, addendumTo);
  if (roots.stored === null || roots.dueAt === null) {
    throw new MoraineError('INTERNAL', `Archive ${addendumTo} was never stored.`, { ids: { archive: addendumTo } });
  }
  const late = lease.document.plan.lateRoots;
  // Looked at before the children: a hold that comes later is not left out.
  const holds = late === undefined ? null : await holdsAbout(context, roots, shape);
  const { stored, dueAt } = roots;
  let records = 0;
  let bytes = 0;
  const selection = (): Selection => ({
    records,
    unfit: 0,
    rules: [],
    firstDueAt: stored.oldestDueAt,
    firstPurgeAt: dueAt,
    lastPurgeAt: dueAt,
    triggerFrom: stored.triggerFrom,
    triggerTo: stored.triggerTo,
    bound: null,
    reachedEnd: true,
    leftOut: holds?.leftOut ?? roots.leftOut ?? [],
  });
  // Once its roots' archive is cleared nothing of them is known but what the plan names, and nothing was left.
  const isOver = late === undefined ? roots.state !== 'verified' : !mayGrow(context, roots);
  if (isOver || (holds?.covering.length ?? 0) > 0) return selection();
  for await (const batch of lateOf(context, roots, shape, child, late ?? null)) {
    await lease.keep();
    for (const record of batch) {
      const isFull = records >= MAX_ARCHIVE_RECORDS || (records > 0 && bytes + record.raw.length > MAX_ARCHIVE_BYTES);
      // What is left is found by the next look, and goes into another addendum.
      if (isFull) return selection();
      records += 1;
      bytes += record.raw.length;
      await take(record, ALONE);
      context.progress.archived?.(1, record.raw.length);
    }
  }
  return selection();
}

/** Of the roots on the roster; or of these, when the roster is gone. */
async function* lateOf(
  context: Context,
  archive: ArchiveDocument,
  shape: DatasetShape,
  child: ChildShape,
  named: readonly Uint8Array[] | null,
): AsyncGenerator<readonly ChildRecord[]> {
  if (named !== null) {
    yield* orphansOf(context, archive, shape, child, named);
    return;
  }
  const scope = unitScopeOf(archive, shape);
  for await (const page of clearedRoots(context, scope)) yield* lateChildren(context, scope, page, child);
}
