/** `moraine find`: which archives hold what somebody looks for, from the ledger alone. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import { liveRetrievals } from '../ledger/retrievals.ts';
import type { Context } from '../lifecycle/context.ts';
import { type Found, findHolding } from '../lifecycle/find.ts';
import { isRetrievable } from '../lifecycle/retrieve.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { isRecord, parseCount, type SelectionOptions, selectionOf, withSelection } from './selection-options.ts';
import { count, counted, day, size } from './words.ts';

interface FindOptions extends SelectionOptions {
  readonly limit: number;
  readonly after?: string;
}

const LIMIT = 100;
/** What one answer holds at most: the rest is a next page's. */
const MOST = 10_000;

export function findCommand(): Command {
  const command = newCommand('find', {
    description: [
      'Find the archives that hold a record, or records of an owner, a customer, a dataset, a value of a facet or dates.',
      'All that is named must fit. The ledger alone is asked: no vault, no key. It says where an archive may hold',
      'something rather than holds it: keyed codes can be shared, a facet may not have been declared when an archive was',
      'sealed, and dates are known of the archive as a whole.',
    ].join('\n'),
    examples: [
      ['moraine find support.chats 65f0c1d2e3f405162738495a', 'one record, with its segment and range'],
      ['moraine find --owner acme --facet subject=jane@example.org', 'one person'],
      ['moraine find --customer globex --from 2024-01-01 --to 2024-07-01', 'half a year of one customer'],
      ['moraine find --owner acme --limit 1000 --json', 'for a script; `after` names the next page'],
    ],
  }).argument('[record...]', 'database.collection and _id of a record');
  return withSelection(command)
    .option('--limit <number>', 'show so many at most', parseCount, LIMIT)
    .option('--after <archive>', 'go on after this one')
    .action(
      acting<FindOptions>(async (session, args, options) => {
        if (args.length > 0 && !isRecord(args)) {
          throw new MoraineError(
            'USAGE',
            'A record is its collection and its id; `moraine archive` shows one archive.',
          );
        }
        if (options.limit > MOST) throw new MoraineError('USAGE', `--limit is at most ${MOST}: go on with --after.`);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const selection = await selectionOf(context, args, options);
        const after = options.after === undefined ? null : id.archive(options.after);
        const shown: FoundArchive[] = [];
        let more = false;
        for await (const found of findHolding(context, selection, after)) {
          more = shown.length === options.limit;
          if (more) break;
          const one = await foundArchive(context, found);
          shown.push(one);
          session.output.say(foundText(one));
        }
        const last = shown.at(-1)?.id ?? null;
        session.output.result({ archives: shown, more, after: more ? last : null }, () => [
          shown.length === 0 ? 'No archive holds it.' : totalText(shown),
          ...(more ? [`  There are more: go on with --after ${last}, or pass a larger --limit.`] : []),
        ]);
        return EXIT.done;
      }),
    );
}

type FoundArchive = Awaited<ReturnType<typeof foundArchive>>;

async function foundArchive(context: Context, { archive, isCertain, doubts, segments }: Found) {
  const { stored } = archive;
  const retrievals = await liveRetrievals(context.store, archive._id);
  return {
    id: archive._id,
    answer: isCertain ? ('holds' as const) : ('may hold' as const),
    doubts,
    state: archive.state,
    owner: archive.owner,
    customer: archive.customer,
    dataset: archive.collection ?? archive.namespace,
    records: stored?.records ?? archive.plan.records,
    from: stored?.triggerFrom ?? null,
    to: stored?.triggerTo ?? null,
    bytes: stored?.bytes ?? null,
    /** Where a record is asked for. */
    segments,
    retrievable: isRetrievable(archive),
    retrievals: retrievals.map(({ _id, state, range, expectedAt, expiresAt }) => ({
      id: _id,
      state,
      range,
      expectedAt,
      expiresAt,
    })),
    dueAt: archive.dueAt,
  };
}

function foundText(found: FoundArchive): string {
  const { answer, doubts, segments, retrievals } = found;
  const where = segments.length === 0 ? '' : `, segment ${segments.join(', ')}`;
  const bytes = found.bytes === null ? 'not sealed' : size(found.bytes);
  const open = retrievals.map(({ id: retrieval, state }) => `retrieval ${retrieval} is ${state}`).join(', ');
  return [
    `${answer === 'holds' ? '✓' : '?'} ${found.id} ${answer} it${where}${doubts.length === 0 ? '' : `: ${doubts.join('; ')}`}`,
    `    ${found.owner} / ${found.customer} / ${found.dataset}, ${found.state}, ${counted(found.records, 'record')} from ${day(found.from)} to ${day(found.to)}, ${bytes}, purge due ${day(found.dueAt)}${found.retrievable ? '' : '; cannot be retrieved'}${open === '' ? '' : `; ${open}`}`,
  ].join('\n');
}

function totalText(shown: readonly FoundArchive[]): string {
  const certain = shown.filter(({ answer }) => answer === 'holds').length;
  return `${counted(shown.length, 'archive')}: ${count(certain)} hold it, ${count(shown.length - certain)} may.`;
}
