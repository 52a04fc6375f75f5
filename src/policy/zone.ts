import { Temporal } from 'temporal-polyfill';

/**
 * The IANA name of a time zone in its proper case ("europe/amsterdam" is Europe/Amsterdam), or null. Fixed offsets such
 * as "+02:00" are refused: a retention schedule follows the clock on the wall, summer time included. Aliases stay as
 * they were written, for which name is the main one changes between releases of the zone data, and the version of a
 * policy must not.
 */
export function zoneName(text: string): string | null {
  if (!/^[A-Za-z]/.test(text)) return null;
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(text).timeZoneId;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** An instant as a records manager reads it, on the wall clock of the zone: "2026-03-01 09:30". */
export function wallClock(ms: number, zone: string): string {
  if (!Number.isFinite(ms)) return 'a date beyond the calendar';
  return Temporal.Instant.fromEpochMilliseconds(ms)
    .toZonedDateTimeISO(zone)
    .toPlainDateTime()
    .toString({ smallestUnit: 'minute' })
    .replace('T', ' ');
}
