/**
 * Purge: destroy an archive at the end of its period.
 *
 * The order, and why:
 *  0. Look at the review, where one is required: not granted, it stays (purge-review.ts).
 *  1. Claim: due by the date that the claim names, announced, no hold found, no retrieval open.
 *  2. Say in the ledger that the vault is about to be asked (from here on a hold comes too late, and says so).
 *  3. The vault deletes; where the archive was moved, the vault that still has its old copy deletes that one first. A vault lock or Object Lock vetoes it here, while the key still exists: the archive goes back.
 *  4. The key is destroyed. Only after the vault accepted: a key that went first would leave bytes that nobody can open
 *     behind a veto.
 *  5. `purged`; what named its records in the ledger goes. A later inventory confirms it (see settle-vault.ts).
 * A crash anywhere leaves `purging`; whoever goes on announces and looks again from step 1, until the vault is known to
 * have accepted: then what is left (the key, the traces) goes whatever else happens. Every step may run twice.
 */
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { type ArchiveLease, amendArchive, claimArchive, findArchives, moveArchive } from '../ledger/archives.ts';
import { attemptKeyDestroyed } from '../ledger/attempts.ts';
import { withdraw } from '../ledger/in-flight.ts';
import { claimPurge, markAccepted, markAsked, purgeOf, takeBackAsking } from '../ledger/purging.ts';
import { removeRecordTraces } from '../ledger/record-traces.ts';
import { assertNotStopped, type Context, dueNow, vaultOf } from './context.ts';
import { takeHoldOff } from './guard-archives.ts';
import { deleteCopiesForPurge } from './migrate-delete.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { waitsForReview } from './purge-review.ts';
import { refreshRetrievals } from './retrieve.ts';

export interface PurgeReport {
  readonly asOf: Date;
  readonly purged: readonly ArchiveId[];
  readonly held: readonly ArchiveId[];
  /** Not purged for another reason that ends: a retrieval is open, a person has paused it, its review waits, another worker is busy with it; or it is in a state in which nothing is purged. */
  readonly waiting: readonly { readonly id: ArchiveId; readonly reason: string }[];
  readonly failed: readonly {
    readonly id: ArchiveId;
    /** Of src/errors.ts. */
    readonly code: string;
    readonly reason: string;
    readonly needsPerson: boolean;
  }[];
}

/** Archives that are due for purge at `asOf`, the oldest due first, and those whose purge was begun. */
export async function* purgeable(
  context: Context,
  asOf: Date,
  policies: readonly string[] | null,
): AsyncIterable<ArchiveDocument> {
  const ofPolicies = policies === null ? {} : { policy: { $in: policies } };
  yield* findArchives(context.store, { ...ofPolicies, state: 'purging' });
  yield* findArchives(
    context.store,
    { ...ofPolicies, state: 'cleared', dueAt: { $lte: asOf } },
    { sort: { dueAt: 1 } },
  );
}

/** Purges the given archives. One that fails never stops the others. */
export async function purgeArchives(context: Context, due: readonly ArchiveId[]): Promise<PurgeReport> {
  const asOf = dueNow(context);
  const purged: ArchiveId[] = [];
  const held: ArchiveId[] = [];
  const waiting: { id: ArchiveId; reason: string }[] = [];
  const failed: { id: ArchiveId; code: string; reason: string; needsPerson: boolean }[] = [];
  await ensureSafeToDestroy(context);
  for (const archive of due) {
    assertNotStopped(context);
    try {
      const result = await purgeArchive(context, archive, asOf);
      if (result.done) purged.push(archive);
      else if (result.why === 'held') held.push(archive);
      else waiting.push({ id: archive, reason: result.text });
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED')) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const code = error instanceof MoraineError ? error.code : 'INTERNAL';
      context.log.error({ archive, code }, reason);
      if (errorClass(error) === 'later') waiting.push({ id: archive, reason });
      else failed.push({ id: archive, code, reason, needsPerson: errorClass(error) === 'person' });
    }
  }
  return { asOf, purged, held, waiting, failed };
}

type PurgeResult = { readonly done: true } | { readonly done: false; readonly why: string; readonly text: string };

async function purgeArchive(context: Context, archive: ArchiveId, asOf: Date): Promise<PurgeResult> {
  const lease = await claimArchive(context.store, context.audit, archive, context);
  try {
    const { state } = lease.document;
    if (state === 'purged' || state === 'confirmed') return { done: true };
    if (state !== 'cleared' && state !== 'purging') return { done: false, why: state, text: `it is ${state}` };
    await ensureSafeToDestroy(context);
    if (state === 'cleared') {
      const text = await waitsForReview(context, lease.document);
      if (text !== null) return { done: false, why: 'review', text };
    }
    if (lease.document.purge?.acceptedAt == null) {
      const refusal = await askVault(context, lease, asOf);
      if (refusal !== null) return refusal;
    }
    await destroyKey(context, lease);
    await removeRecordTraces(context.store, archive);
    await moveArchive(context.audit, context.clock, lease, {
      to: 'purged',
      details: { acceptedAt: purgeOf(lease.document).acceptedAt?.toISOString() ?? null },
    });
    context.progress.moved?.(archive, 'purged');
    return { done: true };
  } finally {
    await lease.giveUp();
  }
}

/** Steps 1 to 3. Null when the vault has accepted the delete, else why it was not asked. */
async function askVault(
  context: Context,
  lease: ArchiveLease,
  asOf: Date,
): Promise<Extract<PurgeResult, { done: false }> | null> {
  const archive = lease.document;
  // Outputs that expired meanwhile no longer keep the archive.
  await refreshRetrievals(context, archive._id);
  const result = await claimPurge(context, lease, asOf);
  if (!result.claimed) return { done: false, why: result.why, text: result.text };
  try {
    const holds = await markAsked(context, lease, result.looked);
    if (holds.length > 0) return { done: false, why: 'held', text: `held by ${holds.join(', ')}` };
    await takeHoldOff(context, lease);
    await deleteCopiesForPurge(context, lease, result.announcement);
    await lease.keep();
    const { at, requestId } = await vaultOf(context, archive.vault.key).deleteArchive(archive.vault, result.claim);
    await markAccepted(lease, at, requestId);
    return null;
  } catch (error) {
    if (isMoraineError(error, 'VAULT_VETO')) await takeBackAsking(context, lease, error.message);
    throw error;
  } finally {
    await withdraw(context.store, result.announcement);
  }
}

async function destroyKey(context: Context, lease: ArchiveLease): Promise<void> {
  const archive = lease.document;
  if (archive.attempt === null) throw new MoraineError('INTERNAL', `Archive ${archive._id} has no attempt.`);
  await lease.keep();
  const keyDestroyedAt = await context.keys.destroy(archive.attempt);
  await attemptKeyDestroyed(context.store, archive.attempt, keyDestroyedAt);
  await amendArchive(lease, { purge: { ...purgeOf(archive), keyDestroyedAt } });
}
