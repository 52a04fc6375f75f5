/** `moraine policy show|list`: what is in force, and what will be. */
import type { Command } from 'commander';
import type { PolicyVersion } from '../ids.ts';
import {
  changeComing,
  inForceSince,
  type PolicyChange,
  policiesInForce,
  policyHistory,
  policyInForce,
} from '../ledger/policies.ts';
import { dueNow } from '../lifecycle/context.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { noticeCommand } from './notice.ts';
import { table } from './output.ts';
import { policyCheckCommand } from './policy-check.ts';
import { diffCommand } from './policy-diff.ts';
import { differences, readPolicyFiles, versionsInForce } from './policy-files.ts';
import { comingText, publishCommand } from './policy-publish.ts';
import { simulateCommand } from './policy-simulate.ts';
import { instant, short } from './words.ts';

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
        const now = dueNow(session.contextOf(app));
        const published = await policyInForce(app.store, name, now);
        const history = await policyHistory(app.store, name);
        const coming = changeComing(history, now);
        session.output.result({ ...published, coming, history }, () => [
          `${name}: version ${published.version}`,
          ...(coming === null ? [] : [`  ${comingText(coming)}`]),
          JSON.stringify(published.policy, null, 2),
          table(
            ['in force since', 'version', 'by', 'approval', ''],
            history.map((change) => [
              instant(inForceSince(change)),
              short(change.version),
              change.by,
              change.approval ?? '-',
              standingText(change, now),
            ]),
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
        const context = session.contextOf(app);
        const now = dueNow(context);
        const inForce = await versionsInForce(app.store, now);
        for (const difference of differences(loaded, inForce)) session.output.note(difference);
        const rows: {
          policy: string;
          collection: string;
          inForce: string | null;
          file: string | null;
          state: string;
          coming: PolicyChange | null;
        }[] = [];
        for await (const { name, namespace, version } of policiesInForce(app.store, now)) {
          const inFile = loaded.find(({ policy }) => policy.name === name);
          const coming = changeComing(await policyHistory(app.store, name), now);
          const state = stateOf(inFile?.version ?? null, version, coming);
          rows.push({
            policy: name,
            collection: namespace,
            inForce: version,
            file: inFile?.file ?? null,
            state,
            coming,
          });
        }
        for (const { policy, file } of loaded) {
          if (inForce.has(policy.name)) continue;
          const collection = policy.dataset.collection;
          rows.push({ policy: policy.name, collection, inForce: null, file, state: 'not published', coming: null });
        }
        session.output.result(rows, () => [
          table(
            ['policy', 'collection', 'version', 'state', 'file'],
            rows.map((row) => [row.policy, row.collection, short(row.inForce), row.state, row.file ?? '-']),
          ),
          ...rows.flatMap(({ policy, coming }) => (coming === null ? [] : [`  ${policy}: ${comingText(coming)}`])),
        ]);
        return EXIT.done;
      }),
    );
}

function stateOf(file: PolicyVersion | null, inForce: PolicyVersion, coming: PolicyChange | null): string {
  if (file === null) return 'no file';
  if (file === coming?.version) return 'comes into force';
  return file === inForce ? 'in force' : 'file differs';
}

function standingText(change: PolicyChange, now: Date): string {
  if (change.replacedAt !== undefined) return `replaced on ${instant(change.replacedAt)} before it was in force`;
  return change.effectiveAt !== undefined && change.effectiveAt > now ? 'comes' : '';
}
