/**
 * What a command prints: for people text and tables on stdout, with `--json` one JSON document on stdout and nothing
 * else. Logs, progress and questions go to stderr in both cases.
 */
import Table from 'cli-table3';

/** Rows that a table shows to a person; `--json` has them all. */
const MOST_ROWS = 40;
/** Of a table that is one of several on the page. */
export const FEW_ROWS = 12;

export class Output {
  readonly isJson: boolean;
  readonly #notes: string[] = [];

  constructor(isJson: boolean) {
    this.isJson = isJson;
  }

  /** What somebody should know beside the result. Commands put {@link notes} into their JSON document. */
  note(text: string): void {
    this.#notes.push(text);
  }

  get notes(): readonly string[] {
    return this.#notes;
  }

  /** While the command works: only for people. */
  say(text: string): void {
    if (!this.isJson) process.stdout.write(`${text}\n`);
  }

  /** The result. Called once, at the end. */
  result(document: unknown, text: () => readonly string[]): void {
    if (this.isJson) {
      process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
      return;
    }
    const lines = [...text(), ...this.#notes.map((note) => `! ${note}`)];
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  }
}

/** A plain table; numbers to the right. Longer ones are cut, and say so. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  most = MOST_ROWS,
): string {
  const isNumeric = head.map((_, column) => rows.length > 0 && rows.every((row) => isNumber(row[column])));
  const grid = new Table({
    head: [...head],
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2, compact: true },
    colAligns: isNumeric.map((numeric) => (numeric ? 'right' : 'left')),
  });
  for (const row of rows.slice(0, most)) grid.push([...row]);
  const lines = grid
    .toString()
    .split('\n')
    .map((line) => cut(`  ${line.trimEnd()}`));
  if (rows.length > most) lines.push(`  ... and ${rows.length - most} more (--json shows all)`);
  return lines.join('\n');
}

/** To the width of the terminal, so that a long reason does not break the table. What goes elsewhere stays whole. */
function cut(line: string): string {
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  return line.length > width ? `${line.slice(0, width - 1)}…` : line;
}

function isNumber(cell: string | number | undefined): boolean {
  return typeof cell === 'number' || (cell !== undefined && /^(-|[\d,.]+( [KMGTP]?i?B)?)$/.test(cell));
}

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};
