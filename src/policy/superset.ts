import { DAY_MS, MAX_INSTANT_MS, type Period, subtractPeriod } from './period.ts';

/** Instants in ms. Between the two only the exact answer per record counts. */
export interface DueBounds {
  /** Every due record has a trigger below this. */
  readonly dueBefore: number;
  /** Every record with a trigger below this is due. */
  readonly certainlyDueBefore: number;
}

/**
 * Going back by a period and forward again may miss the start: months of different lengths cost up to three days, a
 * change of the zone's offset up to one more. One day is to spare.
 */
const MARGIN_MS = 5 * DAY_MS;

/**
 * The range of triggers that a query must look at so that no due record is missed, without asking the calendar about
 * every record. `period` null: the trigger is the due date itself, and the bounds are exact.
 */
export function superset(now: number, period: Period | null, zone: string): DueBounds {
  if (period === null) return { dueBefore: now + 1, certainlyDueBefore: now + 1 };
  const start = subtractPeriod(now, period, zone);
  return {
    dueBefore: Math.min(start + MARGIN_MS, MAX_INSTANT_MS),
    certainlyDueBefore: Math.max(start - MARGIN_MS, -MAX_INSTANT_MS),
  };
}
