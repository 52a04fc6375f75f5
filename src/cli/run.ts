/** `moraine run`: plan, archive, verify and clear now, by the policies in force. */
import type { Command } from 'commander';
import type { Json } from '../canonical-json.ts';
import { isMoraineError, MoraineError } from '../errors.ts';
import { type ArchiveDocument, NO_OUTCOMES, RECORD_OUTCOMES } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { policiesToRun } from '../lifecycle/published.ts';
import { reconcile } from '../lifecycle/reconcile.ts';
import { type PolicyRun, type RunTotals, runPolicy } from '../lifecycle/run-policy.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { archiveListed, archivesTable } from './archive-document.ts';
import { acting, EXIT, type ExitCode, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { exitCodeOf, exitCodeOfProblem, worst } from './exit-code.ts';
import { vaultsWaitedFor, waitForNextLook, waitingUntil } from './follow.ts';
import { FEW_ROWS, table } from './output.ts';
import { differences, policiesOfFiles, readPolicyFiles, versionsInForce } from './policy-files.ts';
import { safeToDestroy } from './preflight.ts';
import { type WorkProgress, workProgress } from './progress.ts';
import { recordRun } from './record-run.ts';
import { asMoraineError, errorDocument, errorText } from './render-error.ts';
import { count, counted, instant, short } from './words.ts';

interface RunCommandOptions {
  readonly flush?: true;
  readonly expired?: true;
  readonly wait?: true;
  readonly queue?: true;
}

export function runCommand(): Command {
  return newCommand('run', {
    description: [
      'Carry on what earlier runs left unfinished, then plan, archive, verify and clear what is due now, by the',
      'policies in force. Records are deleted only after their copy is stored and verified.',
      'An archive whose policy asks for the inventory of the vault stays `stored` until that is there, which takes',
      'hours: a later run or `moraine reconcile` goes on, and --wait waits here.',
    ].join('\n'),
    examples: [
      ['moraine run', 'everything that is in force'],
      ['moraine run chats --flush', 'one policy; seal also what waits for more records'],
      ['moraine run --wait', 'until every archive is verified and cleared'],
      ['moraine run --expired', 'also delete what is past its archive period; asks first'],
      ['moraine run --queue', 'hand it to the daemon'],
    ],
  })
    .argument('[policy...]', 'names of policies; default: all in force')
    .option('--flush', 'seal what waits for more records')
    .option('--expired', 'delete records that are past their archive period too, without an archive')
    .option('--wait', 'wait for inventories of the vaults')
    .option('--queue', 'hand the work to the daemon instead of doing it here')
    .action(
      acting<RunCommandOptions>(async (session, names, options) => {
        // A wrong file starts nothing, although runs use what is published: somebody is about to be surprised.
        const loaded = policiesOfFiles(session.config, []);
        if (options.queue) return await enqueue(session, names, options);
        const app = await session.openApp();
        const work = workProgress(session, 'run');
        const context = session.contextOf(app, work.progress);
        const policies = await chosenPolicies(session, context, names);
        const inForce = await versionsInForce(app.store, context.asOf);
        const chosen = loaded.filter(({ policy }) => names.length === 0 || names.includes(policy.name));
        for (const difference of differences(chosen, inForce)) session.output.note(difference);
        if (options.expired) {
          await confirm(
            session,
            `Delete (or treat, where the policy says so) the records of ${policies.map(({ name }) => name).join(', ')} that are past their archive period, without an archive?`,
          );
        }
        await safeToDestroy(session, context);
        try {
          return await runAll(session, context, policies, options, work);
        } finally {
          work.end();
        }
      }),
    );
}

/** The daemon plans and does the work; what it comes to stands in `moraine status`. */
async function enqueue(session: Session, names: readonly string[], options: RunCommandOptions): Promise<ExitCode> {
  const { redis } = session.config;
  if (session.globals.asOf !== undefined) {
    throw new MoraineError('AS_OF_REFUSED', '--as-of is refused with --queue: the daemon works by the real time.');
  }
  if (options.wait || options.expired) {
    const flag = options.wait ? '--wait' : '--expired';
    throw new MoraineError('USAGE', `${flag} is for the foreground and is refused with --queue.`);
  }
  if (redis === null) throw new MoraineError('CONFIG_INVALID', 'moraine.yaml names no redis, so there is no queue.');
  const app = await session.openApp();
  const policies = await chosenPolicies(session, session.contextOf(app), names);
  const { enqueueRun } = await import('../../jobs/enqueue.ts');
  const { queuePrefix } = await import('../../jobs/queues.ts');
  const { jobs } = await enqueueRun(
    redis.url,
    policies.map(({ name }) => name),
    { prefix: queuePrefix(app.installation.id), flush: options.flush === true, by: session.actor },
  );
  session.output.result({ queued: jobs }, () => [
    `✓ ${counted(jobs.length, 'job')} handed to the daemon: ${jobs.join(', ')}`,
    '  `moraine status` shows what came of it.',
  ]);
  return EXIT.done;
}

/** Policies in force; by name, or all. Throws POLICY_UNKNOWN, POLICY_NOT_PUBLISHED. */
async function chosenPolicies(
  session: Session,
  context: Context,
  names: readonly string[],
): Promise<readonly Policy[]> {
  const inForce = await versionsInForce(context.store, context.asOf);
  const inFiles = readPolicyFiles(session.config).loaded.map(({ policy }) => policy.name);
  const unknown = names.find((name) => !inForce.has(name) && !inFiles.includes(name));
  if (unknown !== undefined) {
    throw new MoraineError('POLICY_UNKNOWN', `There is no policy named ${unknown}, neither in force nor in a file.`, {
      ids: { policy: unknown },
    });
  }
  const policies = await policiesToRun(context.store, names.length === 0 ? null : [...new Set(names)], context.asOf);
  if (policies.length > 0) return policies;
  throw new MoraineError('POLICY_NOT_PUBLISHED', 'No policy is in force yet.');
}

type Ran = { readonly policy: Policy; readonly run: PolicyRun } | { readonly policy: Policy; readonly error: unknown };

async function runAll(
  session: Session,
  context: Context,
  policies: readonly Policy[],
  options: RunCommandOptions,
  work: WorkProgress,
): Promise<ExitCode> {
  const names = policies.map(({ name }) => name);
  return await recordRun(context, { command: 'run', by: session.actor, policies: names }, async () => {
    const ran: Ran[] = [];
    let until: Date | null = null;
    let isWaiting = false;
    try {
      // Inventories that earlier archives wait for may be there by now.
      if ((await vaultsWaitedFor(context, names)).size > 0) await follow(context);
      for (const policy of policies) ran.push(await runOne(session, context, policy, options));
      for (let look = 0; (await vaultsWaitedFor(context, names)).size > 0; look++) {
        until = waitingUntil(await follow(context));
        isWaiting = (await vaultsWaitedFor(context, names)).size > 0;
        if (!options.wait || !isWaiting) break;
        session.output.say(
          `Waiting for an inventory of the vault, expected ${until === null ? 'within a day' : `by ${instant(until)}`}.`,
        );
        await waitForNextLook(context, look);
      }
    } catch (error) {
      if (context.signal?.aborted !== true) throw error;
      throw new MoraineError('WORK_STOPPED', 'The run was told to stop.', {
        changed: work.done(),
        hint: 'Run `moraine run` again; it goes on where this one stopped.',
        cause: error,
      });
    }
    work.end();
    const documents = await Promise.all(ran.map((each) => runDocument(context, each)));
    const code = worst(ran.flatMap(exitCodesOf));
    const document = {
      asOf: dueNow(context),
      policies: documents,
      waiting: isWaiting ? { until } : null,
      notes: session.output.notes,
    };
    const archives = await Promise.all(ran.map((each) => archivesOf(context, each)));
    session.output.result(document, () => [
      ...ran.flatMap((each, at) => runText(each, archives[at] ?? [])),
      ...(isWaiting
        ? [
            `Some archives wait for an inventory of their vault, expected ${until === null ? 'within a day' : `by ${instant(until)}`}. Nothing of them was deleted yet; \`moraine run\` or \`moraine reconcile\` goes on then.`,
          ]
        : []),
    ]);
    const totals: Json = Object.fromEntries(documents.map(({ policy, totals }) => [policy, { ...totals }]));
    return { value: code, totals, error: firstError(ran) };
  });
}

async function follow(context: Context) {
  return await reconcile(context, { all: false, source: false });
}

async function runOne(session: Session, context: Context, policy: Policy, options: RunCommandOptions): Promise<Ran> {
  const expired = options.expired ? { saidBy: session.actor } : null;
  try {
    return {
      policy,
      run: await runPolicy(context, policy, { flush: options.flush === true, requestedBy: session.actor, expired }),
    };
  } catch (error) {
    if (isMoraineError(error, 'WORK_STOPPED')) throw error;
    return { policy, error };
  }
}

function exitCodesOf(ran: Ran): readonly ExitCode[] {
  if (!('run' in ran)) return [exitCodeOf(ran.error)];
  const { problems, newlyQuarantined } = ran.run;
  return [...problems.map(({ code }) => exitCodeOfProblem(code)), newlyQuarantined > 0 ? EXIT.person : EXIT.done];
}

function firstError(ran: readonly Ran[]): string | null {
  for (const each of ran) {
    if (!('run' in each)) return asMoraineError(each.error).code;
    const [problem] = each.run.problems;
    if (problem !== undefined) return problem.code;
  }
  return null;
}

/** As they are now: a wait may have taken them further than the run itself did. */
async function archivesOf(context: Context, ran: Ran): Promise<readonly ArchiveDocument[]> {
  if (!('run' in ran)) return [];
  return await Promise.all(ran.run.archives.map(({ _id }) => getArchive(context.store, _id)));
}

const NOTHING: RunTotals = { selected: 0, unfit: 0, ...NO_OUTCOMES };

async function runDocument(context: Context, ran: Ran) {
  const name = ran.policy.name;
  if (!('run' in ran)) {
    const error = errorDocument(asMoraineError(ran.error));
    return { policy: name, version: policyVersion(ran.policy), archives: [], totals: NOTHING, error };
  }
  const { run } = ran;
  const archives = await archivesOf(context, ran);
  return {
    policy: name,
    version: run.version,
    archives: archives.map(archiveListed),
    expired: run.expired,
    disposed: run.disposed,
    totals: totalsNow(run, archives),
    newlyQuarantined: run.newlyQuarantined,
    problems: run.problems,
    paused: run.paused,
  };
}

/** The run's totals, with what a wait has cleared since. */
function totalsNow(run: PolicyRun, archives: readonly ArchiveDocument[]): RunTotals {
  const totals = { ...run.totals };
  for (const [at, archive] of archives.entries()) {
    const before = run.archives[at]?.outcomes ?? NO_OUTCOMES;
    for (const key of [...RECORD_OUTCOMES, 'pending'] as const)
      totals[key] += (archive.outcomes[key] ?? 0) - (before[key] ?? 0);
  }
  return totals;
}

function runText(ran: Ran, archives: readonly ArchiveDocument[]): readonly string[] {
  const { name, dataset } = ran.policy;
  if (!('run' in ran)) return [`${name}: ${dataset.collection}`, errorText(asMoraineError(ran.error)), ''];
  const { run } = ran;
  const paused = run.paused.map((pause) => `  ! Paused by ${pause}: what it covers waits. \`moraine pause list\``);
  if (run.plan === null) return [`${name}: ${dataset.collection}`, ...paused, ''];
  const totals = totalsNow(run, archives);
  const outcomes = (['treated', 'changed', 'held', 'gone', 'quarantined', 'pending'] as const).flatMap((outcome) =>
    totals[outcome] > 0 ? [`${count(totals[outcome])} ${outcome}`] : [],
  );
  const expired = run.expired.map(({ owner, customer, outcomes: { deleted, treated }, certificate }) => [
    owner,
    customer,
    count(deleted),
    count(treated),
    certificate ?? '-',
  ]);
  const disposed = run.disposed.map(({ owner, customer, outcomes: { deleted, treated }, certificate }) => [
    owner,
    customer,
    count(deleted),
    count(treated),
    certificate ?? '-',
  ]);
  return [
    `${name}: ${dataset.collection}, version ${short(run.version)}`,
    ...(archives.length > 0 ? [archivesTable(archives, FEW_ROWS)] : []),
    `  ${counted(totals.archived, 'record')} archived, ${count(totals.deleted)} deleted from the source${outcomes.length > 0 ? `; ${outcomes.join(', ')}` : ''}.`,
    ...(expired.length > 0
      ? [table(['owner', 'customer', 'expired and deleted', 'expired and treated', 'certificate'], expired)]
      : []),
    ...(disposed.length > 0 ? [table(['owner', 'customer', 'deleted', 'treated', 'certificate'], disposed)] : []),
    ...(run.newlyQuarantined > 0
      ? [`  ! ${counted(run.newlyQuarantined, 'record')} went into quarantine: \`moraine quarantine list\`.`]
      : []),
    ...paused,
    ...problemLines(run.problems),
    '',
  ];
}

/** Those of one kind are told once, with an example: a missing owner would be said for each of its customers. */
function problemLines(problems: PolicyRun['problems']): readonly string[] {
  const kinds = new Map<string, PolicyRun['problems'][number][]>();
  for (const problem of problems) {
    const kind = `${problem.code} ${problem.owner ?? ''}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), problem]);
  }
  return [...kinds.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    const where = first.owner === undefined ? '' : `${first.owner}, ${first.customer}: `;
    const more = others.length === 0 ? '' : ` And ${counted(others.length, 'more', 'more')} like it.`;
    return [`  ✗ ${where}${first.text}${more} (${first.code})`, `    ${first.hint}`];
  });
}
