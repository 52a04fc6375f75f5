/** The text of `docs/errors.md`, made from the list in `src/errors.ts`. */
import { ERROR_KINDS, type ErrorClass } from '../src/errors.ts';

const CLASSES: Readonly<Record<ErrorClass, { readonly title: string; readonly text: string }>> = {
  usage: {
    title: 'Wrong command, configuration or policy',
    text: 'Class `usage`, exit code 2. Nothing was started. Correct what the message names; trying again without that says the same.',
  },
  person: {
    title: 'A person is needed',
    text: 'Class `person`, exit code 3. Nothing is wrong with the program: something must be decided, proved or repaired. What it concerns waits meanwhile, and nothing of it is deleted.',
  },
  failed: {
    title: 'Failed, and will fail again unchanged',
    text: 'Class `failed`, exit code 1.',
  },
  retry: {
    title: 'Tried again soon',
    text: 'Class `retry`, exit code 1 when it ends a command. The daemon tries again by itself; in the foreground, run the command again.',
  },
  later: {
    title: 'Not now',
    text: 'Class `later`, exit code 1 when it ends a command. The message says from when on, where that is known. The daemon comes back by itself.',
  },
  unknown: {
    title: 'It may have happened',
    text: 'Class `unknown`, exit code 1 when it ends a command. Moraine asks the outside world before it does anything else: nothing is done twice, and nothing is taken for done.',
  },
  quarantine: {
    title: 'This record or archive only',
    text: 'Class `quarantine`. It is kept, reported and put aside; the rest goes on. A run that puts something new aside ends with exit code 3, a command about that one archive with 1. See `moraine quarantine list`.',
  },
  bug: {
    title: 'A mistake of ours',
    text: 'Class `bug`, exit code 1. The work stopped where it was, and can be carried on. Please report it with the message.',
  },
};

const HEAD = `# Errors

<!-- Made by scripts/write-errors-page.ts from src/errors.ts: change that list, then run the script. -->

An error has a **code** that never changes its meaning, a **class** that says what may be done about it, and a text with
the ids of what it concerns, what was changed before it, and what to do next. With \`--json\` all of that is one document,
\`{ "error": { ... } }\`. No text holds content of a record or personal data. What to do for alarms and metrics is in
[operating.md](operating.md).
`;

export function errorsPage(): string {
  const sections = Object.entries(CLASSES).map(([name, { title, text }]) => {
    const rows = Object.entries(ERROR_KINDS)
      .filter(([, kind]) => kind.class === name)
      .map(([code, kind]) => [`\`${code}\``, kind.meaning, kind.hint]);
    return `## ${title}\n\n${text}\n\n${table([['code', 'what it means', 'what to do'], ...rows])}\n`;
  });
  return [HEAD, ...sections].join('\n');
}

/** Columns as wide as their widest cell, as the formatter wants them. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[], fill: string) =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width, fill)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head, ' '), line([], '-'), ...body.map((row) => line(row, ' '))].join('\n');
}
