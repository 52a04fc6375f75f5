/** `moraine policy publish`: previewed, granted where it must be, put into force at once or after the grace. */
import type { Command } from 'commander';
import { isMoraineError, type MoraineError } from '../errors.ts';
import type { PolicyVersion } from '../ids.ts';
import { changeComing, type PolicyChange, policyHistory } from '../ledger/policies.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { inspectDataset } from '../lifecycle/inspect-dataset.ts';
import { type PolicyPlan, planPolicy } from '../lifecycle/plan.ts';
import {
  type Published,
  publishWeighed,
  type WeighedPublication,
  weighPublication,
} from '../lifecycle/publish-policy.ts';
import { pinnedPolicy } from '../lifecycle/published.ts';
import type { LoadedPolicy } from '../policy/load.ts';
import { type Policy, toShape } from '../policy/policy.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { table } from './output.ts';
import { comparisonText } from './policy-diff.ts';
import { policiesOfFiles, versionsInForce } from './policy-files.ts';
import { count, counted, instant, short } from './words.ts';

export function publishCommand(): Command {
  return newCommand('publish', {
    description: [
      'Put the policies of the files into force, after a preview of what is due under each, and under the one before.',
      'One that makes more data deletable takes another person where approvals are required (exit code 3: it waits), and',
      'comes into force when the grace of the policy is over; the one before is in force until then, and another',
      'publication replaces what is coming. Publishing the same again does nothing. Archives and runs that have begun keep',
      'the version that they were planned under.',
    ].join('\n'),
    examples: [
      ['moraine policy publish', 'all files; asks first'],
      ['moraine policy publish chats --yes', 'one policy, without a question'],
    ],
  })
    .summary('preview, then put into force')
    .argument('[policy...]', 'names of policies; default: all')
    .action(
      acting(async (session, names) => {
        const loaded = policiesOfFiles(session.config, names);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const inForce = await versionsInForce(app.store, dueNow(context));
        const previews: Preview[] = [];
        for (const each of loaded) previews.push(await preview(context, each, inForce.get(each.policy.name) ?? null));
        const changes = previews.filter(({ weighed }) => weighed !== null);
        if (changes.length > 0) {
          session.output.say(previewText(previews));
          for (const { weighed } of changes) for (const line of soonerText(weighed)) session.output.say(line);
          await confirm(session, `Put ${counted(changes.length, 'policy', 'policies')} into force?`);
        }
        const results: Result[] = [];
        for (const each of previews) results.push(await publish(context, each, session.actor));
        session.output.result({ asOf: dueNow(context), policies: results.map(resultDocument) }, () =>
          results.flatMap(resultText),
        );
        return results.some(({ waits }) => waits !== null) ? EXIT.person : EXIT.done;
      }),
    );
}

/** What is coming and when, for one line. */
export function comingText({ version, effectiveAt, by }: PolicyChange): string {
  return `version ${short(version)} by ${by} comes into force on ${instant(effectiveAt)}.`;
}

interface Preview {
  readonly loaded: LoadedPolicy;
  readonly previous: PolicyVersion | null;
  /** Not in force yet. */
  readonly coming: PolicyChange | null;
  /** Null: this version is in force, or coming, already. */
  readonly weighed: WeighedPublication | null;
  /** Under the new version, and under the one in force. Null for what is not published now, or never was. */
  readonly plan: PolicyPlan | null;
  readonly before: PolicyPlan | null;
}

/** Throws INDEX_MISSING and DATASET_UNFIT: a policy that could never run is not put into force. */
async function preview(context: Context, loaded: LoadedPolicy, previous: PolicyVersion | null): Promise<Preview> {
  const { policy, version } = loaded;
  const coming = changeComing(await policyHistory(context.store, policy.name), dueNow(context));
  if ((coming?.version ?? previous) === version)
    return { loaded, previous, coming, weighed: null, plan: null, before: null };
  const plan = await planPolicy(context, policy, { flush: false });
  const old = previous === null ? null : await pinnedPolicy(context.store, previous);
  const before = old === null ? null : await planIfPossible(context, old);
  return { loaded, previous, coming, weighed: await weighPublication(context, old, policy), plan, before };
}

/** The version in force may have lost its index or its collection: then there is nothing to compare with. */
async function planIfPossible(context: Context, policy: Policy): Promise<PolicyPlan | null> {
  const { findings } = await inspectDataset(context, toShape(policy));
  if (findings.some(({ level }) => level === 'error')) return null;
  return await planPolicy(context, policy, { flush: false });
}

function previewText(previews: readonly Preview[]): string {
  const rows = previews.map(({ loaded, weighed, previous, plan, before }) => [
    loaded.policy.name,
    weighed === null ? 'unchanged' : short(loaded.version),
    short(previous),
    plan === null ? '-' : count(plan.totals.due),
    before === null ? '-' : count(before.totals.due),
    plan === null ? '-' : count(plan.totals.expired),
    plan === null ? '-' : count(plan.totals.unfit),
  ]);
  return table(['policy', 'version', 'in force', 'due under it', 'due before', 'expired', 'unfit'], rows);
}

function soonerText(weighed: WeighedPublication | null): readonly string[] {
  if (weighed === null || weighed.comparison === null || weighed.old === null || !weighed.isSooner) return [];
  const { next, reasons, comparison } = weighed;
  return [
    `${next.name}: makes more data deletable.`,
    ...reasons.map(({ text }) => `  ! ${text}`),
    ...comparisonText(comparison),
  ];
}

interface Result {
  readonly preview: Preview;
  /** Null: nothing was done. */
  readonly published: Published | null;
  /** What it waits for, or who refused it. */
  readonly waits: MoraineError | null;
}

/** One that waits for a person stops no other. */
async function publish(context: Context, preview: Preview, by: string): Promise<Result> {
  if (preview.weighed === null) return { preview, published: null, waits: null };
  try {
    return { preview, published: await publishWeighed(context, preview.weighed, by), waits: null };
  } catch (error) {
    if (isMoraineError(error, 'APPROVAL_NEEDED') || isMoraineError(error, 'APPROVAL_REFUSED'))
      return { preview, published: null, waits: error };
    throw error;
  }
}

function resultDocument({ preview, published, waits }: Result) {
  const { loaded, previous, plan, before, coming } = preview;
  return {
    policy: loaded.policy.name,
    version: loaded.version,
    previous,
    outcome: waits === null ? (published?.outcome ?? 'unchanged') : 'waits',
    effectiveAt: published?.effectiveAt ?? (published === null ? (coming?.effectiveAt ?? null) : null),
    approval: published?.approval ?? waits?.ids['approval'] ?? null,
    ...(waits === null ? {} : { code: waits.code }),
    due: plan?.totals.due ?? null,
    expired: plan?.totals.expired ?? null,
    dueBefore: before?.totals.due ?? null,
  };
}

function resultText({ preview, published, waits }: Result): readonly string[] {
  const { loaded, coming } = preview;
  const what = `${loaded.policy.name}: version ${short(loaded.version)}`;
  if (waits !== null) return [`✗ ${what} is not in force: ${waits.message} (${waits.code})`, `  ${waits.hint}`];
  if (published === null || published.outcome === 'unchanged')
    return coming === null
      ? [`✓ ${what} was in force already; nothing was changed.`]
      : [`✓ ${what} comes into force on ${instant(coming.effectiveAt)}; nothing was changed.`];
  const replaced = coming === null ? [] : [`  It replaces version ${short(coming.version)}, which was coming.`];
  return published.effectiveAt === null
    ? [`✓ ${what} is in force.`, ...replaced]
    : [`✓ ${what} comes into force on ${instant(published.effectiveAt)}; until then the one before is.`, ...replaced];
}
