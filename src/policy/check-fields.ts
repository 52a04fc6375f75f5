/** What a schema of single fields cannot say: what belongs together, what contradicts itself, what names nothing. */
import type { YamlPath, YamlProblem, YamlSource } from '../yaml-problems.ts';
import { IN_PLACE, thenProblems } from './check-then.ts';
import { nearest } from './nearest.ts';
import { normalise } from './normalise.ts';
import { exceeds, parsePeriod } from './period.ts';
import { valueRefs } from './policy.ts';
import { DEFAULTS, type PolicyText } from './schema.ts';
import { valueAt } from './schema-problems.ts';

/** Looks at the raw value, so that it is said together with what the schema says. */
export function acrossFields(source: YamlSource): YamlProblem[] {
  const problems: YamlProblem[] = [];
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

  const words = wordsAt(valueAt(source.value, ['then']));
  const archive = valueAt(source.value, ['archive']);
  if (words.includes('archive') && archive === undefined) {
    problems.push(source.problemAt(['archive'], 'a group with for and vault'));
  }
  const isElse = words.every((word) => IN_PLACE.some((one) => one === word) || word === 'delete');
  if (isElse && archive !== undefined) {
    problems.push(source.problemAt(['archive'], 'no archive, for `then` does not say archive'));
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

/** The words of `then`, of all of its branches. What is no word is told by the schema. */
function wordsAt(then: unknown): unknown[] {
  if (Array.isArray(then)) return then.flatMap(wordsAt);
  if (typeof then !== 'object' || then === null) return [then];
  const of = valueAt(then, ['of']);
  if (typeof of !== 'object' || of === null) return IN_PLACE.filter((how) => valueAt(then, [how]) !== undefined);
  return [...Object.values(of), valueAt(then, ['otherwise'])].flatMap(wordsAt);
}

/** Looks at what the schema let pass. */
export function acrossParts(source: YamlSource, text: PolicyText): YamlProblem[] {
  return [
    ...thenProblems(source, text),
    ...ruleProblems(source, text),
    ...lookUpProblems(source, text),
    ...childProblems(source, text),
  ];
}

function ruleProblems(source: YamlSource, { rules }: PolicyText): YamlProblem[] {
  const names = (rules ?? []).map(({ name }) => name);
  return (rules ?? []).flatMap((rule, at): YamlProblem[] => {
    const problems: YamlProblem[] = [];
    if (names.indexOf(rule.name) < at)
      problems.push(source.problemAt(['rules', at, 'name'], 'a name that no other rule has'));
    if (rule.retain === undefined && rule.delete === undefined) {
      problems.push(source.problemAt(['rules', at], 'retain or delete, or both'));
    }
    const { when } = rule;
    if (when !== undefined && (when.field === undefined) !== (when.is === undefined)) {
      problems.push(
        source.problemAt(['rules', at, 'when'], 'field and is together, such as { field: label, is: dispute }'),
      );
    }
    if (when !== undefined && Object.keys(when).length === 0) {
      problems.push(
        source.problemAt(
          ['rules', at, 'when'],
          'owner, customer, or field with is',
          'Leave `when` out for a rule about every record.',
        ),
      );
    }
    if (when?.lookUp !== undefined && when.field === undefined) {
      problems.push(source.problemAt(['rules', at, 'when'], 'the field of the document that the look-up finds'));
    }
    return problems;
  });
}

function lookUpProblems(source: YamlSource, text: PolicyText): YamlProblem[] {
  const lookUps = text.lookUps ?? {};
  const known = Object.keys(lookUps);
  const problems: YamlProblem[] = [];
  for (const path of pathsOfLookUps(text)) {
    const name = valueAt(text, [...path, 'lookUp'].map(String));
    if (typeof name !== 'string' || known.includes(name)) continue;
    const meant = nearest(name, known);
    const expected =
      known.length === 0 ? 'a look-up that lookUps names, and there are none' : `one of ${known.join(', ')}`;
    problems.push(source.problemAt([...path, 'lookUp'], expected, meant ? `Did you mean ${meant}?` : undefined));
  }
  for (const name of known) {
    const round = cycleFrom(name, lookUps);
    if (round === null || round[0] !== [...round].sort()[0]) continue;
    problems.push(
      source.problemAt(
        ['lookUps', name, 'from'],
        `a value that does not depend on itself: ${[...round, name].join(' looks up from ')}`,
        'Begin with a field of the record.',
      ),
    );
  }
  const used = new Set(valueRefs(normalise(text)).flatMap((ref) => ('lookUp' in ref ? [ref.lookUp] : [])));
  for (const name of known) {
    if (!used.has(name)) problems.push(source.problemAt(['lookUps', name], 'a look-up that something uses'));
  }
  return problems;
}

/** The names that lead from one look-up back to itself, or null. */
function cycleFrom(name: string, lookUps: NonNullable<PolicyText['lookUps']>): readonly string[] | null {
  const seen: string[] = [];
  let at: string | undefined = name;
  while (at !== undefined && !seen.includes(at)) {
    seen.push(at);
    const from: unknown = Object.hasOwn(lookUps, at) ? lookUps[at]?.from : undefined;
    const next = valueAt(from, ['lookUp']);
    at = typeof next === 'string' ? next : undefined;
  }
  return at === name ? seen : null;
}

/** Where the file names look-ups: every group with a `lookUp`. */
function pathsOfLookUps(value: unknown, path: YamlPath = []): YamlPath[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'lookUp' in value && typeof value.lookUp === 'string' ? [path] : [];
  const inner = Array.isArray(value) ? value.map((one, at) => [at, one] as const) : Object.entries(value);
  return [...own, ...inner.flatMap(([key, one]) => pathsOfLookUps(one, [...path, key]))];
}

function childProblems(source: YamlSource, { dataset }: PolicyText): YamlProblem[] {
  const children = dataset.children ?? [];
  return children.flatMap(({ collection }, at): YamlProblem[] => {
    const path: YamlPath = ['dataset', 'children', at, 'collection'];
    if (collection === dataset.collection) return [source.problemAt(path, 'another collection than the dataset')];
    const first = children.findIndex((child) => child.collection === collection);
    return first < at ? [source.problemAt(path, 'a collection that is in the list once')] : [];
  });
}

function periodAt(value: unknown, path: readonly string[], otherwise: string | null) {
  const text = valueAt(value, path) ?? otherwise;
  return typeof text === 'string' ? parsePeriod(text) : null;
}
