/** Archives what is due of one owner and customer, as it was planned: archive after archive, plan after plan. */
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import type { Policy } from '../policy/policy.ts';
import { carryOn } from './carry-on.ts';
import { assertNotStopped, type Context } from './context.ts';
import { assertOwnerKnown } from './known-owner.ts';
import { assertPlaced, placesOf } from './placement.ts';
import type { PartitionPlan } from './plan.ts';
import { planNextArchives } from './plan-archive.ts';

/**
 * Until what was planned in the partition is sealed. Takes no more than the plan counted, for that is what the blast caps
 * were looked at for; what came since waits for the next plan.
 */
export async function archivePartition(
  context: Context,
  policy: Policy,
  plan: PartitionPlan,
  touched: Set<ArchiveId>,
): Promise<void> {
  assertOwnerKnown(context, plan);
  await context.keys.assertRecipients(plan.owner);
  if (policy.archive !== null) assertPlaced(context.placement, plan.owner, placesOf([policy]));
  let left = [plan, ...(plan.beside ?? [])].filter(({ due }) => due > 0);
  for (let [first, ...beside] = left; first !== undefined; [first, ...beside] = left) {
    assertNotStopped(context);
    const planned = await planNextArchives(context, policy, { ...first, beside });
    for (const archive of planned) touched.add(archive);
    const kept: ArchiveDocument[] = [];
    for (const archive of planned) {
      assertNotStopped(context);
      const document = await carryOn(context, archive, policy);
      if (document.state !== 'abandoned') kept.push(document);
    }
    if (kept.some(({ state }) => state === 'quarantined') || kept.every((archive) => archive.plan.reachedEnd)) return;
    left = left.map((one) => leftOf(one, kept)).filter(({ due }) => due > 0);
  }
}

/** What its archives did not take of a plan. */
function leftOf(plan: PartitionPlan, archives: readonly ArchiveDocument[]): PartitionPlan {
  const own = archives.filter((archive) => archive.plan.branch === plan.branch);
  const sum = (of: (archive: ArchiveDocument) => number) => own.reduce((total, archive) => total + of(archive), 0);
  const due = plan.due - sum(({ stored, unfit }) => (stored?.records ?? 0) + unfit);
  return { ...plan, due, bytes: Math.max(0, plan.bytes - sum(({ stored }) => stored?.recordBytes ?? 0)) };
}
