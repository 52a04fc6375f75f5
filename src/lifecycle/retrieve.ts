/** Retrieve: ask the vault to make an archive readable, and follow the request until its output is there. */
import { MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument, StoredFacts } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import {
  endRetrieval,
  findRetrievals,
  liveRetrievals,
  markRetrievalReady,
  type RetrievalDocument,
  rememberRetrieval,
} from '../ledger/retrievals.ts';
import { RETRIEVABLE_STATES } from '../ledger/states.ts';
import type { RetrievalEstimate, Tier } from '../vault/port.ts';
import { type Context, vaultOf } from './context.ts';

export function estimateRetrieval(context: Context, archive: ArchiveDocument, tier: Tier): RetrievalEstimate {
  return vaultOf(context, archive.vault.key).estimateRetrieval(retrievableFacts(archive).bytes, tier);
}

/** Asks the vault for the whole file. One that is open already is returned instead of asking (and paying) twice. */
export async function requestRetrieval(context: Context, id: ArchiveId, tier: Tier): Promise<RetrievalDocument> {
  const archive = await getArchive(context.store, id);
  const { vaultArchiveId } = retrievableFacts(archive);
  const [open] = await liveRetrievals(context.store, id);
  if (open !== undefined) return await refreshRetrieval(context, open);
  const retrieval = context.newId();
  const subject = { archive: id, owner: archive.owner, customer: archive.customer, policy: archive.policy, retrieval };
  await context.audit.append([{ act: 'archive retrieve', phase: 'intent', subject, details: { tier } }]);
  const vault = vaultOf(context, archive.vault.key);
  const jobId = await vault.requestRetrieval(archive.vault, vaultArchiveId, tier, null);
  const state = await vault.retrievalState(archive.vault, jobId);
  const expectedAt = state.state === 'pending' ? state.expectedAt : null;
  const remembered = await rememberRetrieval(context.store, context.clock, {
    id: retrieval,
    archive: id,
    location: archive.vault,
    vaultArchiveId,
    tier,
    range: null,
    jobId,
    expectedAt,
  });
  await context.audit.append([{ act: 'archive retrieve', phase: 'outcome', subject, details: { tier, jobId } }]);
  // A purge that did not see the retrieval has moved the archive by now: one of the two always sees the other.
  try {
    retrievableFacts(await getArchive(context.store, id));
  } catch (error) {
    await cancelRetrieval(context, remembered._id);
    throw error;
  }
  return await refreshRetrieval(context, remembered);
}

/** Asks the vault how a live retrieval stands and writes that down. */
export async function refreshRetrieval(context: Context, retrieval: RetrievalDocument): Promise<RetrievalDocument> {
  if (retrieval.state !== 'requested' && retrieval.state !== 'ready') return retrieval;
  const state = await vaultOf(context, retrieval.location.key).retrievalState(retrieval.location, retrieval.jobId);
  if (state.state === 'gone') return await endRetrieval(context.store, context.clock, retrieval._id, 'expired');
  if (state.state === 'pending') return retrieval;
  return await markRetrievalReady(context.store, retrieval._id, { readyAt: state.readyAt, expiresAt: state.expiresAt });
}

/** Refreshes every live retrieval (of one archive, or of all). One that cannot be asked about stays as it is. */
export async function refreshRetrievals(context: Context, archive?: ArchiveId): Promise<readonly RetrievalDocument[]> {
  const live = { state: { $in: ['requested', 'ready'] }, ...(archive === undefined ? {} : { archive }) };
  const refreshed: RetrievalDocument[] = [];
  for await (const retrieval of findRetrievals(context.store, live)) {
    try {
      refreshed.push(await refreshRetrieval(context, retrieval));
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

/** Gives up a retrieval: it no longer keeps the archive from its purge. The vault's own job ends by itself. */
export async function cancelRetrieval(context: Context, retrieval: string): Promise<RetrievalDocument> {
  return await endRetrieval(context.store, context.clock, retrieval, 'cancelled');
}

/** The facts of an archive that can be retrieved: stored, its purge not begun. One in quarantine can be, as long as it may hold the only copy. */
export function retrievableFacts(archive: ArchiveDocument): StoredFacts {
  const was = archive.state === 'quarantined' ? archive.quarantinedFrom : archive.state;
  const isRetrievable = RETRIEVABLE_STATES.some((state) => state === was);
  if (archive.stored !== null && isRetrievable) return archive.stored;
  throw new MoraineError(
    'ARCHIVE_NOT_RETRIEVABLE',
    `Archive ${archive._id} is ${archive.state} and cannot be retrieved.`,
    {
      ids: { archive: archive._id, state: archive.state },
    },
  );
}
