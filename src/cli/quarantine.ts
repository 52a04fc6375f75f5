/** `moraine quarantine list|show`: what cannot be handled, and why. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { findQuarantine, getQuarantine, type QuarantineDocument } from '../ledger/quarantine.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { table } from './output.ts';
import { idText } from './record-id.ts';
import { count, counted, day, instant } from './words.ts';

interface ListOptions {
  readonly all?: true;
  readonly policy?: string;
}

export function quarantineCommand(): Command {
  return newCommand('quarantine', {
    description: [
      'Records and archives that cannot be handled: kept, reported with the reason, never blocking the rest.',
      'A record that is mended in the source leaves the list at the next run.',
    ].join('\n'),
    examples: [
      ['moraine quarantine list', 'what is open'],
      ["moraine quarantine show 'archive 20261122-0a1b2c3d4e'", 'one entry'],
    ],
  })
    .addCommand(listCommand())
    .addCommand(showCommand());
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List open entries, oldest first.',
    examples: [
      ['moraine quarantine list', ''],
      ['moraine quarantine list --policy chats --all', 'closed ones too'],
    ],
  })
    .summary('list open entries')
    .option('--all', 'closed entries too')
    .option('--policy <policy>', 'only those of one policy')
    .action(
      acting<ListOptions>(async (session, _args, { all, policy }) => {
        const app = await session.openApp();
        const filter = { ...(all ? {} : { state: 'open' }), ...(policy === undefined ? {} : { policy }) };
        const found: QuarantineDocument[] = [];
        for await (const entry of findQuarantine(app.store, filter)) found.push(entry);
        const reasons = new Map<string, number>();
        for (const { reason } of found) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
        session.output.result(found.map(entryDocument), () =>
          found.length === 0
            ? ['Nothing is in quarantine.']
            : [
                table(
                  ['what', 'policy', 'owner', 'customer', 'reason', 'since', 'seen'],
                  found.map((entry) => [
                    whatOf(entry),
                    entry.policy,
                    entry.owner ?? '-',
                    entry.customer ?? '-',
                    entry.reason,
                    day(entry.firstSeenAt),
                    count(entry.timesSeen),
                  ]),
                ),
                `  ${[...reasons].map(([reason, entries]) => `${counted(entries, reason, reason)}`).join(', ')}`,
              ],
        );
        return EXIT.done;
      }),
    );
}

function showCommand(): Command {
  return newCommand('show', {
    description: 'Show one entry.',
    examples: [["moraine quarantine show 'archive 20261122-0a1b2c3d4e'", '']],
  })
    .summary('show one entry')
    .argument('<entry>', 'id of the entry, as --json lists it')
    .action(
      acting(async (session, [entryId = '']) => {
        const app = await session.openApp();
        const entry = await getQuarantine(app.store, entryId);
        if (entry === null) {
          throw new MoraineError('USAGE', `There is no entry ${JSON.stringify(entryId)} in quarantine.`, {
            hint: 'Run `moraine quarantine list --json` for the ids.',
          });
        }
        session.output.result(entryDocument(entry), () => [
          `${whatOf(entry)}, ${entry.state}`,
          `  ${entry.text} (${entry.reason})`,
          `  policy ${entry.policy}, owner ${entry.owner ?? 'unknown'}, customer ${entry.customer ?? 'unknown'}`,
          `  first seen ${instant(entry.firstSeenAt)}, last ${instant(entry.lastSeenAt)}, ${counted(entry.timesSeen, 'time')}`,
          ...(entry.state === 'closed'
            ? [`  closed ${instant(entry.closedAt)} by ${entry.closedBy}: ${entry.closedReason}`]
            : []),
        ]);
        return EXIT.done;
      }),
    );
}

function whatOf(entry: QuarantineDocument): string {
  if (entry.archive !== null) return `archive ${entry.archive}`;
  return `${entry.namespace} ${entry.idBytes === null ? '(id forgotten)' : idText(entry.idBytes)}`;
}

function entryDocument(entry: QuarantineDocument) {
  const { _id, kind, policy, namespace, owner, customer, archive, reason, text, state, idBytes } = entry;
  const { firstSeenAt, lastSeenAt, timesSeen, closedAt, closedBy, closedReason } = entry;
  return {
    id: _id,
    kind,
    state,
    policy,
    namespace,
    owner,
    customer,
    archive,
    record: idBytes === null ? null : idText(idBytes),
    reason,
    text,
    firstSeenAt,
    lastSeenAt,
    timesSeen,
    closedAt,
    closedBy,
    closedReason,
  };
}
