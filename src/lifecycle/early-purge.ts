/**
 * A purge before the due date. It always takes an approval, of exactly these archives for this reason; so does another
 * look at what a review has refused.
 *
 * With an archive go its addenda: they hold children of its records that came late, and are purged on the same day.
 *
 * The order, and why: the approval is used up, in the name of this very request, so that a cut one goes on and no other
 * does; then each archive gets the earlier purge date, with the approval that allowed it; then it is a purge like any other
 * (purge.ts): claimed by the date that it has now, stopped by holds, pauses and open retrievals. What such a thing stops
 * stays due.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ApprovalProof } from '../ledger/approval-decisions.ts';
import { approvalHash } from '../ledger/approvals.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { amendArchive, claimArchive, findArchives, getArchive, settleAudit } from '../ledger/archives.ts';
import type { AuditEntryBody } from '../ledger/audit.ts';
import { type ApprovalRequest, requireApproval } from './approval.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { assertMayGoEarlier, bringLock, isLocked } from './guard-archives.ts';
import { type PurgeReport, purgeArchives } from './purge.ts';
import { reviewEntry } from './purge-review.ts';

export interface EarlyPurgeRequest extends ApprovalRequest {
  /** Every archive that goes, each before its addenda. */
  readonly items: readonly ArchiveId[];
}

/** What is shown and granted, with the addenda of what is named. Throws USAGE for an archive of which nothing can be purged. */
export async function earlyPurgeRequest(
  context: Context,
  ids: readonly ArchiveId[],
  reason: string,
): Promise<EarlyPurgeRequest> {
  const archives = await withAddenda(context, ids);
  const unfit = archives.find(({ state }) => !PURGEABLE.has(state));
  if (unfit !== undefined) {
    throw new MoraineError('USAGE', `Archive ${unfit._id} is ${unfit.state}; only a cleared one is purged.`, {
      hint: `Look at \`moraine archive ${unfit._id}\`.`,
      ids: { archive: unfit._id },
    });
  }
  for (const archive of archives) if (archive.state === 'cleared') assertMayGoEarlier(context, archive);
  const [first] = archives;
  if (first === undefined) throw new MoraineError('USAGE', 'No archive is named.');
  const { _id, policy, owner, customer } = first;
  const request = {
    kind: 'early-purge' as const,
    subject: new Set(ids).size === 1 ? { archive: _id, policy, owner, customer } : { archives: `${archives.length}` },
    shown: { purgeBeforeItsDate: archives.map(reviewEntry), reason },
    items: archives.map((archive) => archive._id),
  };
  return { ...request, spendFor: `early purge ${approvalHash(request).slice(0, 16)}` };
}

/** Each archive before its addenda, in one order always: the same request again after a cut has the same hash. */
async function withAddenda(context: Context, ids: readonly ArchiveId[]): Promise<readonly ArchiveDocument[]> {
  const found = new Map<ArchiveId, ArchiveDocument>();
  for (const name of [...new Set(ids)].sort()) {
    const archive = await getArchive(context.store, name);
    found.set(name, archive);
    // Once the roots are cleared none is planned any more. One that was abandoned holds nothing.
    const filter = { addendumTo: name, state: { $ne: 'abandoned' } };
    for await (const addendum of findArchives(context.store, filter, { sort: { _id: 1 } }))
      found.set(addendum._id, addendum);
  }
  return [...found.values()];
}

/** `cleared`, and what a purge leaves behind: the same command again after a cut. */
const PURGEABLE: ReadonlySet<string> = new Set(['cleared', 'purging', 'purged', 'confirmed']);

/** Throws APPROVAL_NEEDED before anything is changed. */
export async function purgeEarly(
  context: Context,
  ids: readonly ArchiveId[],
  { by, reason }: { readonly by: string; readonly reason: string },
): Promise<PurgeReport> {
  const request = await earlyPurgeRequest(context, ids, reason);
  const proof = await requireApproval(context, request, by);
  const archives = request.items;
  for (const archive of archives) {
    assertNotStopped(context);
    await reschedule(context, archive, proof, { by, reason });
  }
  return await purgeArchives(context, archives);
}

/** Moves the purge date of a cleared archive to now, under an approval that names it. Idempotent by approval. */
export async function reschedule(
  context: Context,
  id: ArchiveId,
  { approval }: Pick<ApprovalProof, 'approval'>,
  { by, reason }: { readonly by: string; readonly reason: string },
): Promise<void> {
  const { audit, store } = context;
  const found = await getArchive(store, id);
  if (found.state !== 'cleared' || found.early?.approval === approval) return;
  const entry = (document: ArchiveDocument, phase: AuditEntryBody['phase']): AuditEntryBody => ({
    key: `${id}:early:${approval}:${phase}`,
    act: 'archive reschedule',
    phase,
    subject: { archive: id, policy: document.policy, owner: document.owner, customer: document.customer, approval },
    details: { by, reason, from: document.early?.from.toISOString() ?? document.dueAt?.toISOString() ?? null },
  });
  await audit.appendOnce([entry(found, 'intent')]);
  const lease = await claimArchive(store, audit, id, context);
  try {
    const { state, dueAt, early } = lease.document;
    if (state !== 'cleared' || dueAt === null || early?.approval === approval) return;
    const now = dueNow(context);
    const from = early?.from ?? dueAt;
    if (dueAt > now) {
      assertMayGoEarlier(context, lease.document);
      // The vault first: an archive that it does not let go is not due.
      if (isLocked(context, lease.document)) await bringLock(context, lease, { mayShorten: true, until: now });
    }
    await amendArchive(lease, {
      dueAt: new Date(Math.min(dueAt.getTime(), now.getTime())),
      early: { approval, from, by, reason, at: context.clock.now() },
    });
    await settleAudit(audit, lease, [entry(lease.document, 'outcome')]);
  } finally {
    await lease.giveUp();
  }
}
