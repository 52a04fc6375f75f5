/** `moraine plan`: what the policy files would do now. Reads only. */
import type { Command } from 'commander';
import { dueNow } from '../lifecycle/context.ts';
import { type PolicyPlan, planPolicy } from '../lifecycle/plan.ts';
import type { LoadedPolicy } from '../policy/load.ts';
import { withEach } from '../policy/terms.ts';
import { acting, EXIT, type ExitCode, newCommand } from './command.ts';
import { exitCodeOf, worst } from './exit-code.ts';
import { type OrphanAnswer, orphanAnswers, orphanTexts } from './orphans.ts';
import { FEW_ROWS, table } from './output.ts';
import { differences, policiesOfFiles, versionsInForce } from './policy-files.ts';
import { asMoraineError, errorDocument, errorText } from './render-error.ts';
import { count, counted, day, short, size } from './words.ts';

interface PlanOptions {
  readonly flush?: true;
}

export function planCommand(): Command {
  return newCommand('plan', {
    description: [
      'Say what is due by the policy files now, for each owner and customer, and why the rest is not. Changes nothing.',
      'A policy whose collection lacks its index is refused (exit code 2); the others are still shown.',
    ].join('\n'),
    examples: [
      ['moraine plan', 'all policies of the files'],
      ['moraine plan chats --json', 'one policy, for a script'],
      ['moraine plan --flush', 'as if nothing waited for more records'],
      ['moraine plan --as-of 2030-01-01', 'what will be due then (sandbox)'],
    ],
  })
    .argument('[policy...]', 'names of policies; default: all')
    .option('--flush', 'count what waits for more records as taken')
    .action(
      acting<PlanOptions>(async (session, names, options) => {
        const loaded = policiesOfFiles(session.config, names);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const inForce = await versionsInForce(app.store, context.asOf);
        for (const difference of differences(loaded, inForce)) session.output.note(difference);
        for (const { warnings } of loaded) {
          for (const { file, line, field, expected } of warnings)
            session.output.note(
              `${file}:${line}: ${field}: expected ${expected}. Until then this policy starts nothing.`,
            );
        }
        const planned: Planned[] = [];
        for (const each of loaded) {
          try {
            planned.push({
              loaded: each,
              plan: await planPolicy(context, each.policy, { flush: options.flush === true }),
              orphans: await orphanAnswers(context.store, each.policy.name),
            });
          } catch (error) {
            if (session.signal.aborted) throw error;
            planned.push({ loaded: each, error });
          }
        }
        const document = {
          asOf: dueNow(context),
          policies: planned.map((each) => ({
            ...planDocument(each),
            inForce: inForce.get(each.loaded.policy.name) ?? null,
          })),
          notes: session.output.notes,
        };
        session.output.result(document, () => planned.flatMap(planText));
        return worst(planned.map((each): ExitCode => ('plan' in each ? EXIT.done : exitCodeOf(each.error))));
      }),
    );
}

type Planned =
  | { readonly loaded: LoadedPolicy; readonly plan: PolicyPlan; readonly orphans: readonly OrphanAnswer[] }
  | { readonly loaded: LoadedPolicy; readonly error: unknown };

const NOTHING = { due: 0, bytes: 0, expired: 0, held: 0, unfit: 0, taken: 0 };

function planDocument(planned: Planned): Record<string, unknown> {
  const { policy, version } = planned.loaded;
  if (!('plan' in planned)) {
    const error = errorDocument(asMoraineError(planned.error));
    return { policy: policy.name, version, partitions: [], totals: NOTHING, error };
  }
  const { plan } = planned;
  return {
    policy: plan.policy,
    version: plan.version,
    documents: plan.documents,
    partitions: plan.partitions.map((partition) => ({
      owner: partition.owner,
      customer: partition.customer,
      dataset: partition.dataset,
      disposition: partition.disposition ?? null,
      due: partition.due,
      bytes: partition.bytes,
      oldest: partition.oldest,
      held: partition.held,
      pending: partition.pending ?? 0,
      oldestPending: partition.oldestPending ?? null,
      paused: partition.paused,
      expired: partition.expired,
      sealed: partition.seal.seal,
      reasons: partition.reasons,
    })),
    totals: plan.totals,
    withEach: withEach(planned.loaded.policy),
    unfit: plan.unfit,
    orphans: planned.orphans,
    caps: plan.caps,
  };
}

function planText(planned: Planned): readonly string[] {
  const { policy, version } = planned.loaded;
  const title = `${policy.name}: ${policy.dataset.collection}, version ${short(version)}`;
  if (!('plan' in planned)) return [title, errorText(asMoraineError(planned.error)), ''];
  const { partitions, totals, unfit, caps, documents } = planned.plan;
  const rows = partitions.map((partition) => [
    partition.owner,
    partition.customer,
    count(partition.due),
    size(partition.bytes),
    day(partition.oldest),
    partition.reasons.join(' '),
  ]);
  const along = withEach(planned.loaded.policy);
  const unfitWords = Object.entries(unfit).map(([reason, records]) => `${count(records)} ${reason}`);
  return [
    title,
    ...(rows.length === 0
      ? ['  Nothing is due.']
      : [table(['owner', 'customer', 'due', 'size', 'due since', 'why'], rows, FEW_ROWS)]),
    `  ${counted(totals.due, 'record')} due (${size(totals.bytes)}) of ${count(documents)}; a run now would take ${count(totals.taken)}.`,
    ...(totals.due + totals.expired === 0 || along.length === 0
      ? []
      : [`  A record counts once, with what hangs on it: ${along.join('; ')}.`]),
    ...(totals.expired > 0
      ? [`  ${counted(totals.expired, 'record')} past the archive period too: \`moraine run --expired\`.`]
      : []),
    ...(unfitWords.length > 0
      ? [`  Cannot be handled, a run puts them into quarantine: ${unfitWords.join(', ')}.`]
      : []),
    ...orphanTexts(planned.orphans).map((text) => `  ${text}`),
    ...(caps.ok || totals.due === 0 ? [] : [`  ✗ A run would start nothing: ${caps.text}.`]),
    '',
  ];
}
