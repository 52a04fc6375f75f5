/** A telling as a message: a subject, Markdown, HTML, and JSON for machines. Pure; it says what the telling holds and no more. */
import type { Root, RootContent } from 'mdast';
import type { Json } from '../canonical-json.ts';
import { coming, comingSubject } from './coming-message.ts';
import { termRows } from './notice-document.ts';
import type { InForceNews, News, PolicyNews, PurgeNews, Telling } from './telling.ts';
import { code, document, heading, htmlOf, list, markdownOf, paragraph, shown, strong, table } from './tree.ts';
import { day, figure, plural } from './words.ts';

export interface Message {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly json: Json;
}

export function messageOf(telling: Telling): Message {
  const subject = shown(subjectOf(telling));
  const root = bodyOf(telling, subject);
  const { id, owner, installation, environment, at, news } = telling;
  return {
    subject,
    text: markdownOf(root),
    html: htmlOf(root, subject),
    json: {
      id,
      kind: news.kind,
      owner,
      installation,
      environment,
      at: at.toISOString(),
      subject,
      // Only plain values are in it: what comes back is what went in.
      news: JSON.parse(JSON.stringify(news)),
    },
  };
}

function subjectOf({ owner, environment, news }: Telling): string {
  const where = environment === 'production' ? '' : `[${environment}] `;
  if (news.kind === 'in-force') return `${where}Retention for ${owner}: what is in force has changed`;
  if (news.kind === 'coming') return `${where}Retention for ${owner}: ${comingSubject(news)}`;
  const records = `${figure(news.records)} archived ${plural(news.records, 'record')}`;
  return `${where}Retention for ${owner}: ${records} will be destroyed from ${day(news.firstAt)}`;
}

function bodyOf(telling: Telling, subject: string): Root {
  const { news, id, installation, at } = telling;
  return document(
    heading(1, subject),
    ...contentsOf(news),
    paragraph(
      `Sent by installation ${installation} about what it found at ${at.toISOString()}. Notification `,
      code(id),
      '.',
    ),
  );
}

function contentsOf(news: News): readonly RootContent[] {
  if (news.kind === 'in-force') return inForce(news);
  return news.kind === 'coming' ? coming(news) : purge(news);
}

const CHANGES: Readonly<Record<PolicyNews['change'], string>> = {
  new: 'is new',
  changed: 'has changed',
  ended: 'is no longer in force',
  same: 'is as before',
};

function inForce({ policies, exceptions }: InForceNews): readonly RootContent[] {
  const { inForce: count, granted, ended } = exceptions;
  const changes = policies.filter(({ change }) => change !== 'same');
  return [
    list([
      ...changes.map(({ policy, change, since }) => [
        'Policy ',
        strong(policy),
        ` ${CHANGES[change]}${since === null ? '' : `, since ${day(since)}`}.`,
      ]),
      [
        `${figure(count)} ${plural(count, 'exception')} ${count === 1 ? 'is' : 'are'} in force`,
        granted + ended === 0 ? '.' : `: ${figure(granted)} new, ${figure(ended)} ended since the last message.`,
      ],
    ]),
    ...policies.flatMap(({ policy, version, terms }) =>
      terms === null
        ? []
        : [
            heading(2, `${policy}: records of ${terms.collection}`),
            table([[['What'], ['In force']], ...termRows(terms), [['Version'], [code((version ?? '').slice(0, 12))]]]),
          ],
    ),
    paragraph('The notice of each customer is written by ', code('moraine policy notice'), '.'),
  ];
}

function purge({ archives, records, customers, firstAt, lastAt, byPolicy }: PurgeNews): readonly RootContent[] {
  const [first, last] = [day(firstAt), day(lastAt)];
  const when = first === last ? `on ${first}` : `between ${first} and ${last}`;
  return [
    paragraph(
      `The archive period of ${figure(archives.length)} ${plural(archives.length, 'archive')} of `,
      `${figure(customers)} ${plural(customers, 'customer')} ends ${when}. They will be destroyed then, with their keys, `,
      'and nobody can bring them back.',
    ),
    table([
      [['Policy'], ['Archives'], ['Records']],
      ...byPolicy.map((each) => [[each.policy], [figure(each.archives)], [figure(each.records)]]),
      [['All'], [figure(archives.length)], [figure(records)]],
    ]),
    paragraph('What must stay has to be under a legal hold before: ', code('moraine hold place'), '.'),
  ];
}
