/**
 * Run: carry a policy's unfinished archives on, then plan, archive, verify and clear what is due. A partition that fails
 * never stops the others; a blast cap that is passed stops the policy before it starts. What a person has paused waits, and
 * is told beside the problems: it is none.
 */
import pMap from 'p-map';
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import { type ArchiveId, type CustomerId, id, type OwnerId, type PolicyVersion } from '../ids.ts';
import { type ArchiveDocument, NO_OUTCOMES } from '../ledger/archive-document.ts';
import { findArchives, getArchive } from '../ledger/archives.ts';
import { openExpirations } from '../ledger/expirations.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import { UNCLEARED_STATES } from '../ledger/states.ts';
import { checkCaps } from '../policy/caps.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { carryOn } from './carry-on.ts';
import { assertNotStopped, type Context } from './context.ts';
import { carryOnExpiration, type ExpirationReport, expirePartition } from './expire.ts';
import { type PartitionPlan, type PolicyPlan, planPolicy } from './plan.ts';
import { planNextArchive } from './plan-archive.ts';
import { ensureSafeToDestroy } from './preflight.ts';
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
  const carriedOn = await carryOnExpirations(context, policy, met);
  await carryOnUnfinished(context, policy, touched, met);
  const unfit = await quarantineUnfit(context, policy);
  const plan = await planPolicy(context, policy, options);
  for (const { paused } of plan.partitions) for (const pause of paused) met.paused.add(pause);
  if (plan.caps.ok) {
    context.progress.planned?.(plan.totals.taken);
    const due = plan.partitions.filter((partition) => partition.seal.seal);
    await eachPartition(context, due, met, (partition) => archivePartition(context, policy, partition, touched));
  } else if (plan.totals.due > 0) {
    met.problems.push(capProblem(policy, plan.caps.text));
  }
  const expired = [
    ...carriedOn,
    ...(options.expired === null ? [] : await expireAll(context, policy, plan, options.expired.saidBy, met)),
  ];
  const archives = await Promise.all([...touched].map((archive) => getArchive(context.store, archive)));
  return {
    policy: policy.name,
    version: policyVersion(policy),
    plan,
    archives: archives.filter((archive) => archive.state !== 'abandoned'),
    expired,
    totals: totalsOf(plan, archives, expired, unfit),
    problems: met.problems,
    paused: [...met.paused],
    newlyQuarantined: unfit.fresh + unfit.reopened + newlyQuarantined(archives, expired),
  };
}

/** What a run met that stopped parts of it. */
interface Met {
  readonly problems: RunProblem[];
  readonly paused: Set<string>;
}

function pausedRun(policy: Policy, paused: readonly string[]): PolicyRun {
  const nothing = { archives: [], expired: [], problems: [], newlyQuarantined: 0 };
  const totals = { selected: 0, unfit: 0, ...NO_OUTCOMES };
  return { policy: policy.name, version: policyVersion(policy), plan: null, totals, paused, ...nothing };
}

/** Archives of the policy that an earlier run left unfinished, each under the version that it pinned. */
async function carryOnUnfinished(context: Context, policy: Policy, touched: Set<ArchiveId>, met: Met): Promise<void> {
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
}

function newlyQuarantined(archives: readonly ArchiveDocument[], expired: readonly ExpirationReport[]): number {
  const records = [...archives, ...expired].reduce((sum, { outcomes, unfit }) => sum + outcomes.quarantined + unfit, 0);
  return records + archives.filter(({ state }) => state === 'quarantined').length;
}

/** Deletions that a person ordered and that were cut: what was ordered then, and no more. */
export async function carryOnExpirations(
  context: Context,
  policy: Policy,
  met: Met = { problems: [], paused: new Set() },
): Promise<ExpirationReport[]> {
  const reports: ExpirationReport[] = [];
  await eachOf(context, await openExpirations(context.store, policy.name), met, async ({ _id: expiration }) => {
    reports.push(await carryOnExpiration(context, expiration));
  });
  return reports;
}

/**
 * Archive after archive until what was planned in the partition is sealed. Takes no more than the plan counted, for that
 * is what the blast caps were looked at for; what came since waits for the next plan.
 */
export async function archivePartition(
  context: Context,
  policy: Policy,
  plan: PartitionPlan,
  touched: Set<ArchiveId>,
): Promise<void> {
  assertOwnerKnown(context, plan);
  await context.keys.assertRecipients(plan.owner);
  let left = plan.due;
  let bytesLeft = plan.bytes;
  while (left > 0) {
    assertNotStopped(context);
    const archive = await planNextArchive(context, policy, { ...plan, due: left, bytes: Math.max(0, bytesLeft) });
    touched.add(archive);
    const { state, plan: sealed, stored, unfit } = await carryOn(context, archive, policy);
    if (state === 'abandoned' || state === 'quarantined' || sealed.reachedEnd) return;
    left -= (stored?.records ?? 0) + unfit;
    bytesLeft -= stored?.recordBytes ?? 0;
  }
}

async function expireAll(
  context: Context,
  policy: Policy,
  plan: PolicyPlan,
  saidBy: string,
  met: Met,
): Promise<ExpirationReport[]> {
  const reports: ExpirationReport[] = [];
  const caps = checkCaps({ taken: plan.totals.expired, documents: plan.documents, limits: policy.limits });
  if (!caps.ok) {
    if (plan.totals.expired > 0) met.problems.push(capProblem(policy, caps.text));
    return reports;
  }
  const partitions = plan.partitions.filter((partition) => partition.expired > 0);
  await eachPartition(context, partitions, met, async (partition) => {
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
  met: Met,
  work: (partition: PartitionPlan) => Promise<void>,
): Promise<void> {
  await eachOf(context, partitions, met, work);
}

/** Works on several at once; collects what fails and goes on with the others. Only being told to stop ends it. */
async function eachOf<T extends { readonly owner: OwnerId; readonly customer: CustomerId; readonly _id?: string }>(
  context: Context,
  items: readonly T[],
  met: Met,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // Ends only when all have ended: a process that exits before the others gave up their leases leaves them to end by time.
  let stopped: unknown = null;
  await pMap(
    items,
    async (item) => {
      if (stopped !== null) return;
      try {
        assertNotStopped(context);
        await work(item);
      } catch (error) {
        if (isMoraineError(error, 'WORK_STOPPED')) {
          stopped = error;
          return;
        }
        if (isMoraineError(error, 'LEASE_HELD')) return;
        if (isMoraineError(error, 'PAUSED')) {
          met.paused.add(String(error.ids['pauses']));
          return;
        }
        const { owner, customer, _id } = item;
        met.problems.push({
          owner,
          customer,
          ...(_id === undefined ? {} : { archive: id.archive(_id) }),
          ...describe(error),
        });
        context.log.error({ owner, customer, archive: _id, code: describe(error).code }, describe(error).text);
      }
    },
    { concurrency: PARTITIONS_AT_ONCE },
  );
  if (stopped !== null) throw stopped;
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
  const unfitAtSealing = [...archives, ...expired].reduce((total, { unfit: count }) => total + count, 0);
  const unfitNow = unfit.fresh + unfit.known + unfit.reopened + unfitAtSealing;
  return {
    selected: plan.caps.ok ? plan.totals.taken : 0,
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
