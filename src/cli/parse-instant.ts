import { InvalidArgumentError } from 'commander';

const DATE_LENGTH = '2030-01-31'.length;

/** An ISO 8601 date (its first moment in UTC), or a date and time with its offset. For options. */
export function parseInstant(text: string): Date {
  const isWhole = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const date = new Date(isWhole ? text : Number.NaN);
  // 31 April would roll over to May: a day that is none must not silently become another.
  const written = text.slice(0, DATE_LENGTH);
  const firstMoment = new Date(isWhole ? written : Number.NaN);
  const isReal = !Number.isNaN(date.getTime()) && !Number.isNaN(firstMoment.getTime());
  if (isReal && firstMoment.toISOString().startsWith(written)) return date;
  throw new InvalidArgumentError('Expected an instant such as 2030-01-31 or 2030-01-31T12:00:00Z.');
}
