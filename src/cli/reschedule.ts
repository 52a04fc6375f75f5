/** `moraine reschedule`: another purge date for archives that exist. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import { policyHistory } from '../ledger/policies.ts';
import {
  planReschedule,
  type RescheduleAsk,
  type ReschedulePlan,
  type RescheduleReport,
  rescheduleArchives,
} from '../lifecycle/reschedule.ts';
import { isoPeriod, parsePeriod } from '../policy/period.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { table } from './output.ts';
import { parseInstant } from './parse-instant.ts';
import { count, counted, day, named, size } from './words.ts';

interface RescheduleOptions {
  readonly owner?: string;
  readonly customer?: string;
  readonly for?: string;
  readonly due?: Date;
  readonly reason: string;
}

export function rescheduleCommand(): Command {
  return newCommand('reschedule', {
    description: [
      'Give archives that exist another purge date: a new version of the policy never moves it. A later date counts at once.',
      'An earlier one always takes the approval of another person, for exactly these archives (exit code 3: it waits). What',
      'is being purged already stays as it is (exit code 1). Every change is kept with the archive and on its certificate.',
    ].join('\n'),
    examples: [
      ['moraine reschedule chats --for "9 years" --reason "new law"', 'all archives of a policy'],
      ['moraine reschedule chats --customer north --due 2035-01-01 --reason "contract"', 'those of one customer'],
    ],
  })
    .argument('<policy>', 'name of the policy')
    .option('--owner <owner>', 'archives of one owner')
    .option('--customer <customer>', 'archives of one customer')
    .option('--for <period>', 'kept for so long, from when the last record became due')
    .option('--due <date>', 'the purge date itself', parseInstant)
    .requiredOption('--reason <text>', 'why')
    .action(
      acting<RescheduleOptions>(async (session, [policy = ''], options) => {
        const ask = askOf(policy, options);
        const app = await session.openApp();
        const context = session.contextOf(app);
        if ((await policyHistory(app.store, policy)).length === 0)
          throw new MoraineError('POLICY_NOT_PUBLISHED', `Policy ${policy} was never put into force.`);
        const plan = await planReschedule(context, ask);
        const changes = [...plan.later, ...plan.earlier];
        if (changes.length > 0) {
          session.output.say(planText(plan));
          await confirm(session, `Move the purge date of ${counted(changes.length, 'archive')}?`);
        }
        const report = await rescheduleArchives(context, plan, session.actor);
        const { later, earlier, unchanged, purging } = plan;
        session.output.result({ ...report, later, earlier, unchanged, purging }, () => reportText(plan, report));
        return report.left.length + purging.length > 0 ? EXIT.failed : EXIT.done;
      }),
    );
}

/** Throws USAGE before anything is read. */
function askOf(policy: string, { owner, customer, for: length, due, reason }: RescheduleOptions): RescheduleAsk {
  if ((length === undefined) === (due === undefined)) throw usage('Pass --for PERIOD or --due DATE.');
  if (reason.trim() === '') throw usage('Another purge date has a reason.');
  const period = length === undefined ? null : parsePeriod(length);
  if (length !== undefined && period === null) throw usage(`${JSON.stringify(length)} is no period: write "9 years".`);
  return {
    policy,
    owner: owner === undefined ? null : id.owner(owner),
    customer: customer === undefined ? null : id.customer(customer),
    to: due === undefined ? { period: period === null ? '' : isoPeriod(period) } : { due },
    reason: reason.trim(),
  };
}

function usage(text: string): MoraineError {
  return new MoraineError('USAGE', text);
}

function planText({ later, earlier }: ReschedulePlan): string {
  const rows = [...earlier, ...later].map(({ archive, owner, customer, records, bytes, from, to }) => [
    ...[archive, owner, customer, count(records), size(bytes), day(from), day(to)],
    to < from ? 'earlier' : 'later',
  ]);
  return table(['archive', 'owner', 'customer', 'records', 'size', 'due', 'due then', ''], rows);
}

function reportText({ purging, unchanged }: ReschedulePlan, { moved, left }: RescheduleReport): readonly string[] {
  return [
    `✓ ${counted(moved.length, 'archive')} ${moved.length === 1 ? 'has' : 'have'} another purge date${unchanged === 0 ? '' : `; ${count(unchanged)} had it already`}.`,
    ...left.map(({ archive, text }) => `! ${archive} stays as it is: ${text}.`),
    ...(purging.length === 0 ? [] : [`! Too late, being purged: ${named(purging)}.`]),
  ];
}
