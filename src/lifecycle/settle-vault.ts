/**
 * Compares a finished inventory of one vault with the ledger, both ways: verifies what was stored, confirms what was
 * purged, misses what should be there, and finds what the ledger does not know.
 *
 * An inventory says something about an archive when its date is after the `Date` of the reply that mattered, or when what
 * it lists or leaves out proves the same where a lost reply was asked for again (see `actFor`). A stray (complete, of this installation, unknown to the ledger) is kept and reported; what another installation left is
 * foreign and never touched. Only an upload whose attempt the ledger itself names abandoned, after a margin, is removed.
 */
import { isMoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { amendArchive, archives, claimArchive, findArchives, moveArchive, settleAudit } from '../ledger/archives.ts';
import { attempts, attemptsToCleanUp, proveAbandoned } from '../ledger/attempts.ts';
import type { FindingKind } from '../ledger/findings.ts';
import { takeInventory } from '../ledger/inventories.ts';
import { purgeOf } from '../ledger/purging.ts';
import type { Inventory, InventoryEntry, VaultLocation } from '../vault/port.ts';
import { certifyPurge } from './certificate.ts';
import { LeftThere, markAttemptsCleanedUp } from './clean-up-attempts.ts';
import { assertNotStopped, type Context, locationKey, vaultOf } from './context.ts';
import { joinInventory } from './join-inventory.ts';
import { noteListedCopy, settleOldCopies, waitsForOldCopies } from './migrate-settle.ts';
import { closeSpentFindings, noteVaultFinding } from './note-finding.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { outlives } from './quiet-vault.ts';
import { answerOf, settleUnanswered } from './unanswered-purge.ts';
import { type Findings, name, newFindings, seen, tell, tellStray, type VaultFindings } from './vault-findings.ts';
import { putAside, verifyByInventory } from './verify.ts';

/** Uses up the inventory: afterwards the vault is free for the next job. */
export async function settleVault(
  context: Context,
  location: VaultLocation,
  jobId: string,
  inventory: Inventory,
): Promise<VaultFindings> {
  const findings = newFindings();
  const begunAt = context.clock.now();
  const left = new LeftThere();
  const { inventoryDate } = inventory;
  let isSettled = true;
  let now: Date | null = null;
  for await (const { archive, entry } of joinInventory(context, location, inventory)) {
    assertNotStopped(context);
    // The ledger's clock: by that of a worker years ahead, the inventory from before a purge would be its last word.
    now ??= await context.store.serverTime();
    findings.compared += 1;
    if (archive === null) {
      if (await noteListedCopy(context, location, entry, inventoryDate)) continue;
      await noteUnknown(context, location, entry, findings, left);
      continue;
    }
    if (entry !== null) seen(findings, entry);
    const isTouched = await settleKnown(context, archive, entry, { inventoryDate, now }, findings);
    const after = isTouched ? await archives(context.store).get(archive._id) : archive;
    if (after !== null && waitsForAnother(after, inventoryDate)) isSettled = false;
  }
  now ??= await context.store.serverTime();
  await markAttemptsCleanedUp(context, location, { inventoryDate, now }, left);
  await closeSpentFindings(context, location, begunAt);
  const oldCopies = await settleOldCopies(context, location, inventoryDate);
  if (oldCopies.waits) isSettled = false;
  const isEnough = isSettled && (await isNothingWaiting(context, location));
  await takeInventory(context.store, location, { jobId, inventoryDate, isEnough });
  return findings;
}

async function noteUnknown(
  context: Context,
  location: VaultLocation,
  entry: InventoryEntry,
  findings: Findings,
  left: LeftThere,
): Promise<void> {
  if (entry.isDeleteMarker === true) {
    const text = 'Somebody deleted an object without naming its version; the version is kept, and the marker left.';
    context.log.warn({ vault: location.name, vaultArchiveId: entry.vaultArchiveId }, text);
  }
  const kind = await settleUnknown(context, location, entry);
  if (kind === 'waiting' && entry.intent !== null) left.add(entry.intent.attempt);
  if (kind === 'foreign') findings.foreign += 1;
  if (kind === 'removed') findings.removed += 1;
  if (kind !== 'stray' || entry.intent === null) return;
  const { vaultArchiveId, intent } = entry;
  tellStray(findings, { vault: location.name, vaultArchiveId, archive: intent.archive });
  seen(findings, entry);
  tell(
    findings,
    await noteVaultFinding(context, 'stray', { location, archive: intent.archive, vaultArchiveId }, entry),
  );
}

/** It will be compared again: with a later inventory. */
function waitsForAnother({ state, verifyLevel, stored }: ArchiveDocument, inventoryDate: Date): boolean {
  if (state === 'purged' || state === 'purging' || (state === 'stored' && verifyLevel === 'inventory')) return true;
  // Not compared yet. It came after this inventory, so there will be another.
  return state !== 'confirmed' && stored !== null && stored.at >= inventoryDate;
}

/** Also of what changed since it was compared: nothing in the vault waits for an inventory, so none is asked for. */
async function isNothingWaiting(context: Context, location: VaultLocation): Promise<boolean> {
  const here = { 'vault.name': location.name, 'vault.prefix': location.prefix };
  const isHere = ({ vault }: ArchiveDocument) => locationKey(vault) === locationKey(location);
  for (const filter of [{ state: { $in: ['purged', 'purging'] } }, { state: 'stored', verifyLevel: 'inventory' }]) {
    for await (const archive of findArchives(context.store, { ...here, ...filter })) if (isHere(archive)) return false;
  }
  for await (const attempt of attemptsToCleanUp(context.store, context.clock)) {
    if (locationKey(attempt.location) === locationKey(location)) return false;
  }
  return true;
}

/** True when it was claimed and may have changed. */
async function settleKnown(
  context: Context,
  archive: ArchiveDocument,
  entry: InventoryEntry | null,
  { inventoryDate, now }: { readonly inventoryDate: Date; readonly now: Date },
  findings: Findings,
): Promise<boolean> {
  const { stored, vault: location } = archive;
  if (stored === null) return false;
  const act = actFor(archive, entry, inventoryDate, now);
  if (act === 'none') return false;
  const note = async (kind: FindingKind) => {
    const of = { location, archive: archive._id, vaultArchiveId: stored.vaultArchiveId };
    tell(findings, await noteVaultFinding(context, kind, of, entry, archive.state === 'confirmed'));
  };
  const notAsStored = entry === null ? 'missing' : 'differs';
  if (act === 'listed-again') {
    await note('still-there');
    return false;
  }
  if (act === 'missing') {
    name(findings, 'missing', archive._id);
    await note(notAsStored);
    context.log.error(
      { archive: archive._id, vault: archive.vault.name },
      'An archive that should be in the vault is not in its inventory.',
    );
  }
  try {
    await withLease(context, archive._id, async (lease) => {
      if (lease.document.state !== archive.state) return;
      if (act === 'verify') {
        const after = await verifyByInventory(context, lease, entry, inventoryDate);
        name(findings, after.state === 'verified' ? 'verified' : 'quarantined', archive._id);
        if (after.quarantineReason === 'ARCHIVE_NOT_IN_INVENTORY') await note(notAsStored);
      } else if (act === 'confirm') {
        // Proven for every copy, or for none.
        if (await waitsForOldCopies(context, lease.document._id)) return;
        await confirm(context, lease, inventoryDate);
        name(findings, 'confirmed', archive._id);
      } else if (act === 'gone' || act === 'not-deleted') {
        await settleUnanswered(context, lease, act, inventoryDate);
      } else {
        const code = act === 'missing' ? 'ARCHIVE_NOT_IN_INVENTORY' : 'ARCHIVE_STILL_IN_INVENTORY';
        const listed =
          act === 'missing' ? 'does not list it as it was stored' : 'still lists it after the accepted delete';
        await putAside(context, lease, code, `The inventory of ${inventoryDate.toISOString()} ${listed}.`);
        name(findings, 'quarantined', archive._id);
        if (act === 'still-there') await note('still-there');
      }
    });
  } catch (error) {
    // Another worker is busy with it: the next inventory looks again.
    if (!isMoraineError(error, 'LEASE_HELD')) throw error;
  }
  return true;
}

function actFor(
  archive: ArchiveDocument,
  entry: InventoryEntry | null,
  inventoryDate: Date,
  now: Date,
): 'none' | 'verify' | 'confirm' | 'still-there' | 'listed-again' | 'missing' | 'gone' | 'not-deleted' {
  const { stored, state } = archive;
  if (stored === null) return 'none';
  if (state === 'purging') return answerOf(archive, entry, inventoryDate, now);
  if (state === 'purged') {
    const { askedAt, acceptedAt } = purgeOf(archive);
    if (acceptedAt === null) return 'none';
    if (entry !== null) return inventoryDate > acceptedAt || outlives(acceptedAt, now) ? 'still-there' : 'none';
    const isLater = inventoryDate.getTime() >= beginOfSecond(acceptedAt);
    return isLater || showsEarlierDelete(inventoryDate, stored.at, askedAt) ? 'confirm' : 'none';
  }
  // Its certificate says that it is gone, and nothing is purged twice: a person looks.
  if (state === 'confirmed') {
    const confirmedAt = archive.purge?.confirmedByInventoryAt ?? null;
    return entry !== null && confirmedAt !== null && inventoryDate > confirmedAt ? 'listed-again' : 'none';
  }
  // An entry that fits proves that the file is there, whatever the date: a reply that was lost and asked for again makes
  // `at` later than the upload, and a vault in which nothing changes any more gets no later inventory.
  if (inventoryDate <= stored.at && (state !== 'stored' || !isListed(archive, entry))) return 'none';
  if (state === 'stored') return archive.verifyLevel === 'inventory' ? 'verify' : 'none';
  if (state !== 'verified' && state !== 'cleared') return 'none';
  return isListed(archive, entry) ? 'none' : 'missing';
}

/**
 * Inventories are dated in whole seconds, and `acceptedAt` is the end of its second. One of that very second which does
 * not list the file was made after the delete, and in a vault where nothing changes any more there will be no other.
 */
function beginOfSecond(at: Date): number {
  return Math.floor(at.getTime() / 1_000) * 1_000;
}

/**
 * The reply to a delete was lost, and days later the vault was asked again: `acceptedAt` is the time of the second reply.
 * The service makes no new inventory of a vault in which nothing came or went, so one after the second reply may never
 * come. One that was taken after the first asking and does not list what was in the vault before it proves the same.
 */
function showsEarlierDelete(inventoryDate: Date, storedAt: Date, askedAt: Date | null): boolean {
  return askedAt !== null && inventoryDate > askedAt && inventoryDate > storedAt;
}

function isListed({ stored }: ArchiveDocument, entry: InventoryEntry | null): boolean {
  if (stored === null || entry === null) return false;
  return entry.bytes === stored.bytes && (entry.treeHash ?? stored.treeHash) === stored.treeHash;
}

async function confirm(
  context: Context,
  lease: Awaited<ReturnType<typeof claimArchive>>,
  inventoryDate: Date,
): Promise<void> {
  await amendArchive(lease, { purge: { ...purgeOf(lease.document), confirmedByInventoryAt: inventoryDate } });
  const certificate = await certifyPurge(context, lease.document, inventoryDate);
  await moveArchive(context.audit, context.clock, lease, {
    to: 'confirmed',
    set: { purge: { ...purgeOf(lease.document), certificate: certificate._id } },
    details: { certificate: certificate._id, inventoryDate: inventoryDate.toISOString() },
  });
  context.progress.moved?.(lease.document._id, 'confirmed');
}

async function settleUnknown(
  context: Context,
  location: VaultLocation,
  entry: InventoryEntry,
): Promise<'foreign' | 'stray' | 'removed' | 'waiting'> {
  const { intent } = entry;
  if (intent === null || intent.installation !== context.installation.id) return 'foreign';
  const attempt = await attempts(context.store).get(intent.attempt);
  if (attempt === null || attempt.archive !== intent.archive) return 'stray';
  if (attempt.state !== 'abandoned') {
    // Its worker is about to write `stored`, or was cut before it could: an archive that the ledger knows is no stray.
    return (await archives(context.store).get(attempt.archive)) === null ? 'stray' : 'waiting';
  }
  const proof = await proveAbandoned(context.store, context.clock, intent.attempt);
  if (proof === null || !(await isSafeToDestroy(context))) return 'waiting';
  const subject = {
    archive: intent.archive,
    attempt: intent.attempt,
    owner: location.owner,
    customer: location.customer,
  };
  await context.audit.append([
    { act: 'abandoned upload removed', phase: 'intent', subject, details: { vault: location.name } },
  ]);
  await vaultOf(context, location.key).deleteAbandoned(location, entry.vaultArchiveId, proof);
  await context.audit.append([
    { act: 'abandoned upload removed', phase: 'outcome', subject, details: { vault: location.name } },
  ]);
  return 'removed';
}

/** What stops destruction (a clock, an alarm) does not stop the comparison: the upload waits for the next one. */
async function isSafeToDestroy(context: Context): Promise<boolean> {
  try {
    await ensureSafeToDestroy(context);
    return true;
  } catch (error) {
    context.log.warn({}, `Nothing is removed from the vaults now: ${String(error)}`);
    return false;
  }
}

async function withLease(
  context: Context,
  archive: ArchiveId,
  work: (lease: Awaited<ReturnType<typeof claimArchive>>) => Promise<void>,
): Promise<void> {
  const lease = await claimArchive(context.store, context.audit, archive, context);
  try {
    await work(lease);
    await settleAudit(context.audit, lease);
  } finally {
    await lease.giveUp();
  }
}
