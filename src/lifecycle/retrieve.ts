/**
 * Retrieve: ask a vault to make an archive, or a part of one, readable, and follow the request until its output is there.
 * What is wanted is in the ledger before the vault is asked, so a purge sees it, and a request that a crash cut is found
 * by its mark among the vault's jobs instead of being paid for again. Who may ask, and for how much, is an order's
 * matter (place-order.ts).
 */
import { errorClass, MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument, StoredFacts } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import {
  endRetrieval,
  failRetrieval,
  findRetrievals,
  getRetrieval,
  LIVE_RETRIEVAL_STATES,
  liveRetrievals,
  markAsking,
  markNotAsked,
  markRequested,
  markRetrievalReady,
  type RetrievalDocument,
  wantRetrievals,
} from '../ledger/retrievals.ts';
import { RETRIEVABLE_STATES } from '../ledger/states.ts';
import type { RetrievalEstimate, Tier } from '../vault/port.ts';
import { type Context, vaultOf } from './context.ts';

/** While another worker's call may still be under way nobody asks in its place: longer than the longest call. */
export const ASKING_ENDS_MS = 2 * 60_000;
/** Outside an order only the command that asks follows a retrieval up to its job. One that has not got there by then was cut. */
const FORGOTTEN_AFTER_MS = 3_600_000;

export function estimateRetrieval(context: Context, archive: ArchiveDocument, tier: Tier): RetrievalEstimate {
  return vaultOf(context, archive.vault.key).estimateRetrieval(retrievableFacts(archive).bytes, tier, archive.vault);
}

/** Asks the vault for the whole file, outside an order. One that is open already is returned instead of asking (and paying) twice. */
export async function requestRetrieval(context: Context, id: ArchiveId, tier: Tier): Promise<RetrievalDocument> {
  const archive = await getArchive(context.store, id);
  const { vaultArchiveId } = retrievableFacts(archive);
  const [open] = (await liveRetrievals(context.store, id)).filter(({ range }) => range === null);
  if (open !== undefined) {
    const isUnasked = open.state === 'wanted' || open.state === 'asking';
    return await refreshRetrieval(context, isUnasked ? await askVault(context, open) : open);
  }
  const retrieval = context.newId();
  const wanted = { id: retrieval, archive: id, location: archive.vault, vaultArchiveId, tier, range: null };
  await wantRetrievals(context.store, context.clock, [wanted]);
  try {
    return await refreshRetrieval(context, await askVault(context, await getRetrieval(context.store, retrieval)));
  } catch (error) {
    // Nobody follows it: what was not begun must not keep the archive from its purge.
    if ((await getRetrieval(context.store, retrieval)).state === 'wanted') await cancelRetrieval(context, retrieval);
    throw error;
  }
}

/**
 * Asks the vault for what is `wanted`, or settles an `asking` that was cut: looks for its job first. Throws what the
 * vault throws, after it was written down: `wanted` again where nothing was begun, `asking` still where the outcome is
 * unknown, `failed` where the archive is on its way out or the vault refuses for good.
 */
export async function askVault(context: Context, retrieval: RetrievalDocument): Promise<RetrievalDocument> {
  const { store, clock } = context;
  if (retrieval.state === 'asking' && isAskedByAnother(context, retrieval)) return retrieval;
  const archive = await getArchive(store, retrieval.archive);
  const subject = subjectOf(archive, retrieval);
  const { tier } = retrieval;
  await context.audit.appendOnce([
    { key: `${retrieval._id} asking`, act: 'archive retrieve', phase: 'intent', subject, details: { tier } },
  ]);
  const asking = await markAsking(store, clock, retrieval._id, context.worker);
  let jobId: string;
  try {
    // Wanted, it stops a purge; one that did not see it has moved the archive by now.
    retrievableFacts(archive);
    jobId = (retrieval.state === 'asking' ? await findJob(context, asking) : null) ?? (await startJob(context, asking));
  } catch (error) {
    await settleRefusal(context, asking, subject, error);
    throw error;
  }
  const expectedAt = await expectedAtOf(context, asking, jobId);
  const requested = await markRequested(store, asking._id, { jobId, expectedAt });
  await context.audit.appendOnce([
    {
      key: `${asking._id} requested`,
      act: 'archive retrieve',
      phase: 'outcome',
      subject,
      details: { tier, jobId },
    },
  ]);
  return requested;
}

/** For people: a vault that does not say is asked again with the next look. */
async function expectedAtOf(context: Context, { location }: RetrievalDocument, jobId: string): Promise<Date | null> {
  try {
    const state = await vaultOf(context, location.key).retrievalState(location, jobId);
    return state.state === 'pending' ? state.expectedAt : null;
  } catch {
    return null;
  }
}

function isAskedByAnother(context: Context, { askedBy, askedAt }: RetrievalDocument): boolean {
  if (askedBy === context.worker || askedAt === undefined) return false;
  return context.clock.now().getTime() - askedAt.getTime() < ASKING_ENDS_MS;
}

async function startJob(context: Context, { _id, location, vaultArchiveId, tier, range }: RetrievalDocument) {
  return await vaultOf(context, location.key).requestRetrieval(location, vaultArchiveId, tier, range, _id);
}

async function findJob(context: Context, { _id, location, vaultArchiveId, range }: RetrievalDocument) {
  return await vaultOf(context, location.key).findRetrieval(location, vaultArchiveId, range, _id);
}

/** What the vault did not begin goes back to be asked later, or has failed for good. */
async function settleRefusal(
  context: Context,
  { _id }: RetrievalDocument,
  subject: Readonly<Record<string, string>>,
  error: unknown,
): Promise<void> {
  const kind = errorClass(error);
  // It may have been accepted: the next one looks for it first. Of foreign errors nothing is known either.
  if (kind === 'unknown' || !(error instanceof MoraineError)) return;
  if (kind === 'retry' || kind === 'later') {
    await markNotAsked(context.store, _id);
    return;
  }
  await context.audit.appendOnce([
    { key: `${_id} failed`, act: 'retrieval failed', phase: 'outcome', subject, details: { code: error.code } },
  ]);
  await failRetrieval(context.store, context.clock, _id, error.code);
}

/** Asks the vault how a live retrieval stands and writes that down. */
export async function refreshRetrieval(context: Context, retrieval: RetrievalDocument): Promise<RetrievalDocument> {
  if (retrieval.state !== 'requested' && retrieval.state !== 'ready') return retrieval;
  const state = await vaultOf(context, retrieval.location.key).retrievalState(retrieval.location, retrieval.jobId);
  if (state.state === 'gone') return await endWithAudit(context, retrieval, 'expired');
  if (state.state === 'pending' || retrieval.state === 'ready') return retrieval;
  const { readyAt, expiresAt } = state;
  await tell(context, retrieval, 'ready', { expiresAt: expiresAt?.toISOString() ?? null });
  return await markRetrievalReady(context.store, retrieval._id, { readyAt, expiresAt });
}

/** Refreshes every live retrieval (of one archive, or of all). One that cannot be asked about stays as it is. */
export async function refreshRetrievals(context: Context, archive?: ArchiveId): Promise<readonly RetrievalDocument[]> {
  const live = { state: { $in: LIVE_RETRIEVAL_STATES }, ...(archive === undefined ? {} : { archive }) };
  const refreshed: RetrievalDocument[] = [];
  for await (const retrieval of findRetrievals(context.store, live)) {
    try {
      const followed = isForgotten(context, retrieval) ? await takeUp(context, retrieval) : retrieval;
      refreshed.push(await refreshRetrieval(context, followed));
    } catch (error) {
      context.log.warn(
        { retrieval: retrieval._id, archive: retrieval.archive },
        `The vault could not be asked: ${String(error)}`,
      );
      refreshed.push(retrieval);
    }
  }
  return refreshed;
}

function isForgotten({ clock }: Context, { order, state, askedAt, requestedAt }: RetrievalDocument): boolean {
  if (order !== undefined || (state !== 'wanted' && state !== 'asking')) return false;
  return clock.now().getTime() - (askedAt ?? requestedAt).getTime() > FORGOTTEN_AFTER_MS;
}

/** The job that its command did not live to write down; where there is none, it must not keep the archive from its purge. */
async function takeUp(context: Context, retrieval: RetrievalDocument): Promise<RetrievalDocument> {
  const jobId = retrieval.state === 'asking' ? await findJob(context, retrieval) : null;
  if (jobId === null) return await cancelRetrieval(context, retrieval._id);
  return await markRequested(context.store, retrieval._id, { jobId, expectedAt: null });
}

/** Gives up a retrieval: it no longer keeps the archive from its purge. The vault's own job ends by itself. */
export async function cancelRetrieval(context: Context, retrieval: string): Promise<RetrievalDocument> {
  return await endWithAudit(context, await getRetrieval(context.store, retrieval), 'cancelled');
}

/** Ends it, says so, and removes what was fetched of it. */
export async function endWithAudit(
  context: Context,
  retrieval: RetrievalDocument,
  state: 'read' | 'cancelled' | 'expired',
): Promise<RetrievalDocument> {
  if (retrieval.state !== state) await tell(context, retrieval, state, {});
  const ended = await endRetrieval(context.store, context.clock, retrieval._id, state);
  // A file that cannot be removed now is found by the next look at the folder.
  await context.retrievals?.files?.remove(retrieval._id).catch(() => undefined);
  return ended;
}

/** Once for each step of a retrieval. */
export async function tell(
  context: Context,
  retrieval: RetrievalDocument,
  step: 'ready' | 'fetched' | 'read' | 'cancelled' | 'expired',
  details: Readonly<Record<string, string | number | null>>,
): Promise<void> {
  const { _id, archive, order } = retrieval;
  const subject = { archive, retrieval: _id, ...(order === undefined ? {} : { order }) };
  await context.audit.appendOnce([
    { key: `${_id} ${step}`, act: `retrieval ${step}`, phase: 'outcome', subject, details },
  ]);
}

function subjectOf({ _id, owner, customer, policy }: ArchiveDocument, { _id: retrieval, order }: RetrievalDocument) {
  return { archive: _id, owner, customer, policy, retrieval, ...(order === undefined ? {} : { order }) };
}

/** The facts of an archive that can be retrieved: stored, its purge not begun. One in quarantine can be, as long as it may hold the only copy. */
export function retrievableFacts(archive: ArchiveDocument): StoredFacts {
  if (archive.stored !== null && isRetrievable(archive)) return archive.stored;
  throw new MoraineError(
    'ARCHIVE_NOT_RETRIEVABLE',
    `Archive ${archive._id} is ${archive.state} and cannot be retrieved.`,
    {
      ids: { archive: archive._id, state: archive.state },
    },
  );
}

export function isRetrievable(archive: ArchiveDocument): boolean {
  const was = archive.state === 'quarantined' ? archive.quarantinedFrom : archive.state;
  return archive.stored !== null && RETRIEVABLE_STATES.some((state) => state === was);
}
