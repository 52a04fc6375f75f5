/** Periods, triggers and conditions as a records manager reads them. */
import { periodOf, periodWords } from './period.ts';
import type { Condition, PeriodRule, Policy, Trigger } from './policy.ts';
import { valueName } from './values.ts';

/** "2 years"; "2 years for enterprise, otherwise 3 months (by plan)". */
export function periodRuleWords(rule: PeriodRule): string {
  if (typeof rule === 'string') return periodWords(periodOf(rule));
  if ('months' in rule) {
    const otherwise = periodRuleWords(rule.otherwise);
    return `as many months as ${valueName(rule.months)} says (at most ${rule.atMost}), otherwise ${otherwise}`;
  }
  if ('until' in rule) return `until ${valueName(rule.until)} (at most ${periodRuleWords(rule.atMost)})`;
  const tiers = Object.entries(rule.of).map(([tier, period]) => `${periodRuleWords(period)} for ${tier}`);
  const by = typeof rule.by === 'string' ? rule.by : valueName(rule.by);
  return `${[...tiers, `otherwise ${periodRuleWords(rule.otherwise)}`].join(', ')} (by ${by})`;
}

/** What a period counts from: "createdAt", or "the latest of createdAt, closedAt". */
export function triggerWords(trigger: Trigger): string {
  if (trigger.kind !== 'composite') return trigger.field;
  const named = trigger.of.map(valueName);
  return named.length === 1 ? (named[0] ?? '') : `the latest of ${named.join(', ')}`;
}

/** "customer globex, and plan is enterprise or trial". */
export function conditionWords(when: Condition | null): string {
  const parts = [
    ...(when?.owner === undefined ? [] : [`owner ${when.owner.join(' or ')}`]),
    ...(when?.customer === undefined ? [] : [`customer ${when.customer.join(' or ')}`]),
    ...(when?.value === undefined ? [] : [`${valueName(when.value.ref)} is ${when.value.is.join(' or ')}`]),
  ];
  return parts.length === 0 ? 'every record' : parts.join(', and ');
}

/** The whole schedule of a policy in one sentence without markup. */
export function scheduleWords(policy: Policy): string {
  const active =
    policy.active === null
      ? `A record stays until the date of ${triggerWords(policy.trigger)}`
      : policy.active === 'P0D'
        ? `A record stays until ${triggerWords(policy.trigger)}`
        : `A record stays for ${periodRuleWords(policy.active)}`;
  const { archive, treat } = policy;
  const treated = treat?.map(({ field, how }) => `${field} (${how})`).join(', ');
  switch (policy.disposition) {
    case 'delete':
      return `${active}, then it is deleted.`;
    case 'treat':
      return `${active}, then these fields are treated in place: ${treated}.`;
    case 'archive': {
      const kept =
        archive === null ? '' : ` stays in the archive for ${periodRuleWords(archive.for)}, then it is destroyed`;
      const original = treated === undefined ? '' : `; in the original these fields are treated: ${treated}`;
      return `${active}, then its copy${kept}${original}.`;
    }
  }
}
