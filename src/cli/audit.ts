/** `moraine audit show|verify|publish`: the chain of what was done. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { MoraineError } from '../errors.ts';
import { type AuditEntry, auditEntries, verifyAudit } from '../ledger/audit.ts';
import { HEADS_OPTION, type HeadsOptions, KEY_OPTION, publishCommand, verifyWithHeads } from './audit-heads.ts';
import { rememberedHeads } from './certificate-facts.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { table } from './output.ts';
import { counted, instant } from './words.ts';

interface ShowOptions {
  readonly archive?: string;
  readonly policy?: string;
  readonly limit: number;
}

const DEFAULT_LIMIT = 50;

export function auditCommand(): Command {
  return newCommand('audit', {
    description: 'Every act leaves an entry: the intent before, the outcome after, in a chain that shows tampering.',
    examples: [
      ['moraine audit show --archive 20261122-0a1b2c3d4e', "one archive's history"],
      ['moraine audit verify', 'check the whole chain'],
    ],
  })
    .addCommand(showCommand())
    .addCommand(verifyCommand())
    .addCommand(publishCommand());
}

function showCommand(): Command {
  return newCommand('show', {
    description: 'Show the newest entries, newest first.',
    examples: [
      ['moraine audit show --limit 20', ''],
      ['moraine audit show --policy chats', 'what concerns one policy'],
    ],
  })
    .summary('show entries, newest first')
    .option('--archive <id>', 'only those of one archive')
    .option('--policy <policy>', 'only those of one policy')
    .option('--limit <number>', 'how many', wholeNumber, DEFAULT_LIMIT)
    .action(
      acting<ShowOptions>(async (session, _args, { archive, policy, limit }) => {
        const app = await session.openApp();
        const subject = { ...(archive === undefined ? {} : { archive }), ...(policy === undefined ? {} : { policy }) };
        const entries: AuditEntry[] = [];
        for await (const entry of auditEntries(app.store, { subject, newestFirst: true, limit })) entries.push(entry);
        session.output.result(entries, () => [
          table(
            ['seq', 'when', 'what', 'phase', 'about', 'by'],
            entries.map(({ seq, at, act, phase, subject, actor }) => [
              seq,
              instant(at),
              act,
              phase,
              Object.entries(subject)
                .map(([name, value]) => `${name} ${value}`)
                .join(', '),
              actor,
            ]),
          ),
        ]);
        return EXIT.done;
      }),
    );
}

function verifyCommand(): Command {
  return newCommand('verify', {
    description: [
      'Check the whole chain, and that the entries which certificates remember are in it. Exit code 3 and the number of',
      'the first bad entry when it does not hold. With --key nothing of the ledger is trusted: heads from a write-once place',
      'must be signed by that key, hang together, and be in the chain.',
    ].join('\n'),
    examples: [
      ['moraine audit verify --json', '{ entries, ok, firstBad }'],
      ['moraine audit verify --key keys.pem', 'by the heads in the place of `audit.heads`'],
      ['moraine audit verify --key keys.pem --heads heads', 'by those that were downloaded to a folder'],
    ],
  })
    .summary('check the whole chain')
    .addOption(KEY_OPTION)
    .addOption(HEADS_OPTION)
    .action(
      acting<HeadsOptions>(async (session, _args, { key, heads = 's3' }) => {
        if (key !== undefined) return await verifyWithHeads(session, key, heads);
        const app = await session.openApp();
        const verdict = await verifyAudit(app.store, await rememberedHeads(app.store));
        session.output.result(verdict, () =>
          verdict.ok ? [`✓ The chain holds: ${counted(verdict.entries, 'entry', 'entries')}.`] : [],
        );
        if (verdict.ok) return EXIT.done;
        const error = new MoraineError(
          'AUDIT_BROKEN',
          `The audit chain does not hold at entry ${verdict.firstBad}: ${verdict.reason}.`,
          { ids: { entry: verdict.firstBad ?? 0 } },
        );
        if (!session.output.isJson) throw error;
        session.log.error({ code: error.code, entry: verdict.firstBad }, error.message);
        return EXIT.person;
      }),
    );
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('Expected a whole number of 1 or more.');
}
