/**
 * Verify: establish that a stored archive reached the level that its policy asks for, and that its key is there. Only
 * after this may anything of it be deleted from the source (promise 1).
 */
import { isMoraineError, MoraineError } from '../errors.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { type ArchiveLease, moveArchive, quarantineArchive } from '../ledger/archives.ts';
import { needInventory } from '../ledger/inventories.ts';
import { quarantineArchiveEntry } from '../ledger/quarantine.ts';
import type { InventoryEntry } from '../vault/port.ts';
import type { Context } from './context.ts';
import { guardArchive } from './guard-archives.ts';

/** `checksum`: the vault acknowledged our tree hash and each segment was opened again before it was sent. Returns the archive, still `stored` where an inventory must be waited for. */
export async function verifyByChecksum(context: Context, lease: ArchiveLease): Promise<ArchiveDocument> {
  const archive = lease.document;
  if (archive.verifyLevel === 'inventory') {
    if (archive.stored !== null) await needInventory(context.store, archive.vault, archive.stored.at);
    return archive;
  }
  return await markVerified(context, lease, { level: 'checksum' });
}

/** `inventory`: an inventory later than the upload lists id, size and tree hash. `entry` is null when it does not list it. */
export async function verifyByInventory(
  context: Context,
  lease: ArchiveLease,
  entry: InventoryEntry | null,
  inventoryDate: Date,
): Promise<ArchiveDocument> {
  const { stored } = lease.document;
  const matches =
    stored !== null &&
    entry !== null &&
    entry.bytes === stored.bytes &&
    (entry.treeHash ?? stored.treeHash) === stored.treeHash;
  if (matches)
    return await markVerified(context, lease, { level: 'inventory', inventoryDate: inventoryDate.toISOString() });
  const text = `The inventory of ${inventoryDate.toISOString()} ${entry === null ? 'does not list it' : 'lists it with another size or tree hash'}.`;
  return await putAside(context, lease, 'ARCHIVE_NOT_IN_INVENTORY', text);
}

/** Quarantines an archive, with an entry for `quarantine list`. */
export async function putAside(
  context: Context,
  lease: ArchiveLease,
  reason: string,
  text: string,
): Promise<ArchiveDocument> {
  const { _id, policy, namespace, owner, customer } = lease.document;
  context.log.error({ archive: _id, code: reason }, text);
  await quarantineArchiveEntry(context.store, context.clock, {
    archive: _id,
    policy,
    namespace,
    owner,
    customer,
    reason,
    text,
  });
  return await quarantineArchive(context.audit, context.clock, lease, reason);
}

async function markVerified(
  context: Context,
  lease: ArchiveLease,
  details: Readonly<Record<string, string>>,
): Promise<ArchiveDocument> {
  const { attempt, _id } = lease.document;
  if (attempt === null) throw new MoraineError('INTERNAL', `Archive ${_id} has no attempt; it cannot be verified.`);
  try {
    await context.keys.readBack(attempt);
  } catch (error) {
    if (isMoraineError(error, 'KEY_MISSING') || isMoraineError(error, 'KEY_DESTROYED')) {
      return await putAside(
        context,
        lease,
        error.code,
        'Its key is not in the key store; the originals were not touched.',
      );
    }
    throw error;
  }
  await guardArchive(context, lease);
  const verified = await moveArchive(context.audit, context.clock, lease, {
    to: 'verified',
    auditLater: true,
    set: { verifiedAt: context.clock.now() },
    details,
  });
  context.progress.moved?.(verified._id, 'verified');
  return verified;
}
