/** `moraine policy diff`: the file against what is in force, in words and on the real data. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { PolicyVersion } from '../ids.ts';
import {
  CHANGES,
  type ChangeExample,
  type Changes,
  comparePolicies,
  type PolicyComparison,
} from '../lifecycle/compare-policies.ts';
import { dueNow } from '../lifecycle/context.ts';
import { pinnedPolicy } from '../lifecycle/published.ts';
import { deletesMore, type MoreDeletable } from '../policy/deletes-more.ts';
import { changeWords } from '../policy/difference.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { FEW_ROWS, table } from './output.ts';
import { policiesOfFiles, versionsInForce } from './policy-files.ts';
import { idText } from './record-id.ts';
import { count, counted, day, short, size } from './words.ts';

interface DiffOptions {
  readonly examples: number;
}

export function diffCommand(): Command {
  return newCommand('diff', {
    description: [
      'Compare the files with what is in force: what differs, and what that does to the records that are there. Says for',
      'each owner and customer how many become due earlier, later or never, and shows a few with the rule that decides.',
      'Reads each collection once, in the order of the index. Changes nothing.',
    ].join('\n'),
    examples: [
      ['moraine policy diff', 'all policies of the files that differ'],
      ['moraine policy diff chats --examples 20', 'one policy, with more examples'],
    ],
  })
    .summary('the files against what is in force, on the real data')
    .argument('[policy...]', 'names of policies; default: all')
    .option('--examples <n>', 'records to show for each policy', parseCount, 5)
    .action(
      acting<DiffOptions>(async (session, names, { examples }) => {
        const loaded = policiesOfFiles(session.config, names);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const measuredAt = dueNow(context);
        const inForce = await versionsInForce(app.store, context.asOf);
        const found: Compared[] = [];
        for (const { policy, version } of loaded) {
          const previous = inForce.get(policy.name) ?? null;
          if (previous === version) {
            found.push({ policy: policy.name, version, comparison: null, reasons: [] });
            continue;
          }
          const old = previous === null ? null : await pinnedPolicy(context.store, previous);
          const comparison = await comparePolicies(context, old, policy, { measuredAt, examples });
          const reasons = old === null ? [] : deletesMore(old, policy);
          found.push({ policy: policy.name, version, comparison, reasons });
        }
        const policies = found.map(({ policy, version, comparison, reasons }) => ({
          ...{ policy, version, isInForce: comparison === null, makesMoreDeletable: reasons.map(({ text }) => text) },
          ...(comparison === null ? {} : comparisonDocument(comparison)),
        }));
        session.output.result({ asOf: measuredAt, policies }, () => found.flatMap(diffText));
        return EXIT.done;
      }),
    );
}

const MOST_EXAMPLES = 1_000;

function parseCount(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value <= MOST_EXAMPLES) return value;
  throw new InvalidArgumentError(`Expected a whole number up to ${MOST_EXAMPLES}.`);
}

interface Compared {
  readonly policy: string;
  readonly version: PolicyVersion;
  /** Null: in force already. */
  readonly comparison: PolicyComparison | null;
  readonly reasons: readonly MoreDeletable[];
}

function comparisonDocument(comparison: PolicyComparison) {
  const { examples, ...facts } = comparison;
  return {
    ...facts,
    examples: examples.map(({ idBytes, ...example }) => ({ id: idText(idBytes), ...example })),
  };
}

function diffText({ policy, version, comparison, reasons }: Compared): readonly string[] {
  if (comparison === null) return [`${policy}: version ${short(version)} is in force; the file says the same.`, ''];
  const { from, to, fields, examples } = comparison;
  const title =
    from === null ? `${policy}: version ${short(to)}, never published` : `${policy}: ${short(from)} -> ${short(to)}`;
  return [
    title,
    ...fields.map((field) => `  ${changeWords(field)}`),
    ...reasons.map(({ text }) => `  ! ${text}`),
    ...comparisonText(comparison),
    ...(examples.length === 0 ? [] : [examplesTable(examples)]),
    '',
  ];
}

const HEADS: Readonly<Record<(typeof CHANGES)[number], string>> = {
  earlier: 'earlier',
  later: 'later',
  never: 'never',
  newlyDue: 'newly due',
  noLongerDue: 'not due now',
  otherwise: 'otherwise',
  goneSooner: 'gone sooner',
};

/** What a version does to the records that are there; also the preview of `publish`. */
export function comparisonText({ records, totals, parties }: PolicyComparison): readonly string[] {
  const cells = (changes: Changes) =>
    CHANGES.map((change) => {
      const { records: changed, bytes } = changes[change];
      return changed === 0 ? '-' : `${count(changed)} (${size(bytes)})`;
    });
  if (parties.length === 0)
    return [`  None of ${counted(records, 'record')} becomes due on another day, or is disposed of otherwise.`];
  const rows = parties.map((party) => [party.owner, party.customer, ...cells(party)]);
  const all = parties.length === 1 ? [] : [['all', '', ...cells(totals)]];
  return [table(['owner', 'customer', ...CHANGES.map((change) => HEADS[change])], [...all, ...rows], FEW_ROWS)];
}

function examplesTable(examples: readonly ChangeExample[]): string {
  const rows = examples.map(({ customer, idBytes, old, next }) => {
    const isOtherwise = old.does !== null && next.does !== null && old.does !== next.does;
    const by = isOtherwise ? `${next.by}; ${next.does} instead of: ${old.does}` : next.by;
    return [idText(idBytes), customer, day(old.dueAt), old.by, day(next.dueAt), by];
  });
  return table(['record', 'customer', 'due', 'by', 'due then', 'by'], rows, examples.length);
}
