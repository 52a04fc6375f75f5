/** Parts of a policy that are in order and can never matter: a person meant something else by them. */
import type { YamlPath, YamlProblem, YamlSource } from '../yaml-problems.ts';
import { type PeriodRule, type Policy, type RetentionRule, SPECIFICITIES, type ValueRef } from './policy.ts';
import { isAtLeast } from './shortest.ts';
import { valueKey } from './values.ts';

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
  return [...problems, ...tiersThatNeverApply(source, policy)];
}

/** Tiers of owners and customers that no record can have: the dataset names one, or an outer tier has decided. */
function tiersThatNeverApply(source: YamlSource, policy: Policy): YamlProblem[] {
  const { owner, customer } = policy.dataset;
  const fixed = {
    ...('value' in owner ? { owner: owner.value } : {}),
    ...('value' in customer ? { customer: customer.value } : {}),
  };
  return [
    ...(policy.active === null ? [] : unreachable(source, policy.active, ['active'], fixed)),
    ...(policy.archive === null ? [] : unreachable(source, policy.archive.for, ['archive', 'for'], fixed)),
    ...(policy.dispositions === undefined ? [] : unreachable(source, policy.dispositions, ['then'], fixed)),
    ...(policy.rules ?? []).flatMap((rule, at) =>
      (['retain', 'delete'] as const).flatMap((what) => unreachable(source, rule[what], ['rules', at, what], fixed)),
    ),
  ];
}

interface Tiers {
  readonly by: 'owner' | 'customer' | ValueRef;
  readonly of: Readonly<Record<string, unknown>>;
  readonly otherwise: unknown;
}

/** `known`: what owner, customer and values are on the way here. */
function unreachable(
  source: YamlSource,
  rule: unknown,
  path: YamlPath,
  known: Readonly<Record<string, string>>,
): YamlProblem[] {
  if (!isTiers(rule)) return [];
  const name = typeof rule.by === 'string' ? rule.by : valueKey(rule.by);
  const key = typeof rule.by === 'string' ? name : `value ${name}`;
  const is = known[key];
  const problems = Object.entries(rule.of).flatMap(([tier, inner]): YamlProblem[] => {
    const at = [...path, 'of', tier];
    if (is === undefined || is === tier) return unreachable(source, inner, at, { ...known, [key]: tier });
    return [source.problemAt(at, `${name}: ${is}, which all records have here`, 'No record can come to it.')];
  });
  const otherwise = [...path, 'otherwise'];
  if (is !== undefined && Object.hasOwn(rule.of, is))
    return [
      ...problems,
      source.problemAt(otherwise, `a tier besides ${is}, which all records have here`, 'No record can come to it.'),
    ];
  return [...problems, ...unreachable(source, rule.otherwise, otherwise, known)];
}

function isTiers(rule: unknown): rule is Tiers {
  return typeof rule === 'object' && rule !== null && 'by' in rule;
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
  return isLonger(rule.delete, other.delete);
}

function retainsMore(other: RetentionRule, rule: RetentionRule): boolean {
  if (other.when !== null || other.retain === undefined || rule.retain === undefined) return false;
  return isLonger(other.retain, rule.retain);
}

/** Of two periods that are the same for all records; of others it cannot be told. */
function isLonger(one: PeriodRule, other: PeriodRule): boolean {
  return typeof one === 'string' && typeof other === 'string' && one !== other && isAtLeast(one, other);
}
