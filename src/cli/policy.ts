/** `moraine policy publish|show|list`: what is in force, and how it gets there. */

import type { Command } from 'commander';
import type { Json } from '../canonical-json.ts';
import type { PolicyVersion } from '../ids.ts';
import { policiesInForce, policyHistory, policyInForce, publishPolicy } from '../ledger/policies.ts';
import type { Context } from '../lifecycle/context.ts';
import { dueNow } from '../lifecycle/context.ts';
import { inspectDataset } from '../lifecycle/inspect-dataset.ts';
import { type PolicyPlan, planPolicy } from '../lifecycle/plan.ts';
import { pinnedPolicy } from '../lifecycle/published.ts';
import type { LoadedPolicy } from '../policy/load.ts';
import { type Policy, toShape } from '../policy/policy.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { noticeCommand } from './notice.ts';
import { table } from './output.ts';
import { policyCheckCommand } from './policy-check.ts';
import { diffCommand } from './policy-diff.ts';
import { differences, policiesOfFiles, readPolicyFiles, versionsInForce } from './policy-files.ts';
import { simulateCommand } from './policy-simulate.ts';
import { count, counted, instant, short } from './words.ts';

export function policyCommand(): Command {
  return newCommand('policy', {
    description: 'Policies that are in force. Runs and daemons use these, never the files.',
    examples: [
      ['moraine policy publish', 'preview all files, then put them into force'],
      ['moraine policy list', 'what is in force, and where files differ'],
    ],
  })
    .addCommand(publishCommand())
    .addCommand(showCommand())
    .addCommand(listCommand())
    .addCommand(policyCheckCommand())
    .addCommand(diffCommand())
    .addCommand(simulateCommand())
    .addCommand(noticeCommand());
}

function publishCommand(): Command {
  return newCommand('publish', {
    description: [
      'Put the policies of the files into force, after a preview of what is due under each, and under the one before.',
      'Publishing the same again does nothing. Archives keep the version that they were planned under.',
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
        const inForce = await versionsInForce(app.store);
        const previews: Preview[] = [];
        for (const each of loaded) previews.push(await preview(context, each, inForce.get(each.policy.name) ?? null));
        const changes = previews.filter(({ isNew }) => isNew);
        if (changes.length > 0) {
          session.output.say(previewText(previews));
          await confirm(session, `Put ${counted(changes.length, 'policy', 'policies')} into force?`);
        }
        for (const change of changes) await publish(context, change, session.actor);
        const policies = previews.map(({ loaded: { policy, version }, previous, isNew, plan, before }) => ({
          policy: policy.name,
          version,
          previous,
          outcome: isNew ? 'published' : 'unchanged',
          due: plan?.totals.due ?? null,
          expired: plan?.totals.expired ?? null,
          dueBefore: before?.totals.due ?? null,
        }));
        session.output.result({ asOf: dueNow(context), policies }, () =>
          policies.map(({ policy, version, outcome }) =>
            outcome === 'published'
              ? `✓ ${policy}: version ${short(version)} is in force.`
              : `✓ ${policy}: version ${short(version)} was in force already; nothing was changed.`,
          ),
        );
        return EXIT.done;
      }),
    );
}

interface Preview {
  readonly loaded: LoadedPolicy;
  readonly isNew: boolean;
  readonly previous: PolicyVersion | null;
  /** Under the new version, and under the one in force. Null for what is not published now, or never was. */
  readonly plan: PolicyPlan | null;
  readonly before: PolicyPlan | null;
}

/** Throws INDEX_MISSING and DATASET_UNFIT: a policy that could never run is not put into force. */
async function preview(context: Context, loaded: LoadedPolicy, previous: PolicyVersion | null): Promise<Preview> {
  if (previous === loaded.version) return { loaded, isNew: false, previous, plan: null, before: null };
  const plan = await planPolicy(context, loaded.policy, { flush: false });
  const before = previous === null ? null : await planIfPossible(context, await pinnedPolicy(context.store, previous));
  return { loaded, isNew: true, previous, plan, before };
}

/** The version in force may have lost its index or its collection: then there is nothing to compare with. */
async function planIfPossible(context: Context, policy: Policy): Promise<PolicyPlan | null> {
  const { findings } = await inspectDataset(context, toShape(policy));
  if (findings.some(({ level }) => level === 'error')) return null;
  return await planPolicy(context, policy, { flush: false });
}

function previewText(previews: readonly Preview[]): string {
  const rows = previews.map(({ loaded, isNew, previous, plan, before }) => [
    loaded.policy.name,
    isNew ? short(loaded.version) : 'unchanged',
    short(previous),
    plan === null ? '-' : count(plan.totals.due),
    before === null ? '-' : count(before.totals.due),
    plan === null ? '-' : count(plan.totals.expired),
    plan === null ? '-' : count(plan.totals.unfit),
  ]);
  return table(['policy', 'version', 'in force', 'due under it', 'due before', 'expired', 'unfit'], rows);
}

async function publish(context: Context, { loaded, previous }: Preview, by: string): Promise<void> {
  const { policy, version } = loaded;
  const namespace = policy.dataset.collection;
  const entry = {
    act: 'policy publish',
    subject: { policy: policy.name, namespace },
    details: { version, previous },
  };
  await context.audit.append([{ ...entry, phase: 'intent' }]);
  const json: Json = JSON.parse(JSON.stringify(policy));
  const { outcome } = await publishPolicy(context.store, context.clock, {
    name: policy.name,
    namespace,
    version,
    policy: json,
    by,
  });
  await context.audit.append([{ ...entry, phase: 'outcome', details: { version, previous, outcome } }]);
}

function showCommand(): Command {
  return newCommand('show', {
    description: 'Print a policy as it is in force, with its history.',
    examples: [['moraine policy show chats', '']],
  })
    .summary('print one as it is in force')
    .argument('<policy>', 'name of the policy')
    .action(
      acting(async (session, [name = '']) => {
        const app = await session.openApp();
        const published = await policyInForce(app.store, name);
        const history = await policyHistory(app.store, name);
        session.output.result({ ...published, history }, () => [
          `${name}: version ${published.version}`,
          JSON.stringify(published.policy, null, 2),
          table(
            ['in force since', 'version', 'by'],
            history.map(({ at, version, by }) => [instant(at), short(version), by]),
          ),
        ]);
        return EXIT.done;
      }),
    );
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List the policies in force, and those of the files that are not.',
    examples: [['moraine policy list', '']],
  })
    .summary('list what is in force, and where files differ')
    .action(
      acting(async (session) => {
        const { loaded } = readPolicyFiles(session.config);
        const app = await session.openApp();
        const inForce = await versionsInForce(app.store);
        for (const difference of differences(loaded, inForce)) session.output.note(difference);
        const rows: {
          policy: string;
          collection: string;
          inForce: string | null;
          file: string | null;
          state: string;
        }[] = [];
        for await (const { name, namespace, version } of policiesInForce(app.store)) {
          const inFile = loaded.find(({ policy }) => policy.name === name);
          const state = inFile === undefined ? 'no file' : inFile.version === version ? 'in force' : 'file differs';
          rows.push({ policy: name, collection: namespace, inForce: version, file: inFile?.file ?? null, state });
        }
        for (const { policy, file } of loaded) {
          if (inForce.has(policy.name)) continue;
          const collection = policy.dataset.collection;
          rows.push({ policy: policy.name, collection, inForce: null, file, state: 'not published' });
        }
        session.output.result(rows, () => [
          table(
            ['policy', 'collection', 'version', 'state', 'file'],
            rows.map((row) => [row.policy, row.collection, short(row.inForce), row.state, row.file ?? '-']),
          ),
        ]);
        return EXIT.done;
      }),
    );
}
