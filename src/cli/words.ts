/** Numbers and instants as people read them. JSON output has the plain values. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const NUMBER = new Intl.NumberFormat('en-US');

/** `1,234` */
export function count(value: number): string {
  return NUMBER.format(value);
}

/** `1 record`, `1,234 records` */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/** `812 B`, `1.5 MiB` */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `2026-11-22 17:09 UTC`; `-` for none. */
export function instant(date: Date | null | undefined): string {
  return date == null ? '-' : `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** `2026-11-22`; `-` for none. */
export function day(date: Date | null | undefined): string {
  return date == null ? '-' : date.toISOString().slice(0, 10);
}

/** `3 days`, `5 hours`, `12 minutes`: rounded up, for waiting times. */
export function wait(ms: number): string {
  const minutes = Math.max(1, Math.ceil(ms / 60_000));
  if (minutes < 60) return counted(minutes, 'minute');
  const hours = Math.ceil(minutes / 60);
  return hours < 48 ? counted(hours, 'hour') : counted(Math.ceil(hours / 24), 'day');
}

/** Ids of a list that a person still reads; of a longer one the first few and how many more. */
export function named(ids: readonly string[]): string {
  const shown = ids.slice(0, MOST_NAMED).join(', ');
  return ids.length > MOST_NAMED ? `${shown} and ${count(ids.length - MOST_NAMED)} more` : shown;
}

const MOST_NAMED = 3;

/** The first characters of a hash, enough to tell versions apart. */
export function short(hash: string | null): string {
  return hash === null ? '-' : hash.slice(0, 8);
}
