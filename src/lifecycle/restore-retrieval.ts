/** Retrievals whose archives were read to the end: they no longer keep them from being purged. */
import { getRetrieval, isLiveRetrieval } from '../ledger/retrievals.ts';
import type { Context } from './context.ts';
import { endWithAudit } from './retrieve.ts';

/** Idempotent. One that ended otherwise meanwhile stays as it is. */
export async function endReadRetrievals(context: Context, retrievals: readonly string[]): Promise<void> {
  for (const id of retrievals) {
    const retrieval = await getRetrieval(context.store, id);
    if (isLiveRetrieval(retrieval)) await endWithAudit(context, retrieval, 'read');
  }
}
