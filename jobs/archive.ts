/** Archives, or disposes of: a partition until nothing of it is due, or one archive that was left unfinished. */

import type { ArchiveId } from '../src/ids.ts';
import { id } from '../src/ids.ts';
import { getArchive } from '../src/ledger/archives.ts';
import { partitionId } from '../src/ledger/partitions.ts';
import { assertNotPaused } from '../src/ledger/pauses.ts';
import { carryOn } from '../src/lifecycle/carry-on.ts';
import { compileInForce } from '../src/lifecycle/compile-in-force.ts';
import { assertNotStopped, type Context, dueNow } from '../src/lifecycle/context.ts';
import { assertUsable, besideEachOther, planPartition } from '../src/lifecycle/plan.ts';
import { assertSafeToDestroy } from '../src/lifecycle/preflight.ts';
import { pinnedPolicy, policiesToRun } from '../src/lifecycle/published.ts';
import { takeDue } from '../src/lifecycle/run-policy.ts';
import { type Policy, policyVersion } from '../src/policy/policy.ts';
import type { Act, ActTools } from './act.ts';
import type { JobData } from './queues.ts';
import { unfinishedArchives } from './unfinished.ts';

export const archive: Act<'archive'> = async (tools, data) => {
  await assertSafeToDestroy(tools.context);
  return 'archive' in data ? await carryArchiveOn(tools, data.archive) : await archiveDue(tools, data);
};

export const clear: Act<'clear'> = async (tools, { archive }) => {
  await assertSafeToDestroy(tools.context);
  return await carryArchiveOn(tools, archive);
};

async function carryArchiveOn(tools: ActTools, name: string) {
  const { context } = tools;
  const before = await getArchive(context.store, id.archive(name));
  const policy = await pinnedPolicy(context.store, before.policyVersion);
  const { state, plan } = await carryOn(context, before._id, policy);
  // What the interrupted run had not come to: planned anew, under the caps, by a sweep.
  const wasBegun = before.state === 'planned' || before.state === 'storing';
  if (wasBegun && !plan.reachedEnd && state !== 'abandoned') {
    await tools.put('sweep', { policy: before.policy, flush: false, by: 'watchdog' });
  }
  return { archive: before._id, state };
}

type PartitionJob = Extract<JobData['archive'], { readonly policy: string }>;

async function archiveDue(tools: ActTools, job: PartitionJob) {
  const { context, margins } = tools;
  const [policy] = await policiesToRun(context.store, [job.policy]);
  const age = context.clock.now().getTime() - Date.parse(job.plannedAt);
  if (policy === undefined || policyVersion(policy) !== job.version || !(age < margins.planStaleAfterMs)) {
    // The caps were looked at under another version, or too long ago.
    await tools.put('sweep', { policy: job.policy, flush: false, by: 'watchdog' });
    return { archives: [], stale: true };
  }
  const touched = new Set<ArchiveId>();
  const owner = id.owner(job.owner);
  const customer = id.customer(job.customer);
  await assertNotPaused(context.store, { policy: policy.name, owner });
  await carryPartitionOn(context, partitionId(policy.dataset.collection, owner, customer), touched);
  const certificates: string[] = [];
  // What a hold keeps is left out record by record; one that covers all leaves nothing to seal.
  const sealed = (await planAgain(context, policy, owner, customer)).filter(({ seal }) => seal.seal);
  for (const plan of besideEachOther(sealed)) {
    const disposed = await takeDue(context, policy, plan, touched);
    if (disposed?.certificate != null) certificates.push(disposed.certificate);
  }
  return { archives: [...touched], ...(certificates.length === 0 ? {} : { disposed: certificates }) };
}

async function carryPartitionOn(context: Context, partition: string, touched: Set<ArchiveId>): Promise<void> {
  for await (const { _id, policyVersion: version } of unfinishedArchives(context, { partition })) {
    assertNotStopped(context);
    touched.add(_id);
    await carryOn(context, _id, await pinnedPolicy(context.store, version));
  }
}

/** The partition as it is now: another worker may have taken what the sweep saw. */
async function planAgain(
  context: Context,
  policy: Policy,
  owner: ReturnType<typeof id.owner>,
  customer: ReturnType<typeof id.customer>,
) {
  const compiled = await compileInForce(context, policy);
  const dataset = compiled.shape;
  assertUsable(policy, await context.source.inspect(dataset));
  // Whether to seal was the sweep's decision, made with `flush` or by the time that its oldest record waited.
  return await planPartition(context, compiled, { dataset, owner, customer }, dueNow(context), { flush: true });
}
