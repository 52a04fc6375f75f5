/** `moraine purge`: destroy the archives whose period is over. */
import type { Command } from 'commander';
import { isMoraineError, MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import { isUsedHere, requireApproval } from '../lifecycle/approval.ts';
import { amountsStanding, approveAmounts } from '../lifecycle/approve-amounts.ts';
import type { Context } from '../lifecycle/context.ts';
import { earlyPurgeRequest, purgeEarly } from '../lifecycle/early-purge.ts';
import { type PurgeReport, purgeArchives } from '../lifecycle/purge.ts';
import { type CappedPurge, type PurgePlan, planPurge } from '../lifecycle/purge-caps.ts';
import { archivesTable } from './archive-document.ts';
import { acting, EXIT, type ExitCode, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { worst } from './exit-code.ts';
import { safeToDestroy } from './preflight.ts';
import { type WorkProgress, workProgress } from './progress.ts';
import { recordRun } from './record-run.ts';
import { counted, named } from './words.ts';

interface PurgeOptions {
  readonly archive: readonly string[];
  readonly early?: true;
  readonly reason?: string;
}

export function purgeCommand(): Command {
  return newCommand('purge', {
    description: [
      'Destroy the archives whose archive period is over: first the vault deletes the file, then the key is destroyed.',
      'Shows the list and asks first. What is held, paused or being retrieved stays. A later inventory of the vault',
      'confirms each purge (`moraine reconcile`), and the certificate of destruction is signed then.',
      'A policy whose purge would take more than its limits allow starts nothing (exit code 3); the others go on. Where',
      'purges are reviewed, what nobody has approved yet is asked for and stays.',
      '--early purges the named archives before their date, with their addenda (children that came late): it always takes',
      'the approval of another person.',
    ].join('\n'),
    examples: [
      ['moraine purge', 'show what is due, ask, purge'],
      ['moraine purge --yes --json', 'for a script'],
      ['moraine purge --as-of 2035-01-01', 'with time moved (sandbox)'],
      ['moraine purge --archive 20261122-0a1b2c3d4e --early --reason "contract ended"', 'one, before its date'],
    ],
  })
    .argument('[policy...]', 'names of policies; default: all')
    .option('--archive <archive>', 'only this one and its addenda, with --early; may be repeated', collect, [])
    .option('--early', 'before its date, or although its review was refused')
    .option('--reason <text>', 'why, with --early')
    .action(
      acting<PurgeOptions>(async (session, names, options) => {
        assertWhole(names, options);
        const app = await session.openApp();
        const work = workProgress(session, 'purge');
        const context = session.contextOf(app, work.progress);
        if (options.early) return await purgeBeforeDate(session, context, options, work);
        return await purgeDue(session, context, names, work);
      }),
    );
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function assertWhole(names: readonly string[], { archive, early, reason }: PurgeOptions): void {
  const isEarly =
    early === true && archive.length > 0 && names.length === 0 && reason !== undefined && reason.trim() !== '';
  if (isEarly || (early === undefined && archive.length === 0 && reason === undefined)) return;
  throw new MoraineError('USAGE', '--archive, --early and --reason go together, without names of policies.', {
    hint: 'Write `moraine purge --archive ID --early --reason TEXT`; without them everything that is due is purged.',
  });
}

async function purgeDue(
  session: Session,
  context: Context,
  names: readonly string[],
  work: WorkProgress,
): Promise<ExitCode> {
  const plan = await planPurge(context, names.length === 0 ? null : names, session.actor);
  const { lifted, capped } = await underApprovals(context, plan.capped, session.actor);
  const ids = [...plan.due, ...lifted.flatMap((one) => one.ids)];
  const due = await Promise.all(ids.map((archive) => getArchive(context.store, archive)));
  if (due.length > 0) {
    await safeToDestroy(session, context);
    session.output.say(archivesTable(due));
    await confirm(session, `Destroy ${counted(due.length, 'archive')} for ever?`);
  }
  const spendFor = `purge-${context.newId()}`;
  for (const { amounts } of lifted) await approveAmounts(context, amounts, { requestedBy: session.actor, spendFor });
  const report = due.length === 0 ? nothing(plan.asOf) : await purgeNow(session, context, due, work);
  const document = { ...report, paused: plan.paused, review: plan.review, capped: capped.map(cappedDocument) };
  session.output.result(document, () => [
    ...reportText(report),
    ...plan.paused.map(({ id, pauses }) => `! ${id} is due and waits, paused: ${pauses.join(', ')}.`),
    ...reviewLines(plan.review),
    ...capped.flatMap(cappedLines),
  ]);
  return worst([
    ...report.failed.map(({ needsPerson }) => (needsPerson ? EXIT.person : EXIT.failed)),
    capped.length > 0 || plan.review.some(({ state }) => state !== 'refused') ? EXIT.person : EXIT.done,
  ]);
}

type Capped = CappedPurge & { readonly error: MoraineError | null };

/** Those whose amount another person has granted, and those that stay, with what they wait for. */
async function underApprovals(
  context: Context,
  policies: readonly CappedPurge[],
  by: string,
): Promise<{ readonly lifted: readonly CappedPurge[]; readonly capped: readonly Capped[] }> {
  const lifted: CappedPurge[] = [];
  const capped: Capped[] = [];
  for (const policy of policies) {
    const standing = await amountsStanding(context, policy.amounts, by);
    if (standing.ok) lifted.push(policy);
    else capped.push({ ...policy, error: standing.error });
  }
  return { lifted, capped };
}

function cappedDocument({ policy, archives, text, error }: Capped) {
  return { policy, archives, text, approval: error?.ids['approval'] ?? null, code: error?.code ?? 'BLAST_CAP' };
}

function cappedLines({ policy, archives, text, error }: Capped): readonly string[] {
  const due = `✗ ${policy}: ${counted(archives, 'archive')} are due and none of them is purged: ${text}.`;
  if (error === null) return [`${due} Raise limits in the policy and publish it if the amount is right.`];
  return [due, `  ${error.message} (${error.code})`, `  ${error.hint}`];
}

/** One line for each approval that is waited for: a review may be of hundreds. */
function reviewLines(review: PurgePlan['review']): readonly string[] {
  const texts = new Map<string, string[]>();
  for (const { id, text } of review) texts.set(text, [...(texts.get(text) ?? []), id]);
  return [...texts].map(
    ([text, ids]) =>
      `! ${counted(ids.length, 'archive')} due and ${ids.length === 1 ? 'stays' : 'stay'}: ${text}. ${named(ids)}. \`moraine approve list\``,
  );
}

async function purgeBeforeDate(
  session: Session,
  context: Context,
  { archive, reason = '' }: PurgeOptions,
  work: WorkProgress,
): Promise<ExitCode> {
  const ids = archive.map((name) => id.archive(name));
  const because = { by: session.actor, reason: reason.trim() };
  const request = await earlyPurgeRequest(context, ids, because.reason);
  // Looked at before anybody is asked to confirm; used up when it is done.
  const { spendFor: _, ...unspent } = request;
  if (!(await isUsedHere(context, request))) await requireApproval(context, unspent, session.actor);
  const archives = await Promise.all(request.items.map((one) => getArchive(context.store, one)));
  await safeToDestroy(session, context);
  session.output.say(archivesTable(archives));
  await confirm(session, `Destroy ${counted(archives.length, 'archive')} before the date, for ever?`);
  const report = await purgeNow(session, context, archives, work, () => purgeEarly(context, ids, because));
  session.output.result({ ...report, paused: [], review: [], capped: [] }, () => reportText(report));
  return worst(report.failed.map(({ needsPerson }) => (needsPerson ? EXIT.person : EXIT.failed)));
}

function nothing(asOf: Date): PurgeReport {
  return { asOf, purged: [], held: [], waiting: [], failed: [] };
}

async function purgeNow(
  session: Session,
  context: Context,
  due: readonly ArchiveDocument[],
  work: WorkProgress,
  purge: () => Promise<PurgeReport> = () =>
    purgeArchives(
      context,
      due.map(({ _id }) => _id),
    ),
): Promise<PurgeReport> {
  const policies = [...new Set(due.map(({ policy }) => policy))];
  return await recordRun(context, { command: 'purge', by: session.actor, policies }, async () => {
    const value = await purgeOrStop(purge, work);
    const { purged, held, waiting, failed } = value;
    const totals = { purged: purged.length, held: held.length, waiting: waiting.length, failed: failed.length };
    return { value, totals, error: failed[0]?.code ?? null };
  });
}

async function purgeOrStop(purge: () => Promise<PurgeReport>, work: WorkProgress): Promise<PurgeReport> {
  try {
    return await purge();
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
