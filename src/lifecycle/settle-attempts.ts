/**
 * Attempts that nobody will come back to: abandoned by a worker that was cut before it destroyed the key, or written so
 * late (a ledger that answered long after it was given up on) that their archive had gone on with another. Their keys are
 * destroyed, so that whatever they left can be opened by nobody; what is in the vault is then removed as of any abandoned
 * attempt.
 */
import type { AttemptId } from '../ids.ts';
import { archives } from '../ledger/archives.ts';
import { type AttemptDocument, attempts } from '../ledger/attempts.ts';
import { LEASE_MS } from '../ledger/leases.ts';
import { assertNotStopped, type Context } from './context.ts';
import { endAttempt } from './end-attempt.ts';

/** Race: whoever abandons one right now destroys its key in a moment. */
const QUIET_MS = 2 * LEASE_MS;

/** Returns how many were settled. */
export async function settleAttempts(context: Context): Promise<number> {
  const { store, clock } = context;
  const before = new Date(clock.now().getTime() - QUIET_MS);
  const left: AttemptId[] = [];
  const halfAbandoned = { state: 'abandoned', keyDestroyedAt: null, endedAt: { $lt: before } };
  for await (const { _id } of attempts(store).find(halfAbandoned)) left.push(_id);
  for await (const attempt of attempts(store).find({ state: 'open', startedAt: { $lt: before } }))
    if (await isSuperseded(context, attempt)) left.push(attempt._id);
  for (const attempt of left) {
    assertNotStopped(context);
    await endAttempt(context, attempt, 'its archive went on without it');
    context.log.info({ attempt }, 'An attempt that nobody came back to was given up.');
  }
  return left.length;
}

/**
 * The archive was claimed by another since, and has not this attempt. Only a worker under the attempt's own epoch could
 * still make it the archive's, and every write of such a worker is refused.
 */
async function isSuperseded({ store }: Context, { _id, archive, epoch }: AttemptDocument): Promise<boolean> {
  const document = await archives(store).get(archive);
  return document !== null && document.epoch > epoch && document.attempt !== _id;
}
