/**
 * YAML text to a checked value, or to a list of problems that each name file, line and field. Pure: the text comes in,
 * no file is read; `${NAME}` is looked up with the function that the caller passes, if any.
 *
 * A problem shows what stands in the FILE, never what a `${NAME}` was replaced with, and no credentials of URLs: a
 * message goes to logs and tickets.
 */
import { isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import { type ErrorCode, MoraineError } from './errors.ts';
import { withoutCredentials } from './without-credentials.ts';

export interface YamlProblem {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** `archive.dueWindow`, `policies[0]`; empty for the file as a whole. */
  readonly field: string;
  readonly expected: string;
  readonly found: string;
  readonly hint?: string;
}

export type YamlPath = readonly (string | number)[];

export interface YamlSource {
  readonly file: string;
  /** The plain JavaScript value, `${NAME}` replaced. Undefined when `problems` is not empty. */
  readonly value: unknown;
  /** Syntax errors, duplicate keys, `${NAME}` that are not set. */
  readonly problems: readonly YamlProblem[];
  /** The line of the node at `path`, or of the nearest parent that is there. */
  lineOf(path: YamlPath): number;
  /** A problem at `path`: for checks that a schema cannot express. `found` is filled in from the file. */
  problemAt(path: YamlPath, expected: string, hint?: string): YamlProblem;
}

/** Reads one YAML (or JSON) document. Without `environment`, `${NAME}` stays as it is. */
export function readYaml(file: string, text: string, environment?: (name: string) => string | undefined): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(environment ? protectNames(text) : text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (node: unknown): number | undefined => {
    const range = isRanged(node) ? node.range : undefined;
    return range ? lines.linePos(range[0]).line : undefined;
  };
  const original = new Map<unknown, string>();
  const problems: YamlProblem[] = document.errors.map((error) => ({
    file,
    line: lines.linePos(error.pos[0]).line,
    field: '',
    expected: error.code === 'DUPLICATE_KEY' ? 'each key once' : 'valid YAML',
    found: withoutQuotes(error.message),
  }));

  if (environment && problems.length === 0) {
    visit(document, {
      Scalar(_key, node) {
        if (typeof node.value !== 'string' || !node.value.includes(OPEN)) return;
        original.set(node, restoreNames(node.value));
        node.value = node.value.replace(PROTECTED_NAME, (_all, name: string) => {
          const value = environment(name);
          if (value !== undefined && value !== '') return value;
          problems.push({
            file,
            line: lineAt(node) ?? 1,
            field: '',
            expected: `the environment variable ${name}`,
            found: value === undefined ? 'it is not set' : 'it is empty',
            hint: `Set ${name}, or write the value into the file.`,
          });
          return '';
        });
      },
    });
  }

  const plainValue = (): unknown => {
    try {
      return document.toJS();
    } catch (error) {
      // Aliases that multiply without end; everything else the library reports as a problem.
      const found = error instanceof Error ? error.message : String(error);
      problems.push({ file, line: 1, field: '', expected: 'YAML that can be unfolded', found });
      return undefined;
    }
  };
  const nodeAt = (path: YamlPath): { node: unknown; whole: boolean } => {
    for (let length = path.length; length > 0; length--) {
      const node: unknown = document.getIn(path.slice(0, length), true);
      if (node !== undefined && node !== null) return { node, whole: length === path.length };
    }
    return { node: document.contents, whole: path.length === 0 };
  };
  const source: YamlSource = {
    file,
    value: problems.length === 0 ? plainValue() : undefined,
    problems,
    lineOf: (path) => keyLine(document.contents, path, lineAt) ?? lineAt(nodeAt(path).node) ?? 1,
    problemAt: (path, expected, hint) => {
      const { node, whole } = nodeAt(path);
      return {
        file,
        line: source.lineOf(path),
        field: fieldName(path),
        expected,
        found: whole ? describeNode(node, original.get(node), path) : 'nothing',
        ...(hint === undefined ? {} : { hint }),
      };
    },
  };
  return source;
}

/** Checks a source against a schema. Returns the value, or every problem in the order of the file. */
export function checkYaml<T extends z.ZodType>(
  source: YamlSource,
  schema: T,
  /** The fields that may stand at a path, for the message about one that may not. */
  knownKeys: (path: YamlPath) => readonly string[] = () => [],
): { readonly value: z.output<T>; readonly problems: readonly [] } | { readonly problems: readonly YamlProblem[] } {
  if (source.problems.length > 0) return { problems: source.problems };
  const result = schema.safeParse(source.value);
  if (result.success) return { value: result.data, problems: [] };
  const problems = result.error.issues.flatMap((issue) => problemsOfIssue(source, issue, [], knownKeys));
  return { problems: problems.sort((a, b) => a.line - b.line) };
}

/** One line: `moraine.yaml:4: redis.url: expected text, found nothing. Hint`. */
export function describeProblem(problem: YamlProblem): string {
  const field = problem.field === '' ? '' : `${problem.field}: `;
  const hint = problem.hint === undefined ? '' : `. ${problem.hint}`;
  return `${problem.file}:${problem.line}: ${field}expected ${problem.expected}, found ${problem.found}${hint}`;
}

/** One error for all problems of one or several files; its ids name the first. */
export function problemsError(code: ErrorCode, problems: readonly YamlProblem[]): MoraineError {
  const first = problems[0];
  return new MoraineError(code, problems.map(describeProblem).join('\n'), {
    ...(first ? { ids: { file: first.file, line: first.line, field: first.field } } : {}),
  });
}

/** `['a', 0, 'b.c']` → `a[0]["b.c"]` */
export function fieldName(path: YamlPath): string {
  return path
    .map((part, at) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[\w$-]+$/.test(part)) return `[${JSON.stringify(part)}]`;
      return at === 0 ? part : `.${part}`;
    })
    .join('');
}

// `${NAME}` is no plain scalar inside `{ }` in YAML, because braces mean a map there. The three marks of each name are
// swapped for private-use characters, one for one so that columns stay, before the parser sees the text.
const DOLLAR = '\uE000';
const OPEN = '\uE001';
const CLOSE = '\uE002';
const PROTECTED_NAME = new RegExp(`${DOLLAR}${OPEN}([A-Za-z_][A-Za-z0-9_]*)${CLOSE}`, 'g');

function protectNames(text: string): string {
  return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, `${DOLLAR}${OPEN}$1${CLOSE}`);
}

function restoreNames(text: string): string {
  return text.replace(PROTECTED_NAME, (_all, name: string) => `\${${name}}`);
}

/** The library quotes pieces of the text, and a piece of a broken line can be a password. */
function withoutQuotes(message: string): string {
  return message.replace(/"(?:[^"\\]|\\.)*"/g, '"…"');
}

function problemsOfIssue(
  source: YamlSource,
  issue: z.core.$ZodIssue,
  prefix: YamlPath,
  knownKeys: (path: YamlPath) => readonly string[],
): YamlProblem[] {
  const path = [...prefix, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path);
    const expected = known.length > 0 ? `one of ${known.join(', ')}` : 'no such field';
    return issue.keys.map((key) => ({ ...source.problemAt([...path, key], expected), found: `"${key}"` }));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const own = ownMessage(issue);
    const branch = own === null ? nearestBranch(issue.errors) : null;
    if (branch) return branch.flatMap((inner) => problemsOfIssue(source, inner, path, knownKeys));
    const expected = [...new Set(issue.errors.flat().map(expectedOf))];
    return [source.problemAt(path, own ?? expected.join(' or '))];
  }
  return [source.problemAt(path, expectedOf(issue))];
}

/** Of a union's branches the one that fits best: its problems lie deepest; null when none gets past its own top. */
function nearestBranch(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | null {
  const depth = (branch: readonly z.core.$ZodIssue[]) => Math.min(...branch.map((issue) => issue.path.length));
  const sorted = [...branches].sort((a, b) => depth(b) - depth(a) || a.length - b.length);
  const best = sorted[0];
  return best && depth(best) > 0 ? best : null;
}

/** What the schema wants, in words. A message that the schema's author wrote is taken as it is. */
function expectedOf(issue: z.core.$ZodIssue): string {
  const own = ownMessage(issue);
  if (own !== null) return own;
  switch (issue.code) {
    case 'invalid_type':
      return TYPE_WORDS[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.map((value) => JSON.stringify(value)).join(' or ');
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options) ? issue.options.join(' or ') : 'another value';
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array'
        ? `at least ${issue.minimum} ${issue.origin === 'string' ? 'characters' : 'entries'}`
        : `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string' || issue.origin === 'array'
        ? `at most ${issue.maximum} ${issue.origin === 'string' ? 'characters' : 'entries'}`
        : `${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
    case 'invalid_key':
      return `a key that is ${issue.issues.map(expectedOf).join(' and ')}`;
    case 'invalid_format':
      return issue.format === 'regex' ? `text that matches ${issue.pattern ?? 'a pattern'}` : `a valid ${issue.format}`;
    default:
      return issue.message;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

/** Zod's own messages begin with these; anything else was written in the schema. */
function ownMessage(issue: z.core.$ZodIssue): string | null {
  return /^(Invalid|Too big|Too small|Unrecognized)/.test(issue.message) ? null : issue.message;
}

function isRanged(node: unknown): node is { readonly range: Node['range'] } {
  return typeof node === 'object' && node !== null && 'range' in node;
}

/** The line of the key that leads to `path`: where a reader looks, also when its value is a block below. */
function keyLine(contents: unknown, path: YamlPath, lineAt: (node: unknown) => number | undefined): number | undefined {
  let node = contents;
  let line: number | undefined;
  for (const part of path) {
    if (isSeq(node)) {
      node = typeof part === 'number' ? node.items[part] : undefined;
      line = lineAt(node) ?? line;
      continue;
    }
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && String(key.value) === part) : undefined;
    if (!isPair(pair)) return line;
    line = lineAt(pair.key) ?? line;
    node = pair.value;
  }
  return line;
}

/** Longer values are cut in messages: they are there to be recognised, not read. */
const MAX_FOUND_LENGTH = 60;

/** Fields whose values are never shown, whatever is wrong with them. */
const SECRET_FIELD = /secret|password|passphrase|token|accessKey/i;

function describeNode(node: unknown, original: string | undefined, path: YamlPath): string {
  if (typeof node !== 'object' || node === null) return 'nothing';
  if (isMap(node)) return 'a map';
  if (isSeq(node)) return 'a list';
  const value = original ?? (isScalar(node) ? node.value : undefined);
  if (value === null || value === undefined) return 'nothing';
  if (original === undefined && path.some((part) => SECRET_FIELD.test(String(part))))
    return 'a value that is not shown';
  if (typeof value !== 'string') return String(value);
  const shown = withoutCredentials(value);
  return JSON.stringify(shown.length > MAX_FOUND_LENGTH ? `${shown.slice(0, MAX_FOUND_LENGTH)}…` : shown);
}
