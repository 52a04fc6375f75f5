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
import { shapeOfArchive } from './child-dataset.ts';
import { clearArchive, shrinkClearedRoster } from './clear.ts';
import type { Context } from './context.ts';
import { openAddenda } from './late-children.ts';
import { pinnedPolicy } from './published.ts';
import { storeArchive } from './store-archive.ts';
import { branchOf, treatmentOf } from './treatment.ts';
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
    if (document.state === 'verified') document = await clearWithAddenda(context, lease, policy);
    if (document.state === 'cleared') document = await shrinkClearedRoster(context, lease);
    await settleAudit(context.audit, lease);
    return document;
  } finally {
    await lease.giveUp();
  }
}

/** Looks for late children in one go; what comes after waits for the next run. */
const MOST_LOOKS = 3;

/** Late children are archived, and deleted, before the archive of their roots is cleared. */
async function clearWithAddenda(context: Context, lease: ArchiveLease, policy: Policy): Promise<ArchiveDocument> {
  const shape = toShape(policy);
  for (let look = 1; ; look++) {
    const document = await clearOrTreat(context, lease, policy);
    if (document.state !== 'verified') return document;
    const addenda = await openAddenda(context, document, shape);
    if (addenda.length === 0 || look >= MOST_LOOKS) return document;
    for (const { _id } of addenda) {
      const { state } = await carryOn(context, _id, policy);
      // It waits for an inventory, and the roots' archive with it.
      if (UNCLEARED_STATES.some((uncleared) => uncleared === state)) return document;
    }
    await lease.keep();
  }
}

/** A policy with a chain (archive, then treat what stays) has its records treated where others have theirs deleted. */
async function clearOrTreat(context: Context, lease: ArchiveLease, policy: Policy): Promise<ArchiveDocument> {
  const shape = shapeOfArchive(toShape(policy), lease.document);
  const { owner, customer, plan, verifiedAt, addendumTo } = lease.document;
  if (addendumTo !== undefined) return await clearArchive(context, lease, shape);
  // It was made, so this is where archives are made.
  const branch = branchOf(policy, 'production', { owner, customer, branch: plan.branch });
  const treatment = await treatmentOf(context, policy, branch, owner, verifiedAt ?? context.clock.now());
  return await clearArchive(context, lease, shape, treatment);
}
