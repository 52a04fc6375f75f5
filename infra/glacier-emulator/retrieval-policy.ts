import { policyEnforced } from './errors.ts';
import type { ArchiveRetrieval, RetrievalPolicy } from './records.ts';

/** The free tier: 10 GB a month, as a share for each day. */
export const FREE_TIER_BYTES_A_DAY = Math.floor((10 * 1024 ** 3) / 30);

/** A Standard retrieval is counted with this time, the middle of "3 to 5 hours". */
const STANDARD_HOURS = 4;

export type Retrieval = Pick<ArchiveRetrieval, 'tier' | 'start' | 'end' | 'createdAtMs' | 'completesAtMs'>;

/**
 * Throws PolicyEnforcedException when the data retrieval policy does not let `wanted` start. It governs Standard
 * retrievals only, those of archives only, and never a job that was accepted before.
 *
 *   FreeTier      what was accepted on this UTC day, with the new one, is within the day's free allowance
 *   BytesPerHour  the jobs in progress, with the new one, together retrieve no more than this in an hour
 */
export function enforcePolicy(
  policy: RetrievalPolicy,
  wanted: Retrieval,
  others: readonly Retrieval[],
  { nowMs, freeTierBytes }: { nowMs: number; freeTierBytes: number },
): void {
  if (policy.strategy === 'None' || wanted.tier !== 'Standard') return;
  const standard = others.filter(({ tier }) => tier === 'Standard');
  if (policy.strategy === 'FreeTier') {
    const dayOf = (atMs: number) => new Date(atMs).toISOString().slice(0, 10);
    const today = standard.filter(({ createdAtMs }) => dayOf(createdAtMs) === dayOf(nowMs));
    if (bytesOf([...today, wanted]) > freeTierBytes) throw policyEnforced();
    return;
  }
  const inProgress = standard.filter(({ completesAtMs }) => nowMs < completesAtMs);
  if (bytesOf([...inProgress, wanted]) / STANDARD_HOURS > policy.bytesPerHour) throw policyEnforced();
}

const bytesOf = (retrievals: readonly Retrieval[]) =>
  retrievals.reduce((sum, { start, end }) => sum + end - start + 1, 0);
