/** A notice as a document. Pure. */
import type { Root, RootContent } from 'mdast';
import type { Terms } from '../policy/terms.ts';
import type { Notice, NoticeEntry } from './notice.ts';
import { code, document, heading, type Inline, list, paragraph, strong, table } from './tree.ts';
import { day, figure, plural, sentence } from './words.ts';

export function noticeTitle({ owner, customer }: Notice): string {
  return `Retention notice: ${owner}, ${customer}`;
}

export function noticeDocument(notice: Notice): Root {
  const { owner, customer, asOf, environment, installation, entries } = notice;
  return document(
    heading(1, 'Retention notice'),
    paragraph(
      'Owner ',
      strong(owner),
      ', customer ',
      strong(customer),
      `. What is in force on ${day(asOf)}${environment === 'production' ? '' : ` (environment: ${environment})`}.`,
    ),
    ...(entries.length === 0
      ? [paragraph('No policy is in force for this customer: nothing is archived or deleted by itself.')]
      : entries.flatMap(entrySection)),
    heading(2, 'Who may retrieve an archive'),
    ...administrators(notice),
    ...(notice.regions.length === 0
      ? []
      : [heading(2, 'Place'), paragraph(`The owner requires that its data stays in ${notice.regions.join(' or ')}.`)]),
    heading(2, 'How to read this'),
    paragraph(
      'Periods are calendar periods. A legal hold stops deletion and destruction of what it covers until it is released. ',
      'What is destroyed is certified: each certificate names the archive, the numbers and the time.',
    ),
    paragraph(
      `Written from the ledger of installation ${installation} at ${asOf.toISOString()}. `,
      'It says what was in force then, and not what was in a file.',
    ),
  );
}

function entrySection(entry: NoticeEntry): readonly RootContent[] {
  const { terms, policy, version, since, coming } = entry;
  return [
    heading(2, `Records of ${terms.collection}`),
    table([
      [['What'], ['In force']],
      ...termRows(terms),
      [['Kept in'], [place(entry)]],
      ...(entry.vault === null && entry.copies.archives === 0 ? [] : [[['Copies now'], [copies(entry)]] as const]),
      [['Legal holds'], [counted(entry.holds, 'hold', 'covers something of it', 'cover something of it')]],
      [['Exceptions'], [counted(entry.exceptions, 'exception', 'is in force', 'are in force')]],
      [['Policy'], [`${policy}, version `, code(version.slice(0, VERSION_SHOWN)), `, since ${day(since)}`]],
      ...(coming === undefined
        ? []
        : [
            [
              ['Will change'],
              [`on ${day(coming.from)}, to version `, code(coming.version.slice(0, VERSION_SHOWN))],
            ] as const,
          ]),
    ]),
    ...(terms.rules.length === 0
      ? []
      : [
          paragraph('Rules that meet a record beside these periods; what retains beats what deletes:'),
          list(terms.rules.map((rule) => [sentence(rule)])),
        ]),
  ];
}

const VERSION_SHOWN = 12;

/** The rows that say what is kept, how long and what becomes of it, as they stand in notices and in messages. */
export function termRows(terms: Terms): readonly (readonly (readonly Inline[])[])[] {
  const row = (name: string, lines: readonly string[]) => [[name], [sentence(lines.join('; '))]];
  return [
    row('Kept', [`each record of ${terms.collection}`, ...terms.together]),
    row('Counted', [terms.counted]),
    row('In use', terms.active),
    row('Then', terms.disposition),
    ...(terms.archive.length === 0 ? [] : [row('Copy kept', terms.archive)]),
    ...(terms.archive.length === 0
      ? []
      : [row('At the end', ['the copy and its key are destroyed, with a certificate'])]),
    row('Time zone', [terms.zone]),
  ];
}

function place({ sourceRegion, vault }: NoticeEntry): string {
  const source = `MongoDB${sourceRegion === null ? '' : ` in ${sourceRegion}`}`;
  if (vault === null) return `${source}.`;
  const backend = vault.backend === 'glacier' ? 'Glacier vault' : vault.backend === 's3' ? 'S3 bucket' : vault.backend;
  return `${source}; copies encrypted in ${backend} ${vault.name}, ${vault.region}.`;
}

function copies({ copies: { archives, records, firstPurgeAt, lastPurgeAt } }: NoticeEntry): string {
  if (archives === 0) return 'None.';
  const what = `${figure(records)} ${plural(records, 'record')} in ${figure(archives)} ${plural(archives, 'archive')}`;
  if (firstPurgeAt === null || lastPurgeAt === null) return `${what}.`;
  const [first, last] = [day(firstPurgeAt), day(lastPurgeAt)];
  return first === last
    ? `${what}, to be destroyed on ${first}.`
    : `${what}, to be destroyed from ${first} to ${last}.`;
}

function counted(count: number, noun: string, one: string, many: string): string {
  return count === 0 ? 'None.' : `${figure(count)} ${plural(count, noun)} ${count === 1 ? one : many}.`;
}

function administrators({ administrators: named, owner }: Notice): readonly RootContent[] {
  if (named.length === 0)
    return [paragraph(`Nobody: ${owner} has no designated administrator, so nothing is archived.`)];
  return [
    paragraph(
      'Archives are encrypted for these designated administrators. Nobody else, nor the service itself, can open one.',
    ),
    list(named.map(({ name, recovery }) => [name, ...(recovery ? [' (recovery; kept offline)'] : [])])),
  ];
}
