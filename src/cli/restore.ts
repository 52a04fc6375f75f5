/** `moraine restore`: an archive's records, out as files or into MongoDB, with an administrator's identity. */
import type { Command } from 'commander';
import { openSource } from '../app.ts';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import { unwrapArchiveKey } from '../keys/administrator.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { discarded } from '../lifecycle/discarded.ts';
import { type RestoreReport, type RestoreTarget, restoreArchive } from '../lifecycle/restore.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { IDENTITY_OPTION, type IdentityOptions, PASSPHRASE_OPTION, readIdentity } from './identity.ts';
import { parseInstant } from './parse-instant.ts';
import { databaseTarget } from './restore-database.ts';
import { assertNoProductionLedger, assertPlaceAllowed } from './restore-environment.ts';
import { dumpPath, folderTarget } from './restore-folder.ts';
import { count, counted, day } from './words.ts';

interface RestoreOptions extends IdentityOptions {
  readonly out?: string;
  readonly into?: string;
  readonly exemptUntil?: Date;
}

/** How long restored records are left alone when nobody says otherwise. */
const EXEMPT_DAYS = 30;
const DAY_MS = 86_400_000;

export function restoreCommand(): Command {
  return newCommand('restore', {
    description: [
      'Get the records out of a retrieved archive. The whole file is verified before the first record is written; a copy',
      'that is void (the record changed, stayed or was gone) never comes back. Into MongoDB it inserts what is missing,',
      'never overwrites, and leaves the restored records alone until a date.',
    ].join('\n'),
    examples: [
      ['moraine restore 20261122-0a1b2c3d4e --identity alice.key --out restored', 'DIR/<database>/<collection>.bson'],
      ['moraine restore 20261122-0a1b2c3d4e --identity alice.key --into mongodb://127.0.0.1:27017', 'into MongoDB'],
    ],
  })
    .argument('<archive>', 'id of the archive')
    .requiredOption(...IDENTITY_OPTION)
    .option(...PASSPHRASE_OPTION)
    .option('--out <folder>', 'a new or empty folder')
    .option('--into <url>', 'a MongoDB server')
    .option(
      '--exempt-until <date>',
      `with --into: due again from then on (default: in ${EXEMPT_DAYS} days)`,
      parseInstant,
    )
    .action(
      acting<RestoreOptions>(async (session, [archiveId = ''], options) => {
        assertOneTarget(options);
        const identity = await readIdentity(session, options);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const archive = await getArchive(app.store, id.archive(archiveId));
        const exemptUntil = options.exemptUntil ?? new Date(dueNow(context).getTime() + EXEMPT_DAYS * DAY_MS);
        const administrators = session.config.owners.get(archive.owner) ?? [];
        const target = await targetOf(session, context, archive, options, exemptUntil);
        let report: Awaited<ReturnType<typeof restoreArchive>>;
        try {
          report = await restoreArchive(
            context,
            archive._id,
            (wrapped) => unwrapArchiveKey(wrapped, identity, administrators),
            target,
            options.into === undefined ? 'files' : 'database',
          );
        } catch (error) {
          // Also for what fails before the first record is written.
          throw await discarded(error, () => target.discard());
        }
        const namespace = collectionOfArchive(archive);
        const file = options.out === undefined ? null : `${options.out}/${dumpPath(namespace)}`;
        const isExempt = options.into !== undefined;
        session.output.result({ ...report, file, exemptUntil: isExempt ? exemptUntil : null }, () => [
          `✓ Archive ${report.archive} verified: ${counted(report.records, 'record')}, signed by ${report.signedBy}.`,
          file === null
            ? `✓ ${counted(report.inserted, 'record')} inserted into ${namespace}; ${count(report.existing)} were there and stayed as they are. Left alone until ${day(exemptUntil)}.`
            : `✓ ${counted(report.inserted, 'record')} in ${file}`,
          ...unitLines(report),
          ...(report.void > 0 ? [`  ${counted(report.void, 'copy', 'copies')} void, left out.`] : []),
        ]);
        return EXIT.done;
      }),
    );
}

/** What hung on the records, and where the rest of it is. */
function unitLines({ children, attachments, addenda }: RestoreReport): string[] {
  const line = (what: string, { records, inserted, existing, void: voids }: RestoreReport['children']) =>
    records === 0
      ? []
      : [`✓ ${count(inserted)} of ${count(records)} ${what}; ${count(existing)} were there, ${count(voids)} void.`];
  return [
    ...line('children', children),
    ...line('attachments', attachments),
    ...(addenda.length > 0 ? [`  Children that came later are in ${addenda.join(', ')}: restore them too.`] : []),
  ];
}

function assertOneTarget({ out, into, exemptUntil }: RestoreOptions): void {
  if ((out === undefined) === (into === undefined)) {
    throw new MoraineError('USAGE', 'Name one target: --out DIR or --into URL.');
  }
  if (exemptUntil !== undefined && into === undefined) {
    throw new MoraineError('USAGE', '--exempt-until belongs to --into: files are not looked at by any policy.');
  }
}

async function targetOf(
  session: Session,
  context: Context,
  archive: ArchiveDocument,
  { out, into }: RestoreOptions,
  exemptUntil: Date,
): Promise<RestoreTarget> {
  if (into === undefined) return await folderTarget(out ?? '', collectionOfArchive(archive), context.newId());
  assertPlaceAllowed(session.config, into);
  const { source, attachments, productionLedgers, close } = await openSource(into, session.config);
  session.atEnd(close);
  if (session.config.environment === 'non-production') assertNoProductionLedger(await productionLedgers());
  return await databaseTarget(context, source, archive, exemptUntil, attachments);
}
