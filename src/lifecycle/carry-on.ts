/**
 * Takes one archive as far as it goes now: stored, verified, cleared. What waits for an inventory stays `stored`. The
 * archive keeps the policy version that it pinned to the end: another one that is handed in is not used. Under a pause it
 * stays where it is, and this throws PAUSED; clearing looks at pauses by itself, for each of its announcements.
 */
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { type ArchiveLease, claimArchive, settleAudit } from '../ledger/archives.ts';
import { assertNotPaused } from '../ledger/pauses.ts';
import { UNCLEARED_STATES } from '../ledger/states.ts';
import { type Policy, policyVersion, toShape } from '../policy/policy.ts';
import { clearArchive, shrinkClearedRoster } from './clear.ts';
import type { Context } from './context.ts';
import { pinnedPolicy } from './published.ts';
import { storeArchive } from './store-archive.ts';
import { treatmentOf } from './treatment.ts';
import { verifyByChecksum } from './verify.ts';

export async function carryOn(context: Context, archive: ArchiveId, given: Policy): Promise<ArchiveDocument> {
  const lease = await claimArchive(context.store, context.audit, archive, context);
  try {
    let document = lease.document;
    if (UNCLEARED_STATES.some((state) => state === document.state)) await assertNotPaused(context.store, document);
    const { policyVersion: pinned } = document;
    const policy = policyVersion(given) === pinned ? given : await pinnedPolicy(context.store, pinned);
    if (document.state === 'planned' || document.state === 'storing')
      document = await storeArchive(context, lease, policy);
    if (document.state === 'stored') document = await verifyByChecksum(context, lease);
    if (document.state === 'verified') document = await clearOrTreat(context, lease, policy);
    if (document.state === 'cleared') document = await shrinkClearedRoster(context, lease);
    await settleAudit(context.audit, lease);
    return document;
  } finally {
    await lease.giveUp();
  }
}

/** A policy with a chain (archive, then treat what stays) has its records treated where others have theirs deleted. */
async function clearOrTreat(context: Context, lease: ArchiveLease, policy: Policy): Promise<ArchiveDocument> {
  const { owner, verifiedAt } = lease.document;
  const treatment = await treatmentOf(context, policy, owner, verifiedAt ?? context.clock.now());
  return await clearArchive(context, lease, toShape(policy), treatment);
}
