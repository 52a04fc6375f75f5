/** What the schema found wrong, in the words of the file: one problem for each slip, and the nearest right word. */
import type { z } from 'zod';
import type { YamlPath, YamlProblem, YamlSource } from '../yaml-problems.ts';
import { nearest } from './nearest.ts';
import { policyJsonSchema } from './schema.ts';

export function problemsOf(source: YamlSource, issue: z.core.$ZodIssue): YamlProblem[] {
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

/** Of the forms that a union allows, the writer chose one by its keys: the problem is told for that one. */
function problemsOfUnion(source: YamlSource, path: YamlPath, issue: z.core.$ZodIssueInvalidUnion): YamlProblem[] {
  const isThere = (inner: z.core.$ZodIssue) =>
    valueAt(source.value, [...path, ...inner.path].map(String)) !== undefined;
  const branches = issue.errors.map((errors) => ({
    inner: errors.filter(({ code }) => code !== 'unrecognized_keys'),
    strange: errors.flatMap((error) => (error.code === 'unrecognized_keys' ? error.keys : [])),
  }));
  // A key that is missing says less against a form than a key that is there and wrong.
  const [chosen] = branches
    .filter(({ inner, strange }) => strange.length === 0 && inner.some((one) => one.path.length > 0))
    .map(({ inner }) => ({ inner, wrong: inner.filter(isThere).length }))
    .sort((a, b) => a.wrong - b.wrong || a.inner.length - b.inner.length);
  if (chosen) return chosen.inner.flatMap((one) => problemsOf(source, { ...one, path: [...path, ...one.path] }));
  // What is no group at all has no strange keys.
  const groups = branches.filter(({ strange }) => strange.length > 0);
  const [first, ...others] = groups;
  const strange = first?.strange.filter((key) => others.every((other) => other.strange.includes(key))) ?? [];
  if (strange.length > 0) return strange.map((key) => unknownKey(source, path, key, knownKeys(path)));
  return [source.problemAt(path, issue.message)];
}

export function unknownKey(source: YamlSource, path: YamlPath, key: string, known: readonly string[]): YamlProblem {
  const meant = nearest(key, known);
  return {
    ...source.problemAt([...path, key], `one of ${known.join(', ')}`, meant ? `Did you mean ${meant}?` : undefined),
    found: JSON.stringify(key),
  };
}

/** The value at a path of a plain value; undefined: it is not there, or null. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = Object.getOwnPropertyDescriptor(at, key)?.value;
  }
  return at ?? undefined;
}

/** The keys that the JSON Schema knows at a place: all of its alternatives together. */
function knownKeys(path: YamlPath): string[] {
  const whole = policyJsonSchema();
  let at: unknown[] = [whole];
  for (const key of path) {
    at = at.flatMap((schema) =>
      alternatives(whole, schema).flatMap((one) => [
        valueAt(one, ['properties', String(key)]) ?? valueAt(one, ['additionalProperties']) ?? valueAt(one, ['items']),
      ]),
    );
  }
  const groups = at.flatMap((schema) => alternatives(whole, schema));
  return [...new Set(groups.flatMap((schema) => Object.keys(valueAt(schema, ['properties']) ?? {})))];
}

function alternatives(whole: unknown, schema: unknown): unknown[] {
  const reference = valueAt(schema, ['$ref']);
  if (typeof reference === 'string') return alternatives(whole, valueAt(whole, reference.split('/').slice(1)));
  const all = valueAt(schema, ['allOf']);
  if (Array.isArray(all)) return all.flatMap((one) => alternatives(whole, one));
  const anyOf = valueAt(schema, ['anyOf']);
  return Array.isArray(anyOf) ? anyOf.flatMap((one) => alternatives(whole, one)) : [schema];
}
