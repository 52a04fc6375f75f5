/**
 * Children of roots that we deleted, which are in the source still: they came after the archive was sealed, or changed since.
 * They go into an addendum, an archive of their own with the same policy, owner, customer and due date, that names the
 * archive with the roots. Nothing is deleted that is not archived.
 *
 * The root's archive stays `verified` until a look finds none any more: its roster is what the roots are known from.
 */
import { MoraineError } from '../errors.ts';
import { type ArchiveId, id, type Namespace } from '../ids.ts';
import { type ArchiveDocument, notBegun, UNIT_ARCHIVE_VERSION } from '../ledger/archive-document.ts';
import { type ArchiveLease, archives, findArchives, newestSequence } from '../ledger/archives.ts';
import { partitionId } from '../ledger/partitions.ts';
import { UNCLEARED_STATES } from '../ledger/states.ts';
import type { ChildRecord, ChildShape, DatasetShape } from '../source/port.ts';
import { childDataset } from './child-dataset.ts';
import type { ClearedRoots, UnitScope } from './cleared-roots.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { quarantineRecord } from './quarantine-record.ts';
import { marksOf } from './read-marks.ts';
import { partitionHolds } from './record-holds.ts';

/** Children of these roots that may be taken; what may not is quarantined and stays. */
export async function* lateChildren(
  context: Context,
  scope: UnitScope,
  roots: Pick<ClearedRoots, 'parents'>,
  child: ChildShape,
): AsyncGenerator<readonly ChildRecord[]> {
  const parents = roots.parents.get(child.collection) ?? [];
  if (parents.length === 0) return;
  const { owner, customer, policy } = scope;
  const dataset = childDataset(child);
  const holds = await partitionHolds(context, { dataset: scope.shape, owner, customer });
  const marks = await marksOf(context, { dataset, owner, customer });
  for await (const batch of context.source.children(child, parents)) {
    assertNotStopped(context);
    const markOf = await marks.lookUp(batch);
    const taken: ChildRecord[] = [];
    for (const record of batch) {
      // Whoever looks at the quarantine decides about it.
      const mark = markOf(record);
      if (mark.quarantined || holds.holdsChild(child.collection, record)) continue;
      // It was restored, and is left alone for now.
      if (mark.exemptUntil !== null && mark.exemptUntil > dueNow(context).getTime()) continue;
      const isOurs = context.source.isOfParty(child, record.raw, scope);
      if (isOurs && context.source.fitness(dataset, record.raw) === null) {
        taken.push(record);
        continue;
      }
      const quarantine = { namespace: child.collection, owner, customer, policy };
      await quarantineRecord(context, quarantine, record, isOurs ? 'child-unfit' : 'child-of-another');
    }
    if (taken.length > 0) yield taken;
  }
}

/** What is needed to find the children of an archive's roots. */
export function unitScopeOf(archive: ArchiveDocument, shape: DatasetShape): UnitScope {
  const { _id, owner, customer, policy, attempt, stored } = archive;
  if (attempt === null || stored === null) throw new MoraineError('INTERNAL', `Archive ${_id} was never stored.`);
  return { shape, owner, customer, policy, subject: _id, attempt, pages: stored.rosterPages };
}

/** Plans an addendum for what was found late in a collection. The lease on the roots' archive keeps others from doing the same. */
export async function planAddendum(
  context: Context,
  lease: ArchiveLease,
  collection: Namespace,
  found: { readonly records: number; readonly bytes: number; readonly lateRoots?: readonly Uint8Array[] },
): Promise<ArchiveId> {
  const roots = lease.document;
  if (roots.dueAt === null) throw new MoraineError('INTERNAL', `Archive ${roots._id} has no due date.`);
  const partition = addendaPartition(roots, collection);
  const sequence = (await newestSequence(context.store, partition)) + 1;
  const archive = id.archive(context.newId());
  const now = context.clock.now();
  const { policy, policyVersion, namespace, owner, customer, verifyLevel, vault } = roots;
  lease.assertHeld();
  const outcome = await archives(context.store).insert({
    _id: archive,
    v: UNIT_ARCHIVE_VERSION,
    state: 'planned',
    quarantinedFrom: null,
    quarantineReason: null,
    ...{ policy, policyVersion, namespace, owner, customer, verifyLevel, vault, partition, sequence, collection },
    addendumTo: roots._id,
    plan: {
      after: null,
      bound: null,
      before: roots.plan.before,
      asOf: roots.plan.asOf,
      ...found,
      reachedEnd: true,
      latestPurgeAt: roots.dueAt,
    },
    ...notBegun(now),
    unaudited: [
      {
        key: `${archive}:plan`,
        act: 'addendum planned',
        phase: 'outcome',
        subject: { archive, owner, customer, policy },
        details: { policyVersion, addendumTo: roots._id, collection, records: found.records, bytes: found.bytes },
      },
    ],
  });
  if (outcome === 'inserted' || (await archives(context.store).get(archive)) !== null) return archive;
  throw new MoraineError('LEASE_LOST', `Another worker has planned an addendum to archive ${roots._id}.`, {
    ids: { archive: roots._id },
  });
}

/** Addenda of an archive that are not cleared yet. */
export async function openAddenda(
  context: Context,
  roots: ArchiveDocument,
  shape: DatasetShape,
): Promise<readonly ArchiveDocument[]> {
  const open: ArchiveDocument[] = [];
  for (const { collection } of shape.children ?? []) {
    const filter = { partition: addendaPartition(roots, collection), state: { $in: UNCLEARED_STATES } };
    for await (const archive of findArchives(context.store, filter)) {
      if (archive.addendumTo === roots._id) open.push(archive);
    }
  }
  return open;
}

/** Beside the partition of the roots: the bounds of its plans are not theirs. */
function addendaPartition({ namespace, owner, customer }: ArchiveDocument, collection: Namespace) {
  return partitionId(id.namespace(`${namespace} ${collection}`), owner, customer);
}
