/**
 * Claiming an archive for its purge. The claim is the last gate before the copy goes: due by the date that it names,
 * announced, no hold or pause found, no retrieval open, and all of it again by whoever goes on after a crash.
 *
 * `askedAt` is a second announcement, one that no frozen clock can outlive: it is written before the vault is asked, and
 * the holds are looked at once more after it. The worst interleaving: announce, look, and the whole machine sleeps; a
 * hold is placed, waits until the announcement is over and becomes active; the machine wakes with its own clocks
 * unmoved. It writes `askedAt`, looks, sees the hold and steps back. A hold that is placed after `askedAt` sees it and
 * says that it came too late. A pause goes the same way; what it stops waits as `cleared`, where it can be retrieved.
 */
import type { Clock } from '../clock.ts';
import { isMoraineError, MoraineError } from '../errors.ts';
import type { WorkerId } from '../ids.ts';
import type { ArchiveDocument, HoldsLooked, PurgeFacts } from './archive-document.ts';
import { type ArchiveLease, amendArchive, moveArchive, settleAudit } from './archives.ts';
import type { AuditLog } from './audit.ts';
import { scopeOf } from './clearing.ts';
import { holdsCovering } from './holds-covering.ts';
import { type Announcement, announceAndLook, withdraw } from './in-flight.ts';
import { migrationInTheWay } from './migrations.ts';
import { assertNotPaused } from './pauses.ts';
import { isBeingRead } from './restoring.ts';
import { liveRetrievals } from './retrievals.ts';
import type { Store } from './store.ts';
import { PurgeClaim } from './warrants.ts';

export type ClaimResult =
  | {
      readonly claimed: true;
      readonly claim: PurgeClaim;
      readonly announcement: Announcement;
      readonly looked: HoldsLooked;
    }
  | {
      readonly claimed: false;
      readonly why: 'held' | 'not-due' | 'retrieval-open' | 'being-moved';
      readonly text: string;
    };

interface ClaimContext {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly worker: WorkerId;
}

/**
 * Claims a cleared archive that is due at `asOf`, or looks again at one that is `purging` already. The caller withdraws
 * the announcement when the vault has answered. Throws PAUSED, after the claim was given back.
 */
export async function claimPurge(context: ClaimContext, lease: ArchiveLease, asOf: Date): Promise<ClaimResult> {
  const { store, audit, clock, worker } = context;
  const archive = lease.document;
  if (archive.dueAt === null || archive.dueAt.getTime() > asOf.getTime()) {
    await stepBack(context, lease, 'no longer due');
    return { claimed: false, why: 'not-due', text: `due on ${archive.dueAt?.toISOString() ?? 'an unknown date'}` };
  }
  const look = await orStepBack(context, lease, () => announceAndLook(store, clock, worker, 'purge', scopeOf(archive)));
  if (look.held) {
    await stepBack(context, lease, `held by ${look.holds.join(', ')}`);
    return { claimed: false, why: 'held', text: `held by ${look.holds.join(', ')}` };
  }
  try {
    const waiting =
      (await stepBackFromRetrieval(context, lease, look.announcement)) ??
      (await stepBackFromMigration(context, lease, look.announcement));
    if (waiting !== null) return waiting;
    if (archive.state === 'cleared') {
      const purge = { ...UNTOUCHED, claimedDueAt: archive.dueAt, asOf };
      await moveArchive(audit, clock, lease, {
        to: 'purging',
        set: { purge },
        details: { dueAt: archive.dueAt.toISOString() },
      });
      // Whoever asked the vault for it since then found it `cleared`; whoever asks from now on finds it `purging`.
      const late = await stepBackFromRetrieval(context, lease, look.announcement);
      if (late !== null) return late;
    }
    // Whoever claimed it before may have been cut before the chain said so: nothing goes that it does not name.
    await settleAudit(audit, lease);
    const { announcement, looked } = look;
    return { claimed: true, announcement, looked, claim: issueClaim(clock, lease, announcement) };
  } catch (error) {
    await withdraw(store, look.announcement);
    throw error;
  }
}

/** Withdraws and gives the claim back where somebody waits for the archive; null: nobody does, or it is too late. */
async function stepBackFromRetrieval(
  context: ClaimContext,
  lease: ArchiveLease,
  announcement: Announcement,
): Promise<Extract<ClaimResult, { claimed: false }> | null> {
  const [open] = await liveRetrievals(context.store, lease.document._id);
  const isRead = open === undefined && (await isBeingRead(context.store, lease.document._id));
  if ((open === undefined && !isRead) || hasBegun(lease.document)) return null;
  await withdraw(context.store, announcement);
  await stepBack(context, lease, isRead ? 'a restore is reading it' : 'a retrieval is open');
  const text = open === undefined ? 'a restore is reading it' : `retrieval ${open._id} is open`;
  return { claimed: false, why: 'retrieval-open', text };
}

/** While a copy is on its way to another vault nobody knows all places that hold the archive. Both work under its lease, so one look is enough. */
async function stepBackFromMigration(
  context: ClaimContext,
  lease: ArchiveLease,
  announcement: Announcement,
): Promise<Extract<ClaimResult, { claimed: false }> | null> {
  if (hasBegun(lease.document)) return null;
  const migration = await migrationInTheWay(context.store, lease.document._id);
  if (migration === null) return null;
  await withdraw(context.store, announcement);
  await stepBack(context, lease, 'it is being moved to another vault');
  return { claimed: false, why: 'being-moved', text: `it is being moved to vault ${migration.to.key}` };
}

const UNTOUCHED: Omit<PurgeFacts, 'claimedDueAt' | 'asOf'> = {
  askedAt: null,
  acceptedAt: null,
  keyDestroyedAt: null,
  confirmedByInventoryAt: null,
  certificate: null,
};

/** The vault was asked to delete, or may have been: a hold or retrieval that comes now is too late. */
function hasBegun(archive: ArchiveDocument): boolean {
  return archive.purge?.askedAt != null;
}

/** Under a pause a claim is given back where that still can be: what waits for a person can be retrieved meanwhile. */
async function orStepBack<T>(context: ClaimContext, lease: ArchiveLease, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (isMoraineError(error, 'PAUSED')) await stepBack(context, lease, error.message);
    throw error;
  }
}

/** Gives a claim back while nothing irreversible has happened. */
export async function stepBack(context: ClaimContext, lease: ArchiveLease, reason: string): Promise<void> {
  if (lease.document.state !== 'purging' || hasBegun(lease.document)) return;
  await moveArchive(context.audit, context.clock, lease, { to: 'cleared', set: { purge: null }, details: { reason } });
}

/** Gives the claim back although the ledger says that the vault is asked: it was not yet, or its veto says that nothing was deleted. */
export async function takeBackAsking(context: ClaimContext, lease: ArchiveLease, reason: string): Promise<void> {
  await moveArchive(context.audit, context.clock, lease, { to: 'cleared', set: { purge: null }, details: { reason } });
}

/**
 * Says in the ledger that the vault is about to be asked, then looks at the pauses and holds once more. Returns the holds
 * that were found, after the claim was given back; none: from here on a hold comes too late. Throws PAUSED, with the claim
 * given back. `looked`: what the claim saw of the holds.
 */
export async function markAsked(
  context: ClaimContext,
  lease: ArchiveLease,
  looked?: HoldsLooked,
): Promise<readonly string[]> {
  // Asked before, by this or another worker: nothing can be taken back any more.
  if (hasBegun(lease.document)) return [];
  const asked = { askedAt: context.clock.now(), ...(looked === undefined ? {} : { looked }) };
  await amendArchive(lease, { purge: { ...purgeOf(lease.document), ...asked } });
  const scope = scopeOf(lease.document);
  try {
    await assertNotPaused(context.store, scope);
  } catch (error) {
    if (isMoraineError(error, 'PAUSED')) await takeBackAsking(context, lease, error.message);
    throw error;
  }
  const holds = (await holdsCovering(context.store, scope)).map(({ _id }) => _id);
  if (holds.length > 0) await takeBackAsking(context, lease, `held by ${holds.join(', ')}`);
  return holds;
}

/** `requestId`: of the vault's reply, where it gives one. */
export async function markAccepted(lease: ArchiveLease, at: Date, requestId?: string): Promise<void> {
  const accepted = { acceptedAt: at, ...(requestId === undefined ? {} : { requestId }) };
  await amendArchive(lease, { purge: { ...purgeOf(lease.document), ...accepted } });
}

export function purgeOf(archive: ArchiveDocument): PurgeFacts {
  if (archive.purge === null) throw new MoraineError('INTERNAL', `Archive ${archive._id} has no claim to purge.`);
  return archive.purge;
}

function issueClaim(clock: Clock, lease: ArchiveLease, announcement: Announcement): PurgeClaim {
  const archive = lease.document;
  if (archive.state !== 'purging' || archive.stored === null) {
    throw new MoraineError('INTERNAL', `Archive ${archive._id} is ${archive.state}; it cannot be purged.`);
  }
  return PurgeClaim.issue(archive._id, archive.stored.vaultArchiveId, lease, announcement.endsAtMs, clock);
}
