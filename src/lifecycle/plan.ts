/**
 * Plan: what a policy would do now, for each owner and customer, and why the rest stays. Reads only. The plan that is
 * printed is the plan that `run` takes; it is bound to the policy's version and made anew for each run.
 */

import pMap from 'p-map';
import { MoraineError } from '../errors.ts';
import type { CustomerId, Namespace, OwnerId, PolicyVersion } from '../ids.ts';
import { highestUncleared } from '../ledger/archives.ts';
import { holdName } from '../ledger/holds.ts';
import { partitionId } from '../ledger/partitions.ts';
import { type PauseDocument, pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import { type CapResult, checkCaps } from '../policy/caps.ts';
import type { ReadyBranch } from '../policy/choice.ts';
import type { CompiledPolicy } from '../policy/compile.ts';
import { type Disposition, type Policy, policyVersion } from '../policy/policy.ts';
import { type SealDecision, sealDecision } from '../policy/window.ts';
import { branchWords } from '../policy/words.ts';
import { wallClock } from '../policy/zone.ts';
import type { DatasetReport, Partition, UnfitReason } from '../source/port.ts';
import { compileInForce } from './compile-in-force.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { countPartition, type PartitionCounts } from './count-partition.ts';
import { inspectDataset } from './inspect-dataset.ts';

export interface PartitionPlan {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly dataset: Namespace;
  /**
   * Which of the policy's dispositions this is about: absent where these records have one. Where they have several there is
   * one of these plans for each, in the order in which they are carried out.
   */
  readonly branch?: string;
  /** What happens to what is due. */
  readonly disposition?: Disposition;
  /** Plans of other branches of these records that are archived too, in the same pass ({@link besideEachOther}). */
  readonly beside?: readonly PartitionPlan[];
  /** Due for its disposition, with bytes of BSON. */
  readonly due: number;
  readonly bytes: number;
  /** When the oldest of them became due. */
  readonly oldest: Date | null;
  /** Past the archive period too: only `run --expired` takes them. */
  readonly expired: number;
  readonly held: number;
  /** Waiting for an event or a value, and old enough for the shortest period; when the oldest of them was created. */
  readonly pending?: number;
  readonly oldestPending?: Date | null;
  /** No copy of what is due is to be purged later; null where one period for all records says so. */
  readonly latestPurgeAt?: Date | null;
  /** Ids of the exceptions that it was made with. */
  readonly exceptions?: readonly string[];
  /** What a person approved so that it may be taken. */
  readonly approvals?: readonly string[];
  /** The pauses that stop it: nothing of it is taken. */
  readonly paused: readonly string[];
  readonly seal: SealDecision;
  readonly reasons: readonly string[];
}

export interface PolicyPlan {
  readonly policy: string;
  readonly version: PolicyVersion;
  readonly asOf: Date;
  readonly documents: number;
  readonly partitions: readonly PartitionPlan[];
  readonly totals: {
    readonly due: number;
    readonly bytes: number;
    readonly expired: number;
    readonly held: number;
    readonly unfit: number;
    readonly taken: number;
  };
  /** Records that cannot be handled, by reason. `run` quarantines them; they stay in the source. */
  readonly unfit: Readonly<Partial<Record<UnfitReason, number>>>;
  readonly caps: CapResult;
}

export interface PlanOptions {
  readonly flush: boolean;
  /** Those in force, where they were read already. */
  readonly pauses?: readonly PauseDocument[];
}

/** Partitions counted at once: planning waits for the server most of the time, and holds a few numbers for each. */
const PLANNED_AT_ONCE = 4;

/** Throws INDEX_MISSING or DATASET_UNFIT before anything is read of the data. */
export async function planPolicy(context: Context, policy: Policy, options: PlanOptions): Promise<PolicyPlan> {
  const compiled = await compileInForce(context, policy);
  const { shape } = compiled;
  const report = await inspectDataset(context, shape);
  assertUsable(policy, report);
  const pauses = options.pauses ?? (await pausesInForce(context.store));
  const asOf = dueNow(context);
  const found = context.source.partitions(shape, announcedBefore(compiled, asOf.getTime()));
  const unfitCounted = countUnfit(context, compiled);
  // Awaited below; until then a failure of the other is the one to report.
  unfitCounted.catch(() => undefined);
  const planned = await pMap(
    found,
    async (partition) => {
      assertNotStopped(context);
      return await planPartition(context, compiled, partition, asOf, { ...options, pauses });
    },
    { concurrency: PLANNED_AT_ONCE },
  );
  const partitions = planned.flat();
  const unfit = await unfitCounted;
  const sum = (value: (plan: PartitionPlan) => number) => partitions.reduce((total, plan) => total + value(plan), 0);
  const taken = sum((plan) => (plan.seal.seal ? plan.due : 0));
  return {
    policy: policy.name,
    version: policyVersion(policy),
    asOf,
    documents: report.documents,
    partitions,
    totals: {
      due: sum((plan) => plan.due),
      bytes: sum((plan) => plan.bytes),
      expired: sum((plan) => plan.expired),
      held: sum((plan) => plan.held),
      unfit: Object.values(unfit).reduce((total, count) => total + count, 0),
      taken,
    },
    unfit,
    caps: checkCaps({ taken, documents: report.documents, limits: policy.limits }),
  };
}

/** No record with a trigger from here on (ms) is due, or will be when an exception bites that was granted already. */
function announcedBefore(compiled: CompiledPolicy, now: number): number {
  const bites = compiled.given.exceptions.flatMap(({ effect, from, bitesAt }) =>
    effect === 'shorter' ? [Math.max(from, bitesAt)] : [],
  );
  const instants = [now, ...bites.filter((at) => at > now)];
  return Math.max(...instants.map((at) => compiled.superset(at).dueBefore));
}

/**
 * What is archived of the same records by several branches is one plan with the others beside it: where clearing waits for
 * an inventory, what lies below the bounds of one would wait for it.
 */
export function besideEachOther(plans: readonly PartitionPlan[]): readonly PartitionPlan[] {
  const isArchived = ({ disposition, branch }: PartitionPlan) => disposition === 'archive' && branch !== undefined;
  const nameOf = ({ dataset, owner, customer }: PartitionPlan) => partitionId(dataset, owner, customer);
  const groups = Map.groupBy(plans.filter(isArchived), nameOf);
  return plans.flatMap((plan) => {
    const [first, ...beside] = (isArchived(plan) ? groups.get(nameOf(plan)) : undefined) ?? [plan];
    if (plan !== first) return [];
    return beside.length === 0 ? plan : { ...plan, beside };
  });
}

/** One plan for each disposition that these records may have: one, of most policies. */
export async function planPartition(
  context: Context,
  compiled: CompiledPolicy,
  partition: Partition,
  asOf: Date,
  options: PlanOptions,
): Promise<readonly PartitionPlan[]> {
  const own = compiled.of(partition.owner, partition.customer);
  const plans: PartitionPlan[] = [];
  for (const branch of own.branches) {
    assertNotStopped(context);
    const taken = own.branches.length === 1 ? compiled : own.taking(branch.key);
    plans.push(await planBranch(context, taken, { ...partition, branch }, asOf, options));
  }
  if (plans.length === 1) return plans;
  return plans.map((plan, index) => ({ ...plan, branch: own.branches[index]?.key ?? '' }));
}

async function planBranch(
  context: Context,
  compiled: CompiledPolicy,
  { branch, ...partition }: Partition & { readonly branch: ReadyBranch },
  asOf: Date,
  options: PlanOptions,
): Promise<PartitionPlan> {
  const { owner, customer } = partition;
  const namespace = partition.dataset.namespace;
  const uncleared = await highestUncleared(context.store, partitionId(namespace, owner, customer));
  const counts = await countPartition(context, compiled, partition, asOf, uncleared?.plan ?? null);
  const { held, holds } = counts;
  const paused = (options.pauses ?? (await pausesInForce(context.store)))
    .filter((pause) => stops(pause, { policy: compiled.policy.name, owner }))
    .map(pauseName);
  const decided = sealDecision({
    records: holds.whole.length > 0 ? 0 : counts.due,
    bytes: counts.bytes,
    oldestDueAt: counts.oldestDueAt?.getTime() ?? null,
    now: asOf.getTime(),
    // Where nothing is archived in this environment, nothing waits for company in an archive.
    policy: branch.disposition === 'archive' ? compiled.policy : { ...compiled.policy, archive: null },
    flush: options.flush,
  });
  const seal: SealDecision =
    paused.length === 0
      ? decided
      : { seal: false, reason: 'waiting', until: null, text: `Paused: ${paused.join(', ')}.` };
  return {
    owner,
    customer,
    dataset: namespace,
    disposition: branch.disposition,
    due: counts.due,
    bytes: counts.bytes,
    oldest: counts.oldestDueAt,
    expired: counts.expired,
    held,
    pending: counts.pending,
    oldestPending: counts.oldestPendingAt,
    latestPurgeAt: counts.latestPurgeAt === null ? null : new Date(counts.latestPurgeAt),
    exceptions: compiled.of(owner, customer).given.exceptions.map((exception) => exception.id),
    paused,
    seal,
    reasons: [
      ...branchReasons(compiled, branch),
      ...reasonsOf(context, compiled, partition, counts),
      ...holdReasons(counts),
      seal.text,
    ],
  };
}

/** Where the policy says several things, which of them this is. */
function branchReasons({ policy }: CompiledPolicy, branch: ReadyBranch): string[] {
  return policy.dispositions === undefined ? [] : [`When due, ${branchWords(branch)}.`];
}

function reasonsOf(
  context: Context,
  { policy: { zone } }: CompiledPolicy,
  partition: Partition,
  counts: PartitionCounts,
): string[] {
  const reasons: string[] = [];
  if (!context.owners.has(partition.owner))
    reasons.push(`Owner ${partition.owner} is not in moraine.yaml: nothing of it is archived.`);
  if (counts.notDue > 0) reasons.push(`${counts.notDue} near the end of their active period are not due yet.`);
  if (counts.pending > 0 && counts.oldestPendingAt !== null) {
    reasons.push(
      `${counts.pending} are pending: they wait for an event or a value, the oldest since ${wallClock(counts.oldestPendingAt.getTime(), zone)}.`,
    );
  }
  for (const { exception, on, records } of counts.shortened) {
    reasons.push(`${records} are shortened on ${wallClock(on.getTime(), zone)} by exception ${exception}.`);
  }
  if (counts.treated > 0) reasons.push(`${counts.treated} were treated already and stay.`);
  if (counts.exempt > 0) reasons.push(`${counts.exempt} were restored and are left alone for now.`);
  if (counts.quarantined > 0) reasons.push(`${counts.quarantined} are in quarantine.`);
  if (counts.inUnclearedArchives > 0)
    reasons.push(`${counts.inUnclearedArchives} lie in archives that are not cleared yet.`);
  if (counts.expired > 0) {
    reasons.push(`${counts.expired} are past their archive period too: they go with \`moraine run --expired\` only.`);
  }
  return reasons;
}

function holdReasons({ held, holds }: PartitionCounts): string[] {
  if (held === 0) return [];
  if (holds.whole.length > 0) return holds.whole.map((hold) => `Legal hold ${holdName(hold)} covers it.`);
  return [`${held} stay by legal hold ${holds.narrow.map(holdName).join(', ')}.`];
}

async function countUnfit(context: Context, { shape }: CompiledPolicy): Promise<Partial<Record<UnfitReason, number>>> {
  const counts: Partial<Record<UnfitReason, number>> = {};
  for await (const batch of context.source.unfit(shape)) {
    assertNotStopped(context);
    for (const { raw } of batch) {
      const reason = context.source.facts(shape, raw).unfit[0];
      if (reason !== undefined) counts[reason] = (counts[reason] ?? 0) + 1;
    }
  }
  return counts;
}

/** Nothing ever scans a collection silently, and nothing is deleted where the guard cannot be trusted. */
export function assertUsable(policy: Policy, report: DatasetReport): void {
  const finding = report.findings.find(({ level }) => level === 'error');
  if (finding === undefined) return;
  const code = finding.code === 'INDEX_MISSING' ? 'INDEX_MISSING' : 'DATASET_UNFIT';
  throw new MoraineError(code, `Policy ${policy.name} cannot run on ${policy.dataset.collection}: ${finding.text}`, {
    ...(finding.remedy === undefined ? {} : { hint: `Create it with: ${finding.remedy}` }),
    ids: { policy: policy.name, collection: policy.dataset.collection },
  });
}
