/** A retrieval that a vault has accepted, past the vault. */
import type { Clock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import {
  getRetrieval,
  markAsking,
  markRequested,
  type RetrievalDocument,
  type WantedRetrieval,
  wantRetrievals,
} from '../../src/ledger/retrievals.ts';
import type { Store } from '../../src/ledger/store.ts';

export const ASKING_WORKER = id.worker('somebody');

/** The same id again changes nothing. */
export async function askedRetrieval(
  store: Store,
  clock: Clock,
  { jobId, expectedAt, ...wanted }: WantedRetrieval & { readonly jobId: string; readonly expectedAt: Date | null },
): Promise<RetrievalDocument> {
  await wantRetrievals(store, clock, [wanted]);
  const document = await getRetrieval(store, wanted.id);
  if (document.state !== 'wanted') return document;
  await markAsking(store, clock, wanted.id, ASKING_WORKER);
  return await markRequested(store, wanted.id, { jobId, expectedAt });
}
