/** `moraine stray list|adopt|dispose`: complete files in vaults that the ledger does not know, and what a person decides. */
import type { Command } from 'commander';
import { type FindingDocument, findFindings } from '../ledger/findings.ts';
import { adoptStray, disposeOfStray } from '../lifecycle/stray.ts';
import type { Tier } from '../vault/port.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { IDENTITY_OPTION, type IdentityOptions, PASSPHRASE_OPTION } from './identity.ts';
import { table } from './output.ts';
import { proveOptions, TIER_OPTION } from './prove-options.ts';
import { count, day, instant, size } from './words.ts';

const STRAY = 'id of the stray, as `stray list` and `reconcile` print it';

export function strayCommand(): Command {
  return newCommand('stray', {
    description: [
      'Strays: complete archives of this installation in a vault that the ledger does not know, after a ledger was',
      'restored from a backup, or rebuilt. They are kept until a person adopts or disposes of each.',
    ].join('\n'),
    examples: [
      ['moraine stray list', 'what is open'],
      ['moraine stray adopt stray-0a1b2c3d4e5f --identity alice.key', 'take it into the ledger'],
      ['moraine stray dispose stray-0a1b2c3d4e5f --reason "double, see C-9"', 'delete it, by approval'],
    ],
  })
    .addCommand(listCommand())
    .addCommand(adoptCommand())
    .addCommand(disposeCommand());
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List strays, and files that are listed although their archive is certified as gone.',
    examples: [
      ['moraine stray list', ''],
      ['moraine stray list --all', 'those that were dealt with too'],
    ],
  })
    .summary('list strays')
    .option('--all', 'those that were dealt with too')
    .action(
      acting<{ readonly all?: true }>(async (session, _args, { all }) => {
        const app = await session.openApp();
        const found: FindingDocument[] = [];
        for (const kind of ['stray', 'still-there']) {
          const filter = { kind, ...(all ? {} : { state: 'open' }) };
          for await (const finding of findFindings(app.store, filter)) found.push(finding);
        }
        session.output.result(found.map(strayDocument), () =>
          found.length === 0
            ? ['There are no strays.']
            : [
                table(
                  ['stray', 'vault', 'owner', 'customer', 'calls itself', 'size', 'since', 'state'],
                  found.map(({ _id, location, archive, listed, firstSeenAt, state, closedReason }) => [
                    _id,
                    location.name,
                    location.owner,
                    location.customer,
                    archive,
                    listed === null ? '-' : size(listed.bytes),
                    day(firstSeenAt),
                    state === 'open' ? 'open' : (closedReason ?? 'closed'),
                  ]),
                ),
                '  Next: `moraine stray adopt <stray> --identity FILE`, or `moraine stray dispose <stray> --reason TEXT`.',
              ],
        );
        return EXIT.done;
      }),
    );
}

function adoptCommand(): Command {
  return newCommand('adopt', {
    description: [
      "Take a stray into the ledger. An administrator's identity must open its key; then the end of its file is retrieved,",
      'which takes hours (run it again), and each record that it holds is looked for in the source.',
    ].join('\n'),
    examples: [['moraine stray adopt stray-0a1b2c3d4e5f --identity alice.key', '']],
  })
    .summary('take one into the ledger')
    .argument('<stray>', STRAY)
    .requiredOption(...IDENTITY_OPTION)
    .option(...PASSPHRASE_OPTION)
    .addOption(TIER_OPTION())
    .action(
      acting<IdentityOptions & { readonly tier: Tier }>(async (session, [stray = ''], options) => {
        const app = await session.openApp();
        const prove = await proveOptions(session, app, options);
        const proof = await adoptStray(session.contextOf(app), stray, prove);
        session.output.result({ stray, ...proof }, () => [
          proof.state === 'waiting'
            ? `Its key opens. The end of its file is being retrieved${proof.until === null ? '' : `, expected by ${instant(proof.until)}`}: run the same again then.`
            : `✓ ${stray} is an archive of the ledger: ${count(proof.outcomes.deleted)} of ${count(proof.outcomes.archived)} records are in it alone.`,
        ]);
        return EXIT.done;
      }),
    );
}

function disposeCommand(): Command {
  return newCommand('dispose', {
    description: [
      'Delete a stray from its vault and destroy its key. Another person has to approve exactly this; a hold on its',
      'customer stops it. A certificate says what is known of it.',
    ].join('\n'),
    examples: [['moraine stray dispose stray-0a1b2c3d4e5f --reason "double, see C-9"', '']],
  })
    .summary('delete one, by approval')
    .argument('<stray>', STRAY)
    .requiredOption('--reason <text>', 'why')
    .action(
      acting<{ readonly reason: string }>(async (session, [stray = ''], { reason }) => {
        const app = await session.openApp();
        await confirm(session, `Delete ${stray} for good? Nobody knows whether it is the only copy of what it holds.`);
        const by = { by: session.actor, reason };
        const disposed = await disposeOfStray(session.contextOf(app), stray, by);
        session.output.result(disposed, () => [
          `✓ ${stray} is deleted, its key destroyed: \`moraine certificate show ${disposed.certificate}\`.`,
        ]);
        return EXIT.done;
      }),
    );
}

function strayDocument(finding: FindingDocument) {
  const { _id, kind, location, archive, vaultArchiveId, listed, state, firstSeenAt, lastSeenAt, timesSeen } = finding;
  const { closedAt, closedBy, closedReason } = finding;
  return {
    ...{ id: _id, kind, state, vault: location.name, owner: location.owner, customer: location.customer },
    ...{ archive, vaultArchiveId, bytes: listed?.bytes ?? null, storedAt: listed?.createdAt ?? null },
    ...{ firstSeenAt, lastSeenAt, timesSeen, closedAt, closedBy, closedReason },
  };
}
