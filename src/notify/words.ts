/** Days and numbers as notices write them. */

/** `2026-11-22` (UTC). */
export function day(instant: Date | string): string {
  return (typeof instant === 'string' ? instant : instant.toISOString()).slice(0, 'yyyy-mm-dd'.length);
}

const FIGURES = new Intl.NumberFormat('en-US');

/** `1,234` */
export function figure(value: number): string {
  return FIGURES.format(value);
}

export function plural(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}

/** First letter large, a full stop at the end. */
export function sentence(text: string): string {
  const begun = `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
