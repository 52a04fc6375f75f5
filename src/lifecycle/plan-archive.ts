/**
 * Plans the next archives of a partition in the ledger: what they will hold, before anything of them exists. Plans are made
 * one at a time under the partition's lease, each above the bound of the highest archive that is not cleared, so no
 * record is ever in two archives that could both be cleared. Where one period is for all records a plan is one archive.
 * Where they have several, one pass over them plans an archive for each due window, with the same bounds, and puts each
 * record down for one of them: what hangs on an inventory would wait for it once for each window otherwise.
 *
 * An insert knows no lease: one that was frozen on its way arrives when another worker has long planned the same records.
 * So a plan takes the number after the newest archive that was there BEFORE it looked at what is uncleared, and the
 * unique index on partition and number lets one of two such plans in. (Found by simulated lives.)
 */
import { MoraineError } from '../errors.ts';
import { type ArchiveId, id } from '../ids.ts';
import {
  ARCHIVE_VERSION,
  type ArchiveDocument,
  type ArchivePlan,
  notBegun,
  UNIT_ARCHIVE_VERSION,
} from '../ledger/archive-document.ts';
import { archives, highestUncleared, newestSequence } from '../ledger/archives.ts';
import type { AuditEntryBody } from '../ledger/audit.ts';
import { claimPartition, type PartitionLease } from '../ledger/partitions.ts';
import { assertNotPaused } from '../ledger/pauses.ts';
import type { CompiledPolicy } from '../policy/compile.ts';
import { addPeriod, periodOf } from '../policy/period.ts';
import { archiveOf, type Policy, policyVersion } from '../policy/policy.ts';
import { lastPurgeInWindow } from '../policy/window.ts';
import { compilePinned } from './compile-in-force.ts';
import { type Context, dueNow, vaultOf } from './context.ts';
import type { PartitionPlan } from './plan.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { sortIntoWindows } from './window-pass.ts';

/** The archives to store next: a new plan, or the one that the partition has begun and not sealed. Throws PAUSED. */
export async function planNextArchives(
  context: Context,
  policy: Policy,
  plan: PartitionPlan,
): Promise<readonly ArchiveId[]> {
  await assertNotPaused(context.store, { policy: policy.name, owner: plan.owner });
  const asOf = dueNow(context);
  // In this order: a clock that was set ahead since it was compared last must not decide what is due.
  await ensureSafeToDestroy(context);
  const lease = await claimPartition(
    context.store,
    { namespace: plan.dataset, owner: plan.owner, customer: plan.customer },
    context,
  );
  try {
    const sequence = (await newestSequence(context.store, lease.document._id)) + 1;
    const uncleared = await highestUncleared(context.store, lease.document._id);
    // A plan without a bound owns everything that is due: it is carried on, no second one is made beside it.
    if (uncleared !== null && uncleared.plan.bound === null) return [uncleared._id];
    return await writePlans(context, lease, policy, plan, { asOf, sequence, above: uncleared });
  } finally {
    await lease.giveUp();
  }
}

interface PlanBase {
  readonly asOf: Date;
  readonly sequence: number;
  readonly above: ArchiveDocument | null;
}

async function writePlans(
  context: Context,
  lease: PartitionLease,
  policy: Policy,
  plan: PartitionPlan,
  { asOf, sequence, above }: PlanBase,
): Promise<readonly ArchiveId[]> {
  // Still ours, by the ledger's own word, before anything is written beside it.
  await lease.fence();
  const compiled = await compilePinned(context, policy, plan.exceptions);
  const whole = compiled.of(plan.owner, plan.customer);
  const own = whole.taking(plan.branch);
  const after = above?.plan.bound ?? null;
  const before = whole.superset(asOf.getTime()).dueBefore;
  const common = (branch: string | undefined) => {
    return { after, before, asOf, reachedEnd: false, ...(branch === undefined ? {} : { branch }) };
  };
  if (own.uniform !== null) {
    const latestPurgeAt = plan.latestPurgeAt ?? latestPurge(own, plan.oldest ?? asOf);
    const archive = id.archive(context.newId());
    const { due: records, bytes } = plan;
    const archivePlan = { ...common(plan.branch), bound: null, records, bytes, latestPurgeAt };
    return [await writePlan(context, lease, policy, plan, { archive, sequence, plan: archivePlan })];
  }
  const partition = { dataset: compiled.shape, owner: plan.owner, customer: plan.customer };
  const takes = [plan, ...(plan.beside ?? [])].map(({ branch, due }) => ({ branch, mostRecords: due }));
  const order = { partition, takes, asOf, after, before, sequence };
  const { windows, bound, reachedEnd } = await sortIntoWindows(context, lease, compiled, order);
  // The pass may have taken long: once more, so that nobody else has planned meanwhile.
  await lease.fence();
  const pass = { id: context.newId(), reachedEnd };
  const planned: ArchiveId[] = [];
  for (const { archive, branch, sequence: number, records, bytes, latestPurgeAt } of windows) {
    const archivePlan = { ...common(branch), bound, records, bytes, latestPurgeAt, pass };
    planned.push(await writePlan(context, lease, policy, plan, { archive, sequence: number, plan: archivePlan }));
  }
  return planned;
}

async function writePlan(
  context: Context,
  lease: PartitionLease,
  policy: Policy,
  plan: PartitionPlan,
  of: { readonly archive: ArchiveId; readonly sequence: number; readonly plan: ArchivePlan },
): Promise<ArchiveId> {
  const { archive, sequence } = of;
  const exceptions = plan.exceptions ?? [];
  const { vault: key, storageClass } = archiveOf(policy);
  const vault = vaultOf(context, key).locate(context.installation.id, plan.owner, plan.customer, storageClass);
  const now = context.clock.now();
  const entry: AuditEntryBody = {
    key: `${archive}:plan`,
    act: 'archive planned',
    phase: 'outcome',
    subject: { archive, owner: plan.owner, customer: plan.customer, policy: policy.name },
    details: {
      policyVersion: policyVersion(policy),
      records: of.plan.records,
      bytes: of.plan.bytes,
      vault: vault.name,
    },
  };
  // A worker that slept since it read the partition must not put a second plan beside another's.
  lease.assertHeld();
  const outcome = await archives(context.store).insert({
    _id: archive,
    v: hasUnits(policy) ? UNIT_ARCHIVE_VERSION : ARCHIVE_VERSION,
    state: 'planned',
    quarantinedFrom: null,
    quarantineReason: null,
    policy: policy.name,
    policyVersion: policyVersion(policy),
    namespace: plan.dataset,
    owner: plan.owner,
    customer: plan.customer,
    partition: lease.document._id,
    sequence,
    verifyLevel: archiveOf(policy).verify,
    vault,
    plan: { ...of.plan, ...(exceptions.length === 0 ? {} : { exceptions }) },
    ...notBegun(now),
    // In the chain as soon as somebody claims it: a plan and its entry are written together.
    unaudited: [entry],
  });
  // The store may have made our own insert again after a lost reply.
  if (outcome === 'inserted' || (await archives(context.store).get(archive)) !== null) return archive;
  throw new MoraineError('LEASE_LOST', `Another worker has planned in partition ${lease.document._id} meanwhile.`, {
    changed: 'Nothing was planned by this one.',
    ids: { owner: plan.owner, customer: plan.customer },
  });
}

function hasUnits({ dataset }: Policy): boolean {
  return (dataset.children ?? []).length > 0 || (dataset.attachments ?? []).length > 0;
}

/** Of a policy with one period for all: what the due window of the first record allows. */
function latestPurge({ policy, uniform }: CompiledPolicy, firstDue: Date): Date {
  const archive = uniform?.archive;
  if (archive == null)
    throw new MoraineError('INTERNAL', `A plan of policy ${policy.name} does not say until when its copies are kept.`);
  return new Date(lastPurgeInWindow(addPeriod(firstDue.getTime(), periodOf(archive), policy.zone), policy));
}
