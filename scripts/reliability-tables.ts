/** The two tables of `docs/reliability.md` that follow from code: what the judge checks, and the bugs that are planted to judge it. */
import { PROPERTIES } from '../test/simulation/judge/properties.ts';
import { BUGS } from '../test/simulation/planted/index.ts';

const PAGE_PARTS = { properties: propertiesTable, 'planted bugs': plantedBugsTable } as const;

/** The page with its generated parts as they should be. Each stands between `<!-- NAME -->` and `<!-- end of NAME -->`. */
export function withTables(page: string): string {
  let written = page;
  for (const [name, make] of Object.entries(PAGE_PARTS)) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
    const from = written.indexOf(begin);
    const to = written.indexOf(end);
    if (from < 0 || to < from) throw new Error(`The page has no place for the table of ${name}.`);
    written = `${written.slice(0, from + begin.length)}\n\n${make()}\n\n${written.slice(to)}`;
  }
  return written;
}

function propertiesTable(): string {
  return table(
    ['property', 'promise', 'the failure that it catches'],
    Object.entries(PROPERTIES).map(([name, { promise, catches }]) => [`\`${name}\``, String(promise), catches]),
  );
}

function plantedBugsTable(): string {
  return table(
    ['planted bug', 'promise', 'what the product does wrong', 'caught by'],
    BUGS.map(({ name, promise, what, caughtBy }) => [
      name,
      String(promise),
      what,
      caughtBy.map((property) => `\`${property}\``).join(', '),
    ]),
  );
}

/** With columns of one width, as the formatter leaves them. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(3, ...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
