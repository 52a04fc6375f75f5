/**
 * Calendar periods: how long a record is active, how long an archive is kept.
 *
 * "Two years" is calendar arithmetic on the wall clock of the policy's zone, as a retention schedule means it: 29
 * February plus one year is 28 February, 31 January plus one month is the last of February, and 09:00 stays 09:00
 * across a change to summer time. A wall-clock time that a change skips moves on by the length of the gap; one that
 * happens twice means the first ("compatible" in ECMAScript Temporal). Hours and minutes are exact time and come last.
 */
import { Temporal } from 'temporal-polyfill';

/**
 * A positive period in its one normal form: years and months with months below 12, weeks told as days, hours and
 * minutes with minutes below 60. Days are never made of hours, nor months of days: their lengths differ.
 */
export interface Period {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
}

/** The longest period: beyond any schedule, and far within what calendar arithmetic can hold. */
const MAX_PERIOD_YEARS = 1000;

/** The furthest instants that a `Date` can hold, in ms since 1970 (ECMAScript, time values). */
export const MAX_INSTANT_MS = 8.64e15;

/**
 * Reads "P2Y", "P1Y6M", "PT12H" (ISO 8601, without fractions and seconds) or plain words: "2 years", "18 months",
 * "1 year 6 months", "1 year and 2 weeks". Null when the text is neither, is not positive, or exceeds
 * {@link MAX_PERIOD_YEARS}.
 */
export function parsePeriod(text: string): Period | null {
  const parts = isoParts(text.trim()) ?? wordParts(text.trim());
  return parts === null ? null : normalise(parts);
}

/** No time at all, in the normal form of a policy: due at the trigger. No text of a policy file is read as it but the word "completion". */
export const COMPLETION = 'P0D';
const NO_TIME: Period = { years: 0, months: 0, days: 0, hours: 0, minutes: 0 };

/** The period of text that was checked before. Throws a RangeError for any other. */
export function periodOf(text: string): Period {
  if (text === COMPLETION) return NO_TIME;
  const period = parsePeriod(text);
  if (period === null) throw new RangeError(`Not a period: ${text}`);
  return period;
}

/** The one ISO 8601 text of a period: "24 months" and "2 years" are both P2Y, "2 weeks" is P14D. */
export function isoPeriod(period: Period): string {
  const date = part(period.years, 'Y') + part(period.months, 'M') + part(period.days, 'D');
  const time = part(period.hours, 'H') + part(period.minutes, 'M');
  return date + time === '' ? COMPLETION : `P${date}${time === '' ? '' : `T${time}`}`;
}

/** The period in words: "1 year 6 months". */
export function periodWords(period: Period): string {
  const words = UNITS.filter((unit) => period[unit] > 0)
    .map((unit) => `${period[unit]} ${period[unit] === 1 ? unit.slice(0, -1) : unit}`)
    .join(' ');
  return words === '' ? 'no time' : words;
}

/**
 * The end, in ms since 1970 UTC, of a period that begins at `ms`. Infinity when it lies beyond what a date can hold.
 * Throws a RangeError when `ms` itself is no instant, or the zone is unknown.
 */
export function addPeriod(ms: number, period: Period, zone: string): number {
  const start = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone);
  try {
    return start.add(period).epochMilliseconds;
  } catch (error) {
    if (ms > 0 && error instanceof RangeError) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** The instant that lies a period before `ms`, as near as the calendar allows: the inverse of {@link addPeriod} up to a few days. */
export function subtractPeriod(ms: number, period: Period, zone: string): number {
  return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone).subtract(period).epochMilliseconds;
}

/**
 * True when there is a day on which `a`, counted from it, ends later than `b`. Of "30 days" and "1 month" either can be
 * the longer one, so both exceed each other. All starts within one turn of the leap years are tried.
 */
export function exceeds(a: Period, b: Period): boolean {
  for (let day = FIRST_COMPARED_DAY_MS; day < LAST_COMPARED_DAY_MS; day += DAY_MS) {
    if (utcEnd(day, a) > utcEnd(day, b)) return true;
  }
  return false;
}

export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** The part of a period that is exact time, in ms. */
export function exactTimeMs(period: Period): number {
  return period.hours * HOUR_MS + period.minutes * MINUTE_MS;
}

const UNITS = ['years', 'months', 'days', 'hours', 'minutes'] as const;
type Parts = { -readonly [unit in keyof Period]: number } & { weeks: number };

const FIRST_COMPARED_DAY_MS = Date.UTC(2023, 11, 1);
const LAST_COMPARED_DAY_MS = Date.UTC(2028, 2, 1);

function utcEnd(ms: number, period: Period): number {
  const start = new Date(ms);
  const months = start.getUTCMonth() + period.years * 12 + period.months;
  const lastOfMonth = new Date(Date.UTC(start.getUTCFullYear(), months + 1, 0)).getUTCDate();
  const day = Math.min(start.getUTCDate(), lastOfMonth) + period.days;
  return Date.UTC(start.getUTCFullYear(), months, day) + exactTimeMs(period);
}

const ISO = /^P(?=[\dT])(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?)?$/;

function isoParts(text: string): Parts | null {
  const found = ISO.exec(text);
  if (found === null) return null;
  const [years, months, weeks, days, hours, minutes] = found.slice(1).map((digits) => Number(digits ?? 0));
  return {
    years: years ?? 0,
    months: months ?? 0,
    weeks: weeks ?? 0,
    days: days ?? 0,
    hours: hours ?? 0,
    minutes: minutes ?? 0,
  };
}

const UNIT_OF_WORD: ReadonlyMap<string, keyof Parts> = new Map([
  ['year', 'years'],
  ['month', 'months'],
  ['week', 'weeks'],
  ['day', 'days'],
  ['hour', 'hours'],
  ['minute', 'minutes'],
]);

const WORD = /^(\d+)\s*(year|month|week|day|hour|minute)s?(?:\s+and\s+|\s*,\s*|\s+|$)/i;

function wordParts(text: string): Parts | null {
  const parts: Parts = { years: 0, months: 0, weeks: 0, days: 0, hours: 0, minutes: 0 };
  const seen = new Set<keyof Parts>();
  let rest = text;
  while (rest !== '') {
    const found = WORD.exec(rest);
    const unit = UNIT_OF_WORD.get(found?.[2]?.toLowerCase() ?? '');
    // "2 years and" and "2 years 1 year" are slips, and a slip in a retention period is not guessed at.
    if (!found || !unit || seen.has(unit) || (found[0].length === rest.length && /(and|,)\s*$/i.test(rest)))
      return null;
    seen.add(unit);
    parts[unit] = Number(found[1]);
    rest = rest.slice(found[0].length);
  }
  return seen.size === 0 ? null : parts;
}

function normalise(parts: Parts): Period | null {
  const months = parts.years * 12 + parts.months;
  const days = parts.weeks * 7 + parts.days;
  const minutes = parts.hours * 60 + parts.minutes;
  const longest = months / 12 + days / 365 + minutes / (365 * 24 * 60);
  if (!(longest > 0 && longest <= MAX_PERIOD_YEARS)) return null;
  return {
    years: Math.floor(months / 12),
    months: months % 12,
    days,
    hours: Math.floor(minutes / 60),
    minutes: minutes % 60,
  };
}

function part(amount: number, letter: string): string {
  return amount === 0 ? '' : `${amount}${letter}`;
}
