/** `moraine status`: how things stand, from the ledger and the heads of the datasets. */
import type { Command } from 'commander';
import { openAlarms } from '../ledger/alarms.ts';
import { waitingApprovals } from '../ledger/approvals.ts';
import { archives, findArchives } from '../ledger/archives.ts';
import { countHolds, holds } from '../ledger/holds.ts';
import { countNotifications } from '../ledger/notifications.ts';
import { openOffboardings } from '../ledger/offboardings.ts';
import { pausesShown, targetText } from '../ledger/pauses.ts';
import { changeComing, policiesInForce, policyHistory } from '../ledger/policies.ts';
import { openQuarantine } from '../ledger/quarantine.ts';
import { latestRuns } from '../ledger/runs.ts';
import { ARCHIVE_STATES } from '../ledger/states.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { oldestRecords, overdueMs } from '../lifecycle/oldest-records.ts';
import { pinnedPolicy } from '../lifecycle/published.ts';
import { overdueAfter } from '../policy/window.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { table } from './output.ts';
import { comingText } from './policy-publish.ts';
import { count, counted, day, instant, wait } from './words.ts';

const RUNS_SHOWN = 5;

export function statusCommand(): Command {
  return newCommand('status', {
    description: [
      'How things stand: archives by state, what is overdue with the oldest, what is in quarantine, holds, pauses, approvals',
      'that wait, alarms and the last runs. Overdue means later than the end of its period plus the grace of its policy.',
    ].join('\n'),
    examples: [
      ['moraine status', ''],
      ['moraine status --json', 'for monitoring'],
    ],
  }).action(
    acting(async (session) => {
      const app = await session.openApp();
      const context = session.contextOf(app);
      const document = await statusOf(context);
      session.output.result(document, () => statusText(document));
      return EXIT.done;
    }),
  );
}

type Status = Awaited<ReturnType<typeof statusOf>>;

async function statusOf(context: Context) {
  const { store, installation } = context;
  const states = await Promise.all(
    ARCHIVE_STATES.map(async (state) => [state, await archives(store).count({ state })] as const),
  );
  const runs = [];
  for await (const run of latestRuns(store, { limit: RUNS_SHOWN })) runs.push(run);
  return {
    asOf: dueNow(context),
    installation,
    archives: Object.fromEntries(states),
    overdue: await overdueOf(context),
    quarantined: await openQuarantine(store),
    holds: await countHolds(store),
    holdsInForce: await namedHolds(context),
    pauses: (await pausesShown(store)).map(({ _id, what, name, state, reason, pausedBy, askedAt }) => {
      return { id: _id, what, name, state, reason, by: pausedBy, since: askedAt };
    }),
    approvals: (await waitingApprovals(store)).map(({ _id, kind, subject, requestedBy, requestedAt, expiresAt }) => {
      return { id: _id, kind, subject, by: requestedBy, since: requestedAt, until: expiresAt };
    }),
    comingPolicies: await comingPolicies(context),
    notifications: await countNotifications(store),
    offboardings: (await openOffboardings(store)).map(({ _id, owner, customer, saidBy, startedAt }) => {
      return { id: _id, owner, customer, by: saidBy, since: startedAt };
    }),
    alarms: await openAlarms(store),
    runs,
  };
}

/** Versions that were published and are not in force yet. */
async function comingPolicies({ store, asOf, clock }: Context) {
  const now = asOf ?? clock.now();
  const found = [];
  for await (const { name } of policiesInForce(store, now)) {
    const coming = changeComing(await policyHistory(store, name), now);
    if (coming !== null) found.push({ policy: name, ...coming });
  }
  return found;
}

/** Also those of a newer Moraine, which acts do not read: how things stand must be told then, too. */
async function namedHolds({ store }: Context) {
  const now = await store.serverTime();
  const named = [];
  for await (const { _id, caseNumber, state, heldUntil } of holds(store).find({}, { sort: { placedAt: 1 } })) {
    if (state !== 'released' || (heldUntil !== null && heldUntil > now))
      named.push({ id: _id, case: caseNumber, state, heldUntil });
  }
  return named;
}

async function overdueOf(context: Context) {
  const now = dueNow(context);
  const records = (await oldestRecords(context)).map((oldest) => ({
    ...oldest,
    isOverdue: (overdueMs(oldest, now) ?? 0) > 0,
  }));
  const late: Date[] = [];
  for await (const archive of findArchives(context.store, {
    state: { $in: ['cleared', 'purging'] },
    dueAt: { $lte: now },
  })) {
    const policy = await pinnedPolicy(context.store, archive.policyVersion);
    if (archive.dueAt !== null && overdueAfter(archive.dueAt.getTime(), policy) < now.getTime())
      late.push(archive.dueAt);
  }
  const overdueRecords = records.flatMap(({ isOverdue, dueAt }) => (isOverdue && dueAt !== null ? [dueAt] : []));
  return {
    /** Since when the oldest overdue record or archive should have gone. */
    oldest: earliest([...overdueRecords, ...late]),
    records: records.map(({ policy, dueAt, isOverdue, isExpired, problem }) => ({
      policy,
      oldest: dueAt,
      isOverdue,
      isExpired,
      problem,
    })),
    archives: { count: late.length, oldest: earliest(late) },
  };
}

function earliest(dates: readonly Date[]): Date | null {
  return dates.length === 0 ? null : new Date(Math.min(...dates.map((date) => date.getTime())));
}

function statusText(status: Status): readonly string[] {
  return [
    ...standingLines(status),
    ...status.comingPolicies.map((change) => `! ${change.policy}: ${comingText(change)}`),
  ];
}

function standingLines(status: Status): readonly string[] {
  const now = status.asOf.getTime();
  const states = Object.entries(status.archives).filter(([, archives]) => archives > 0);
  const { records, archives } = status.overdue;
  const { quarantined } = status;
  return [
    `Installation ${status.installation.id}, ${status.installation.environment}, as of ${instant(status.asOf)}`,
    '',
    states.length === 0
      ? 'Archives: none yet'
      : table(
          ['archives', ''],
          states.map(([state, n]) => [state, count(n)]),
        ),
    '',
    ...records.map(({ policy, oldest, isOverdue, isExpired, problem }) => {
      if (problem !== null) return `✗ ${policy}: ${problem.text} ${problem.hint}`;
      if (oldest === null) return `✓ ${policy}: nothing is due.`;
      const since = `due since ${day(oldest)}, ${wait(now - oldest.getTime())} ago`;
      if (isExpired)
        return `! ${policy}: the oldest record is past its archive period too: ${since}; \`moraine run ${policy} --expired\`.`;
      return isOverdue
        ? `! ${policy}: the oldest record is overdue: ${since}.`
        : `✓ ${policy}: the oldest record is ${since}.`;
    }),
    archives.count === 0
      ? '✓ No archive is overdue for its purge.'
      : `! ${counted(archives.count, 'archive')} overdue for purge, the oldest since ${day(archives.oldest)}: \`moraine purge\`.`,
    quarantined.records + quarantined.archives === 0
      ? '✓ Nothing is in quarantine.'
      : `! In quarantine: ${counted(quarantined.records, 'record')}, ${counted(quarantined.archives, 'archive')}: \`moraine quarantine list\`.`,
    `  Holds: ${count(status.holds)}`,
    ...status.holdsInForce.map(
      ({ id, case: caseNumber, state, heldUntil }) =>
        `    ${id}, case ${caseNumber}: ${state}${heldUntil === null ? '' : `, holds until ${instant(heldUntil)}`}`,
    ),
    ...status.pauses.map(
      (pause) =>
        `! Paused since ${instant(pause.since)} by ${pause.by}: ${targetText(pause)}, because: ${pause.reason}`,
    ),
    ...(status.approvals.length === 0
      ? []
      : [
          `! ${counted(status.approvals.length, 'approval')} waiting for another person, the oldest since ${instant(status.approvals[0]?.since)}: \`moraine approve list\`.`,
        ]),
    ...(status.notifications.undelivered === 0
      ? []
      : [
          `! ${counted(status.notifications.undelivered, 'notification')} to owners could not be delivered: \`moraine notify list\`.`,
        ]),
    ...status.offboardings.map(
      ({ owner, customer, since }) =>
        `! ${customer} of ${owner} leaves since ${instant(since)}, and something of it is left: \`moraine offboard\` carries it on.`,
    ),
    ...status.alarms.map(({ code, text }) => `✗ Alarm ${code}: ${text}`),
    ...(status.runs.length === 0
      ? []
      : [
          '',
          table(
            ['last runs', 'command', 'by', 'state', 'error'],
            status.runs.map((run) => [instant(run.startedAt), run.command, run.by, run.state, run.error ?? '']),
          ),
        ]),
  ];
}
