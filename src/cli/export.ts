/** `moraine export`: everything that is kept of one customer, as files; `moraine export verify`: whether they still are what was written. */
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { MoraineError } from '../errors.ts';
import { type CustomerId, id, type OwnerId } from '../ids.ts';
import type { Context } from '../lifecycle/context.ts';
import { discarded } from '../lifecycle/discarded.ts';
import { type ExportReport, exportCustomer, type OpenKey, ownersOfCustomer } from '../lifecycle/export-customer.ts';
import { EXPORT_FORMATS, type ExportedArchive, type ExportFormat } from '../lifecycle/export-manifest.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { cutExports, exportFolder } from './export-folder.ts';
import { verifyExport } from './export-verify.ts';
import { PASSPHRASE_OPTION } from './identity.ts';
import { KMS_OPTION, type OpenerOptions, readOpener } from './opener.ts';
import { FEW_ROWS, table } from './output.ts';
import { assertEmpty, escapedName } from './restore-folder.ts';
import { count, counted, short, size } from './words.ts';

interface ExportOptions extends OpenerOptions {
  readonly out?: string;
  readonly owner?: string;
  readonly format: readonly ExportFormat[];
}

export function exportCommand(): Command {
  return newCommand('export', {
    description: [
      'Give out everything that is kept of one customer, as it is: the records of every dataset with a policy in force,',
      'due or not, as <database>/<collection>.bson (what mongorestore reads) and as JSON lines; and with an identity the',
      'records of its archives that are retrieved. Reads only. What changed while it ran is told. manifest.json has every',
      'file with its SHA-256. Without --owner: of every owner that has this customer, after asking.',
    ].join('\n'),
    examples: [
      ['moraine export north --owner acme --out north', 'the source; archives are listed'],
      ['moraine export north --owner acme --out north --identity alice.key', 'what is retrieved of the archives too'],
      ['moraine export verify north', 'is it still what was written? Asks no server'],
    ],
  })
    .argument('<customer>', 'whose records')
    .option('--out <folder>', 'a new or empty folder; always needed')
    .option('--owner <owner>', 'of one owner only')
    .option('--format <list>', 'bson, jsonl or both', formatsOf, EXPORT_FORMATS)
    .option('--identity <file>', "an administrator's identity: for what is in archives")
    .option(...PASSPHRASE_OPTION)
    .option(...KMS_OPTION)
    .addCommand(verifyCommand())
    .action(
      acting<ExportOptions>(async (session, [customerText = ''], options) => {
        const { out } = options;
        // Commander would ask it of `export verify`, too.
        if (out === undefined) throw new MoraineError('USAGE', 'Name the folder to write: --out DIR.');
        await assertEmpty(out);
        const openKey = await identityOf(session, options);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const customer = id.customer(customerText);
        const owners = await ownersToExport(session, context, customer, options.owner);
        for (const cut of await cutExports(out))
          session.output.note(`${cut} is left of an export that was cut. This one is new; remove that one.`);
        const reports: (ExportReport & { readonly folder: string })[] = [];
        for (const owner of owners) {
          const folder = owners.length === 1 ? out : join(out, folderName(owner));
          const opener = openKey === null ? null : openKey(owner);
          reports.push({ ...(await exportInto(context, { owner, customer }, folder, options.format, opener)), folder });
        }
        session.output.result({ exports: reports.map(exportDocument), notes: session.output.notes }, () =>
          reports.flatMap(reportText),
        );
        return EXIT.done;
      }),
    );
}

/** Exports into a folder that has its name only when everything is in it. */
export async function exportInto(
  context: Context,
  subject: { readonly owner: OwnerId; readonly customer: CustomerId },
  out: string,
  formats: readonly ExportFormat[],
  openKey: OpenKey | null,
): Promise<ExportReport> {
  const folder = await exportFolder(out, formats, context.newId());
  try {
    return await exportCustomer(context, subject, folder, openKey);
  } catch (error) {
    throw await discarded(error, () => folder.discard());
  }
}

/** Opens archive keys of an owner; null without an identity, and without --kms. */
export async function identityOf(
  session: Session,
  options: OpenerOptions,
): Promise<((owner: OwnerId) => OpenKey) | null> {
  return options.identity === undefined && options.kms === undefined ? null : await readOpener(session, options);
}

export function exportDocument({ folder, ...report }: ExportReport & { readonly folder: string }) {
  const left = report.archives.filter(({ outcome }) => outcome !== 'exported');
  return {
    ...report,
    folder,
    complete: left.length === 0,
    toRetrieve: left.flatMap((archive) => retrieveLine(archive) ?? []),
  };
}

export function reportText({ folder, ...report }: ExportReport & { readonly folder: string }): readonly string[] {
  const { collections, archives, files } = report;
  const exported = archives.filter(({ outcome }) => outcome === 'exported');
  const left = archives.filter(({ outcome }) => outcome !== 'exported');
  const records = collections.reduce((total, one) => total + one.records, 0);
  const bytes = files.reduce((total, one) => total + one.bytes, 0);
  return [
    `✓ ${report.customer} of ${report.owner} in ${folder}: ${counted(records, 'record')} of the source, ${counted(exported.length, 'archive')}, ${counted(files.length, 'file')}, ${size(bytes)}; manifest ${short(report.manifestSha256)}.`,
    table(
      ['collection', 'records', 'bytes', 'changed', 'gone', 'came while it ran'],
      collections.map(({ collection, records: read, bytes: plain, whileItRan }) => [
        collection,
        count(read),
        size(plain),
        count(whileItRan.changed),
        count(whileItRan.gone),
        count(whileItRan.came),
      ]),
      FEW_ROWS,
    ),
    ...left.map(
      (archive) =>
        `! Archive ${archive.archive} (${counted(archive.records, 'record')}) is not in it, ${archive.outcome}${hintFor(archive)}.`,
    ),
  ];
}

/** Never `.` or `..`. */
function folderName(owner: OwnerId): string {
  return escapedName(owner).replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length));
}

function hintFor(archive: ExportedArchive): string {
  const line = retrieveLine(archive);
  if (line !== null) return `: \`${line}\`, then export with --identity`;
  return archive.outcome === 'no identity' ? ': export with --identity FILE' : '';
}

function retrieveLine({ archive, outcome }: ExportedArchive): string | null {
  return outcome === 'not retrieved' ? `moraine retrieve ${archive}` : null;
}

function verifyCommand(): Command {
  return newCommand('verify', {
    description: 'Compare every file of an export with its manifest. Needs no configuration and asks no server.',
    examples: [['moraine export verify north', '']],
  })
    .summary('is an export what was written?')
    .argument('<folder>', 'the folder of the export')
    .action(
      acting(async (session, [folder = '']) => {
        const { manifest, manifestSha256, findings } = await verifyExport(folder, session.signal);
        const { export: exportId, owner, customer, endedAt, files } = manifest;
        const facts = { export: exportId, owner, customer, endedAt, manifestSha256, files: files.length };
        session.output.result({ ...facts, ok: findings.length === 0, findings }, () =>
          findings.length === 0
            ? [
                `✓ ${counted(files.length, 'file')} as they were written ${endedAt}: ${customer} of ${owner}, manifest ${short(manifestSha256)}.`,
              ]
            : findings.map(({ path, problem }) => `✗ ${path} is ${problem}.`),
        );
        return findings.length === 0 ? EXIT.done : EXIT.failed;
      }),
    );
}

async function ownersToExport(
  session: Session,
  context: Context,
  customer: CustomerId,
  owner: string | undefined,
): Promise<readonly OwnerId[]> {
  if (owner !== undefined) return [id.owner(owner)];
  const owners = await ownersOfCustomer(context, customer);
  if (owners.length === 0) {
    throw new MoraineError('CUSTOMER_UNKNOWN', `Nothing is kept of customer ${customer}, of whatever owner.`, {
      ids: { customer },
    });
  }
  session.output.say(`Customer ${customer} has records or archives under: ${owners.join(', ')}.`);
  await confirm(session, `Export ${customer} of ${counted(owners.length, 'owner')}: ${owners.join(', ')}?`);
  return owners;
}

function formatsOf(text: string): readonly ExportFormat[] {
  const wanted = text.split(',').map((one) => one.trim());
  const formats = EXPORT_FORMATS.filter((format) => wanted.includes(format));
  if (formats.length === 0 || wanted.some((one) => !EXPORT_FORMATS.some((format) => format === one))) {
    throw new InvalidArgumentError(`Formats are ${EXPORT_FORMATS.join(' and ')}.`);
  }
  return formats;
}
