/**
 * From the text of a policy file to a policy, or to everything that is wrong with it, each with file, line and field.
 * Pure: whoever calls has read the file.
 */
import type { z } from 'zod';
import type { MoraineError } from '../errors.ts';
import type { PolicyVersion } from '../ids.ts';
import { problemsError, readYaml, type YamlPath, type YamlProblem, type YamlSource } from '../yaml-problems.ts';
import { nearest } from './nearest.ts';
import { normalise } from './normalise.ts';
import { exceeds, parsePeriod } from './period.ts';
import { type Policy, policyVersion } from './policy.ts';
import { DEFAULTS, policyJsonSchema, policySchema } from './schema.ts';

export type PolicyProblem = YamlProblem;

export interface LoadedPolicy {
  readonly file: string;
  readonly policy: Policy;
  readonly version: PolicyVersion;
  /** The policy is in order, but somebody should know: caps that let nothing through. */
  readonly warnings: readonly PolicyProblem[];
  /** The line of a field, for whoever finds a problem later (a vault or an owner that moraine.yaml does not have). */
  problemAt(path: YamlPath, expected: string, hint?: string): PolicyProblem;
}

export interface PolicyFile {
  readonly file: string;
  readonly text: string;
}

export type PolicyResult =
  | { readonly loaded: LoadedPolicy; readonly problems: readonly [] }
  | { readonly loaded: null; readonly problems: readonly PolicyProblem[] };

/** Reads one file. All problems come at once, in the order of the file. */
export function loadPolicy(file: string, text: string): PolicyResult {
  const source = readYaml(file, text);
  if (source.problems.length > 0) return { loaded: null, problems: source.problems };

  const checked = policySchema.safeParse(source.value);
  const issues = checked.success ? [] : checked.error.issues.flatMap((issue) => problemsOf(source, issue));
  const problems = [...issues, ...acrossFields(source)].sort((a, b) => a.line - b.line);
  if (!checked.success || problems.length > 0) return { loaded: null, problems };

  const policy = normalise(checked.data);
  return {
    loaded: {
      file,
      policy,
      version: policyVersion(policy),
      warnings: capWarnings(source, policy),
      problemAt: source.problemAt,
    },
    problems: [],
  };
}

/**
 * Reads several files that belong together: names are unique, and one collection has one policy. What is in order comes
 * back beside the problems of the rest, so that `check` can show both; whoever is about to act calls
 * {@link policiesOf}.
 */
export function loadPolicies(files: readonly PolicyFile[]): {
  readonly loaded: readonly LoadedPolicy[];
  readonly problems: readonly PolicyProblem[];
} {
  const loaded: LoadedPolicy[] = [];
  const problems: PolicyProblem[] = [];
  for (const { file, text } of files) {
    const result = loadPolicy(file, text);
    problems.push(...result.problems);
    if (result.loaded === null) continue;
    const { policy, problemAt } = result.loaded;
    const sameName = loaded.find((other) => other.policy.name === policy.name);
    const sameData = loaded.find((other) => other.policy.dataset.collection === policy.dataset.collection);
    if (sameName) problems.push(problemAt(['policy'], `a name that ${sameName.file} does not have`));
    if (sameData) {
      problems.push(
        problemAt(['dataset', 'collection'], `a collection that no other policy has: ${sameData.file} has this one`),
      );
    }
    if (!sameName && !sameData) loaded.push(result.loaded);
  }
  return { loaded, problems };
}

/** As {@link loadPolicies}, for commands that act: any problem throws POLICY_INVALID with all of them. */
export function policiesOf(files: readonly PolicyFile[]): readonly LoadedPolicy[] {
  const { loaded, problems } = loadPolicies(files);
  if (problems.length > 0) throw policyError(problems);
  return loaded;
}

/** POLICY_INVALID with one line per problem: `file:line: field: expected ..., found ...`. */
export function policyError(problems: readonly PolicyProblem[]): MoraineError {
  return problemsError('POLICY_INVALID', problems);
}

/** What a schema of single fields cannot say. Looks at the raw value, so that it is said together with the rest. */
function acrossFields(source: YamlSource): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const active = valueAt(source.value, ['active']);
  const trigger = valueAt(source.value, ['trigger']);
  const expires = valueAt(source.value, ['trigger', 'expires']) !== undefined;
  if (expires && active !== undefined) {
    problems.push(
      source.problemAt(
        ['active'],
        'no active period beside trigger: { expires: … }',
        'With `expires` each record names its own date. Use `field` to count a period from it.',
      ),
    );
  }
  if (!expires && trigger !== undefined && active === undefined) {
    problems.push(
      source.problemAt(
        ['active'],
        'the active period, such as "2 years"',
        'Only trigger: { expires: … } goes without one.',
      ),
    );
  }

  const grace = periodAt(source.value, ['grace'], DEFAULTS.grace);
  const maxWait = periodAt(source.value, ['archive', 'maxWait'], null);
  if (grace && maxWait && exceeds(maxWait, grace)) {
    problems.push(
      source.problemAt(
        ['archive', 'maxWait'],
        'at most the grace',
        'A record that waits longer than the grace would be overdue by plan.',
      ),
    );
  }
  return problems;
}

function periodAt(value: unknown, path: readonly string[], otherwise: string | null) {
  const text = valueAt(value, path) ?? otherwise;
  return typeof text === 'string' ? parsePeriod(text) : null;
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = Object.getOwnPropertyDescriptor(at, key)?.value;
  }
  return at ?? undefined;
}

const CAPS = {
  records: 'the most records that one run may take, 1 or more',
  share: 'the largest share of the collection that one run may take, above 0 and at most 1',
} as const;

function capWarnings(source: YamlSource, policy: Policy): PolicyProblem[] {
  const warnings: PolicyProblem[] = [];
  for (const cap of ['records', 'share'] as const) {
    if (policy.limits[cap] !== null) continue;
    warnings.push(source.problemAt(['limits', cap], CAPS[cap], 'Until then this policy starts nothing.'));
  }
  const limits = valueAt(source.value, ['limits']);
  const keys = typeof limits === 'object' && limits !== null ? Object.keys(limits) : [];
  for (const key of keys) {
    if (!Object.hasOwn(CAPS, key)) warnings.push(unknownKey(source, ['limits'], key, Object.keys(CAPS)));
  }
  return warnings;
}

function problemsOf(source: YamlSource, issue: z.core.$ZodIssue): PolicyProblem[] {
  const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey(source, path, key, knownKeys(path)));
  }
  if (issue.code === 'invalid_union') return problemsOfUnion(source, path, issue);
  if (issue.code === 'invalid_key') {
    const expected = issue.issues[0]?.message ?? issue.message;
    return [{ ...source.problemAt(path, expected), found: JSON.stringify(path.at(-1)) }];
  }
  return [source.problemAt(path, issue.message)];
}

/** Of the forms that a union allows, the writer chose one by its key: the problem is told for that one. */
function problemsOfUnion(source: YamlSource, path: YamlPath, issue: z.core.$ZodIssueInvalidUnion): PolicyProblem[] {
  const branches = issue.errors.map((errors) => ({
    inner: errors.filter(({ code }) => code !== 'unrecognized_keys'),
    strange: errors.flatMap((error) => (error.code === 'unrecognized_keys' ? error.keys : [])),
  }));
  const chosen = branches.find(
    ({ inner, strange }) => strange.length === 0 && inner.some((one) => one.path.length > 0),
  );
  if (chosen) {
    return chosen.inner.map((one) => source.problemAt([...path, ...one.path.map(String)], one.message));
  }
  const [first, ...others] = branches;
  const strange = first?.strange.filter((key) => others.every((other) => other.strange.includes(key))) ?? [];
  if (strange.length > 0) return strange.map((key) => unknownKey(source, path, key, knownKeys(path)));
  return [source.problemAt(path, issue.message)];
}

function unknownKey(source: YamlSource, path: YamlPath, key: string, known: readonly string[]): PolicyProblem {
  const meant = nearest(key, known);
  return {
    ...source.problemAt([...path, key], `one of ${known.join(', ')}`, meant ? `Did you mean ${meant}?` : undefined),
    found: JSON.stringify(key),
  };
}

/** The keys that the JSON Schema knows at a place: all of its alternatives together. */
function knownKeys(path: YamlPath): string[] {
  let at: unknown[] = [policyJsonSchema()];
  for (const key of path) {
    at = at.flatMap((schema) =>
      alternatives(schema).flatMap((one) => [
        valueAt(one, ['properties', String(key)]) ?? valueAt(one, ['additionalProperties']),
      ]),
    );
  }
  return [...new Set(at.flatMap(alternatives).flatMap((schema) => Object.keys(valueAt(schema, ['properties']) ?? {})))];
}

function alternatives(schema: unknown): unknown[] {
  const anyOf = valueAt(schema, ['anyOf']);
  return Array.isArray(anyOf) ? anyOf : [schema];
}
