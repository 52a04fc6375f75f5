/**
 * Run: carry a policy's unfinished archives and disposals on, then plan, and archive, verify and clear what is due; or, for
 * a policy whose disposition is another, delete it or treat it in place. A partition that fails
 * never stops the others; a blast cap that is passed stops the policy before it starts. What a person has paused waits, and
 * is told beside the problems: it is none.
 */
import { isMoraineError } from '../errors.ts';
import type { ArchiveId, PolicyVersion } from '../ids.ts';
import { type ArchiveDocument, addOutcomes, NO_OUTCOMES, type Outcomes } from '../ledger/archive-document.ts';
import { findArchives, getArchive } from '../ledger/archives.ts';
import { isOfExpired, openDisposals } from '../ledger/disposals.ts';
import { partitionId } from '../ledger/partitions.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import { UNCLEARED_STATES } from '../ledger/states.ts';
import { checkCaps } from '../policy/caps.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { archivePartition } from './archive-partition.ts';
import { carryOn } from './carry-on.ts';
import type { Context } from './context.ts';
import { carryOnDisposal, type DisposalOrder, type DisposalReport, disposePartition } from './dispose.ts';
import { eachOf } from './each-of.ts';
import { assertOwnerKnown } from './known-owner.ts';
import { lookForOrphans } from './orphans.ts';
import { besideEachOther, type PartitionPlan, type PolicyPlan, planPolicy } from './plan.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { pinnedPolicy } from './published.ts';
import { quarantineUnfit } from './quarantine-record.ts';
import { describe, type Met, type RunProblem } from './run-problems.ts';
import { branchOf } from './treatment.ts';
import { amountOf, approvalsFor, underCaps } from './under-caps.ts';

export interface RunOptions {
  /** Seal what waits for more records. */
  readonly flush: boolean;
  /** Who asks for an approval where one is needed; absent: nobody, and what is over its caps stays. */
  readonly requestedBy?: string;
  /** Also delete what is past its archive period, because this person said so. */
  readonly expired: { readonly saidBy: string } | null;
}

/** Promise 5 over all that the run touched; `archived` counts what went into archives, and not what was disposed of without one. */
export interface RunTotals extends Outcomes {
  readonly selected: number;
  /** Quarantined before anything was done with them, also counted in `quarantined`. */
  readonly unfit: number;
}

export interface PolicyRun {
  readonly policy: string;
  readonly version: PolicyVersion;
  readonly plan: PolicyPlan | null;
  readonly archives: readonly ArchiveDocument[];
  /** What was past its archive period too, and went because a person said so. */
  readonly expired: readonly DisposalReport[];
  /** What the policy deletes, or treats in place, without an archive. */
  readonly disposed: readonly DisposalReport[];
  readonly totals: RunTotals;
  readonly problems: readonly RunProblem[];
  /** The pauses that stopped the policy, or parts of it. `plan` is null when they stopped all of it. */
  readonly paused: readonly string[];
  /** New quarantine entries of this run. */
  readonly newlyQuarantined: number;
}

/** Runs one policy. Throws what concerns the policy as a whole (no index, no access); collects what concerns one partition. */
export async function runPolicy(context: Context, policy: Policy, options: RunOptions): Promise<PolicyRun> {
  await ensureSafeToDestroy(context);
  const pauses = await pausesInForce(context.store);
  const stopping = pauses.filter((pause) => stops(pause, { policy: policy.name, owner: null }));
  if (stopping.length > 0) return pausedRun(policy, stopping.map(pauseName));
  const met: Met = { problems: [], paused: new Set() };
  const touched = new Set<ArchiveId>();
  const reports = await carryOnDisposals(context, policy, met);
  const before = await carryOnUnfinished(context, policy, touched, met);
  const unfit = await quarantineUnfit(context, policy);
  const plan = await underCaps(context, policy, await planPolicy(context, policy, options), options, met);
  for (const { paused } of plan.partitions) for (const pause of paused) met.paused.add(pause);
  if (plan.caps.ok) {
    context.progress.planned?.(plan.totals.taken);
    const due = plan.partitions.filter((partition) => partition.seal.seal && partition.due > 0);
    await eachPartition(context, besideEachOther(due), met, async (partition) => {
      const report = await takeDue(context, policy, partition, touched);
      if (report !== null) reports.push(report);
    });
  }
  await takeOrphans(context, policy, touched, met);
  if (options.expired !== null) reports.push(...(await expireAll(context, policy, plan, options.expired.saidBy, met)));
  const archives = await Promise.all([...touched].map((archive) => getArchive(context.store, archive)));
  return {
    policy: policy.name,
    version: policyVersion(policy),
    plan,
    archives: archives.filter((archive) => archive.state !== 'abandoned'),
    expired: reports.filter(({ kind }) => isOfExpired(kind)),
    disposed: reports.filter(({ kind }) => !isOfExpired(kind)),
    totals: totalsOf(plan, archives, reports, unfit),
    problems: met.problems,
    paused: [...met.paused],
    newlyQuarantined: unfit.fresh + unfit.reopened + newlyQuarantined(before, archives, reports),
  };
}

function pausedRun(policy: Policy, paused: readonly string[]): PolicyRun {
  const nothing = { archives: [], expired: [], disposed: [], problems: [], newlyQuarantined: 0 };
  const totals = { selected: 0, unfit: 0, ...NO_OUTCOMES };
  return { policy: policy.name, version: policyVersion(policy), plan: null, totals, paused, ...nothing };
}

/** Archives of the policy that an earlier run left unfinished, each under the version that it pinned. Returns them as they were. */
async function carryOnUnfinished(
  context: Context,
  policy: Policy,
  touched: Set<ArchiveId>,
  met: Met,
): Promise<readonly ArchiveDocument[]> {
  const unfinished: ArchiveDocument[] = [];
  for await (const archive of findArchives(context.store, { policy: policy.name, state: { $in: UNCLEARED_STATES } }))
    unfinished.push(archive);
  for await (const archive of findArchives(context.store, {
    policy: policy.name,
    state: 'cleared',
    rosterShrunk: false,
  }))
    unfinished.push(archive);
  await eachOf(context, unfinished, met, async (archive) => {
    touched.add(archive._id);
    await carryOn(context, archive._id, await pinnedPolicy(context.store, archive.policyVersion));
  });
  return unfinished;
}

/** Children whose root is in a cleared archive go into addenda. What cannot be looked at now is, by the next run. */
async function takeOrphans(context: Context, policy: Policy, touched: Set<ArchiveId>, met: Met): Promise<void> {
  try {
    await eachOf(context, await lookForOrphans(context, policy), met, async ({ _id, policyVersion: pinned }) => {
      touched.add(_id);
      await carryOn(context, _id, await pinnedPolicy(context.store, pinned));
    });
  } catch (error) {
    if (isMoraineError(error, 'WORK_STOPPED')) throw error;
    met.problems.push(describe(error));
  }
}

/** Less what the archives that were carried on had before: an earlier run has told it. */
function newlyQuarantined(
  before: readonly ArchiveDocument[],
  archives: readonly ArchiveDocument[],
  disposals: readonly DisposalReport[],
): number {
  return sumOf([...archives, ...disposals], quarantinedIn) - sumOf(before, quarantinedIn);
}

/** Its records in quarantine, and itself. */
function quarantinedIn(of: ArchiveDocument | DisposalReport): number {
  const isItself = 'state' in of && of.state === 'quarantined';
  return of.outcomes.quarantined + of.unfit + (isItself ? 1 : 0);
}

function sumOf<T>(all: readonly T[], count: (one: T) => number): number {
  return all.reduce((sum, one) => sum + count(one), 0);
}

/** Disposals that were ordered and that were cut: what was ordered then, and no more. */
export async function carryOnDisposals(
  context: Context,
  policy: Policy,
  met: Met = { problems: [], paused: new Set() },
): Promise<DisposalReport[]> {
  const reports: DisposalReport[] = [];
  await eachOf(context, await openDisposals(context.store, policy.name), met, async ({ _id: disposal }) => {
    reports.push(await carryOnDisposal(context, disposal));
  });
  return reports;
}

/** Does with the due records of a partition what the policy says. The report of what was done without an archive, or null. */
export async function takeDue(
  context: Context,
  policy: Policy,
  plan: PartitionPlan,
  touched: Set<ArchiveId>,
): Promise<DisposalReport | null> {
  const { disposition } = branchOf(policy, context.installation.environment, plan);
  if (disposition === 'archive') {
    await archivePartition(context, policy, plan, touched);
    return null;
  }
  assertOwnerKnown(context, plan);
  const { owner, customer, branch, due: records, approvals } = plan;
  const saidBy = `policy ${policy.name}`;
  const order = { kind: disposition, owner, customer, branch, records, saidBy, approvals };
  return await disposePartition(context, policy, order);
}

async function expireAll(
  context: Context,
  policy: Policy,
  plan: PolicyPlan,
  saidBy: string,
  met: Met,
): Promise<DisposalReport[]> {
  const reports: DisposalReport[] = [];
  const caps = checkCaps({ taken: plan.totals.expired, documents: plan.documents, limits: policy.limits });
  if (plan.totals.expired === 0) return reports;
  const partitions = plan.partitions.filter((partition) => partition.expired > 0);
  const amounts = partitions.map((partition) => amountOf(partition, partition.expired));
  const approvals = await approvalsFor(context, policy, { act: 'run --expired', caps, amounts }, saidBy, met);
  if (approvals === null) return reports;
  await eachPartition(context, partitions, met, async (partition) => {
    assertOwnerKnown(context, partition);
    const { owner, customer, branch, expired: records } = partition;
    // What such a policy would have kept in the source, treated, is not deleted for having been found late.
    const { treat } = branchOf(policy, context.installation.environment, partition);
    const kind = treat === null ? 'expired' : 'treat-expired';
    const order: DisposalOrder = { kind, owner, customer, branch, records, saidBy, approvals };
    reports.push(await disposePartition(context, policy, order));
  });
  return reports;
}

async function eachPartition(
  context: Context,
  partitions: readonly PartitionPlan[],
  met: Met,
  work: (partition: PartitionPlan) => Promise<void>,
): Promise<void> {
  // What happens to the records of one owner and customer happens one after the other: they share leases.
  const parties = [
    ...Map.groupBy(partitions, ({ dataset, owner, customer }) => partitionId(dataset, owner, customer)).values(),
  ];
  const most = Math.max(0, ...parties.map(({ length }) => length));
  for (let turn = 0; turn < most; turn++) {
    await eachOf(
      context,
      parties.flatMap((plans) => plans[turn] ?? []),
      met,
      work,
    );
  }
}

function totalsOf(
  plan: PolicyPlan,
  archives: readonly ArchiveDocument[],
  disposals: readonly DisposalReport[],
  unfit: { readonly fresh: number; readonly known: number; readonly reopened: number },
): RunTotals {
  const sum = (all: readonly { readonly outcomes: Outcomes }[]) =>
    all.reduce((total, { outcomes }) => addOutcomes(total, outcomes), NO_OUTCOMES);
  const ofArchives = sum(archives);
  const all = addOutcomes(ofArchives, sum(disposals));
  const unfitAtSealing = [...archives, ...disposals].reduce((total, { unfit: count }) => total + count, 0);
  const unfitNow = unfit.fresh + unfit.known + unfit.reopened + unfitAtSealing;
  return {
    ...all,
    archived: ofArchives.archived,
    quarantined: all.quarantined + unfitNow,
    selected: plan.caps.ok ? plan.totals.taken : 0,
    unfit: unfitNow,
  };
}
