/** Periods, triggers and conditions as a records manager reads them. */
import { periodOf, periodWords } from './period.ts';
import {
  type Branch,
  type Condition,
  type DispositionRule,
  dispositionRuleOf,
  type FieldTreatment,
  type PeriodRule,
  type Policy,
  type Trigger,
} from './policy.ts';
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
  const kept =
    policy.archive === null
      ? ''
      : ` stays in the archive for ${periodRuleWords(policy.archive.for)}, then it is destroyed`;
  const rule = dispositionRuleOf(policy);
  if ('by' in rule) {
    const copies = kept === '' ? '' : ` What is archived${kept}.`;
    return `${active}, then ${dispositionWords(rule)}.${copies}`;
  }
  const treated = fieldWords(rule.treat);
  switch (rule.disposition) {
    case 'delete':
      return `${active}, then it is deleted.`;
    case 'treat':
      return `${active}, then these fields are treated in place: ${treated}.`;
    case 'archive': {
      const original = treated === '' ? '' : `; in the original these fields are treated: ${treated}`;
      return `${active}, then its copy${kept}${original}.`;
    }
  }
}

/** "it is archived"; "it is deleted for acme, otherwise it is archived (by customer)". */
export function dispositionWords(rule: DispositionRule): string {
  if (!('by' in rule)) return branchWords(rule);
  const tiers = Object.entries(rule.of).map(([tier, inner]) => `${dispositionWords(inner)} for ${tier}`);
  const by = typeof rule.by === 'string' ? rule.by : valueName(rule.by);
  return `${[...tiers, `otherwise ${dispositionWords(rule.otherwise)}`].join(', ')} (by ${by})`;
}

/** "it is archived, and these fields of the original are treated: name (anonymise)". */
export function branchWords(branch: Pick<Branch, 'disposition'> & { readonly treat?: Branch['treat'] | null }): string {
  const fields = fieldWords(branch.treat);
  switch (branch.disposition) {
    case 'delete':
      return 'it is deleted';
    case 'treat':
      return `these fields are treated in place: ${fields}`;
    case 'archive':
      return fields === ''
        ? 'it is archived'
        : `it is archived, and these fields of the original are treated: ${fields}`;
  }
}

function fieldWords(treat: readonly FieldTreatment[] | null | undefined): string {
  return (treat ?? []).map(({ field, how }) => `${field} (${how})`).join(', ');
}
