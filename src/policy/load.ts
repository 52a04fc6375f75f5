/**
 * From the text of a policy file to a policy, or to everything that is wrong with it, each with file, line and field.
 * Pure: whoever calls has read the file.
 */
import type { MoraineError } from '../errors.ts';
import type { PolicyVersion } from '../ids.ts';
import { problemsError, readYaml, type YamlPath, type YamlProblem, type YamlSource } from '../yaml-problems.ts';
import { acrossFields, acrossParts } from './check-fields.ts';
import { neverApplies } from './never-applies.ts';
import { normalise } from './normalise.ts';
import { type Policy, policyVersion } from './policy.ts';
import { policySchema } from './schema.ts';
import { problemsOf, unknownKey, valueAt } from './schema-problems.ts';

export type PolicyProblem = YamlProblem;

export interface LoadedPolicy {
  readonly file: string;
  readonly policy: Policy;
  readonly version: PolicyVersion;
  /** The policy is in order, but somebody should know: caps that let nothing through, rules that can never apply. */
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
  const across = checked.success ? acrossParts(source, checked.data) : [];
  const problems = [...issues, ...acrossFields(source), ...across].sort((a, b) => a.line - b.line);
  if (!checked.success || problems.length > 0) return { loaded: null, problems };

  const policy = normalise(checked.data);
  return {
    loaded: {
      file,
      policy,
      version: policyVersion(policy),
      warnings: [...capWarnings(source, policy), ...neverApplies(source, policy)],
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
    const sameData = loaded.find((other) =>
      collectionsOf(other.policy).some((one) => collectionsOf(policy).includes(one)),
    );
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

/** What a policy deletes from: its collection, and those of the children. */
function collectionsOf({ dataset }: Policy): readonly string[] {
  return [dataset.collection, ...(dataset.children ?? []).map(({ collection }) => collection)];
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
