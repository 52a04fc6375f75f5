/** What is left of a policy and its exceptions for the records of one owner and customer: the same answers, fewer questions. */
import type { CustomerId, OwnerId } from '../ids.ts';
import type { ExceptionRule } from './exception.ts';
import type { DispositionRule, PeriodRule, Policy, RetentionRule } from './policy.ts';

/** Whether anything depends on whose the records are. */
export function isAboutParties(policy: Policy, exceptions: readonly ExceptionRule[]): boolean {
  return (
    (policy.active !== null && isByParty(policy.active)) ||
    (policy.archive !== null && isByParty(policy.archive.for)) ||
    (policy.dispositions !== undefined && isChosenByParty(policy.dispositions)) ||
    (policy.rules ?? []).some(
      ({ when, retain, delete: deletes }) =>
        when?.owner !== undefined ||
        when?.customer !== undefined ||
        (retain !== undefined && isByParty(retain)) ||
        (deletes !== undefined && isByParty(deletes)),
    ) ||
    exceptions.some(({ scope }) => scope.owner !== null || scope.customer !== null)
  );
}

export function specialise(
  policy: Policy,
  exceptions: readonly ExceptionRule[],
  owner: OwnerId,
  customer: CustomerId,
): { readonly policy: Policy; readonly exceptions: readonly ExceptionRule[] } {
  const period = (rule: PeriodRule): PeriodRule => {
    if (typeof rule === 'string' || !('by' in rule)) return rule;
    const { by, of, otherwise } = rule;
    if (typeof by === 'string') {
      const party = by === 'owner' ? owner : customer;
      return period((Object.hasOwn(of, party) ? of[party] : undefined) ?? otherwise);
    }
    const tiers = Object.entries(of).map(([tier, inner]) => [tier, period(inner)]);
    return { by, of: Object.fromEntries(tiers), otherwise: period(otherwise) };
  };
  const branch = (rule: DispositionRule): DispositionRule => {
    if (!('by' in rule)) return rule;
    const { by, of, otherwise } = rule;
    if (typeof by === 'string') {
      const party = by === 'owner' ? owner : customer;
      return branch((Object.hasOwn(of, party) ? of[party] : undefined) ?? otherwise);
    }
    const tiers = Object.entries(of).map(([tier, inner]) => [tier, branch(inner)]);
    return { by, of: Object.fromEntries(tiers), otherwise: branch(otherwise) };
  };
  const isAbout = ({ when }: RetentionRule) =>
    (when?.owner?.includes(owner) ?? true) && (when?.customer?.includes(customer) ?? true);
  return {
    policy: {
      ...policy,
      active: policy.active === null ? null : period(policy.active),
      archive: policy.archive === null ? null : { ...policy.archive, for: period(policy.archive.for) },
      ...(policy.dispositions === undefined ? {} : { dispositions: branch(policy.dispositions) }),
      ...(policy.rules === undefined
        ? {}
        : {
            rules: policy.rules.filter(isAbout).map((rule) => ({
              ...rule,
              ...(rule.retain === undefined ? {} : { retain: period(rule.retain) }),
              ...(rule.delete === undefined ? {} : { delete: period(rule.delete) }),
              when: rule.when?.value === undefined ? null : { value: rule.when.value },
            })),
          }),
    },
    exceptions: exceptions.filter(
      ({ scope }) =>
        (scope.owner === null || scope.owner === owner) && (scope.customer === null || scope.customer === customer),
    ),
  };
}

function isByParty(rule: PeriodRule): boolean {
  if (typeof rule === 'string' || !('by' in rule)) return false;
  return typeof rule.by === 'string' || [...Object.values(rule.of), rule.otherwise].some(isByParty);
}

function isChosenByParty(rule: DispositionRule): boolean {
  if (!('by' in rule)) return false;
  return typeof rule.by === 'string' || [...Object.values(rule.of), rule.otherwise].some(isChosenByParty);
}
