/** `moraine offboard`: a customer leaves. Everything is returned as an export, then destroyed, with certificates. */
import { existsSync, readdirSync } from 'node:fs';
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import {
  askToOffboard,
  type OffboardPlan,
  type OffboardReport,
  offboard,
  planOffboarding,
} from '../lifecycle/offboard.ts';
import { VerifiedExport } from '../lifecycle/verified-export.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { exportDocument, exportInto, identityOf, reportText } from './export.ts';
import { writtenExport } from './export-verify.ts';
import { PASSPHRASE_OPTION } from './identity.ts';
import { KMS_OPTION, type OpenerOptions } from './opener.ts';
import { FEW_ROWS, table } from './output.ts';
import { safeToDestroy } from './preflight.ts';
import { count, counted, named, short } from './words.ts';

interface OffboardOptions extends OpenerOptions {
  readonly owner: string;
  readonly export: string;
  readonly reason: string;
  readonly withoutArchives?: true;
}

export function offboardCommand(): Command {
  return newCommand('offboard', {
    description: [
      'A customer leaves: all that is kept of it is exported into a folder, or the export that is there is taken; it is',
      'verified; and when another person has granted exactly what is shown, its records, archives and keys are destroyed,',
      'with certificates. Only what the export holds goes: what changed or came since stays and is told. Holds stop it:',
      'then it ends incomplete (exit code 3), and the same command carries it on.',
    ].join('\n'),
    examples: [
      ['moraine offboard north --owner acme --export north --identity alice.key --reason "contract ended"', ''],
      ['moraine offboard north --owner acme --export north --reason "contract ended" --yes', 'carry on, for a script'],
    ],
  })
    .argument('<customer>', 'who leaves')
    .requiredOption('--owner <owner>', 'the owner whose customer it is')
    .requiredOption('--export <folder>', 'a new folder, or one that `moraine export` wrote')
    .requiredOption('--reason <text>', 'why; it is in the audit chain and the certificate')
    .option('--without-archives', 'destroy archives, too, that the export does not hold')
    .option('--identity <file>', "an administrator's identity: for what is in archives")
    .option(...PASSPHRASE_OPTION)
    .option(...KMS_OPTION)
    .action(
      acting<OffboardOptions>(async (session, [customerText = ''], options) => {
        const reason = options.reason.trim();
        if (reason === '') throw new MoraineError('USAGE', 'Say why: --reason TEXT.');
        const subject = { owner: id.owner(options.owner), customer: id.customer(customerText) };
        const openKey = await identityOf(session, options);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const folder = options.export;
        let written: ReturnType<typeof exportDocument> | null = null;
        if (isNewFolder(folder)) {
          const report = await exportInto(
            context,
            subject,
            folder,
            ['bson', 'jsonl'],
            openKey?.(subject.owner) ?? null,
          );
          written = exportDocument({ ...report, folder });
          for (const line of reportText({ ...report, folder })) session.output.say(line);
        }
        const exported = await VerifiedExport.of(context, writtenExport(folder, session.signal), subject);
        const order = {
          ...subject,
          reason,
          saidBy: session.actor,
          withoutArchives: options.withoutArchives === true,
        };
        const plan = planOffboarding(exported, order);
        session.output.say(planText(plan, folder));
        await askToOffboard(context, plan, session.actor);
        await safeToDestroy(session, context);
        await confirm(session, `Destroy all of this of ${subject.customer} for ever?`);
        const report = await offboard(context, exported, order);
        session.output.result({ ...report, plan, written }, () => offboardText(report));
        return report.state === 'done' ? EXIT.done : EXIT.person;
      }),
    );
}

function isNewFolder(folder: string): boolean {
  return !existsSync(folder) || readdirSync(folder).length === 0;
}

function planText(plan: OffboardPlan, folder: string): string {
  return [
    `${plan.customer} of ${plan.owner} leaves (${plan.reason}). Export ${plan.export} in ${folder} is verified, manifest ${short(plan.manifestSha256)}.`,
    'What it holds is destroyed:',
    table(
      ['collection', 'what', 'count'],
      plan.collections.map(({ collection, part, records }) => [collection, part, count(records)]),
      FEW_ROWS,
    ),
    ...(plan.exportedArchives.length > 0
      ? [`  ${counted(plan.exportedArchives.length, 'archive')}, with their keys: ${idsOf(plan.exportedArchives)}`]
      : []),
    ...(plan.withoutArchives.length > 0
      ? [
          `! ${counted(plan.withoutArchives.length, 'archive')} that the export does NOT hold: ${idsOf(plan.withoutArchives)}`,
        ]
      : []),
  ].join('\n');
}

function idsOf(archives: readonly { readonly archive: string }[]): string {
  return named(archives.map(({ archive }) => archive));
}

function offboardText(report: OffboardReport): readonly string[] {
  const destroyed = report.archives.filter((archive) => archive.destroyed);
  const stay = report.archives.filter((archive) => !archive.destroyed);
  const deleted = report.collections.reduce((total, one) => total + one.deleted, 0);
  return [
    `${report.state === 'done' ? '✓' : '!'} ${counted(deleted, 'record')} deleted, ${counted(destroyed.length, 'archive')} destroyed with their keys.`,
    ...report.collections
      .filter(({ left }) => left > 0)
      .map(
        ({ collection, left, held, changed, unfit, holds }) =>
          `! ${collection}: ${counted(left, 'record')} stay: ${count(held)} held${holds.length > 0 ? ` by ${holds.join(', ')}` : ''}, ${count(changed)} changed since the export, ${count(unfit)} that cannot be guarded, the rest came since.`,
      ),
    ...report.came.map(
      ({ collection, records }) => `! ${collection}: ${counted(records, 'record')} came since the export.`,
    ),
    ...report.problems.map(({ collection, code, text }) => `✗ ${collection}: ${text} (${code})`),
    ...stay.map(
      ({ archive, reason, holds }) =>
        `! Archive ${archive} stays: ${reason}${holds.length > 0 ? ` (${holds.join(', ')})` : ''}.`,
    ),
    report.certificate === null
      ? `Incomplete: the same command carries it on. What the export does not hold needs a new export.`
      : `✓ Certificate ${report.certificate}. \`moraine reconcile\` confirms the archives by an inventory and signs theirs.`,
  ];
}
