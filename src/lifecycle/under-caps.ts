/** Caps of a run, and the approval that lifts them for what was counted: looked at before anything is begun. */
import { errorClass } from '../errors.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { withEach } from '../policy/terms.ts';
import { type Amount, type Amounts, approveAmounts } from './approve-amounts.ts';
import type { Context } from './context.ts';
import type { PartitionPlan, PolicyPlan } from './plan.ts';
import { capProblem, describe, type Met } from './run-problems.ts';

/** The plan, with caps that let it through where they do, or where another person has lifted them for what was counted here. */
export async function underCaps(
  context: Context,
  policy: Policy,
  plan: PolicyPlan,
  { requestedBy }: { readonly requestedBy?: string },
  met: Met,
): Promise<PolicyPlan> {
  if (plan.caps.ok || plan.totals.due === 0) return plan;
  const due = plan.partitions.filter((partition) => partition.seal.seal && partition.due > 0);
  const amounts = due.map((partition) => amountOf(partition, partition.due));
  const approvals = await approvalsFor(context, policy, { act: 'run', caps: plan.caps, amounts }, requestedBy, met);
  if (approvals === null) return plan;
  return { ...plan, caps: { ok: true }, partitions: plan.partitions.map((partition) => ({ ...partition, approvals })) };
}

/** Ids of what was approved; none where nothing is needed. Null: what stops it went to the problems: the cap, or the approval that is waited for or was refused. */
export async function approvalsFor(
  context: Context,
  policy: Policy,
  what: Pick<Amounts, 'act' | 'caps' | 'amounts'>,
  requestedBy: string | undefined,
  met: Met,
): Promise<readonly string[] | null> {
  const named = { policy: policy.name, version: policyVersion(policy), limits: policy.limits };
  const amounts: Amounts = { ...what, ...named, withEach: withEach(policy) };
  try {
    const spendFor = `run-${context.newId()}`;
    const proof = requestedBy === undefined ? false : await approveAmounts(context, amounts, { requestedBy, spendFor });
    if (proof !== false) return proof === null ? [] : [proof.approval];
  } catch (error) {
    if (errorClass(error) !== 'person') throw error;
    met.problems.push(describe(error));
    return null;
  }
  if (!what.caps.ok) met.problems.push(capProblem(policy, what.caps.text));
  return null;
}

export function amountOf({ owner, customer, branch }: PartitionPlan, records: number): Amount {
  return { owner, customer, ...(branch === undefined ? {} : { branch }), records };
}
