/** `moraine restore`: records of archives, out as files or into MongoDB, with an administrator's identity. */
import { type Command, Option } from 'commander';
import { type App, openSource } from '../app.ts';
import { MoraineError } from '../errors.ts';
import { type ArchiveId, id, type OwnerId } from '../ids.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { discarded } from '../lifecycle/discarded.ts';
import type { OpenKey } from '../lifecycle/export-customer.ts';
import { pinnedPolicy } from '../lifecycle/published.ts';
import { type RestoreReport, type RestoreTarget, restoreArchive } from '../lifecycle/restore.ts';
import { CONFLICT_CHOICES, type ConflictChoice } from '../lifecycle/restore-conflicts.ts';
import { endReadRetrievals } from '../lifecycle/restore-retrieval.ts';
import { acting, EXIT, type ExitCode, newCommand, type Session } from './command.ts';
import { IDENTITY_OPTION, PASSPHRASE_OPTION } from './identity.ts';
import { KMS_OPTION, type OpenerOptions, readOpener } from './opener.ts';
import { parseInstant } from './parse-instant.ts';
import { type RenameNamespace, renameNamespaces } from './rename-namespaces.ts';
import { databaseTarget } from './restore-database.ts';
import { assertNoProductionLedger, assertPlaceAllowed } from './restore-environment.ts';
import { openRestoreFolder } from './restore-folder.ts';
import { recordLines, restoreRecordFrom } from './restore-record.ts';
import { reportLines } from './restore-text.ts';
import { isRecord } from './selection-options.ts';
import { day } from './words.ts';

interface RestoreOptions extends OpenerOptions {
  readonly out?: string;
  readonly into?: string;
  readonly exemptUntil?: Date;
  readonly onConflict?: ConflictChoice;
  readonly preview?: true;
  readonly nsFrom: readonly string[];
  readonly nsTo: readonly string[];
}

/** How long restored records are left alone when nobody says otherwise. */
const EXEMPT_DAYS = 30;
const DAY_MS = 86_400_000;

export function restoreCommand(): Command {
  return newCommand('restore', {
    description: [
      'Get the records out of retrieved archives. The whole file is verified before the first record is written; a copy',
      'that is void (the record changed, stayed or was gone) never comes back. Into MongoDB it inserts what is missing,',
      'does with what is there as --on-conflict says, and leaves the restored records alone until a date. One that was',
      'killed is run again.',
    ].join('\n'),
    examples: [
      [
        'moraine restore 20261122-0a1b2c3d4e --identity alice.key --out restored',
        'what mongorestore and bsondump read',
      ],
      ['moraine restore 20261122-0a1b2c3d4e --identity alice.key --into mongodb://127.0.0.1:27017', 'into MongoDB'],
      [
        'moraine restore <archive> --identity FILE --into URL --preview',
        'what is there already, before anything is written',
      ],
      [
        "moraine restore <archive> <archive> --identity FILE --into URL --nsFrom 'support.*' --nsTo 'restored.*'",
        'two, into another database',
      ],
    ],
  })
    .argument('<archives...>', 'ids of archives, restored in this order; or database.collection and _id of one record')
    .option(...IDENTITY_OPTION)
    .option(...PASSPHRASE_OPTION)
    .option(...KMS_OPTION)
    .option('--out <folder>', 'a new or empty folder')
    .option('--into <url>', 'a MongoDB server')
    .addOption(
      new Option(
        '--on-conflict <choice>',
        'with --into, where another document is there: keep it; fail, before anything is written; the newest of the two by the version field of the policy; replace it (default: keep)',
      ).choices(CONFLICT_CHOICES),
    )
    .option('--preview', 'with --into: say what would be restored and what is there, and write nothing')
    .option('--nsFrom <pattern>', 'namespaces to rename, as mongorestore takes them; may be repeated', collect, [])
    .option('--nsTo <pattern>', 'their new names, in the same order', collect, [])
    .option(
      '--exempt-until <date>',
      `with --into: due again from then on (default: in ${EXEMPT_DAYS} days)`,
      parseInstant,
    )
    .action(
      acting<RestoreOptions>(async (session, archiveIds, options) => {
        assertOptions(options);
        const rename = renameNamespaces(options.nsFrom, options.nsTo);
        const openerOf = await readOpener(session, options);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const archives: ArchiveDocument[] = [];
        const exemptUntil = options.exemptUntil ?? new Date(dueNow(context).getTime() + EXEMPT_DAYS * DAY_MS);
        const [namespace = '', record = ''] = archiveIds;
        if (isRecord(archiveIds)) {
          const work = { session, app, context, openerOf, options, rename, exemptUntil, archives };
          return await oneRecord(work, namespace, record);
        }
        for (const each of new Set(archiveIds)) archives.push(await getArchive(app.store, id.archive(each)));
        const work = { session, app, context, openerOf, options, rename, exemptUntil, archives };
        const restored =
          options.out === undefined
            ? await intoDatabase(work, options.into ?? '')
            : await intoFolder(work, options.out);
        const isExempt = options.into !== undefined && options.preview === undefined;
        const told = restored.map((each) => ({ ...each, exemptUntil: isExempt ? exemptUntil : null }));
        session.output.result(told.length === 1 ? told[0] : { archives: told }, () => [
          ...restored.flatMap((report) => reportLines(report, options.preview === true)),
          ...(isExempt ? [`  Restored records are left alone until ${day(exemptUntil)}.`] : []),
        ]);
        return EXIT.done;
      }),
    );
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

interface RestoreWork {
  readonly session: Session;
  readonly app: App;
  readonly context: Context;
  readonly openerOf: (owner: OwnerId) => OpenKey;
  readonly options: RestoreOptions;
  readonly rename: RenameNamespace;
  readonly exemptUntil: Date;
  readonly archives: readonly ArchiveDocument[];
}

export interface Restored extends RestoreReport {
  readonly namespace: string;
  /** The file with the records; null for MongoDB. */
  readonly file: string | null;
}

async function intoFolder(work: RestoreWork, out: string): Promise<readonly Restored[]> {
  const { app, archives, rename } = work;
  const factsOf = (namespace: Parameters<App['collectionFacts']>[0]) => app.collectionFacts(namespace);
  const folder = await openRestoreFolder(out, { rename, factsOf });
  try {
    const restored: Restored[] = [];
    for (const archive of archives) {
      const report = await restoreOne(work, archive, await folder.target(archive), 'files');
      restored.push({ ...report, file: `${out}/${folder.fileOf(archive)}` });
    }
    await folder.finish();
    await endReadRetrievals(
      work.context,
      restored.map(({ retrieval }) => retrieval),
    );
    return restored;
  } catch (error) {
    // Also for what fails before the first record is written.
    throw await discarded(error, () => folder.discard());
  }
}

async function intoDatabase(work: RestoreWork, url: string): Promise<readonly Restored[]> {
  const { context, options, archives, exemptUntil, rename } = work;
  const { source, attachments } = await openTarget(work, url);
  const choice = options.onConflict ?? 'keep';
  const versions = await versionFields(context, archives, choice);
  const restoreAll = async (isPreview: boolean) => {
    const restored: Restored[] = [];
    for (const archive of archives) {
      const version = versions.get(archive._id) ?? null;
      const how = { attachments, choice, rename, version, isPreview };
      const target = databaseTarget(context, source, archive, exemptUntil, how);
      restored.push(await restoreOne(work, archive, target, isPreview ? 'preview' : 'database'));
    }
    return restored;
  };
  if (options.preview) return await restoreAll(true);
  if (choice === 'fail') assertNoConflict(await restoreAll(true));
  const restored = await restoreAll(false);
  await endReadRetrievals(
    context,
    restored.map(({ retrieval }) => retrieval),
  );
  return restored;
}

/** One record, wherever it is. */
async function oneRecord(work: RestoreWork, namespace: string, text: string): Promise<ExitCode> {
  const { session, app, context, openerOf, options, rename, exemptUntil } = work;
  const { out, into } = options;
  const place = into === undefined ? null : await openTarget(work, into);
  const factsOf = (of: Parameters<App['collectionFacts']>[0]) => app.collectionFacts(of);
  const folder = place === null ? await openRestoreFolder(out ?? '', { rename, factsOf }) : null;
  const choice = options.onConflict ?? 'keep';
  const target = async (archive: ArchiveDocument, isPreview: boolean) => {
    if (folder !== null) return await folder.target(archive);
    if (place === null) throw new MoraineError('INTERNAL', 'A record is restored to nowhere.');
    const version = (await versionFields(context, [archive], choice)).get(archive._id) ?? null;
    return databaseTarget(context, place.source, archive, exemptUntil, { choice, rename, version, isPreview });
  };
  const kind = folder !== null ? 'files' : options.preview === true ? 'preview' : 'database';
  try {
    const parts = {
      context,
      openerOf,
      kind,
      target: (archive: ArchiveDocument) => target(archive, kind === 'preview'),
    } as const;
    const report = await restoreRecordFrom(parts, namespace, text);
    await folder?.finish();
    session.output.result({ ...report, exemptUntil: kind === 'database' ? exemptUntil : null }, () =>
      recordLines(report, out ?? rename(id.namespace(namespace))),
    );
    return report.outcome === 'void' || report.outcome === 'not there' ? EXIT.failed : EXIT.done;
  } catch (error) {
    throw folder === null ? error : await discarded(error, () => folder.discard());
  }
}

async function openTarget({ session }: RestoreWork, url: string) {
  assertPlaceAllowed(session.config, url);
  const opened = await openSource(url, session.config);
  session.atEnd(opened.close);
  if (session.config.environment === 'non-production') assertNoProductionLedger(await opened.productionLedgers());
  return opened;
}

async function restoreOne(
  { context, openerOf, rename }: RestoreWork,
  archive: ArchiveDocument,
  target: RestoreTarget,
  kind: 'files' | 'database' | 'preview',
): Promise<Restored> {
  const open = openerOf(archive.owner);
  // Of all of them only when the last one is done: what is killed in between is run again with the same ids.
  const report = await restoreArchive(context, archive._id, open, target, kind, { keepsRetrieval: true });
  return { ...report, namespace: rename(collectionOfArchive(archive)), file: null };
}

/** The version fields of their policies, for what is compared by them. Throws USAGE where `newest` could not tell. */
async function versionFields(
  { store }: Context,
  archives: readonly ArchiveDocument[],
  choice: ConflictChoice,
): Promise<ReadonlyMap<ArchiveId, string | null>> {
  const fields = new Map<ArchiveId, string | null>();
  for (const { _id, policy, policyVersion } of archives) {
    const { version } = (await pinnedPolicy(store, policyVersion)).dataset;
    if (choice === 'newest' && version === null) {
      throw new MoraineError(
        'USAGE',
        `Policy ${policy} of archive ${_id} names no version field to tell the newest by.`,
        {
          hint: 'Choose keep, fail or replace.',
        },
      );
    }
    fields.set(_id, version);
  }
  return fields;
}

/** Throws RESTORE_CONFLICT: nothing was written yet. */
function assertNoConflict(previews: readonly Restored[]): void {
  const found = previews.map(({ archive, newer, changed, children }) => ({
    archive,
    conflicts: newer + changed + children.newer + children.changed,
  }));
  const some = found.filter(({ conflicts }) => conflicts > 0);
  if (some.length === 0) return;
  const total = some.reduce((sum, { conflicts }) => sum + conflicts, 0);
  const of = some.map(({ archive }) => archive).join(', ');
  throw new MoraineError('RESTORE_CONFLICT', `${total} other documents stand where those of ${of} would be restored.`, {
    changed: 'Nothing was written.',
  });
}

function assertOptions({ out, into, exemptUntil, onConflict, preview }: RestoreOptions): void {
  if ((out === undefined) === (into === undefined)) {
    throw new MoraineError('USAGE', 'Name one target: --out DIR or --into URL.');
  }
  if (into !== undefined) return;
  if (exemptUntil !== undefined) {
    throw new MoraineError('USAGE', '--exempt-until belongs to --into: files are not looked at by any policy.');
  }
  if (onConflict !== undefined || preview !== undefined) {
    throw new MoraineError('USAGE', '--on-conflict and --preview belong to --into: nothing is there in a new folder.');
  }
}
