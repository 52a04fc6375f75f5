/** What the fake refuses: locks and legal holds, as Object Lock of S3 has them, and archives of others. */
import type { Clock } from '../clock.ts';
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import type { VaultKey } from '../ids.ts';
import { readIntent } from './intent.ts';
import { type MemoryArchive, startOfSecond } from './memory-vault-record.ts';
import type { InventoryEntry, UploadIntent, VaultGuards, VaultLocation } from './port.ts';

export interface MemoryVaultOptions {
  readonly key?: VaultKey;
  readonly clock: Clock;
  readonly environment?: Environment;
  /** Default: as a Glacier vault, without any. */
  readonly guards?: VaultGuards;
}

/** Deletes it, also again. A hold or a lock vetoes it. */
export function deleteArchive(archive: MemoryArchive, now: Date): void {
  if (archive.deletedAt !== null) return;
  if (archive.held) throw new MoraineError('VAULT_VETO', 'A legal hold of the vault refuses the delete.');
  if (archive.lockedUntil !== null && archive.lockedUntil > now)
    throw new MoraineError('VAULT_VETO', `A lock until ${archive.lockedUntil.toISOString()} refuses the delete.`);
  archive.deletedAt = now;
}

/** Moves the end of its lock. An earlier one takes governance mode and somebody who may. */
export function lockArchive(
  { lock }: VaultGuards,
  find: () => MemoryArchive,
  { until, now, mayShorten }: { readonly until: Date; readonly now: Date; readonly mayShorten: boolean },
): void {
  const isShortening = mayShorten && lock === 'governance';
  if (lock === null || (until <= now && !isShortening)) return;
  const archive = find();
  const end = startOfSecond(until);
  const isEarlier = archive.lockedUntil !== null && archive.lockedUntil > end;
  if (isEarlier && !isShortening)
    throw new MoraineError('VAULT_VETO', `Its lock until ${archive.lockedUntil?.toISOString()} does not end earlier.`);
  archive.lockedUntil = end;
}

export function entryOf(archive: MemoryArchive, guards: VaultGuards): InventoryEntry {
  const { vaultArchiveId, bytes, treeHash, description, storedAt: createdAt, held, lockedUntil } = archive;
  const what = { vaultArchiveId, intent: readIntent(description), description, bytes: bytes.byteLength, treeHash };
  return { ...what, createdAt, ...(guards.holds ? { guard: { held, until: lockedUntil } } : {}) };
}

/** What a vault could not know: that the archive is for it. */
export function assertIntent(location: VaultLocation, intent: UploadIntent): void {
  const isHis = intent.owner === location.owner && intent.customer === location.customer;
  if (!isHis || intent.installation !== location.installation) {
    throw new MoraineError('INTERNAL', `Archive ${intent.archive} was about to go to the vault of somebody else.`);
  }
}
