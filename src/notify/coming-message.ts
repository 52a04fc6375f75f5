/** What will change, and from when on, as part of a message: what is in force beside what comes. Pure. */
import type { RootContent } from 'mdast';
import type { Terms } from '../policy/terms.ts';
import { termRows } from './notice-document.ts';
import type { ComingNews, ComingPolicyNews } from './telling.ts';
import { code, heading, type Inline, list, paragraph, strong, table } from './tree.ts';
import { day, sentence } from './words.ts';

const VERSION_SHOWN = 12;

export function comingSubject({ policies }: ComingNews): string {
  const days = policies.filter(({ change }) => change === 'coming').map(({ from }) => day(from));
  const [first] = days.sort();
  return first === undefined ? 'a change that was announced will not come' : `what is in force will change on ${first}`;
}

export function coming({ policies }: ComingNews): readonly RootContent[] {
  return [
    list(
      policies.map(({ policy, change, from, version }) => [
        'Policy ',
        strong(policy),
        change === 'coming'
          ? ` will change on ${day(from)} (${from}), to version `
          : ` will not change on ${day(from)}, as was told before: this version was withdrawn: `,
        code(version.slice(0, VERSION_SHOWN)),
        '.',
      ]),
    ),
    ...policies.filter(({ change }) => change === 'coming').flatMap(changesOf),
    paragraph('Until then what is in force now holds. When it has changed you are told once more.'),
  ];
}

function changesOf({ policy, now, next, from }: ComingPolicyNews): readonly RootContent[] {
  const said = new Map<string, { now: readonly Inline[]; next: readonly Inline[] }>();
  for (const [name, cell] of rowsOf(now)) said.set(name, { now: cell, next: NONE });
  for (const [name, cell] of rowsOf(next)) said.set(name, { now: said.get(name)?.now ?? NONE, next: cell });
  const changed = [...said].filter(([, row]) => JSON.stringify(row.now) !== JSON.stringify(row.next));
  return [
    heading(2, `${policy}: records of ${next?.collection ?? now?.collection ?? ''}`),
    table([
      [['What'], ['In force'], [`From ${day(from)}`]],
      ...changed.map(([name, row]) => [[name], row.now, row.next] as const),
    ]),
  ];
}

const NONE: readonly Inline[] = ['None.'];

/** Name and words of each row; the rules as one. */
function rowsOf(terms: Terms | null): readonly (readonly [string, readonly Inline[]])[] {
  if (terms === null) return [];
  const rows = termRows(terms).map(([name = [], cell = []]) => [String(name[0] ?? ''), cell] as const);
  if (terms.rules.length === 0) return rows;
  return [...rows, ['Rules', [terms.rules.map(sentence).join(' ')]]];
}
