/** `moraine quarantine list|show|retry|dispose`: what cannot be handled, why, and the ways out. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { id, type OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import {
  archiveEntryId,
  findQuarantine,
  getQuarantine,
  type QuarantineDocument,
  recordEntryId,
} from '../ledger/quarantine.ts';
import type { Store } from '../ledger/store.ts';
import { type Disposal, disposeQuarantined, planDisposal, retryQuarantined } from '../lifecycle/quarantine.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { table } from './output.ts';
import { idBytesOfText, idText } from './record-id.ts';
import { count, counted, day, instant } from './words.ts';

interface ListOptions {
  readonly all?: true;
  readonly policy?: string;
}

export function quarantineCommand(): Command {
  return newCommand('quarantine', {
    description: [
      'Records and archives that cannot be handled: kept, reported with the reason, never blocking the rest.',
      'A record that is mended in the source leaves the list at the next run. An entry is named by what `list` prints:',
      'the archive, or the collection and the _id of the record.',
    ].join('\n'),
    examples: [
      ['moraine quarantine list', 'what is open, and who looks at it'],
      ['moraine quarantine show 20261122-0a1b2c3d4e', 'one entry'],
      ['moraine quarantine retry support.chats 4711 --reason "import mended"', 'take it up again'],
      ['moraine quarantine dispose support.chats 4712 --reason "test data"', 'leave it as it is'],
    ],
  })
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(retryCommand())
    .addCommand(disposeCommand());
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
        const { contacts } = session.config;
        session.output.result(
          found.map((entry) => entryDocument(entry, contacts)),
          () =>
            found.length === 0
              ? ['Nothing is in quarantine.']
              : [
                  table(
                    ['what', 'policy', 'owner', 'customer', 'reason', 'since', 'seen', 'who looks'],
                    found.map((entry) => [
                      whatOf(entry),
                      entry.policy,
                      entry.owner ?? '-',
                      entry.customer ?? '-',
                      entry.reason,
                      day(entry.firstSeenAt),
                      count(entry.timesSeen),
                      entry.state === 'open' ? contactOf(entry, contacts) : entry.state,
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
    examples: [
      ['moraine quarantine show 20261122-0a1b2c3d4e', 'an archive'],
      ['moraine quarantine show support.chats 4711', 'a record'],
    ],
  })
    .summary('show one entry')
    .argument('<entry...>', ENTRY)
    .action(
      acting(async (session, words) => {
        const app = await session.openApp();
        const entry = await entryOf(app.store, words);
        const { contacts } = session.config;
        session.output.result(entryDocument(entry, contacts), () => [
          `${whatOf(entry)}, ${entry.state}`,
          `  ${entry.text} (${entry.reason})`,
          `  policy ${entry.policy}, owner ${entry.owner ?? 'unknown'}, customer ${entry.customer ?? 'unknown'}`,
          `  first seen ${instant(entry.firstSeenAt)}, last ${instant(entry.lastSeenAt)}, ${counted(entry.timesSeen, 'time')}`,
          ...(entry.state === 'open'
            ? [`  ${contactOf(entry, contacts)} looks at it: \`moraine quarantine retry|dispose ${wordsOf(entry)}\``]
            : [`  ${entry.state} ${instant(entry.closedAt)} by ${entry.closedBy}: ${entry.closedReason}`]),
        ]);
        return EXIT.done;
      }),
    );
}

function retryCommand(): Command {
  return newCommand('retry', {
    description: [
      'Take up again what an open or disposed entry names. A record is planned anew at the next run, and its changes in a',
      'row are counted from none. An archive goes back to where it came from, one in doubt to be verified anew: `moraine run`',
      'or `moraine reconcile` carries it on. Refused while its records may be in another archive that is not cleared.',
    ].join('\n'),
    examples: [['moraine quarantine retry support.chats 4711 --reason "import mended"', '']],
  })
    .summary('take up again')
    .argument('<entry...>', ENTRY)
    .requiredOption('--reason <text>', 'why')
    .action(
      acting<{ readonly reason: string }>(async (session, words, { reason }) => {
        const app = await session.openApp();
        const found = await entryOf(app.store, words);
        const by = { who: session.actor, reason: reasonOf(reason) };
        const { entry, archive } = await retryQuarantined(session.contextOf(app), found, by);
        session.output.result(decidedDocument(entry, archive, session.config.contacts), () => [
          found.state === 'closed'
            ? `${whatOf(found)} was closed ${instant(found.closedAt)} by ${found.closedBy}: ${found.closedReason}`
            : archive === null
              ? `✓ ${whatOf(found)} is taken up again at the next run.`
              : `✓ Archive ${archive._id} is ${archive.state} again; \`moraine run\` or \`moraine reconcile\` carries it on.`,
        ]);
        return EXIT.done;
      }),
    );
}

function disposeCommand(): Command {
  return newCommand('dispose', {
    description: [
      'Close an entry without Moraine doing more about it. Nothing is ever deleted in the source: a record stays there and is',
      'passed over until it is retried, or its trouble is another. An archive that was never verified is given up: its key',
      'is destroyed, its records are in the source and are planned anew. Any other archive stays as it is, with its key;',
      'where it is the only copy of records, the loss must be accepted by name.',
    ].join('\n'),
    examples: [
      ['moraine quarantine dispose support.chats 4712 --reason "test data"', ''],
      ['moraine quarantine dispose 20261122-0a1b2c3d4e --reason "vault lost, see C-9" --accept-loss', ''],
    ],
  })
    .summary('close an entry; deletes nothing in the source')
    .argument('<entry...>', ENTRY)
    .requiredOption('--reason <text>', 'why')
    .option('--accept-loss', 'of an archive that is the only copy of records')
    .action(
      acting<{ readonly reason: string; readonly acceptLoss?: true }>(
        async (session, words, { reason, acceptLoss }) => {
          const app = await session.openApp();
          const context = session.contextOf(app);
          const found = await entryOf(app.store, words);
          const by = { who: session.actor, reason: reasonOf(reason) };
          const disposal = await planDisposal(context, found);
          if (found.state === 'open') {
            session.output.say(disposalText(disposal));
            await confirm(session, `Dispose of ${whatOf(found)}?`);
          }
          const { entry, archive } = await disposeQuarantined(context, found, by, { acceptLoss: acceptLoss === true });
          session.output.result(decidedDocument(entry, archive, session.config.contacts), () => [
            found.state === 'open'
              ? `✓ ${whatOf(found)} is ${entry.state === 'disposed' ? 'disposed of' : 'given up'}.`
              : `${whatOf(found)} was ${found.state} ${instant(found.closedAt)} by ${found.closedBy}: ${found.closedReason}`,
          ]);
          return EXIT.done;
        },
      ),
    );
}

const ENTRY = 'id of the archive; collection and _id of the record; or id of the entry';

/** Throws USAGE for an entry that is not there. */
async function entryOf(store: Store, words: readonly string[]): Promise<QuarantineDocument> {
  const [first = '', second] = words;
  const text = words.join(' ');
  const names = [text, ...(words.length === 1 ? [archiveEntryId(id.archive(text))] : [])];
  if (second !== undefined && words.length === 2 && first.includes('.'))
    names.push(...idBytesOfText(second).map((bytes) => recordEntryId(id.namespace(first), bytes)));
  for (const name of names) {
    const entry = await getQuarantine(store, name);
    if (entry !== null) return entry;
  }
  throw new MoraineError('USAGE', `There is no entry ${JSON.stringify(text)} in quarantine.`, {
    hint: 'Run `moraine quarantine list`, and name what it prints.',
  });
}

function reasonOf(text: string): string {
  if (text.trim() === '') throw new MoraineError('USAGE', 'A decision has a reason.');
  return text.trim();
}

function disposalText({ kind, lost, perhapsLost }: Disposal): string {
  if (kind === 'record stays') return 'The record stays in the source and is passed over.';
  if (kind === 'archive given up') {
    return 'Nothing of this archive was deleted from the source. Its key is destroyed; its records are planned anew.';
  }
  const cut = perhapsLost === 0 ? '' : `, and perhaps of some of ${count(perhapsLost)} more`;
  const loss = lost + perhapsLost === 0 ? '' : ` It is the only copy of ${counted(lost, 'deleted record')}${cut}.`;
  return `The archive stays as it is, in quarantine and with its key; it is not purged.${loss}`;
}

type Contacts = ReadonlyMap<OwnerId, string>;

/** Who is to look at it: the owner's contact in moraine.yaml, or the owner. */
function contactOf({ owner }: QuarantineDocument, contacts: Contacts): string {
  if (owner === null) return 'operator';
  return contacts.get(owner) ?? owner;
}

function wordsOf(entry: QuarantineDocument): string {
  return entry.archive ?? whatOf(entry);
}

function whatOf(entry: QuarantineDocument): string {
  if (entry.archive !== null) return `archive ${entry.archive}`;
  return `${entry.namespace} ${entry.idBytes === null ? '(id forgotten)' : idText(entry.idBytes)}`;
}

function decidedDocument(entry: QuarantineDocument, archive: ArchiveDocument | null, contacts: Contacts) {
  return { ...entryDocument(entry, contacts), archiveState: archive?.state ?? null };
}

function entryDocument(entry: QuarantineDocument, contacts: Contacts) {
  const { _id, kind, policy, namespace, owner, customer, archive, reason, text, state, idBytes } = entry;
  const { firstSeenAt, lastSeenAt, timesSeen, closedAt, closedBy, closedReason } = entry;
  return {
    id: _id,
    kind,
    state,
    contact: contactOf(entry, contacts),
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
