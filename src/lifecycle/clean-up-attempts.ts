/** When an abandoned attempt is over for good: nothing of it is in its vault any more, and nothing can arrive. */
import type { AttemptId } from '../ids.ts';
import { attemptsToCleanUp, markCleanedUp } from '../ledger/attempts.ts';
import { removeRoster } from '../ledger/rosters.ts';
import type { VaultLocation } from '../vault/port.ts';
import { type Context, locationKey } from './context.ts';
import { outlives } from './quiet-vault.ts';

/** Race: a call of the attempt that was on its way when it was abandoned ends within this, so an inventory later than that shows all that it left. */
const LATE_CALL_MS = 3_600_000;

/** Race aside, a handful; past this nothing is told apart, and no attempt of the vault counts as cleaned up this time. */
const MOST_LEFT = 100_000;

/** Attempts of which something is listed and was not removed: not yet, or not now. */
export class LeftThere {
  readonly #attempts = new Set<AttemptId>();

  add(attempt: AttemptId): void {
    if (this.#attempts.size <= MOST_LEFT) this.#attempts.add(attempt);
  }

  has(attempt: AttemptId): boolean {
    return this.#attempts.size > MOST_LEFT || this.#attempts.has(attempt);
  }
}

/** Removed or never there: an inventory that is late enough was read to its end, and lists nothing of it that is still there. */
export async function markAttemptsCleanedUp(
  context: Context,
  location: VaultLocation,
  { inventoryDate, now }: { readonly inventoryDate: Date; readonly now: Date },
  leftThere: LeftThere,
): Promise<void> {
  for await (const attempt of attemptsToCleanUp(context.store, context.clock)) {
    if (locationKey(attempt.location) !== locationKey(location) || attempt.endedAt === null) continue;
    // Nothing of it was removed before its key is destroyed.
    if (attempt.keyDestroyedAt === null || leftThere.has(attempt._id)) continue;
    const isLate = inventoryDate.getTime() >= attempt.endedAt.getTime() + LATE_CALL_MS;
    if (!isLate && !outlives(attempt.endedAt, now)) continue;
    // A worker that slept may have written a page after its attempt was abandoned.
    await removeRoster(context.store, attempt._id);
    await markCleanedUp(context.store, attempt._id);
  }
}
