/** What the schema cannot say of `then`: chains that contradict themselves, and fields that a record needs to be decided about again. */
import type { YamlPath, YamlProblem, YamlSource } from '../yaml-problems.ts';
import { normalise } from './normalise.ts';
import { dispositionRuleOf, type Policy, refsOfDisposition, type Treatment, type ValueRef } from './policy.ts';
import type { PolicyText } from './schema.ts';
import { chainsOf, stepsOf, type ThenStep } from './schema-then.ts';

export const IN_PLACE = ['anonymise', 'redact', 'pseudonymise'] as const satisfies readonly Treatment[];

export function thenProblems(source: YamlSource, text: PolicyText): YamlProblem[] {
  const chains = chainsOf(text.then).map(({ chain, path }) => ({
    steps: stepsOf(chain),
    isList: Array.isArray(chain),
    path,
  }));
  const needed = neededFields(normalise(text));
  const problems = [
    ...chains.flatMap(({ steps, path }) => chainProblems(source, text, steps, path)),
    ...listProblems(
      source,
      text,
      chains.flatMap(({ steps }) => steps),
    ),
    ...chains.flatMap((chain) => fieldProblems(source, fieldsOf(text, chain), needed)),
  ];
  // A list that several branches share is told once.
  return problems.filter(
    (one, at) =>
      problems.findIndex(
        ({ line, field, expected }) => one.line === line && one.field === field && one.expected === expected,
      ) === at,
  );
}

function chainProblems(
  source: YamlSource,
  text: PolicyText,
  steps: readonly ThenStep[],
  path: YamlPath,
): YamlProblem[] {
  const words = steps.flatMap((step) =>
    typeof step === 'string' ? [step] : IN_PLACE.filter((how) => step[how] !== undefined),
  );
  const problems: YamlProblem[] = [];
  const twice = words.find((word, at) => words.indexOf(word) < at);
  if (twice !== undefined) problems.push(source.problemAt(path, `each word once, and ${twice} is there twice`));
  if (words.includes('delete') && words.length > 1) {
    const hint = words.includes('archive') ? 'What is archived is deleted from the source by that.' : undefined;
    problems.push(source.problemAt(path, 'delete alone: nothing is left to do anything with', hint));
  }
  if (words.indexOf('archive') > 0) {
    problems.push(source.problemAt(path, 'archive first', 'The copy is made before the original is treated.'));
  }
  for (const how of IN_PLACE) {
    if (steps.includes(how) && text[how] === undefined)
      problems.push(source.problemAt([how], `the fields that \`then: ${how}\` is about, such as [contact.email]`));
  }
  return problems;
}

function listProblems(source: YamlSource, text: PolicyText, steps: readonly ThenStep[]): YamlProblem[] {
  return IN_PLACE.flatMap((how) =>
    text[how] === undefined || steps.includes(how)
      ? []
      : [source.problemAt([how], `${how} in \`then\`, or no such list`)],
  );
}

interface TreatedField {
  readonly field: string;
  readonly path: YamlPath;
}

/** The fields that one chain treats, where they stand in the file. */
function fieldsOf(
  text: PolicyText,
  { steps, isList, path }: { readonly steps: readonly ThenStep[]; readonly isList: boolean; readonly path: YamlPath },
): readonly TreatedField[] {
  return IN_PLACE.flatMap((how) =>
    [...new Set(steps)].flatMap((step, at) => {
      const fields = step === how ? text[how] : typeof step === 'string' ? undefined : step[how];
      const place: YamlPath = step === how ? [how] : [...path, ...(isList ? [at] : []), how];
      return (fields ?? []).map((field, index) => ({ field, path: [...place, index] }));
    }),
  );
}

/** Without its owner, its trigger or its id a treated record could not be decided about, held or found any more. */
function neededFields(policy: Policy): ReadonlyMap<string, string> {
  const { dataset, trigger } = policy;
  const needed = new Map<string, string>([['_id', 'the _id']]);
  if ('field' in dataset.owner) needed.set(dataset.owner.field, 'the owner');
  if ('field' in dataset.customer) needed.set(dataset.customer.field, 'the customer');
  needed.set(trigger.kind === 'composite' ? trigger.created.field : trigger.field, 'the trigger');
  // Treated, it would be another tier's, and that may delete it.
  for (const ref of refsOfDisposition(dispositionRuleOf(policy)))
    for (const field of fieldsBehind(policy, ref)) if (!needed.has(field)) needed.set(field, 'what `then` looks at');
  return needed;
}

/** The field of the record that a value comes from in the end. */
function fieldsBehind(policy: Policy, ref: ValueRef): readonly string[] {
  let at: ValueRef | undefined = ref;
  // A circle of look-ups is told elsewhere; it is no reason to turn in it.
  for (let steps = 0; at !== undefined && 'lookUp' in at && steps < MOST_LOOK_UPS; steps++) {
    const { lookUp }: { readonly lookUp: string } = at;
    at = policy.dataset.lookUps?.[lookUp]?.from;
  }
  return at === undefined || 'lookUp' in at ? [] : [at.field];
}

const MOST_LOOK_UPS = 100;

function fieldProblems(
  source: YamlSource,
  fields: readonly TreatedField[],
  needed: ReadonlyMap<string, string>,
): YamlProblem[] {
  const seen: string[] = [];
  return fields.flatMap(({ field, path }): YamlProblem[] => {
    const [, what] = [...needed].find(([name]) => isWithin(name, field) || isWithin(field, name)) ?? [];
    if (what !== undefined) return [source.problemAt(path, `a field that ${what} does not lie in`)];
    const other = seen.find((name) => isWithin(name, field) || isWithin(field, name));
    seen.push(field);
    return other === undefined
      ? []
      : [source.problemAt(path, `a field that is treated once: ${other} is in a list already`)];
  });
}

function isWithin(field: string, of: string): boolean {
  return field === of || field.startsWith(`${of}.`);
}
