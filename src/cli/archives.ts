/** `moraine archives`: list archives. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import { ARCHIVE_STATES } from '../ledger/states.ts';
import { archiveListed, archivesTable } from './archive-document.ts';
import { acting, EXIT, newCommand } from './command.ts';

interface ArchivesOptions {
  readonly all?: true;
  readonly state?: string;
  readonly owner?: string;
  readonly policy?: string;
}

export function archivesCommand(): Command {
  return newCommand('archives', {
    description: 'List archives, oldest first. Abandoned plans are left out, unless --all or --state abandoned.',
    examples: [
      ['moraine archives', ''],
      ['moraine archives --state stored', 'what waits for verification'],
      ['moraine archives --owner acme --json', 'for a script'],
    ],
  })
    .option('--all', 'abandoned ones too')
    .option('--state <state>', `one of ${ARCHIVE_STATES.join(', ')}`)
    .option('--owner <owner>', 'only those of one owner')
    .option('--policy <policy>', 'only those of one policy')
    .action(
      acting<ArchivesOptions>(async (session, _args, { all, state, owner, policy }) => {
        if (state !== undefined && !ARCHIVE_STATES.some((known) => known === state)) {
          throw new MoraineError('USAGE', `There is no state ${state}; there are: ${ARCHIVE_STATES.join(', ')}.`);
        }
        const app = await session.openApp();
        const filter = {
          ...(state === undefined ? (all ? {} : { state: { $ne: 'abandoned' } }) : { state }),
          ...(owner === undefined ? {} : { owner }),
          ...(policy === undefined ? {} : { policy }),
        };
        const found: ArchiveDocument[] = [];
        for await (const archive of findArchives(app.store, filter, { sort: { createdAt: 1, _id: 1 } }))
          found.push(archive);
        session.output.result(found.map(archiveListed), () =>
          found.length === 0 ? ['There are no archives.'] : [archivesTable(found, Number.POSITIVE_INFINITY)],
        );
        return EXIT.done;
      }),
    );
}
