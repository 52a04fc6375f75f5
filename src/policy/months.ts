/** Calendar months on the wall clock of a zone. */
import { Temporal } from 'temporal-polyfill';
import { MoraineError } from '../errors.ts';

/** Instants in ms: from <= t < before. The first begins where it is asked from, the last ends after what is asked for. */
export interface Month {
  /** `2026-11` */
  readonly month: string;
  readonly from: number;
  readonly before: number;
}

/** What a person still looks through, and no wrong year makes a list of a million. */
const MOST_MONTHS = 1_200;

/** The months from `from` to `until`, both included. Throws USAGE for more than a hundred years, or none. */
export function monthsBetween(from: number, until: number, zone: string): readonly Month[] {
  const months: Month[] = [];
  let begin = from;
  while (begin <= until) {
    if (months.length === MOST_MONTHS) throw new MoraineError('USAGE', 'That is more than a hundred years ahead.');
    const start = Temporal.Instant.fromEpochMilliseconds(begin).toZonedDateTimeISO(zone);
    const next = start.with({ day: 1 }).startOfDay().add({ months: 1 }).startOfDay();
    const before = next.epochMilliseconds;
    months.push({ month: start.toPlainDate().toPlainYearMonth().toString(), from: begin, before });
    begin = before;
  }
  if (months.length > 0) return months;
  throw new MoraineError('USAGE', 'The end lies in the past.', { hint: 'Pass --until a date that is to come.' });
}

/** The place of the month that an instant lies in; -1 for one outside of them. */
export function monthAt(months: readonly Month[], ms: number): number {
  let low = 0;
  let high = months.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const month = months[middle];
    if (month === undefined) return -1;
    if (ms >= month.before) low = middle + 1;
    else if (ms >= month.from) return middle;
    else high = middle - 1;
  }
  return -1;
}
