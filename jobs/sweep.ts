/** A sweep of one policy: puts what is unfit into quarantine, plans, and gives every partition that is to be sealed to the queue `archive`. */
import { MoraineError } from '../src/errors.ts';
import { partitionId } from '../src/ledger/partitions.ts';
import { pauseName, pausesInForce, stops } from '../src/ledger/pauses.ts';
import { endRun, startRun } from '../src/ledger/runs.ts';
import type { Context } from '../src/lifecycle/context.ts';
import { lookForOrphans } from '../src/lifecycle/orphans.ts';
import { type PolicyPlan, planPolicy } from '../src/lifecycle/plan.ts';
import { assertSafeToDestroy } from '../src/lifecycle/preflight.ts';
import { policiesToRun } from '../src/lifecycle/published.ts';
import { quarantineUnfit } from '../src/lifecycle/quarantine-record.ts';
import { carryOnDisposals } from '../src/lifecycle/run-policy.ts';
import type { Policy } from '../src/policy/policy.ts';
import type { Act, ActTools } from './act.ts';
import { putUnfinished } from './unfinished.ts';

export const sweep: Act<'sweep'> = async (tools, { policy: name, flush, by }) => {
  const { context } = tools;
  const policies = await policiesToRun(context.store, name === null ? null : [name]);
  if (name === null) {
    for (const { name: policy } of policies) await tools.put('sweep', { policy, flush, by });
    return { policies: policies.length };
  }
  await assertSafeToDestroy(context);
  const [policy] = policies;
  if (policy === undefined) throw new MoraineError('POLICY_NOT_PUBLISHED', `Policy ${name} is not in force.`);
  const { clock, store } = context;
  const stopping = (await pausesInForce(store)).filter((pause) => stops(pause, { policy: policy.name, owner: null }));
  if (stopping.length > 0) {
    const paused = stopping.map(pauseName);
    context.log.info(
      { policy: policy.name, pauses: paused },
      'A person has paused the policy: this sweep is left out.',
    );
    return { paused };
  }
  const run = context.newId();
  await startRun(store, clock, { id: run, command: 'run', by, asOf: null, policies: [policy.name] });
  try {
    const { partitions, unfit, plan } = await sweepPolicy(tools, policy, flush);
    const totals = { selected: plan.totals.taken, partitions, unfit };
    await endRun(store, clock, run, { totals, error: isCapped(plan) ? 'BLAST_CAP' : null });
    return { run, ...totals };
  } catch (error) {
    const code = error instanceof MoraineError ? error.code : 'INTERNAL';
    // The first error is the one that counts: with the ledger away its run stays `running`, as after a crash.
    await endRun(store, clock, run, { totals: null, error: code }).catch(() => undefined);
    throw error;
  }
};

async function sweepPolicy(
  tools: ActTools,
  policy: Policy,
  flush: boolean,
): Promise<{ readonly partitions: number; readonly unfit: number; readonly plan: PolicyPlan }> {
  const { context } = tools;
  // Before what is unfinished is given out: the addenda that it plans are.
  await lookForOrphans(context, policy);
  await putUnfinished(tools, { policy: policy.name });
  // They were ordered and their worker was cut: what was ordered then, and no more.
  await carryOnDisposals(context, policy);
  const unfit = await quarantineUnfit(context, policy);
  if (unfit.fresh + unfit.reopened > 0) {
    context.log.warn({ policy: policy.name, records: unfit.fresh + unfit.reopened }, 'Records were quarantined.');
  }
  const plan = await planPolicy(context, policy, { flush });
  const due = isCapped(plan) ? [] : plan.partitions.filter(({ seal }) => seal.seal);
  if (!plan.caps.ok && isCapped(plan)) {
    context.log.warn(
      { policy: policy.name, code: 'BLAST_CAP' },
      `Policy ${policy.name} starts nothing: ${plan.caps.text}.`,
    );
  }
  // One job does all that is to be done with the records of one owner and customer.
  const parties = new Map(due.map((each) => [partitionId(each.dataset, each.owner, each.customer), each]));
  for (const { owner, customer, dataset } of parties.values()) {
    if (!isOwnerKnown(context, policy, owner)) continue;
    const { version } = plan;
    const plannedAt = context.clock.now().toISOString();
    await tools.put('archive', { policy: policy.name, version, dataset, owner, customer, plannedAt });
  }
  return { partitions: parties.size, unfit: unfit.fresh + unfit.known + unfit.reopened, plan };
}

function isCapped({ caps, totals }: PolicyPlan): boolean {
  return !caps.ok && totals.due > 0;
}

function isOwnerKnown(context: Context, policy: Policy, owner: PolicyPlan['partitions'][number]['owner']): boolean {
  if (context.owners.has(owner)) return true;
  const text = 'The owner is not in moraine.yaml: its records stay where they are.';
  context.log.warn({ policy: policy.name, owner, code: 'OWNER_UNKNOWN' }, text);
  return false;
}
