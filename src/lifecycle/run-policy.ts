/**
 * Run: carry a policy's unfinished archives on, then plan, archive, verify and clear what is due. A partition that fails
 * never stops the others; a blast cap that is passed stops the policy before it starts.
 */
import pMap from 'p-map';
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import type { ArchiveId, CustomerId, OwnerId, PolicyVersion } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives, getArchive } from '../ledger/archives.ts';
import { UNCLEARED_STATES } from '../ledger/states.ts';
import { checkCaps } from '../policy/caps.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { carryOn } from './carry-on.ts';
import { assertNotStopped, type Context } from './context.ts';
import { type ExpirationReport, expirePartition } from './expire.ts';
import { type PartitionPlan, type PolicyPlan, planPolicy } from './plan.ts';
import { planNextArchive } from './plan-archive.ts';
import { pinnedPolicy } from './published.ts';
import { quarantineUnfit } from './quarantine-record.ts';

/** Partitions worked on at once in one process: each holds two upload parts and a few segments in memory. */
export const PARTITIONS_AT_ONCE = 4;

export interface RunOptions {
  /** Seal what waits for more records. */
  readonly flush: boolean;
  /** Also delete what is past its archive period, because this person said so. */
  readonly expired: { readonly saidBy: string } | null;
}

export interface RunTotals {
  readonly selected: number;
  /** Quarantined before sealing, also counted in `quarantined`. */
  readonly unfit: number;
  readonly archived: number;
  readonly deleted: number;
  readonly changed: number;
  readonly held: number;
  readonly gone: number;
  readonly quarantined: number;
  readonly pending: number;
}

export interface RunProblem {
  readonly owner?: OwnerId;
  readonly customer?: CustomerId;
  readonly archive?: ArchiveId;
  readonly code: string;
  readonly text: string;
  readonly hint: string;
  readonly needsPerson: boolean;
}

export interface PolicyRun {
  readonly policy: string;
  readonly version: PolicyVersion;
  readonly plan: PolicyPlan | null;
  readonly archives: readonly ArchiveDocument[];
  readonly expired: readonly ExpirationReport[];
  readonly totals: RunTotals;
  readonly problems: readonly RunProblem[];
  /** New quarantine entries of this run. */
  readonly newlyQuarantined: number;
}

/** Runs one policy. Throws what concerns the policy as a whole (no index, no access); collects what concerns one partition. */
export async function runPolicy(context: Context, policy: Policy, options: RunOptions): Promise<PolicyRun> {
  const problems: RunProblem[] = [];
  const touched = new Set<ArchiveId>();
  await carryOnUnfinished(context, policy, touched, problems);
  const unfit = await quarantineUnfit(context, policy);
  const plan = await planPolicy(context, policy, options);
  if (plan.caps.ok) {
    const due = plan.partitions.filter((partition) => partition.seal.seal);
    await eachPartition(context, due, problems, (partition) => archivePartition(context, policy, partition, touched));
  } else if (plan.totals.due > 0) {
    problems.push(capProblem(policy, plan.caps.text));
  }
  const expired =
    options.expired === null ? [] : await expireAll(context, policy, plan, options.expired.saidBy, problems);
  const archives = await Promise.all([...touched].map((archive) => getArchive(context.store, archive)));
  return {
    policy: policy.name,
    version: policyVersion(policy),
    plan,
    archives: archives.filter((archive) => archive.state !== 'abandoned'),
    expired,
    totals: totalsOf(plan, archives, expired, unfit),
    problems,
    newlyQuarantined:
      unfit.fresh + unfit.reopened + archives.reduce((sum, archive) => sum + archive.outcomes.quarantined, 0),
  };
}

/** Archives of the policy that an earlier run left unfinished, each under the version that it pinned. */
async function carryOnUnfinished(
  context: Context,
  policy: Policy,
  touched: Set<ArchiveId>,
  problems: RunProblem[],
): Promise<void> {
  const unfinished: ArchiveDocument[] = [];
  for await (const archive of findArchives(context.store, { policy: policy.name, state: { $in: UNCLEARED_STATES } }))
    unfinished.push(archive);
  for await (const archive of findArchives(context.store, {
    policy: policy.name,
    state: 'cleared',
    rosterShrunk: false,
  }))
    unfinished.push(archive);
  await eachOf(context, unfinished, problems, async (archive) => {
    touched.add(archive._id);
    await carryOn(context, archive._id, await pinnedPolicy(context.store, archive.policyVersion));
  });
}

/** Archive after archive until what is due in the partition is sealed. */
export async function archivePartition(
  context: Context,
  policy: Policy,
  plan: PartitionPlan,
  touched: Set<ArchiveId>,
): Promise<void> {
  assertOwnerKnown(context, plan);
  await context.keys.assertRecipients(plan.owner);
  for (;;) {
    assertNotStopped(context);
    const archive = await planNextArchive(context, policy, plan);
    touched.add(archive);
    const { state, plan: sealed } = await carryOn(context, archive, policy);
    if (state === 'abandoned' || state === 'quarantined' || sealed.reachedEnd) return;
  }
}

async function expireAll(
  context: Context,
  policy: Policy,
  plan: PolicyPlan,
  saidBy: string,
  problems: RunProblem[],
): Promise<ExpirationReport[]> {
  const reports: ExpirationReport[] = [];
  const caps = checkCaps({ taken: plan.totals.expired, documents: plan.documents, limits: policy.limits });
  if (!caps.ok) {
    if (plan.totals.expired > 0) problems.push(capProblem(policy, caps.text));
    return reports;
  }
  const partitions = plan.partitions.filter((partition) => partition.expired > 0);
  await eachPartition(context, partitions, problems, async (partition) => {
    assertOwnerKnown(context, partition);
    reports.push(await expirePartition(context, policy, partition, saidBy));
  });
  return reports;
}

function assertOwnerKnown(
  context: Context,
  { owner, customer }: { readonly owner: OwnerId; readonly customer: CustomerId },
): void {
  if (context.owners.has(owner)) return;
  throw new MoraineError(
    'OWNER_UNKNOWN',
    `Owner ${owner} (customer ${customer}) is not in moraine.yaml; its records stay where they are.`,
    {
      ids: { owner, customer },
    },
  );
}

async function eachPartition(
  context: Context,
  partitions: readonly PartitionPlan[],
  problems: RunProblem[],
  work: (partition: PartitionPlan) => Promise<void>,
): Promise<void> {
  await eachOf(context, partitions, problems, work);
}

/** Works on several at once; collects what fails and goes on with the others. Only being told to stop ends it. */
async function eachOf<T extends { readonly owner: OwnerId; readonly customer: CustomerId; readonly _id?: ArchiveId }>(
  context: Context,
  items: readonly T[],
  problems: RunProblem[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  await pMap(
    items,
    async (item) => {
      try {
        assertNotStopped(context);
        await work(item);
      } catch (error) {
        if (isMoraineError(error, 'WORK_STOPPED')) throw error;
        if (isMoraineError(error, 'LEASE_HELD')) return;
        const { owner, customer, _id } = item;
        problems.push({ owner, customer, ...(_id === undefined ? {} : { archive: _id }), ...describe(error) });
        context.log.error({ owner, customer, archive: _id, code: describe(error).code }, describe(error).text);
      }
    },
    { concurrency: PARTITIONS_AT_ONCE },
  );
}

function describe(error: unknown): Pick<RunProblem, 'code' | 'text' | 'hint' | 'needsPerson'> {
  if (error instanceof MoraineError) {
    return {
      code: error.code,
      text: error.message,
      hint: error.hint,
      needsPerson: errorClass(error) === 'person' || errorClass(error) === 'quarantine',
    };
  }
  return {
    code: 'INTERNAL',
    text: error instanceof Error ? error.message : String(error),
    hint: 'Report this; the work on it has stopped.',
    needsPerson: false,
  };
}

function capProblem(policy: Policy, text: string): RunProblem {
  return {
    code: 'BLAST_CAP',
    text: `Policy ${policy.name} starts nothing: ${text}.`,
    hint: `Look at \`moraine plan ${policy.name}\`.`,
    needsPerson: true,
  };
}

function totalsOf(
  plan: PolicyPlan,
  archives: readonly ArchiveDocument[],
  expired: readonly ExpirationReport[],
  unfit: { readonly fresh: number; readonly known: number; readonly reopened: number },
): RunTotals {
  const all = [...archives.map(({ outcomes }) => outcomes), ...expired.map(({ outcomes }) => outcomes)];
  const sum = (key: keyof (typeof all)[number]) => all.reduce((total, outcomes) => total + outcomes[key], 0);
  const unfitNow = unfit.fresh + unfit.known + unfit.reopened;
  return {
    selected: plan.totals.taken,
    unfit: unfitNow,
    archived: archives.reduce((total, { outcomes }) => total + outcomes.archived, 0),
    deleted: sum('deleted'),
    changed: sum('changed'),
    held: sum('held'),
    gone: sum('gone'),
    quarantined: sum('quarantined') + unfitNow,
    pending: sum('pending'),
  };
}
