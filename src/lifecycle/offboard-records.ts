/**
 * The records of a customer who leaves: those that the export holds and that still are in the source as it holds them are
 * ordered, all of them, due or not, and then deleted by the machine of all disposals (dispose.ts), under its guard,
 * announcements, page intents and certificate.
 *
 * What is ordered is written page by page before the first record goes, and begun only when the file was read to its end
 * and its SHA-256 was found to be that of the manifest. A crash before leaves an order that nobody acts on; whoever comes
 * back goes on writing it. A crash after leaves a disposal like any other.
 */
import { hash } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import { id, type PartitionId } from '../ids.ts';
import { holdsLooked, NO_OUTCOMES, type Outcomes } from '../ledger/archive-document.ts';
import { addDecided, type Decided, DecidedTally, NOTHING_DECIDED } from '../ledger/decided.ts';
import {
  claimDisposal,
  type DisposalLease,
  disposals,
  newestDisposal,
  openDisposals,
  startDisposal,
} from '../ledger/disposals.ts';
import { type OffboardingDocument, orderedBy } from '../ledger/offboardings.ts';
import { partitionId } from '../ledger/partitions.ts';
import { assertNotPaused } from '../ledger/pauses.ts';
import { type RosterRecord, removeRosterFrom, writeRosterPage } from '../ledger/rosters.ts';
import { type Policy, policyVersion, toShape } from '../policy/policy.ts';
import type { DatasetShape, Partition, RawRecord } from '../source/port.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { carryOnDisposal } from './dispose.ts';
import { withoutTrigger } from './export-customer.ts';
import type { ExportedCollection } from './export-manifest.ts';
import { type PageUnit, pageUnit, writePageUnits } from './page-units.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { pinnedPolicy } from './published.ts';
import { quarantineRecord } from './quarantine-record.ts';
import { type PartitionHolds, partitionHolds } from './record-holds.ts';
import { isUnitReturned, rememberReturned } from './returned-units.ts';
import { ALONE, UnitReader } from './unit-reader.ts';
import type { VerifiedExport } from './verified-export.ts';

export interface OffboardedCollection {
  readonly policy: string;
  readonly collection: string;
  /** In the export. */
  readonly exported: number;
  /** By this and earlier commands of the same offboarding. */
  readonly deleted: number;
  /** Stay: a hold covers them. */
  readonly held: number;
  /** Stay: they, or what hangs on them, are not as the export has them. */
  readonly changed: number;
  /** Stay: their bytes cannot be guarded. */
  readonly unfit: number;
  /** Of the customer in the source now, whatever the reason. */
  readonly left: number;
  readonly holds: readonly string[];
}

/** Of children and attachments, which go with their records: what is still there of what the export holds. */
export async function countChildren(
  context: Context,
  exported: VerifiedExport,
  of: ExportedCollection,
): Promise<OffboardedCollection> {
  let left = 0;
  for await (const records of exported.documents(of.files)) {
    assertNotStopped(context);
    const ids = records.map(({ idBytes }) => idBytes);
    left += (await context.source.readByIds(id.namespace(of.collection), ids)).size;
  }
  const { policy, collection, records } = of;
  const nothing = { held: 0, changed: 0, unfit: 0, holds: [] };
  return { policy, collection, exported: records, deleted: records - left, left, ...nothing };
}

/** Deletes what may go of one collection. Throws PAUSED, LEASE_HELD, EXPORT_CORRUPT. */
export async function offboardCollection(
  context: Context,
  offboarding: OffboardingDocument,
  exported: VerifiedExport,
  of: ExportedCollection,
): Promise<OffboardedCollection> {
  const policy = await pinnedPolicy(context.store, id.policyVersion(of.policyVersion));
  const shape = toShape(policy);
  const { owner, customer } = offboarding;
  await assertNotPaused(context.store, { policy: policy.name, owner });
  await ensureSafeToDestroy(context);
  const partition = partitionId(shape.namespace, owner, customer);
  // What others began in the partition, or this offboarding before a crash, comes to its end first.
  for (const open of await openDisposals(context.store, policy.name))
    if (open.partition === partition) await carryOnDisposal(context, open._id);
  const ordered = await orderDeletion(context, offboarding, exported, of, policy);
  if (ordered.disposal !== null) await carryOnDisposal(context, ordered.disposal);
  const { deleted, last } = await outcomesOf(context, offboarding, partition);
  const outcomes = ordered.disposal === null ? NO_OUTCOMES : last;
  const held = ordered.held + outcomes.held;
  const holds = await partitionHolds(context, { dataset: shape, owner, customer });
  return {
    policy: policy.name,
    collection: of.collection,
    exported: of.records,
    deleted,
    held,
    changed: ordered.changed + outcomes.changed,
    unfit: ordered.unfit + outcomes.quarantined,
    left: await countRecords(context, { dataset: shape, owner, customer }),
    holds: held > 0 ? holds.ids : [],
  };
}

/** Records of the customer in the source now, with a usable trigger or not. */
export async function countRecords(context: Context, partition: Partition): Promise<number> {
  let { records } = await context.source.summarise(partition, { before: Number.MAX_VALUE });
  for await (const batch of withoutTrigger(context, partition)) records += batch.length;
  return records;
}

/** Due or not: in certificates it stands where otherwise a rule of the policy does. */
const ORDERED = 'the order to offboard';

interface Ordered {
  /** Null where nothing may go. */
  readonly disposal: string | null;
  readonly held: number;
  readonly changed: number;
  readonly unfit: number;
}

async function orderDeletion(
  context: Context,
  offboarding: OffboardingDocument,
  exported: VerifiedExport,
  of: ExportedCollection,
  policy: Policy,
): Promise<Ordered> {
  const { store, source } = context;
  const { owner, customer } = offboarding;
  const shape = toShape(policy);
  const scope = { owner, customer, policy: policy.name };
  const reader = new UnitReader(context, shape, { owner, customer });
  // Read before the records: a hold that comes later is not left out, and stops all of them.
  const holds = await partitionHolds(context, { dataset: shape, owner, customer });
  reader.heed(holds);
  if (!reader.isEmpty) await rememberReturned(context, offboarding, exported);
  const sorted = { held: 0, changed: 0, unfit: 0 };
  let lease: DisposalLease | null = null;
  try {
    for await (const records of exported.documents(of.files)) {
      assertNotStopped(context);
      await reader.expect(records);
      const page: RawRecord[] = [];
      const tally = new DecidedTally();
      const units: PageUnit[] = [];
      for (const { record, stays } of await sort(context, offboarding, shape, holds, records)) {
        const unit = stays === null ? await reader.prepare(record) : null;
        const reason = unit?.kind === 'unfit' ? unit.reason : source.fitness(shape, record.raw);
        if (unit?.kind === 'held') sorted.held += 1;
        else if (
          unit?.kind === 'whole' &&
          !reader.isEmpty &&
          !(await isUnitReturned(context, offboarding, reader, record, unit.attachments))
        )
          sorted.changed += 1;
        else if (unit !== null && unit.kind !== 'unfit') {
          page.push(record);
          tally.add(ORDERED, source.facts(shape, record.raw).trigger ?? Number.NaN, Number.NaN);
          // A file that is missing does not keep its record.
          units.push(pageUnit(source, shape, record, unit.kind === 'whole' ? unit : ALONE));
        } else if (stays === 'unfit' || unit !== null) {
          sorted.unfit += 1;
          await quarantineRecord(context, { ...scope, namespace: shape.namespace }, record, reason ?? 'not-canonical');
        } else if (stays === 'held' || stays === 'changed') sorted[stays] += 1;
      }
      if (page.length === 0) continue;
      lease ??= await begin(context, offboarding, policy, of.records, holds.ids);
      await writePage(context, lease, page, units, tally.take());
    }
    // Only now is the file known to be the one that was exported: nothing acts on what was ordered before this.
    await lease?.write((document) => ({ ...document, scanned: true }));
    return { disposal: lease?.subject ?? null, ...sorted };
  } catch (error) {
    if (lease !== null) await removeRosterFrom(store, lease.subject, 0);
    throw error;
  } finally {
    await lease?.giveUp();
  }
}

interface Sorted {
  readonly record: RawRecord;
  /** Null: it goes. */
  readonly stays: 'gone' | 'held' | 'changed' | 'unfit' | null;
}

/** What becomes of records of the export, by what is in the source now. */
async function sort(
  { source }: Context,
  { owner, customer }: OffboardingDocument,
  shape: DatasetShape,
  holds: PartitionHolds,
  records: readonly RawRecord[],
): Promise<readonly Sorted[]> {
  const now = await source.readByIds(
    shape.namespace,
    records.map(({ idBytes }) => idBytes),
  );
  return records.map((record) => {
    const there = now.get(record.key);
    if (there === undefined) return { record, stays: 'gone' };
    if (!sha256(there.raw).equals(sha256(record.raw))) return { record, stays: 'changed' };
    const facts = source.facts(shape, record.raw);
    // Promise 9, whatever a signed file says: nothing of another customer is in an order of this one.
    if (facts.owner !== owner || facts.customer !== customer) {
      throw new MoraineError('INTERNAL', `The export holds a record of ${shape.namespace} of another customer.`);
    }
    if (holds.isHeld(record, facts)) return { record, stays: 'held' };
    return { record, stays: source.fitness(shape, record.raw) === null ? null : 'unfit' };
  });
}

async function begin(
  context: Context,
  offboarding: OffboardingDocument,
  policy: Policy,
  mostRecords: number,
  leftOut: readonly string[],
): Promise<DisposalLease> {
  const { store, clock } = context;
  const { owner, customer } = offboarding;
  const namespace = policy.dataset.collection;
  const partition = partitionId(namespace, owner, customer);
  const begun = await startDisposal(store, clock, await newestDisposal(store, partition), {
    kind: 'offboard',
    policy: policy.name,
    policyVersion: policyVersion(policy),
    namespace,
    owner,
    customer,
    partition,
    saidBy: orderedBy(offboarding),
    approvals: [offboarding.approval],
    asOf: dueNow(context),
    mostRecords,
    after: null,
  });
  if (begun === null) {
    throw new MoraineError(
      'LEASE_HELD',
      `Another worker disposes of records of ${owner}, ${customer} in ${namespace}.`,
      {
        ids: { owner, customer, dataset: namespace },
      },
    );
  }
  const lease = await claimDisposal(store, begun, context);
  const looked = holdsLooked(
    await store.serverTime(),
    leftOut.map((_id) => ({ _id })),
  );
  await lease.write((document) => ({ ...document, leftOut, looked }));
  return lease;
}

async function writePage(
  context: Context,
  lease: DisposalLease,
  records: readonly RawRecord[],
  units: readonly PageUnit[],
  decided: Decided,
): Promise<void> {
  await lease.keep();
  const { store } = context;
  const { pages: page, records: first } = lease.document;
  const of = { archive: lease.subject, attempt: lease.subject, epoch: lease.epoch };
  const roster = records.map(({ idBytes, raw }): RosterRecord => ({ id: idBytes, sha256: sha256(raw), segment: 0 }));
  await writePageUnits(store, of, { page, first }, units);
  await writeRosterPage(store, of, page, roster);
  await lease.write((document) => ({
    ...document,
    pages: page + 1,
    records: first + records.length,
    decided: addDecided(document.decided ?? NOTHING_DECIDED, decided),
  }));
}

/** Of all disposals of this offboarding in the partition: how many records they deleted, and the outcomes of the last. */
async function outcomesOf(
  context: Context,
  offboarding: OffboardingDocument,
  partition: PartitionId,
): Promise<{ readonly deleted: number; readonly last: Outcomes }> {
  let deleted = 0;
  let last: Outcomes = NO_OUTCOMES;
  const filter = { partition, sequence: { $gte: 1 } };
  for await (const { saidBy, outcomes } of disposals(context.store).find(filter, { sort: { sequence: 1 } })) {
    if (saidBy !== orderedBy(offboarding) || outcomes === null) continue;
    deleted += outcomes.deleted;
    last = outcomes;
  }
  return { deleted, last };
}

function sha256(raw: Uint8Array): Buffer {
  return hash('sha256', raw, 'buffer');
}
