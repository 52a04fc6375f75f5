/** `moraine policy notice`: what is in force for each owner and customer, as documents to hand out. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { id } from '../ids.ts';
import { noticesOf } from '../lifecycle/notices.ts';
import type { Notice } from '../notify/notice.ts';
import { noticeDocument, noticeTitle } from '../notify/notice-document.ts';
import { htmlOf, markdownOf } from '../notify/tree.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { escapedName } from './restore-folder.ts';
import { counted } from './words.ts';

interface NoticeOptions {
  readonly owner?: string;
  readonly customer?: string;
  readonly format: 'md' | 'html';
  readonly out?: string;
}

export function noticeCommand(): Command {
  return newCommand('notice', {
    description: [
      'Write for each owner and customer what is kept, how long, where, who may retrieve it, and what becomes of it in the',
      'end: from what is in force in the ledger, not from the files. Holds and exceptions are counted, not told.',
    ].join('\n'),
    examples: [
      ['moraine policy notice --owner acme --customer north', 'one notice, as Markdown'],
      ['moraine policy notice --format html --out notices', 'all of them: notices/<owner>/<customer>.html'],
    ],
  })
    .summary('write what is in force for each owner and customer')
    .option('--owner <owner>', 'of this owner only')
    .option('--customer <customer>', 'of this customer only')
    .addOption(new Option('--format <format>', 'form of the documents').choices(['md', 'html']).default('md'))
    .option('--out <folder>', 'one file for each instead of all on the terminal; files that are there are replaced')
    .action(
      acting<NoticeOptions>(async (session, _names, { owner, customer, format, out }) => {
        const app = await session.openApp();
        const { notices, problems } = await noticesOf(
          session.contextOf(app),
          {
            owner: owner === undefined ? null : id.owner(owner),
            customer: customer === undefined ? null : id.customer(customer),
          },
          {
            administratorsOf: (of) =>
              (app.config.owners.get(of) ?? []).map(({ name, recovery }) => ({ name, recovery })),
          },
        );
        for (const { policy, text } of problems) {
          session.output.note(`${policy}: ${text} Only customers with archives have a notice of it.`);
        }
        const files = out === undefined ? [] : notices.map((notice) => write(notice, format, out));
        session.output.result({ notices, files, notes: session.output.notes }, () => {
          if (notices.length === 0)
            return ['Nothing is in force for anybody here: no policy meets a record or archive.'];
          if (out === undefined) return notices.map((notice) => rendered(notice, format));
          return [`✓ ${counted(files.length, 'notice')} written into ${out}.`];
        });
        return EXIT.done;
      }),
    );
}

function rendered(notice: Notice, format: NoticeOptions['format']): string {
  const document = noticeDocument(notice);
  return format === 'html' ? htmlOf(document, noticeTitle(notice)) : markdownOf(document);
}

/** Names are escaped as `restore` does it, so that none of them leaves the folder. */
function write(notice: Notice, format: NoticeOptions['format'], out: string): string {
  const folder = join(out, fileName(notice.owner));
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${fileName(notice.customer)}.${format}`);
  writeFileSync(file, rendered(notice, format));
  return file;
}

/** `.` and `..` are names of folders, and a file that begins with a dot is not seen. */
function fileName(party: string): string {
  return escapedName(party).replace(/^\./, '%2E');
}
