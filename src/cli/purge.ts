/** `moraine purge`: destroy the archives whose period is over. */
import type { Command } from 'commander';
import { isMoraineError, MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import type { Context } from '../lifecycle/context.ts';
import { type PurgeReport, purgeArchives } from '../lifecycle/purge.ts';
import { planPurge } from '../lifecycle/purge-caps.ts';
import { archivesTable } from './archive-document.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { worst } from './exit-code.ts';
import { safeToDestroy } from './preflight.ts';
import { type WorkProgress, workProgress } from './progress.ts';
import { recordRun } from './record-run.ts';
import { counted, named } from './words.ts';

export function purgeCommand(): Command {
  return newCommand('purge', {
    description: [
      'Destroy the archives whose archive period is over: first the vault deletes the file, then the key is destroyed.',
      'Shows the list and asks first. What is held, paused or being retrieved stays. A later inventory of the vault',
      'confirms each purge (`moraine reconcile`), and the certificate of destruction is signed then.',
      'A policy whose purge would take more than its limits allow starts nothing (exit code 3); the others go on.',
    ].join('\n'),
    examples: [
      ['moraine purge', 'show what is due, ask, purge'],
      ['moraine purge --yes --json', 'for a script'],
      ['moraine purge --as-of 2035-01-01', 'with time moved (sandbox)'],
    ],
  })
    .argument('[policy...]', 'names of policies; default: all')
    .action(
      acting(async (session, names) => {
        const app = await session.openApp();
        const work = workProgress(session, 'purge');
        const context = session.contextOf(app, work.progress);
        const plan = await planPurge(context, names.length === 0 ? null : names);
        const due = await Promise.all(plan.due.map((archive) => getArchive(context.store, archive)));
        if (due.length > 0) {
          await safeToDestroy(session, context);
          session.output.say(archivesTable(due));
          await confirm(session, `Destroy ${counted(due.length, 'archive')} for ever?`);
        }
        const report = due.length === 0 ? nothing(plan.asOf) : await purgeNow(session, context, due, work);
        session.output.result({ ...report, paused: plan.paused, capped: plan.capped }, () => [
          ...reportText(report),
          ...plan.paused.map(({ id, pauses }) => `! ${id} is due and waits, paused: ${pauses.join(', ')}.`),
          ...plan.capped.map(
            ({ policy, archives, text }) =>
              `✗ ${policy}: ${counted(archives, 'archive')} are due and none of them is purged: ${text}. Raise limits in the policy and publish it if the amount is right.`,
          ),
        ]);
        return worst([
          ...report.failed.map(({ needsPerson }) => (needsPerson ? EXIT.person : EXIT.failed)),
          plan.capped.length > 0 ? EXIT.person : EXIT.done,
        ]);
      }),
    );
}

function nothing(asOf: Date): PurgeReport {
  return { asOf, purged: [], held: [], waiting: [], failed: [] };
}

async function purgeNow(
  session: Session,
  context: Context,
  due: readonly ArchiveDocument[],
  work: WorkProgress,
): Promise<PurgeReport> {
  const policies = [...new Set(due.map(({ policy }) => policy))];
  return await recordRun(context, { command: 'purge', by: session.actor, policies }, async () => {
    const value = await purgeOrStop(
      context,
      due.map(({ _id }) => _id),
      work,
    );
    const { purged, held, waiting, failed } = value;
    const totals = { purged: purged.length, held: held.length, waiting: waiting.length, failed: failed.length };
    return { value, totals, error: failed[0]?.code ?? null };
  });
}

async function purgeOrStop(context: Context, due: readonly ArchiveId[], work: WorkProgress): Promise<PurgeReport> {
  try {
    return await purgeArchives(context, due);
  } catch (error) {
    if (!isMoraineError(error, 'WORK_STOPPED')) throw error;
    throw new MoraineError('WORK_STOPPED', 'The purge was told to stop.', {
      changed: work.done(),
      hint: 'Run `moraine purge` again; it goes on where this one stopped.',
      cause: error,
    });
  }
}

function reportText({ purged, held, waiting, failed }: PurgeReport): readonly string[] {
  if (purged.length + held.length + waiting.length + failed.length === 0) return ['Nothing was purged.'];
  return [
    ...(purged.length > 0
      ? [
          `✓ ${counted(purged.length, 'archive')} purged: ${named(purged)}`,
          '  `moraine reconcile` confirms it with a later inventory and signs the certificate.',
        ]
      : []),
    ...held.map((id) => `! ${id} is held and stays.`),
    ...waiting.map(({ id, reason }) => `! ${id} stays for now: ${reason}.`),
    ...failed.map(({ id, code, reason }) => `✗ ${id}: ${reason} (${code})`),
  ];
}
