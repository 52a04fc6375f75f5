/** Takes one archive as far as it goes now: stored, verified, cleared. What waits for an inventory stays `stored`. */
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { claimArchive } from '../ledger/archives.ts';
import { type Policy, toShape } from '../policy/policy.ts';
import { clearArchive, shrinkClearedRoster } from './clear.ts';
import type { Context } from './context.ts';
import { storeArchive } from './store-archive.ts';
import { verifyByChecksum } from './verify.ts';

export async function carryOn(context: Context, archive: ArchiveId, policy: Policy): Promise<ArchiveDocument> {
  const lease = await claimArchive(context.store, context.audit, archive, context);
  try {
    let document = lease.document;
    if (document.state === 'planned' || document.state === 'storing')
      document = await storeArchive(context, lease, policy);
    if (document.state === 'stored') document = await verifyByChecksum(context, lease);
    if (document.state === 'verified') document = await clearArchive(context, lease, toShape(policy));
    if (document.state === 'cleared') document = await shrinkClearedRoster(context, lease);
    return document;
  } finally {
    await lease.giveUp();
  }
}
