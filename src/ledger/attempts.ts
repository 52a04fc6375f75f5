/**
 * Attempts to store an archive. The intent (vault, attempt, description) is written before the first byte goes out, so
 * that after a crash the next worker knows what to look for out there. A failed attempt is abandoned and its key
 * destroyed at once; what arrives late can be opened by nobody and is removed by `reconcile` after a margin.
 */

import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, AttemptId } from '../ids.ts';
import type { UploadHandle, UploadIntent, VaultLocation } from '../vault/port.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { AbandonedUpload } from './warrants.ts';

export type AttemptState = 'open' | 'acknowledged' | 'abandoned';

/** Where a member's bytes lie in the archive file, so that one record comes back with one ranged retrieval. */
export interface MemberPlace {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
  /** Segment number; null for other members. */
  readonly segment: number | null;
}

export interface AttemptDocument extends LedgerDocument {
  readonly _id: AttemptId;
  readonly archive: ArchiveId;
  readonly epoch: number;
  readonly state: AttemptState;
  readonly location: VaultLocation;
  readonly intent: UploadIntent;
  readonly partBytes: number;
  /** Set once a multipart upload was begun; null for a file that is stored in one call. */
  readonly uploadId: string | null;
  /** Set when acknowledged. */
  readonly members: readonly MemberPlace[];
  readonly keyDestroyedAt: Date | null;
  /** Only when abandoned: an inventory taken after the margin showed nothing of it any more. */
  readonly cleanedUp: boolean;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly reason: string | null;
}

/** Race: an upload that was cut may still become visible in an inventory a day later; nothing of an abandoned attempt is removed before its margin is over, when no call of it can still be under way. */
export const ABANDONED_MARGIN_MS = 24 * 3_600_000;

export const ATTEMPTS_INDEXES: readonly LedgerIndex[] = [
  { collection: 'attempts', keys: { archive: 1, state: 1 } },
  { collection: 'attempts', keys: { state: 1, cleanedUp: 1, endedAt: 1 } },
  { collection: 'attempts', keys: { keyDestroyedAt: -1 } },
];

export function attempts(store: Store): StoreCollection<AttemptDocument> {
  return store.collection<AttemptDocument>('attempts');
}

export async function openAttempt(
  store: Store,
  clock: Clock,
  attempt: Pick<AttemptDocument, '_id' | 'archive' | 'epoch' | 'location' | 'intent' | 'partBytes'>,
): Promise<void> {
  const outcome = await attempts(store).insert({
    ...attempt,
    v: 1,
    state: 'open',
    uploadId: null,
    members: [],
    keyDestroyedAt: null,
    cleanedUp: false,
    startedAt: clock.now(),
    endedAt: null,
    reason: null,
  });
  if (outcome === 'duplicate') throw new MoraineError('INTERNAL', `The attempt ${attempt._id} exists already.`);
}

/** Remembers the multipart upload of an open attempt. Throws LEASE_LOST when another worker has abandoned it. */
export async function rememberUpload(store: Store, attempt: AttemptId, upload: UploadHandle): Promise<void> {
  await whileOpen(store, attempt, (document) => ({ ...document, uploadId: upload.uploadId }));
}

export async function acknowledgeAttempt(
  store: Store,
  clock: Clock,
  attempt: AttemptId,
  members: readonly MemberPlace[],
): Promise<void> {
  await whileOpen(store, attempt, (document) => ({
    ...document,
    state: 'acknowledged',
    members,
    endedAt: clock.now(),
  }));
}

/** Idempotent. An acknowledged attempt may be abandoned too (an archive that is found to be not in the vault). */
export async function abandonAttempt(
  store: Store,
  clock: Clock,
  attempt: AttemptId,
  reason: string,
): Promise<AttemptDocument> {
  return await update(attempts(store), attempt, (document) =>
    document.state === 'abandoned' ? document : { ...document, state: 'abandoned', endedAt: clock.now(), reason },
  );
}

export async function attemptKeyDestroyed(store: Store, attempt: AttemptId, at: Date): Promise<void> {
  await update(attempts(store), attempt, (document) => ({
    ...document,
    keyDestroyedAt: document.keyDestroyedAt ?? at,
  }));
}

/** The proof that what this attempt left in a vault may be removed: the ledger names it abandoned, its key is destroyed, and the margin is over. Null otherwise. */
export async function proveAbandoned(store: Store, clock: Clock, attempt: AttemptId): Promise<AbandonedUpload | null> {
  const document = await attempts(store).get(attempt);
  if (
    document === null ||
    document.state !== 'abandoned' ||
    document.keyDestroyedAt === null ||
    document.endedAt === null
  )
    return null;
  if (clock.now().getTime() - document.endedAt.getTime() < ABANDONED_MARGIN_MS) return null;
  return AbandonedUpload.issue(attempt);
}

/** Abandoned attempts whose margin is over and that may have left something in their vault. */
export async function* attemptsToCleanUp(store: Store, clock: Clock): AsyncIterable<AttemptDocument> {
  const endedBefore = new Date(clock.now().getTime() - ABANDONED_MARGIN_MS);
  yield* attempts(store).find({ state: 'abandoned', cleanedUp: false, endedAt: { $lte: endedBefore } });
}

/** Its uploads were aborted and an inventory that is late enough lists nothing of it. */
export async function markCleanedUp(store: Store, attempt: AttemptId): Promise<void> {
  await update(attempts(store), attempt, (document) => (document.cleanedUp ? null : { ...document, cleanedUp: true }));
}

async function whileOpen(
  store: Store,
  attempt: AttemptId,
  change: (document: AttemptDocument) => AttemptDocument,
): Promise<void> {
  await update(attempts(store), attempt, (document) => {
    if (document.state !== 'open') {
      throw new MoraineError('LEASE_LOST', `The attempt ${attempt} was abandoned by another worker.`, {
        ids: { attempt },
      });
    }
    return change(document);
  });
}
