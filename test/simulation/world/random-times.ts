/** When things happen in a life of chance: mostly while some round of work is under way, so that they meet it. */
import type { Random } from '../engine/random.ts';
import { DAY_MS, HOUR_MS } from './scenario.ts';

export const DAYS = 6;
export const ROUND_MS = 12 * HOUR_MS;
/** What a round of work takes: whatever is to meet it happens within this. */
export const BUSY_MS = 20_000;

/** During a round of work, or at any time. */
export function someTime(random: Random): number {
  const round = HOUR_MS + ROUND_MS * random.int(0, (DAYS * DAY_MS) / ROUND_MS - 2);
  const isBusy = random.chance(0.75);
  if (!isBusy) return round + random.int(0, ROUND_MS);
  return round + random.pick([0, 0, 2 * HOUR_MS, HOUR_MS]) + random.int(0, BUSY_MS);
}
