/** What needs a person, in words, each with what to do next. The first thing on the first page. */

import { type AlarmCode, alarmHint, isStopping } from '../../ledger/alarms.ts';
import { type PauseTarget, targetText } from '../../ledger/pauses.ts';
import { counted, span } from '../format.ts';
import type { QueueFigures } from '../queues.ts';
import type { PurgeDate } from '../snapshot.ts';
import type { RunView } from './runs.ts';

export interface Attention {
  /** `alarm`: work has stopped or a promise is at stake. `warning`: somebody should look. */
  readonly level: 'alarm' | 'warning';
  readonly text: string;
  /** What to do, as a command where there is one. */
  readonly hint: string;
  /** Page of the console that shows more. */
  readonly page: string | null;
}

export interface AttentionFacts {
  readonly alarms: readonly { readonly code: AlarmCode; readonly text: string }[];
  readonly pauses: readonly (PauseTarget & { readonly reason: string; readonly since: Date })[];
  readonly quarantine: { readonly records: number; readonly archives: number; readonly oldestAt: Date | null };
  readonly overduePurges: readonly PurgeDate[];
  readonly oldestRecords:
    | readonly {
        readonly policy: string;
        readonly overdueSeconds: number | null;
        readonly isExpired: boolean;
        readonly problem: { readonly text: string; readonly hint: string } | null;
      }[]
    | null;
  /** When each approval that waits for a person was asked for, the oldest first. */
  readonly approvals: readonly Date[];
  /** Notifications to owners that were given up. */
  readonly undelivered: number;
  readonly queues: readonly QueueFigures[];
  readonly runs: readonly RunView[];
}

/** The gravest first. */
export function attentionOf(facts: AttentionFacts, now: Date): readonly Attention[] {
  const all = [
    ...facts.alarms.map(
      ({ code, text }): Attention => ({
        level: 'alarm',
        text: isStopping(code) ? `${text} Destructive work has stopped (${code}).` : `${text} (${code})`,
        hint: alarmHint(code),
        page: null,
      }),
    ),
    ...paused(facts.pauses, now),
    ...overduePurges(facts.overduePurges, now),
    ...overdueRecords(facts.oldestRecords ?? []),
    ...quarantined(facts.quarantine, now),
    ...approvals(facts.approvals, now),
    ...undelivered(facts.undelivered),
    ...failedRun(facts.runs),
    ...queues(facts.queues),
  ];
  return all.sort((a, b) => rank(a) - rank(b));
}

function rank(attention: Attention): number {
  return attention.level === 'alarm' ? 0 : 1;
}

function paused(pauses: AttentionFacts['pauses'], now: Date): Attention[] {
  return pauses.map((pause) => ({
    level: 'warning',
    text: `Paused for ${span(now.getTime() - pause.since.getTime())}: ${targetText(pause)}, because: ${pause.reason}`,
    hint: `moraine resume ${targetText(pause)}`,
    page: null,
  }));
}

function approvals(waiting: readonly Date[], now: Date): Attention[] {
  const [oldest] = waiting;
  if (oldest === undefined) return [];
  const since = span(now.getTime() - oldest.getTime());
  const text = `${counted(waiting.length, 'approval')} waiting for a second person, the oldest for ${since}.`;
  return [{ level: 'warning', text, hint: 'moraine approve list', page: null }];
}

function overduePurges(overdue: readonly PurgeDate[], now: Date): Attention[] {
  const [oldest] = overdue;
  if (oldest === undefined) return [];
  const late = span(now.getTime() - oldest.dueAt.getTime());
  const text = `${counted(overdue.length, 'archive')} should have been purged; the oldest was due ${late} ago.`;
  return [{ level: 'alarm', text, hint: 'moraine purge', page: '/archives?state=cleared' }];
}

function overdueRecords(oldest: NonNullable<AttentionFacts['oldestRecords']>): Attention[] {
  return oldest.flatMap(({ policy, overdueSeconds, isExpired, problem }): Attention[] => {
    if (problem !== null) {
      const text = `The source of policy ${policy} cannot be read: ${problem.text}`;
      return [{ level: 'warning', text, hint: problem.hint, page: '/policies' }];
    }
    if (overdueSeconds === null || overdueSeconds === 0) return [];
    const late = span(overdueSeconds * 1_000);
    if (isExpired) {
      const text = `Policy ${policy} has a backlog past its archive period too, overdue for ${late}: a person must say so.`;
      return [{ level: 'alarm', text, hint: `moraine run ${policy} --expired`, page: '/policies' }];
    }
    const text = `Policy ${policy} is late: its oldest due record has been overdue for ${late}.`;
    return [{ level: 'alarm', text, hint: `moraine run ${policy}`, page: '/policies' }];
  });
}

function quarantined(open: AttentionFacts['quarantine'], now: Date): Attention[] {
  const total = open.records + open.archives;
  if (total === 0 || open.oldestAt === null) return [];
  const parts = [
    open.records > 0 ? counted(open.records, 'record') : null,
    open.archives > 0 ? counted(open.archives, 'archive') : null,
  ].filter((part) => part !== null);
  const text = `${parts.join(' and ')} in quarantine, the oldest for ${span(now.getTime() - open.oldestAt.getTime())}.`;
  return [{ level: 'warning', text, hint: 'moraine quarantine list', page: '/quarantine' }];
}

function undelivered(count: number): Attention[] {
  if (count === 0) return [];
  const text = `${counted(count, 'notification')} to owners could not be delivered.`;
  return [{ level: 'warning', text, hint: 'moraine notify list', page: null }];
}

/** Only the newest run of each command counts: a later one that went well has made up for it. */
function failedRun(runs: readonly RunView[]): Attention[] {
  const newest = new Map<string, RunView>();
  for (const run of runs) if (!newest.has(run.command)) newest.set(run.command, run);
  return [...newest.values()]
    .filter(({ state }) => state === 'failed')
    .map(({ command, error }) => ({
      level: 'warning',
      text: `The last ${command} failed${error === null ? '' : ` (${error})`}.`,
      hint: 'moraine status',
      page: null,
    }));
}

function queues(figures: readonly QueueFigures[]): Attention[] {
  if (figures.some(({ jobs }) => jobs === null)) {
    const text = 'Redis does not answer, so the daemon waits. Nothing is lost: the ledger holds all that was done.';
    return [{ level: 'warning', text, hint: 'moraine check', page: '/queues' }];
  }
  const failed = figures.reduce((sum, { jobs }) => sum + (jobs?.failed ?? 0), 0);
  if (failed === 0) return [];
  return [{ level: 'warning', text: `${counted(failed, 'job')} failed.`, hint: 'moraine status', page: '/queues' }];
}
