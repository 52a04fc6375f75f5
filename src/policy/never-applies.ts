/** Parts of a policy that are in order and can never matter: a person meant something else by them. */
import type { YamlProblem, YamlSource } from '../yaml-problems.ts';
import { type Policy, type RetentionRule, SPECIFICITIES } from './policy.ts';
import { isAtLeast } from './shortest.ts';

export function neverApplies(source: YamlSource, policy: Policy): YamlProblem[] {
  const rules = policy.rules ?? [];
  const problems = rules.flatMap((rule, at): YamlProblem[] => {
    const nobody = aboutNobody(policy, rule);
    if (nobody !== null)
      return [
        source.problemAt(['rules', at, 'when'], `${nobody}, as the dataset says`, 'The rule is about no record.'),
      ];
    const over = rules.find((other) => other !== rule && takesOver(other, rule));
    const keeps = rules.find((other) => other !== rule && retainsMore(other, rule));
    return [
      ...(over === undefined
        ? []
        : [
            source.problemAt(
              ['rules', at, 'delete'],
              `a date that can count: rule ${over.name} is about every record and decides before it`,
            ),
          ]),
      ...(keeps === undefined
        ? []
        : [
            source.problemAt(
              ['rules', at, 'retain'],
              `a retention that can count: rule ${keeps.name} retains every record for longer`,
            ),
          ]),
    ];
  });
  const instead = rules.find((rule) => rule.when === null && rule.delete !== undefined);
  if (instead !== undefined && policy.active !== null) {
    const expected = `a period that can count: rule ${instead.name} is about every record and takes its place`;
    problems.push(source.problemAt(['active'], expected));
  }
  return problems;
}

/** The owner or customer that a rule would have to name to be about anything; null: it may be. */
function aboutNobody({ dataset }: Policy, { when }: RetentionRule): string | null {
  for (const party of ['owner', 'customer'] as const) {
    const fixed = dataset[party];
    const named = when?.[party];
    if ('value' in fixed && named !== undefined && !named.includes(fixed.value)) return `${party}: ${fixed.value}`;
  }
  return null;
}

function takesOver(other: RetentionRule, rule: RetentionRule): boolean {
  if (other.when !== null || other.delete === undefined || rule.delete === undefined) return false;
  const rank = (one: RetentionRule) => SPECIFICITIES.indexOf(one.specificity);
  if (rank(other) !== rank(rule)) return rank(other) > rank(rule);
  return rule.delete !== other.delete && isAtLeast(rule.delete, other.delete);
}

function retainsMore(other: RetentionRule, rule: RetentionRule): boolean {
  if (other.when !== null || other.retain === undefined || rule.retain === undefined) return false;
  return rule.retain !== other.retain && isAtLeast(other.retain, rule.retain);
}
