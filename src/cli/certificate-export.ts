/** `moraine certificate export`: certificates as files for others, each with all that it takes to check it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { certificatePage } from '../certificate/page.ts';
import { certificatePdf } from '../certificate/pdf.ts';
import { type FileKind, type SignedCertificate, signedJson } from '../certificate/signed-file.ts';
import { certificatesOf, oneCertificate, signedFiles } from './certificate-find.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { PLAIN_MODE, writeNewFile } from './new-file.ts';
import { counted } from './words.ts';

interface ExportOptions {
  readonly format: FileKind;
  readonly out: string;
  readonly owner?: string;
  readonly policy?: string;
}

export function exportCommand(): Command {
  return newCommand('export', {
    description: [
      'Write certificates as files: PDF or HTML to read, JSON for machines. Each holds the signed text and its signature, so',
      'that `moraine certificate verify FILE` needs neither ledger nor configuration. No file is ever overwritten.',
    ].join('\n'),
    examples: [
      ['moraine certificate export --owner acme --out certificates', 'all of one owner, as PDF'],
      ['moraine certificate export 17 18 --format html', 'two of them, as pages'],
    ],
  })
    .summary('write certificates as JSON, HTML or PDF')
    .argument('[certificate...]', 'numbers or ids; default: all')
    .addOption(new Option('--format <format>', 'of the files').choices(['json', 'html', 'pdf']).default('pdf'))
    .option('--out <dir>', 'folder to write into', '.')
    .option('--owner <owner>', 'only those of one owner')
    .option('--policy <policy>', 'only those of one policy')
    .action(
      acting<ExportOptions>(async (session, names, { format, out, ...query }) => {
        const app = await session.openApp();
        const certificates =
          names.length === 0
            ? await certificatesOf(app.store, query)
            : await Promise.all(names.map((name) => oneCertificate(app.store, name)));
        mkdirSync(out, { recursive: true });
        const files: string[] = [];
        for (const signed of await signedFiles(app.keys, certificates)) {
          const file = join(out, fileName(signed, format));
          writeNewFile(file, await renderCertificate(signed, format), PLAIN_MODE);
          files.push(file);
        }
        session.output.result({ files }, () => [`✓ ${counted(files.length, 'certificate')} in ${out}.`]);
        return EXIT.done;
      }),
    );
}

/** By number, so that a folder shows at a glance that none is missing. */
export function fileName({ number }: Pick<SignedCertificate, 'number'>, format: FileKind): string {
  return `certificate-${String(number).padStart(6, '0')}.${format}`;
}

export async function renderCertificate(signed: SignedCertificate, format: FileKind): Promise<string | Buffer> {
  if (format === 'pdf') return await certificatePdf(signed);
  return format === 'html' ? certificatePage(signed) : signedJson(signed);
}
