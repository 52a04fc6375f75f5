/**
 * What vaults keep by themselves, brought to what the ledger says: the lock until an archive's purge date, and legal holds.
 * They are a second fence, against whoever has the rights of the account and not those of Moraine; the ledger's own rules
 * never lean on them, and a vault that lags behind is an alarm, not a reason to let anything go.
 *
 * - The lock is set before a copy counts as verified, so before anything is deleted for it; not with the upload, for an
 *   abandoned one could then not be removed, and the exact purge date is known only at its end.
 * - A legal hold is put on when Moraine's hold is in force, and taken off when the grace of its release is over. What is
 *   stored later gets it before it is verified. The ledger says `asked` before the vault is told: after a cut it is told
 *   again.
 *
 * All of it happens under the archive's lease, so a hold that is placed and one that is released do not overtake each
 * other. What another worker has in hand, or a vault that is away, is left to the next look (`reconcile`).
 */
import { isMoraineError, MoraineError } from '../errors.ts';
import { endAlarm, raiseAlarm } from '../ledger/alarms.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { type ArchiveLease, amendArchive, archivesById, claimArchive, settleAudit } from '../ledger/archives.ts';
import { type HoldDocument, holds, holdsInForce } from '../ledger/holds.ts';
import { coversArchive } from '../ledger/holds-covering.ts';
import { CLOCK_TOLERANCE_MS } from '../ledger/installation.ts';
import type { Filter } from '../ledger/store.ts';
import { update } from '../ledger/update.ts';
import { assertNotStopped, type Context, vaultOf } from './context.ts';

/** The vault's clock may be behind ours by this much, and a purge that is due must not meet its lock. */
const LOCK_ENDS_BEFORE_MS = CLOCK_TOLERANCE_MS;

const KEPT = ['stored', 'verified', 'cleared', 'purging', 'quarantined'] as const;

/** Before a copy counts. Throws what the vault throws when it cannot be locked; a legal hold that cannot be put on is an alarm. */
export async function guardArchive(context: Context, lease: ArchiveLease): Promise<void> {
  await bringLock(context, lease);
  try {
    await bringHold(context, lease);
  } catch (error) {
    await tellOfLag(context, lease.document, error);
  }
}

/**
 * Throws VAULT_VETO for an archive that its vault has locked for good: no approval makes its purge date earlier. To be
 * asked before anybody else is.
 */
export function assertMayGoEarlier({ vaults }: Context, { _id, vault, dueAt, guard }: ArchiveDocument): void {
  if (vaults.get(vault.key)?.guards.lock !== 'compliance' || guard?.lock === undefined) return;
  const until = dueAt?.toISOString() ?? 'its purge date';
  throw new MoraineError('VAULT_VETO', `Archive ${_id} is locked in compliance mode until ${until}.`, {
    changed: 'Nothing was changed.',
    hint: `Nobody, AWS included, removes it from vault ${vault.key} earlier; it is purged when that date has come.`,
    ids: { archive: _id, vault: vault.key },
  });
}

/** Whether a date that moves has to be told to the vault. */
export function isLocked({ vaults }: Context, { vault, guard }: ArchiveDocument): boolean {
  return (vaults.get(vault.key)?.guards.lock ?? null) !== null && guard?.lock !== undefined;
}

/** As {@link bringLock} for a later date, which the ledger has: a vault that cannot be told now is told later. */
export async function bringLaterLock(context: Context, lease: ArchiveLease): Promise<void> {
  try {
    await bringLock(context, lease);
  } catch (error) {
    await tellOfLag(context, lease.document, error);
  }
}

/** Brings the vault's lock to the archive's purge date. `mayShorten`: also to an earlier one, in governance mode. */
export async function bringLock(
  context: Context,
  lease: ArchiveLease,
  options: { readonly mayShorten: boolean; readonly until?: Date } = { mayShorten: false },
): Promise<void> {
  const { vault: location, stored, dueAt, guard } = lease.document;
  const vault = vaultOf(context, location.key);
  const until = options.until ?? dueAt;
  if (vault.guards.lock === null || stored === null || until === null) return;
  await lease.keep();
  const end = new Date(until.getTime() - LOCK_ENDS_BEFORE_MS);
  await vault.lockUntil(location, stored.vaultArchiveId, end, { mayShorten: options.mayShorten });
  if (guard?.lock !== 'done') await amendArchive(lease, { guard: { ...guard, lock: 'done' } });
}

/** Puts the vault's legal hold on, or takes it off, as the holds in force say. */
export async function bringHold(context: Context, lease: ArchiveLease): Promise<void> {
  const archive = lease.document;
  if (!vaultOf(context, archive.vault.key).guards.holds) return;
  const isHeld = await isCovered(context, archive, await holdsInForce(context.store));
  if (isHeld ? archive.guard?.hold !== 'on' : mayBeOn(archive)) await tellVault(context, lease, isHeld);
}

/** Before the vault is asked to delete: no hold was found, so the vault's own has no reason any more. */
export async function takeHoldOff(context: Context, lease: ArchiveLease): Promise<void> {
  if (mayBeOn(lease.document)) await tellVault(context, lease, false);
}

async function tellVault(context: Context, lease: ArchiveLease, isHeld: boolean): Promise<void> {
  const { _id, vault: location, stored, guard, owner, customer } = lease.document;
  if (stored === null) return;
  if (isHeld && guard?.hold !== 'asked') await amendArchive(lease, { guard: { ...guard, hold: 'asked' } });
  await lease.keep();
  await vaultOf(context, location.key).mirrorHold(location, stored.vaultArchiveId, isHeld);
  await amendArchive(lease, { guard: { ...lease.document.guard, hold: isHeld ? 'on' : 'off' } });
  await settleAudit(context.audit, lease, [
    {
      key: `${_id}:legal-hold:${lease.epoch}:${isHeld ? 'on' : 'off'}`,
      act: isHeld ? 'legal hold put on in the vault' : 'legal hold taken off in the vault',
      phase: 'outcome',
      subject: { archive: _id, owner, customer },
      details: { vault: location.name },
    },
  ]);
}

function mayBeOn({ guard }: ArchiveDocument): boolean {
  return guard?.hold === 'on' || guard?.hold === 'asked';
}

async function isCovered(
  context: Context,
  archive: ArchiveDocument,
  inForce: readonly HoldDocument[],
): Promise<boolean> {
  for (const hold of inForce) if (await coversArchive(context.store, hold, archive)) return true;
  return false;
}

/**
 * Puts the vaults' legal holds on everything that a hold in force covers. What was left (a vault that is away, an archive
 * that another worker has in hand) is done by the next {@link bringGuards}. Returns how many were left.
 */
export async function mirrorPlacedHold(context: Context, hold: HoldDocument): Promise<number> {
  if (hold.state !== 'active' || hold.mirrored === true || !hasGuards(context)) return 0;
  const { owner, customer, namespace } = hold;
  const left = await eachUnderLease(
    context,
    {
      state: { $in: KEPT },
      ...(owner === null ? {} : { owner }),
      ...(customer === null ? {} : { customer }),
      ...(namespace === null ? {} : { namespace }),
    },
    async (archive) => archive.guard?.hold !== 'on' && (await coversArchive(context.store, hold, archive)),
    (lease) => bringHold(context, lease),
  );
  if (left > 0) return left;
  await update(holds(context.store), hold._id, (now) => (now.state === 'active' ? { ...now, mirrored: true } : now));
  return 0;
}

/** Brings everything that lags behind to what the ledger says. Returns how many archives were left. */
export async function bringGuards(context: Context): Promise<number> {
  if (!hasGuards(context)) return 0;
  const inForce = await holdsInForce(context.store);
  let left = 0;
  for (const hold of inForce) left += await mirrorPlacedHold(context, hold);
  left += await eachUnderLease(
    context,
    { 'guard.hold': { $in: ['on', 'asked'] }, state: { $in: KEPT } },
    async (archive) => archive.guard?.hold === 'asked' || !(await isCovered(context, archive, inForce)),
    (lease) => bringHold(context, lease),
  );
  left += await eachUnderLease(
    context,
    { 'guard.lock': 'pending', state: { $in: KEPT } },
    async () => true,
    (lease) => bringLock(context, lease),
  );
  if (left === 0) for (const key of context.vaults.keys()) await endAlarm(context.store, 'VAULT_GUARD_LAGS', key);
  return left;
}

function hasGuards({ vaults }: Context): boolean {
  return [...vaults.values()].some(({ guards }) => guards.holds || guards.lock !== null);
}

/** One that cannot be brought there stops no other. */
async function eachUnderLease(
  context: Context,
  filter: Filter,
  isMeant: (archive: ArchiveDocument) => Promise<boolean>,
  bring: (lease: ArchiveLease) => Promise<void>,
): Promise<number> {
  let left = 0;
  for await (const archive of archivesById(context.store, context.clock, filter)) {
    assertNotStopped(context);
    const { stored, vault, purge } = archive;
    const guards = context.vaults.get(vault.key)?.guards;
    // Its delete was asked for: a hold came too late, and names it.
    if (stored === null || guards === undefined || purge?.askedAt != null) continue;
    try {
      if (!(await isMeant(archive))) continue;
      const lease = await claimArchive(context.store, context.audit, archive._id, context);
      try {
        await bring(lease);
      } finally {
        await lease.giveUp();
      }
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED')) throw error;
      left += 1;
      if (!isMoraineError(error, 'LEASE_HELD')) await tellOfLag(context, archive, error);
    }
  }
  return left;
}

/** The ledger's own hold, and its date, stand as they are. */
async function tellOfLag(context: Context, { _id, vault }: ArchiveDocument, error: unknown): Promise<void> {
  if (isMoraineError(error, 'WORK_STOPPED') || isMoraineError(error, 'LEASE_LOST')) throw error;
  const reason = error instanceof Error ? error.message : String(error);
  context.log.error({ archive: _id, vault: vault.name }, `The vault's own lock or legal hold lags behind: ${reason}`);
  const text = `Vault ${vault.key} could not be told of a legal hold or a purge date (archive ${_id}): ${reason}`;
  await raiseAlarm(context.store, context.clock, 'VAULT_GUARD_LAGS', text, vault.key);
}
