/** `moraine notify send|list`: tell owners now, and see who was told what. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import { type NotificationDocument, notificationsOf, sendAgain } from '../ledger/notifications.ts';
import { type NotifyReport, notifyOwners } from '../lifecycle/notify.ts';
import type { News } from '../notify/telling.ts';
import { wholeNumber } from './audit.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { worst } from './exit-code.ts';
import { table } from './output.ts';

import { counted, instant } from './words.ts';

export function notifyCommand(): Command {
  return newCommand('notify', {
    description: [
      'Owners are told when what is in force for them changes, when a version that will change it is published, and before',
      'a large purge. The daemon does it every few minutes; here it is done now. How they are told stands under `notify`',
      'in moraine.yaml.',
    ].join('\n'),
    examples: [
      ['moraine notify send', 'find what is new and tell it'],
      ['moraine notify list --owner acme', 'who was told what, when and by which way'],
    ],
  })
    .addCommand(sendCommand())
    .addCommand(listCommand());
}

function sendCommand(): Command {
  return newCommand('send', {
    description: [
      'Find what changed for each owner since it was told last, and which large purges come near, and send it.',
      'Each thing is told once, also where this runs beside the daemon. What fails is tried again later; exit code 1 says',
      'that something did, 3 that something was given up.',
    ].join('\n'),
    examples: [
      ['moraine notify send', ''],
      ['moraine notify send --again', 'also what was given up'],
    ],
  })
    .summary('find what is new and tell it')
    .option('--again', 'try once more what was given up')
    .action(
      acting<{ readonly again?: true }>(async (session, _names, { again }) => {
        const { notify, file } = session.config;
        if (notify === null)
          throw new MoraineError('CONFIG_INVALID', `${file} names no ways to tell owners (notify.ways).`);
        const app = await session.openApp();
        if (again) await sendAgain(app.store);
        const report = await notifyOwners(session.contextOf(app));
        session.output.result(report, () => reportText(report));
        return worst([
          EXIT.done,
          ...report.failed.map(({ nextTryAt }) => (nextTryAt === null ? EXIT.person : EXIT.failed)),
        ]);
      }),
    );
}

function reportText({ found, sent, failed }: NotifyReport): readonly string[] {
  if (found + sent.length + failed.length === 0) return ['Nothing is new: every owner knows what is in force.'];
  return [
    ...sent.map(({ owner, way, to, kind }) => `✓ ${owner} was told by ${way} (${to}): ${NEWS[kind] ?? kind}.`),
    ...failed.map(({ owner, way, to, code, nextTryAt }) => {
      const next =
        nextTryAt === null ? 'given up; `moraine notify send --again`' : `tried again from ${instant(nextTryAt)}`;
      return `✗ ${owner} could not be told by ${way} (${to}): ${code}, ${next}.`;
    }),
  ];
}

const NEWS: Readonly<Record<string, string>> = {
  'in-force': 'what is in force',
  coming: 'what will be in force',
  purge: 'what will be destroyed',
};

const LISTED = 50;

function listCommand(): Command {
  return newCommand('list', {
    description: 'List who was told what, when and by which way, the newest first. The audit chain is the proof of it.',
    examples: [
      ['moraine notify list', ''],
      ['moraine notify list --owner acme --limit 500 --json', ''],
    ],
  })
    .summary('who was told what, when and by which way')
    .option('--owner <owner>', 'of this owner only')
    .option('--limit <count>', 'so many at most', wholeNumber, LISTED)
    .action(
      acting<{ readonly owner?: string; readonly limit: number }>(async (session, _names, { owner, limit }) => {
        const app = await session.openApp();
        const rows: ReturnType<typeof listed>[] = [];
        const of = { limit, ...(owner === undefined ? {} : { owner: id.owner(owner) }) };
        for await (const notification of notificationsOf(app.store, of)) rows.push(listed(notification));
        session.output.result(rows, () =>
          rows.length === 0
            ? ['Nobody was told anything yet.']
            : [
                table(
                  ['found', 'owner', 'what', 'by', 'to', 'state', 'message id'],
                  rows.map(({ foundAt, owner: whom, what, way, to, state, messageId, code }) => [
                    instant(foundAt),
                    whom,
                    what,
                    way,
                    to,
                    code === null ? state : `${state} (${code})`,
                    messageId ?? '-',
                  ]),
                ),
              ],
        );
        return EXIT.done;
      }),
    );
}

function listed(notification: NotificationDocument) {
  const { _id, owner, way, to, news, state, foundAt, endedAt, nextTryAt, tries, lastCode, messageId } = notification;
  const what = whatOf(news);
  const next = state === 'due' ? nextTryAt : null;
  return {
    id: _id,
    owner,
    kind: news.kind,
    what,
    way,
    to,
    state,
    foundAt,
    endedAt,
    nextTryAt: next,
    tries,
    code: lastCode,
    messageId,
  };
}

function whatOf(news: News): string {
  const day = (at: string) => at.slice(0, 'yyyy-mm-dd'.length);
  if (news.kind === 'in-force')
    return `in force: ${counted(news.policies.length, 'policy', 'policies')}, ${counted(news.exceptions.inForce, 'exception')}`;
  if (news.kind === 'purge') return `purge of ${counted(news.records, 'record')} from ${day(news.firstAt)}`;
  return news.policies
    .map(
      ({ policy, change, from }) => `${policy} ${change === 'coming' ? 'changes' : 'does not change'} on ${day(from)}`,
    )
    .join(', ');
}
