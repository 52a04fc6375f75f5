/**
 * What each sample record is meant to show, and so which date it carries. A record's intent depends on its index alone,
 * so that a test can hold every document against its policy, and two runs agree.
 *
 * The periods are those of `policies/*.yaml`. Dates keep `MARGIN_MS` from every border, so that neither the length of a
 * month nor a time zone moves a record across it.
 */
import { SAMPLE_PARTIES, type SampleParty } from './owners.ts';

export type Intent =
  /** The active period is not over. */
  | 'not-due'
  /** Due, and not longer ago than `backlogMs`: all of them fit into one due window, so into one archive. */
  | 'due'
  /** A backlog from before anybody cared: past the archive period too. */
  | 'expired'
  | Misfit;

/** `no-customer`: the field is missing. `text-trigger`: the date is a text, as an import from a spreadsheet makes it. */
export type Misfit = 'no-customer' | 'text-trigger';

export interface SamplePeriods {
  readonly activeMonths: number;
  readonly archiveMonths: number;
  readonly backlogMs: number;
}

export interface SampleSlot extends SampleParty {
  readonly index: number;
  readonly intent: Intent;
  /** The trigger's date; what a `text-trigger` says as text. */
  readonly at: Date;
}

const DAY_MS = 86_400_000;
const MARGIN_MS = 4 * DAY_MS;
const EXPIRED_WITHIN_MS = 200 * DAY_MS;
/** The first records of a dataset: two that nobody can tell the customer of, and one with a text for a date. */
const MISFITS: readonly Misfit[] = ['no-customer', 'text-trigger', 'no-customer'];
/** Of every hundred rounds through all customers. */
const EXPIRED_PERCENT = 2;
const DUE_PERCENT = 60;

/** How far apart the intents of neighbours lie: prime to 100, so that a hundred rounds meet each percent once. */
const STRIDE = 37;

/** The slots of a dataset, in order. `fraction(index)` is a number from 0 to 1, the same for the same index. */
export function* slots(
  count: number,
  periods: SamplePeriods,
  now: Date,
  fraction: (index: number) => number,
): Generator<SampleSlot> {
  for (let index = 0; index < count; index += 1) {
    const party = SAMPLE_PARTIES[index % SAMPLE_PARTIES.length]!;
    const intent = intentOf(index);
    yield { ...party, index, intent, at: new Date(instantOf(intent, periods, now, fraction(index))) };
  }
}

function intentOf(index: number): Intent {
  const misfit = MISFITS[index];
  if (misfit !== undefined) return misfit;
  const percent = (Math.floor(index / SAMPLE_PARTIES.length) * STRIDE) % 100;
  if (percent < EXPIRED_PERCENT) return 'expired';
  return percent < EXPIRED_PERCENT + DUE_PERCENT ? 'due' : 'not-due';
}

function instantOf(intent: Intent, periods: SamplePeriods, now: Date, fraction: number): number {
  const { activeMonths, archiveMonths, backlogMs } = periods;
  const activeEdge = monthsBefore(now, activeMonths);
  if (intent === 'not-due') return between(activeEdge + MARGIN_MS, now.getTime() - DAY_MS, fraction);
  if (intent !== 'expired') return between(activeEdge - backlogMs, activeEdge - MARGIN_MS, fraction);
  const archiveEdge = monthsBefore(now, activeMonths + archiveMonths);
  return between(archiveEdge - EXPIRED_WITHIN_MS, archiveEdge - MARGIN_MS, fraction);
}

/** Whole seconds, which is all that an ObjectId can hold. */
function between(from: number, until: number, fraction: number): number {
  return Math.floor((from + (until - from) * fraction) / 1000) * 1000;
}

/** Good to three days, which the margin covers: the last of a month moves into the next where that one is shorter. */
function monthsBefore(now: Date, months: number): number {
  const date = new Date(now);
  return date.setUTCMonth(date.getUTCMonth() - months);
}
