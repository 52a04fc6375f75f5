/** What can be said of the periods of a policy without looking at a record. */
import type { ExceptionRule } from './exception.ts';
import { COMPLETION, type Period, periodOf } from './period.ts';
import { type PeriodRule, type Policy, SPECIFICITIES } from './policy.ts';

/**
 * The one period (ISO 8601) that all records have, null where the trigger is the due date, or undefined where it depends
 * on the record, or on the calendar: of "30 days" and "1 month" either can be the longer one.
 */
export function onlyPeriod(policy: Policy): string | null | undefined {
  const { active } = policy;
  const rules = policy.rules ?? [];
  if (rules.length === 0) return typeof active === 'string' || active === null ? active : undefined;
  if (rules.some(({ when }) => when !== null)) return undefined;
  const deleting = rules.filter((rule) => rule.delete !== undefined);
  const rank = Math.max(...deleting.map(({ specificity }) => SPECIFICITIES.indexOf(specificity)));
  const special = deleting.filter(({ specificity }) => SPECIFICITIES.indexOf(specificity) === rank);
  const retains = rules.flatMap(({ retain }) => retain ?? []);
  const deletes = special.flatMap((rule) => rule.delete ?? []);
  if (![...retains, ...deletes].every(isText)) return undefined;
  const chosen = deleting.length === 0 ? active : shortest(deletes.filter(isText));
  if (typeof chosen !== 'string') return undefined;
  return longest([chosen, ...retains.filter(isText)]);
}

/** Periods of which one is at most as long as any that could apply now; null: the trigger is the due date. */
export function shortestPeriods(
  policy: Policy,
  exceptions: readonly ExceptionRule[],
  now: number,
): readonly (string | null)[] {
  const shortened = exceptions.filter(
    ({ effect, from, bitesAt, until }) =>
      effect === 'shorter' && from <= now && bitesAt <= now && (until === null || now < until),
  );
  return [
    ...(policy.active === null ? [null] : shortestOf(policy.active)),
    ...(policy.rules ?? []).flatMap((rule) => (rule.delete === undefined ? [] : shortestOf(rule.delete))),
    ...shortened.map(({ active }) => active),
  ];
}

function shortestOf(rule: PeriodRule): readonly string[] {
  if (typeof rule === 'string') return [rule];
  if ('months' in rule) return ['P1M', rule.otherwise];
  if ('until' in rule) return [COMPLETION];
  return [...Object.values(rule.of), rule.otherwise].flatMap(shortestOf);
}

function isText(rule: PeriodRule): rule is string {
  return typeof rule === 'string';
}

/** The first period (ISO 8601) ends never before the second, on any day and in any zone. False also where that depends on the day. */
export function isAtLeast(a: string, b: string): boolean {
  return reaches(periodOf(a), periodOf(b));
}

function shortest(periods: readonly string[]): string | undefined {
  return periods.find((one) => periods.every((other) => isAtLeast(other, one)));
}

function longest(periods: readonly string[]): string | undefined {
  return periods.find((one) => periods.every((other) => isAtLeast(one, other)));
}

/** `a` ends never before `b`, on any day and in any zone. */
function reaches(a: Period, b: Period): boolean {
  return (
    a.years * 12 + a.months >= b.years * 12 + b.months &&
    a.days >= b.days &&
    a.hours * 60 + a.minutes >= b.hours * 60 + b.minutes
  );
}
