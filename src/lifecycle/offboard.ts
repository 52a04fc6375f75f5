/**
 * Offboard: a customer leaves. What is kept was returned as an export; then all of it is destroyed, with certificates.
 *
 * The order, and why:
 *  1. The export is verified: complete, unchanged, signed by this installation, of this customer. Nothing is destroyed
 *     before, and nothing that it does not hold.
 *  2. Another person grants exactly these counts. The grant is used up by this offboarding.
 *  3. The offboarding is written, with what it may destroy: whoever comes back after a crash goes on with it.
 *  4. The records, collection by collection. What is held, or is not as the export has it, stays.
 *  5. The archives: file, then key. Records first, so that nothing of them is archived anew behind our back for long.
 *  6. What is left is told. Where nothing is, a certificate names all that was destroyed, and the offboarding is done.
 * A cut anywhere leaves too much, never too little; the same command carries it on.
 */
import { MoraineError } from '../errors.ts';
import { type ArchiveId, id } from '../ids.ts';
import { removeDeletedRoots } from '../ledger/deleted-roots.ts';
import { disposals } from '../ledger/disposals.ts';
import {
  beginOffboarding,
  endOffboarding,
  findOffboarding,
  type OffboardingDocument,
  offboardingId,
  orderedBy,
} from '../ledger/offboardings.ts';
import { partitionId } from '../ledger/partitions.ts';
import { closeQuarantine, findQuarantine } from '../ledger/quarantine.ts';
import { removeReturnedUnits } from '../ledger/returned-units.ts';
import { toShape } from '../policy/policy.ts';
import { type ApprovalRequest, requireApproval } from './approval.ts';
import { certify } from './certificate.ts';
import { approvalFacts } from './certificate-facts.ts';
import { assertNotStopped, type Context } from './context.ts';
import { type ExportSubject, partitionOf } from './export-customer.ts';
import type { ExportedCollection, ExportManifest } from './export-manifest.ts';
import { type OffboardedArchive, offboardArchives } from './offboard-archives.ts';
import { countChildren, countRecords, type OffboardedCollection, offboardCollection } from './offboard-records.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { policiesToRun } from './published.ts';
import { NOT_RETURNED } from './returned-units.ts';
import type { VerifiedExport } from './verified-export.ts';

export interface OffboardOrder extends ExportSubject {
  readonly reason: string;
  readonly saidBy: string;
  /** Archives that the export does not hold may go all the same. */
  readonly withoutArchives: boolean;
}

/** What is about to be destroyed: what is shown, approved and confirmed. Depends on the export and the order alone. */
export interface OffboardPlan extends ExportSubject {
  readonly export: string;
  readonly manifestSha256: string;
  readonly reason: string;
  readonly records: number;
  readonly collections: readonly {
    readonly collection: string;
    readonly part: ExportedCollection['part'];
    readonly records: number;
  }[];
  readonly exportedArchives: readonly { readonly archive: string; readonly records: number }[];
  /** Destroyed although the export does not hold them. */
  readonly withoutArchives: readonly { readonly archive: string; readonly records: number; readonly why: string }[];
}

export interface OffboardReport extends ExportSubject {
  readonly offboarding: string;
  readonly export: string;
  readonly state: OffboardingDocument['state'];
  readonly collections: readonly OffboardedCollection[];
  /** Of collections of which the export holds nothing, and children of deleted roots that it does not hold. */
  readonly came: readonly { readonly collection: string; readonly records: number }[];
  readonly archives: readonly OffboardedArchive[];
  /** Of what could not be done now, and why. */
  readonly problems: readonly { readonly collection: string; readonly code: string; readonly text: string }[];
  readonly certificate: string | null;
}

/** Throws EXPORT_NOT_WHOLE where archives are not in the export and nobody said that they may go without. */
export function planOffboarding(exported: VerifiedExport, order: OffboardOrder): OffboardPlan {
  const { manifest, manifestSha256 } = exported;
  if (!manifest.formats.includes('bson')) throw notWhole(manifest, 'it has no BSON, by which records are compared');
  const others = manifest.archives.filter(({ outcome }) => outcome !== 'exported');
  if (others.length > 0 && !order.withoutArchives) throw archivesMissing(manifest, others);
  const collections = manifest.collections.map(({ collection, part, records }) => ({ collection, part, records }));
  return {
    owner: order.owner,
    customer: order.customer,
    export: manifest.export,
    manifestSha256,
    reason: order.reason,
    records: collections.reduce((total, { part, records }) => total + (part === 'records' ? records : 0), 0),
    collections,
    exportedArchives: manifest.archives
      .filter(({ outcome }) => outcome === 'exported')
      .map(({ archive, records }) => ({ archive, records })),
    withoutArchives: others.map(({ archive, records, outcome }) => ({ archive, records, why: outcome })),
  };
}

/** Begins it, or carries it on. Throws APPROVAL_NEEDED, with nothing destroyed, until another person has granted the plan. */
export async function offboard(
  context: Context,
  exported: VerifiedExport,
  order: OffboardOrder,
): Promise<OffboardReport> {
  await ensureSafeToDestroy(context);
  const offboarding = await begin(context, planOffboarding(exported, order), order);
  const subject = { offboarding: offboarding._id, owner: offboarding.owner, customer: offboarding.customer };
  if (offboarding.state === 'superseded') {
    throw new MoraineError('EXPORT_CORRUPT', `A later export of customer ${order.customer} is being offboarded.`, {
      hint: 'Carry on with the folder of that one.',
      ids: subject,
    });
  }
  const report = await destroy(context, offboarding, exported);
  const isDone = isNothingLeft(report);
  if (isDone) {
    await removeDeletedRoots(context.store, offboarding);
    await removeReturnedUnits(context.store, offboarding);
  }
  const certificate = isDone ? await certifyOffboarding(context, offboarding, report) : null;
  const { state } = isDone ? await endOffboarding(context.store, context.clock, offboarding._id, 'done') : offboarding;
  const phase = isDone ? 'done' : 'incomplete';
  await context.audit.append([
    { act: 'customer offboard', phase: 'outcome', subject, details: { outcome: phase, ...figuresOf(report) } },
  ]);
  return { ...report, state, certificate };
}

/** Asks for the approval before anybody is asked to confirm. Throws APPROVAL_NEEDED, APPROVAL_REFUSED. */
export async function askToOffboard(context: Context, plan: OffboardPlan, saidBy: string): Promise<void> {
  if ((await findOffboarding(context.store, plan.export)) !== null) return;
  await requireApproval(context, requestOf(plan), saidBy);
}

function requestOf(plan: OffboardPlan): ApprovalRequest {
  const { owner, customer } = plan;
  const shown = JSON.parse(JSON.stringify(plan));
  const items = [...plan.exportedArchives, ...plan.withoutArchives].map(({ archive }) => archive);
  return { kind: 'offboard', subject: { owner, customer, export: plan.export }, shown, items };
}

async function begin(context: Context, plan: OffboardPlan, order: OffboardOrder): Promise<OffboardingDocument> {
  const begun = await findOffboarding(context.store, plan.export);
  if (begun !== null) return begun;
  const { owner, customer } = order;
  const offboarding = offboardingId(plan.export);
  const proof = await requireApproval(context, { ...requestOf(plan), spendFor: offboarding }, order.saidBy);
  await context.audit.appendOnce([
    {
      key: `${offboarding}:begin`,
      act: 'customer offboard',
      phase: 'intent',
      subject: { offboarding, owner, customer, export: plan.export, approval: proof.approval },
      details: {
        reason: plan.reason,
        manifestSha256: plan.manifestSha256,
        records: plan.records,
        archives: plan.exportedArchives.length,
        withoutArchives: plan.withoutArchives.map(({ archive }) => archive),
      },
    },
  ]);
  const ids = (archives: readonly { readonly archive: string }[]): ArchiveId[] =>
    archives.map(({ archive }) => id.archive(archive));
  return await beginOffboarding(context.store, context.clock, {
    owner,
    customer,
    export: plan.export,
    manifestSha256: plan.manifestSha256,
    reason: plan.reason,
    saidBy: order.saidBy,
    approval: proof.approval,
    withoutArchives: ids(plan.withoutArchives),
    exportedArchives: ids(plan.exportedArchives),
  });
}

const PARTS: readonly ExportedCollection['part'][] = ['records', 'children', 'attachments'];

async function destroy(
  context: Context,
  offboarding: OffboardingDocument,
  exported: VerifiedExport,
): Promise<Omit<OffboardReport, 'state' | 'certificate'>> {
  if (exported.manifestSha256 !== offboarding.manifestSha256) {
    throw new MoraineError('EXPORT_CORRUPT', `Offboarding ${offboarding._id} was begun with another manifest.`);
  }
  const collections: OffboardedCollection[] = [];
  const problems: { collection: string; code: string; text: string }[] = [];
  // Records before what hangs on them, which goes with them and is counted then.
  const order = [...exported.manifest.collections].sort((a, b) => PARTS.indexOf(a.part) - PARTS.indexOf(b.part));
  for (const of of order) {
    assertNotStopped(context);
    try {
      if (of.part === 'records') collections.push(await offboardCollection(context, offboarding, exported, of));
      if (of.part === 'children') collections.push(await countChildren(context, exported, of));
    } catch (error) {
      if (!(error instanceof MoraineError) || error.code === 'WORK_STOPPED') throw error;
      if (error.class === 'bug' || error.class === 'retry') throw error;
      problems.push({ collection: of.collection, code: error.code, text: error.message });
    }
  }
  await closeQuarantineOfGone(context, offboarding);
  const archives = await offboardArchives(context, offboarding);
  const { _id, owner, customer } = offboarding;
  const came = await whatCame(context, offboarding, exported.manifest);
  return { offboarding: _id, owner, customer, export: offboarding.export, collections, came, archives, problems };
}

/** Records of the customer in collections that the export does not name, and children whose root went without them: they came since. */
async function whatCame(
  context: Context,
  subject: ExportSubject,
  { collections }: ExportManifest,
): Promise<OffboardReport['came']> {
  const came: { collection: string; records: number }[] = [];
  for (const policy of await policiesToRun(context.store, null)) {
    const shape = toShape(policy);
    const partition = partitionOf(shape, subject);
    if (partition === null || collections.some(({ collection }) => collection === shape.namespace)) continue;
    const records = await countRecords(context, partition);
    if (records > 0) came.push({ collection: shape.namespace, records });
  }
  const { owner, customer } = subject;
  const late = new Map<string, number>();
  const state = { $in: ['open', 'disposed'] };
  for await (const { namespace } of findQuarantine(context.store, { owner, customer, reason: NOT_RETURNED, state }))
    late.set(namespace, (late.get(namespace) ?? 0) + 1);
  for (const [collection, records] of late) came.push({ collection, records });
  return came;
}

/** An entry names the record's `_id`: where the record is gone, so is what the entry was about. */
async function closeQuarantineOfGone(context: Context, { owner, customer, _id }: OffboardingDocument): Promise<void> {
  const { store, clock, source } = context;
  const filter = { owner, customer, kind: 'record', state: { $in: ['open', 'disposed'] } };
  for await (const entry of findQuarantine(store, filter)) {
    if (entry.idBytes === null || (await source.readByIds(entry.namespace, [entry.idBytes])).size > 0) continue;
    await closeQuarantine(store, clock, entry._id, { who: 'moraine', reason: `deleted by ${_id}` });
  }
}

function isNothingLeft({
  collections,
  came,
  archives,
  problems,
}: Omit<OffboardReport, 'state' | 'certificate'>): boolean {
  return (
    problems.length === 0 &&
    came.length === 0 &&
    collections.every(({ left }) => left === 0) &&
    archives.every(({ destroyed }) => destroyed)
  );
}

/** Names the certificates of all that went. Those of the archives are signed when an inventory confirms them. */
async function certifyOffboarding(
  context: Context,
  offboarding: OffboardingDocument,
  { collections, archives }: Pick<OffboardReport, 'collections' | 'archives'>,
): Promise<string> {
  const { _id, owner, customer, saidBy, approval, manifestSha256, startedAt } = offboarding;
  const certificates: string[] = [];
  for (const { collection } of collections) {
    const partition = partitionId(id.namespace(collection), owner, customer);
    for await (const disposal of disposals(context.store).find({ partition, sequence: { $gte: 1 } }))
      if (disposal.saidBy === orderedBy(offboarding) && (disposal.outcomes?.deleted ?? 0) > 0)
        certificates.push(disposal._id);
  }
  const certificate = await certify(
    context,
    { _id, owner, customer, namespace: id.namespace('*'), policy: '*', policyVersion: '*' },
    {
      what: 'customer offboarded',
      rules: [],
      copies: [],
      archive: null,
      records: { deleted: collections.reduce((total, { deleted }) => total + deleted, 0) },
      collections: collections.map(({ collection, deleted }) => ({ collection, deleted })),
      archives: archives.map(({ archive }) => archive),
      certificates,
      export: { id: offboarding.export, manifestSha256 },
      saidBy,
      approvals: await approvalFacts(context.store, [approval]),
      done: { from: startedAt.toISOString(), to: context.clock.now().toISOString() },
    },
  );
  return certificate._id;
}

function figuresOf({ collections, came, archives, problems }: Omit<OffboardReport, 'state' | 'certificate'>) {
  const sum = (of: (one: OffboardedCollection) => number) => collections.reduce((total, one) => total + of(one), 0);
  return {
    deleted: sum((one) => one.deleted),
    held: sum((one) => one.held),
    changed: sum((one) => one.changed),
    left: sum((one) => one.left) + came.reduce((total, { records }) => total + records, 0),
    archivesDestroyed: archives.filter(({ destroyed }) => destroyed).length,
    archivesLeft: archives.filter(({ destroyed }) => !destroyed).length,
    problems: problems.map(({ code }) => code),
  };
}

function archivesMissing(manifest: ExportManifest, others: ExportManifest['archives']): MoraineError {
  const [first] = others;
  return notWhole(manifest, `${others.length} of its archives are not in it (${first?.archive}: ${first?.outcome})`);
}

function notWhole({ export: exported, owner, customer }: ExportManifest, why: string): MoraineError {
  return new MoraineError('EXPORT_NOT_WHOLE', `Export ${exported} of ${customer} is not whole: ${why}.`, {
    ids: { export: exported, owner, customer },
  });
}
