/**
 * What inventories say of copies that moves have made or left: that the new vault lists the new one, and that the old vault
 * lists the old one no more. Neither is a stray, and an old one that is gone is missing to nobody.
 */
import type { ArchiveId } from '../ids.ts';
import { needInventory } from '../ledger/inventories.ts';
import {
  findMigrations,
  type MigrationDocument,
  noteMigration,
  oldCopiesOf,
  pagedMigrations,
} from '../ledger/migrations.ts';
import type { InventoryEntry, VaultLocation } from '../vault/port.ts';
import { type Context, locationKey } from './context.ts';

/** An entry that is no archive's own place: is it a copy that a move knows? Writes down that it is listed. */
export async function noteListedCopy(
  context: Context,
  location: VaultLocation,
  entry: InventoryEntry,
  inventoryDate: Date,
): Promise<boolean> {
  const archive = entry.intent?.archive;
  if (archive === undefined) return false;
  let isKnown = false;
  const found: MigrationDocument[] = [];
  for await (const one of findMigrations(context.store, { archive })) found.push(one);
  for (const migration of found) {
    if (isNewCopy(migration, location, entry)) {
      isKnown = true;
      await noteNew(context, migration, entry, inventoryDate);
    } else if (isOldCopy(migration, location, entry)) {
      isKnown = migration.state !== 'gone' && migration.state !== 'ended';
      await noteOld(context, migration, inventoryDate);
    }
  }
  return isKnown;
}

/** After the whole inventory was read: old copies that it does not list are gone. Returns whether some still wait. */
export async function settleOldCopies(
  context: Context,
  location: VaultLocation,
  inventoryDate: Date,
): Promise<{ readonly waits: boolean; readonly gone: readonly ArchiveId[] }> {
  let waits = false;
  const gone: ArchiveId[] = [];
  const here = { 'from.name': location.name, state: 'deleting' };
  for await (const migration of pagedMigrations(context.store, here)) {
    const { deletion, from, fromAt, archive } = migration;
    if (locationKey(from) !== locationKey(location) || deletion?.acceptedAt == null || deletion.askedAt === null)
      continue;
    const isListed = deletion.listedAt !== null && deletion.listedAt.getTime() >= inventoryDate.getTime();
    // Dates of inventories are whole seconds and the reply's is the end of its own; and a reply that was lost and asked for
    // again makes the second one later than the delete (settle-vault.ts tells both cases for archives).
    const isLater = inventoryDate.getTime() >= Math.floor(deletion.acceptedAt.getTime() / 1_000) * 1_000;
    const isAfterAsking = inventoryDate > deletion.askedAt && inventoryDate > fromAt;
    if (isListed || !(isLater || isAfterAsking)) {
      waits = true;
      continue;
    }
    await noteMigration(context.store, migration._id, (now) =>
      now.state === 'deleting' && now.deletion?.acceptedAt != null
        ? { ...now, state: 'gone', problem: null, deletion: { ...now.deletion, goneAt: inventoryDate } }
        : null,
    );
    const details = { vault: from.name, inventoryDate: inventoryDate.toISOString() };
    const subject = { archive, owner: migration.owner, customer: migration.customer, migration: migration._id };
    const key = `${migration._id}:old copy:gone`;
    await context.audit.appendOnce([{ key, act: 'old copy gone', phase: 'outcome', subject, details }]);
    gone.push(archive);
  }
  for await (const migration of findMigrations(context.store, {
    'to.name': location.name,
    state: 'copied',
    listedAt: null,
  }))
    if (locationKey(migration.to) === locationKey(location)) waits = true;
  return { waits, gone };
}

/** A purge is proven only when every copy is: where an old one waits, its vault's inventory is asked for. */
export async function waitsForOldCopies(context: Context, archive: ArchiveId): Promise<boolean> {
  const left = await oldCopiesOf(context.store, archive);
  for (const { from, deletion } of left)
    if (deletion?.acceptedAt != null) await needInventory(context.store, from, deletion.acceptedAt);
  return left.length > 0;
}

async function noteNew(context: Context, migration: MigrationDocument, entry: InventoryEntry, inventoryDate: Date) {
  const { bytes, treeHash } = migration;
  // An entry that fits proves that the file is there, whatever the date.
  const fits = entry.bytes === bytes && (entry.treeHash ?? treeHash) === treeHash;
  await noteMigration(context.store, migration._id, (now) => {
    if (now.state !== 'copied' || now.listedAt !== null) return null;
    if (fits) return { ...now, listedAt: inventoryDate, problem: null };
    const text = 'The new vault lists the copy with another size or tree hash.';
    return { ...now, problem: { code: 'ARCHIVE_NOT_IN_INVENTORY', text } };
  });
}

/** Listed although its delete was accepted before: a person looks, and the next inventory that lists it no more ends it. */
async function noteOld(context: Context, migration: MigrationDocument, inventoryDate: Date): Promise<void> {
  await noteMigration(context.store, migration._id, (now) => {
    const { deletion } = now;
    if (now.state !== 'deleting' || deletion?.acceptedAt == null) return null;
    const noted = { ...now, deletion: { ...deletion, listedAt: inventoryDate } };
    if (inventoryDate <= deletion.acceptedAt) return noted;
    const text = `The inventory of ${inventoryDate.toISOString()} still lists the old copy after the accepted delete.`;
    return { ...noted, problem: { code: 'ARCHIVE_STILL_IN_INVENTORY', text } };
  });
}

function isNewCopy({ to, stored }: MigrationDocument, location: VaultLocation, entry: InventoryEntry): boolean {
  return stored?.vaultArchiveId === entry.vaultArchiveId && locationKey(to) === locationKey(location);
}

function isOldCopy(
  { from, fromArchiveId }: MigrationDocument,
  location: VaultLocation,
  entry: InventoryEntry,
): boolean {
  return fromArchiveId === entry.vaultArchiveId && locationKey(from) === locationKey(location);
}
