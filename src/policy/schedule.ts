import { CronExpressionParser } from 'cron-parser';

/** Any fixed instant will do to see whether a schedule ever comes round; the parser would read the system's clock. */
const REFERENCE = new Date(Date.UTC(2024, 0, 1));

/** Words for the times that most policies run at, as cron. */
export const SCHEDULE_WORDS: Readonly<Record<string, string>> = {
  hourly: '0 * * * *',
  daily: '0 2 * * *',
  nightly: '0 2 * * *',
  monthly: '0 2 1 * *',
};

/**
 * True for a cron line of five fields (minute, hour, day of month, month, day of week) that comes round at least once.
 * It is read by the parser that the job queue uses, so what is accepted here is accepted there. The parser also takes
 * fewer fields, seconds, and `H` for a random time: those are refused, because nobody reading the file could say when
 * the policy runs.
 */
export function isSchedule(text: string): boolean {
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5 || fields.some((field) => field.replace(/THU/gi, '').includes('H'))) return false;
  try {
    CronExpressionParser.parse(text, { currentDate: REFERENCE, tz: 'UTC' }).next();
    return true;
  } catch {
    // Whatever the parser dislikes, the answer for the person is the same: this is not a schedule.
    return false;
  }
}
