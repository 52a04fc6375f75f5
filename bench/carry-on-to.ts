/** Takes what is due as far as a state, and no further, so that one part of the job can be timed alone. */
import type { ArchiveId } from '../src/ids.ts';
import { claimArchive } from '../src/ledger/archives.ts';
import { clearArchive } from '../src/lifecycle/clear.ts';
import type { PolicyPlan } from '../src/lifecycle/plan.ts';
import { planNextArchives } from '../src/lifecycle/plan-archive.ts';
import { storeArchive } from '../src/lifecycle/store-archive.ts';
import { verifyByChecksum } from '../src/lifecycle/verify.ts';
import { type Policy, toShape } from '../src/policy/policy.ts';
import type { Setting } from './setting.ts';

/** Stores everything that is due. */
export async function carryOnTo(
  setting: Setting,
  policy: Policy,
  plan: PolicyPlan,
  state: 'stored' | 'verified',
): Promise<readonly ArchiveId[]> {
  const context = setting.app.context();
  const made: ArchiveId[] = [];
  for (const partition of plan.partitions.filter(({ seal }) => seal.seal)) {
    for (let isDone = false; !isDone; ) {
      isDone = true;
      for (const archive of await planNextArchives(context, policy, partition)) {
        const lease = await claimArchive(context.store, context.audit, archive, context);
        const document = await storeArchive(context, lease, policy);
        if (state === 'verified') await verifyByChecksum(context, lease);
        await lease.giveUp();
        made.push(archive);
        isDone &&= document.plan.reachedEnd || document.state === 'abandoned';
      }
    }
  }
  return made;
}

/** Makes the ledger forget what was planned and stored, so that the next round begins where this one did. */
export async function forgetArchives(setting: Setting): Promise<void> {
  const ledger = setting.client.db(`${setting.database}_ledger`);
  await Promise.all(
    ['archives', 'attempts', 'partitions', 'rosterPages'].map((name) => ledger.collection(name).deleteMany({})),
  );
}

export async function clearAll(setting: Setting, policy: Policy, archives: readonly ArchiveId[]): Promise<void> {
  const context = setting.app.context();
  for (const archive of archives) {
    const lease = await claimArchive(context.store, context.audit, archive, context);
    await clearArchive(context, lease, toShape(policy));
    await lease.giveUp();
  }
}
