/** Numbers, sizes and instants as people read them. Instants are shown in UTC, for two readers in two zones compare notes. */
import { type Content, type Html, html } from './html.ts';

const NUMBER = new Intl.NumberFormat('en-GB');
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
const MINUTE = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });

export function count(value: number): string {
  return NUMBER.format(value);
}

/** "1 archive", "2 archives". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

export function bytes(value: number): string {
  let amount = value;
  let unit = 0;
  while (amount >= 1024 && unit < BYTE_UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || amount >= 100 ? 0 : 1;
  return `${amount.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

/** Longest first; a span is told in the largest unit that it fills once. Years and months are of average length. */
const SPANS: readonly (readonly [string, number])[] = [
  ['year', 365.2425 * DAY_MS],
  ['month', 30.436875 * DAY_MS],
  ['day', DAY_MS],
  ['hour', 3_600_000],
  ['minute', 60_000],
];

/** "3 days", for the length of time in ms. */
export function span(ms: number): string {
  const length = Math.abs(ms);
  for (const [name, unitMs] of SPANS) {
    if (length >= unitMs) return counted(Math.floor(length / unitMs), name);
  }
  return counted(Math.floor(length / SECOND_MS), 'second');
}

/** "3 days ago", "in 2 years". */
export function relative(at: Date, now: Date): string {
  const ms = at.getTime() - now.getTime();
  if (Math.abs(ms) < 10 * SECOND_MS) return 'now';
  return ms < 0 ? `${span(ms)} ago` : `in ${span(ms)}`;
}

/** "22 Nov 2026, 17:10 UTC" with the exact instant for machines and on hovering. */
export function instant(at: Date | null, otherwise: Content = '–'): Html {
  if (at === null) return html`${otherwise}`;
  const iso = at.toISOString();
  return html`<time datetime="${iso}" title="${iso}">${DAY.format(at)}, ${MINUTE.format(at)} UTC</time>`;
}

/** "22 Nov 2026". */
export function day(at: Date | null, otherwise: Content = '–'): Html {
  if (at === null) return html`${otherwise}`;
  const iso = at.toISOString();
  return html`<time datetime="${iso}" title="${iso}">${DAY.format(at)}</time>`;
}

/** "3 days ago" with the exact instant on hovering. */
export function ago(at: Date | null, now: Date, otherwise: Content = '–'): Html {
  if (at === null) return html`${otherwise}`;
  const iso = at.toISOString();
  return html`<time datetime="${iso}" title="${iso}">${relative(at, now)}</time>`;
}

const SHORT_HASH = 12;

/** The beginning of a hash, the whole of it on hovering. */
export function shortHash(hash: string): Html {
  return html`<code class="hash" title="${hash}">${hash.slice(0, SHORT_HASH)}</code>`;
}
