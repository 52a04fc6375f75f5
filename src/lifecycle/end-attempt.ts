/** The end of an attempt that came to nothing: what every path to it has in common. */
import type { AttemptId } from '../ids.ts';
import { type AttemptDocument, abandonAttempt, attemptKeyDestroyed } from '../ledger/attempts.ts';
import { removeRoster } from '../ledger/rosters.ts';
import type { Context } from './context.ts';

/** Idempotent: the ledger first, then the key (so that what arrives late can be opened by nobody), then its roster. Its upload is the caller's. */
export async function endAttempt(context: Context, attempt: AttemptId, reason: string): Promise<AttemptDocument> {
  const document = await abandonAttempt(context.store, context.clock, attempt, reason);
  await attemptKeyDestroyed(context.store, attempt, await context.keys.destroy(attempt));
  await removeRoster(context.store, attempt);
  return document;
}
