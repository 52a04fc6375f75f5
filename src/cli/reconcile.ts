/** `moraine reconcile`: the ledger against the vaults' inventories and against the source. */
import type { Command } from 'commander';
import { errorClass } from '../errors.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { type ReconcileReport, reconcile } from '../lifecycle/reconcile.ts';
import { joinReports } from '../lifecycle/reconcile-report.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { worst } from './exit-code.ts';
import { waitForNextLook, waitingUntil } from './follow.ts';
import { table } from './output.ts';
import { safeToDestroy } from './preflight.ts';
import { workProgress } from './progress.ts';
import { recordRun } from './record-run.ts';
import { count, counted, instant, named } from './words.ts';

interface ReconcileCommandOptions {
  readonly all?: true;
  readonly source?: true;
  readonly wait?: true;
}

export function reconcileCommand(): Command {
  return newCommand('reconcile', {
    description: [
      'Compare the ledger with the inventories of the vaults: verify what was stored, confirm what was purged and sign',
      'its certificate, find what is missing or unknown. Starts the inventory jobs that are needed and takes finished',
      'ones; then clears what became verified. An inventory takes hours: run it again later, or pass --wait.',
    ].join('\n'),
    examples: [
      ['moraine reconcile', 'vaults with something to verify or confirm'],
      ['moraine reconcile --all', 'every vault'],
      ['moraine reconcile --source', 'also look for archived records that are in the source again'],
      ['moraine reconcile --wait', 'until every inventory was taken'],
    ],
  })
    .option('--all', 'ask for the inventory of every vault that holds an archive')
    .option('--source', 'compare cleared archives with the source too')
    .option('--wait', 'wait for the inventories')
    .action(
      acting<ReconcileCommandOptions>(async (session, _args, options) => {
        const app = await session.openApp();
        const work = workProgress(session, 'reconcile');
        const context = session.contextOf(app, work.progress);
        await orCompareOnly(session, context);
        const report = await recordRun(context, { command: 'reconcile', by: session.actor, policies: [] }, async () => {
          const what = { all: options.all === true, source: options.source === true };
          let value = await reconcile(context, what);
          for (let look = 0; options.wait && isWaiting(value); look++) {
            const until = waitingUntil(value);
            session.output.say(
              `Waiting for inventories, expected ${until === null ? 'within a day' : `by ${instant(until)}`}.`,
            );
            await waitForNextLook(context, look);
            // Asking for all again would never end: each look would need an inventory later than itself.
            value = joinReports(value, await reconcile(context, { all: false, source: false }));
          }
          const { verified, confirmed, missing, quarantined, findings } = value.counts;
          const totals = { verified, confirmed, missing, quarantined, findings };
          const failed = value.vaults.some(({ state }) => state === 'failed');
          return { value, totals, error: failed ? 'VAULT_UNAVAILABLE' : null };
        });
        work.end();
        session.output.result({ asOf: dueNow(context), ...report, notes: session.output.notes }, () =>
          reportText(report),
        );
        const failed = report.vaults.some(({ state }) => state === 'failed');
        return worst([failed ? EXIT.failed : EXIT.done, needsPerson(report) ? EXIT.person : EXIT.done]);
      }),
    );
}

/** An alarm or a clock stops what destroys, not the looking: this command is how a person finds out. */
async function orCompareOnly(session: Session, context: Context): Promise<void> {
  try {
    await safeToDestroy(session, context);
  } catch (error) {
    if (errorClass(error) !== 'person' || !(error instanceof Error)) throw error;
    session.output.note(`This only compares; nothing is cleared or removed: ${error.message}`);
  }
}

function isWaiting({ vaults }: ReconcileReport): boolean {
  return vaults.some(({ state }) => state === 'waiting');
}

/** Something that no earlier look has told. */
function needsPerson({ counts, findings, quarantined }: ReconcileReport): boolean {
  const told = new Set<string>(findings.map(({ archive }) => archive));
  const isOther = quarantined.some((archive) => !told.has(archive));
  return isOther || findings.some(({ isNew }) => isNew) || counts.findings > findings.length;
}

function doneLine(report: ReconcileReport, of: 'verified' | 'cleared' | 'confirmed', what: string): readonly string[] {
  const done = report.counts[of];
  return done === 0 ? [] : [`✓ ${counted(done, 'archive')} ${what}: ${named(report[of])}`];
}

function reportText(report: ReconcileReport): readonly string[] {
  const until = waitingUntil(report);
  return [
    report.vaults.length === 0
      ? 'No vault has anything to verify or confirm.'
      : table(
          ['vault', 'inventory', ''],
          report.vaults.map(({ vault, state, until: date, text }) => [
            vault,
            state === 'not-needed' ? 'not needed' : state,
            text ?? (date === null ? '' : `expected by ${instant(date)}`),
          ]),
        ),
    ...doneLine(report, 'verified', 'verified by inventory'),
    ...doneLine(report, 'cleared', 'cleared from the source'),
    ...doneLine(report, 'confirmed', 'confirmed as gone, certificates signed'),
    ...report.quarantined.map((id) => `! ${id} went into quarantine: \`moraine archive ${id}\`.`),
    ...report.findings.map(
      ({ id, kind, vault, text, next, isNew }) =>
        `${kind === 'missing' || kind === 'differs' ? '✗' : '!'} ${text} (${id} in ${vault}${isNew ? '' : ', told before'}) Next: \`${next}\`.`,
    ),
    ...(report.counts.findings > report.findings.length
      ? [`! ${count(report.counts.findings - report.findings.length)} more findings are in the ledger.`]
      : []),
    ...(report.foreign > 0 ? [`  ${count(report.foreign)} archives of others were left alone.`] : []),
    ...(report.removedUploads > 0 ? [`  ${count(report.removedUploads)} uploads of abandoned attempts removed.`] : []),
    ...(isWaiting(report)
      ? [`  Inventories are on their way${until === null ? '' : `, expected by ${instant(until)}`}; run it again then.`]
      : []),
  ];
}
