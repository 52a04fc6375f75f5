/**
 * Tells, as alarms, of proofs of possession that end soon or have ended, one for each owner. Only production counts
 * them, so only there it is an alarm; elsewhere `check` says so. In order again, the alarm ends by itself.
 */
import type { OwnerId } from '../ids.ts';
import type { AdministratorProof } from '../keys/port.ts';
import { endAlarm, raiseAlarm } from '../ledger/alarms.ts';
import type { Context } from './context.ts';

/** One owner whose key store cannot be asked hides nothing of the others. Returns the owners that an alarm is open for. */
export async function tellProofs(
  context: Pick<Context, 'clock' | 'store' | 'keys' | 'owners' | 'installation' | 'log'>,
): Promise<readonly OwnerId[]> {
  const told: OwnerId[] = [];
  for (const owner of context.owners) {
    try {
      const proofs = (await context.keys.proofsOf?.(owner)) ?? [];
      const ending = proofs.filter(({ state }) => state === 'ends-soon' || state === 'ended');
      if (context.installation.environment !== 'production' || ending.length === 0) {
        await endAlarm(context.store, 'PROOF_ENDS', owner);
        continue;
      }
      await raiseAlarm(context.store, context.clock, 'PROOF_ENDS', textOf(owner, ending), owner);
      told.push(owner);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      context.log.warn({ owner }, `Whether its administrators are proven could not be read: ${reason}`);
    }
  }
  return told;
}

/** When the first of them ends: from then on production archives nothing for the owner. Null: none ever does. */
export function firstEnd(proofs: readonly AdministratorProof[]): Date | null {
  const ends = proofs.flatMap(({ endsAt }) => (endsAt === null ? [] : [endsAt.getTime()]));
  return ends.length === 0 ? null : new Date(Math.min(...ends));
}

function textOf(owner: OwnerId, ending: readonly AdministratorProof[]): string {
  const each = ending.map(
    ({ name, state, endsAt }) =>
      `${name} ${state === 'ended' ? 'has ended' : 'ends'} on ${endsAt?.toISOString().slice(0, 10)}`,
  );
  const hasEnded = ending.some(({ state }) => state === 'ended');
  const meaning = hasEnded
    ? 'nothing is archived for this owner until it is proven again'
    : 'after that nothing is archived for this owner';
  return `Owner ${owner}: the proof of ${each.join(', of ')}; ${meaning}.`;
}
