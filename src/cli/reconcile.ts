/** `moraine reconcile`: the ledger against the vaults' inventories and against the source. */
import type { Command } from 'commander';
import { errorClass } from '../errors.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { type ReconcileReport, reconcile } from '../lifecycle/reconcile.ts';
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
            value = joined(value, await reconcile(context, { all: false, source: false }));
          }
          const { verified, confirmed, missing, quarantined } = value;
          const totals = {
            verified: verified.length,
            confirmed: confirmed.length,
            missing: missing.length,
            quarantined: quarantined.length,
          };
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

function needsPerson({ missing, quarantined, strays, reappeared }: ReconcileReport): boolean {
  return missing.length + quarantined.length + strays.length + reappeared.length > 0;
}

/** What several looks found together; how the vaults stand is what the last one said of each. */
function joined(before: ReconcileReport, after: ReconcileReport): ReconcileReport {
  const looked = new Set(after.vaults.map(({ vault }) => vault));
  return {
    vaults: [...before.vaults.filter(({ vault }) => !looked.has(vault)), ...after.vaults],
    verified: [...before.verified, ...after.verified],
    cleared: [...before.cleared, ...after.cleared],
    confirmed: [...before.confirmed, ...after.confirmed],
    missing: [...before.missing, ...after.missing],
    quarantined: [...before.quarantined, ...after.quarantined],
    strays: [...before.strays, ...after.strays],
    reappeared: [...before.reappeared, ...after.reappeared],
    foreign: before.foreign + after.foreign,
    removedUploads: before.removedUploads + after.removedUploads,
  };
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
    ...(report.verified.length > 0
      ? [`✓ ${counted(report.verified.length, 'archive')} verified by inventory: ${named(report.verified)}`]
      : []),
    ...(report.cleared.length > 0
      ? [`✓ ${counted(report.cleared.length, 'archive')} cleared from the source: ${named(report.cleared)}`]
      : []),
    ...(report.confirmed.length > 0
      ? [
          `✓ ${counted(report.confirmed.length, 'archive')} confirmed as gone, certificates signed: ${named(report.confirmed)}`,
        ]
      : []),
    ...report.missing.map((id) => `✗ ${id} should be in its vault and is not, or with other bytes.`),
    ...report.quarantined.map((id) => `! ${id} went into quarantine: \`moraine archive ${id}\`.`),
    ...report.strays.map(
      ({ vault, vaultArchiveId }) => `! Stray in ${vault}, kept: ${vaultArchiveId} is unknown to the ledger.`,
    ),
    ...report.reappeared.map(
      ({ archive, namespace, records }) =>
        `! ${count(records)} of the records that ${archive} holds are in ${namespace} again.`,
    ),
    ...(report.foreign > 0 ? [`  ${count(report.foreign)} archives of others were left alone.`] : []),
    ...(report.removedUploads > 0 ? [`  ${count(report.removedUploads)} uploads of abandoned attempts removed.`] : []),
    ...(isWaiting(report)
      ? [`  Inventories are on their way${until === null ? '' : `, expected by ${instant(until)}`}; run it again then.`]
      : []),
  ];
}
