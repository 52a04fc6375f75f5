/**
 * When one record is due, when its copy is to be purged, and what that waits for: triggers, periods by tier, the rules of
 * a policy and its exceptions, made ready for millions of records.
 *
 * Precedence, where several of them meet: retaining beats deleting, so the deletion waits and is not cancelled; of what
 * retains, the longest counts; the date of deletion is that of the most specific rule; between equals, the shorter.
 *
 *     deleteAt = max(latest retain-until, chosen date of deletion)
 *
 * The policy's own period is the rule that every other beats. A shorter exception is an earlier date of deletion, and a
 * longer one retains. A value that is of no use (a text where a date belongs) makes nothing due, ever; one that is missing
 * is an event that has not happened, and waits until the latest date that the policy names.
 */
import type { PeriodAdder } from './adder.ts';
import type { DecisionFacts, Given } from './compile.ts';
import { type Calendar, endOf, matcher } from './ends.ts';
import { type ExceptionRule, exceptionName, namedTexts } from './exception.ts';
import type { Findings } from './findings.ts';
import { addPeriod, periodOf } from './period.ts';
import type { Policy, ValueRef } from './policy.ts';
import { ReadyRules } from './ready-rules.ts';
import { instantOf, valueAt, valueKey, valueName } from './values.ts';
import { periodRuleWords, triggerWords } from './words.ts';
import { wallClock } from './zone.ts';

/** The instant that periods count from. NaN: it cannot be told. */
type Start = (facts: DecisionFacts, found: Findings) => number;

export function startOf(policy: Policy, calendar: Calendar): Start {
  const { trigger } = policy;
  if (trigger.kind !== 'composite') return (facts) => facts.trigger ?? Number.NaN;
  const endOfWaiting = calendar.adder(trigger.latest);
  return (facts, found) => {
    const created = facts.trigger ?? Number.NaN;
    let start = created;
    let missing: ValueRef | null = null;
    for (const ref of trigger.of) {
      const at = instantOf(valueAt(facts.values, valueKey(ref)));
      if (at === undefined) return found.unusable(ref, facts, 'a date');
      if (at === null) missing = ref;
      else start = Math.max(start, at);
    }
    if (missing === null) return start;
    const latest = endOfWaiting(created);
    const name = valueName(missing);
    found.waitUntil(latest);
    found.note(
      'pending',
      () =>
        `There is no ${name} yet: the record waits for it until ${calendar.when(latest)}, ${periodRuleWords(trigger.latest)} after ${trigger.created.field}, and counts from then.`,
    );
    return Math.max(start, latest);
  };
}

/** The due date of a record at an instant: exceptions come and go with the time. */
export type Due = (facts: DecisionFacts, now: number, found: Findings) => number;

export function dueOf(policy: Policy, given: Given, calendar: Calendar): Due {
  const { exceptions } = given;
  const start = startOf(policy, calendar);
  const ownLabel = ownRule(policy);
  const own = policy.active === null ? null : endOf(policy.active, calendar);
  const rules = new ReadyRules(policy, calendar);
  const shorter = exceptionsOf(given, 'shorter', calendar);
  const longer = exceptionsOf(given, 'longer', calendar);
  const grace = periodOf(policy.grace);
  // The end of an exception is a day of its own, and everything it kept would go on it.
  const lastDays = longer.map(({ until }) =>
    until === null ? Number.POSITIVE_INFINITY : addPeriod(until, grace, policy.zone),
  );

  return (facts, now, found) => {
    const from = start(facts, found);
    if (Number.isNaN(from)) return from;
    const retainUntil = rules.retainUntil(from, facts, now, found);
    if (Number.isNaN(retainUntil)) return retainUntil;
    const waits = found.pendingUntil;
    let chosen = rules.chosen(from, facts, now, found);
    if (chosen === null) {
      const end = own === null ? from : own(from, facts, found);
      chosen = end;
      found.by = ownLabel;
      found.note('active-period', () => ownText(policy, from, end, now), !(end <= now));
    }
    if (Number.isNaN(chosen)) return chosen;
    for (const exception of shorter) {
      const matches = exception.matches(facts, found);
      if (matches === undefined) return Number.NaN;
      if (!matches) continue;
      const at = Math.max(exception.end(from), exception.bitesAt, exception.from);
      const hasEnded = exception.until !== null && (now >= exception.until || at >= exception.until);
      found.note('exception', () => shorterText(exception, at, hasEnded, now, calendar), !hasEnded && at < chosen);
      if (hasEnded || !(at < chosen)) continue;
      chosen = at;
      found.by = exception.label;
      // It does not wait for what the policy's own period waits for.
      found.pendingUntil = waits;
    }
    let due = Math.max(chosen, retainUntil);
    if (retainUntil > chosen) found.by = rules.retainedBy;
    for (const [index, exception] of longer.entries()) {
      const matches = exception.matches(facts, found);
      if (matches === undefined) return Number.NaN;
      if (!matches) continue;
      // What is due before it begins goes before it begins.
      if (!(now >= exception.from || due >= exception.from)) continue;
      const until = Math.min(exception.end(from), lastDays[index] ?? Number.POSITIVE_INFINITY);
      found.note('exception', () => longerText(exception, until, calendar), until > now);
      if (until > due) found.by = exception.label;
      due = Math.max(due, until);
    }
    if ((policy.rules ?? []).length + exceptions.length > 0) {
      found.note(
        'precedence',
        () => `Of all these, it is due at ${calendar.when(due)}: what retains beats what deletes.`,
        !(due <= now),
      );
    }
    return due;
  };
}

/** What decides where no rule and no exception does. */
export function ownRule({ active }: Policy): string {
  return active === null ? "the record's own date" : 'the active period';
}

function ownText(policy: Policy, from: number, end: number, now: number): string {
  const { active, trigger, zone } = policy;
  const field = triggerWords(trigger);
  if (Number.isNaN(end)) return 'Its period cannot be counted.';
  return active === null
    ? `The record's own date (${field}) ${end <= now ? 'was' : 'is'} ${wallClock(end, zone)} (${zone}).`
    : `The active period of ${periodRuleWords(active)} began at ${wallClock(from, zone)} (${field}) and ${
        end <= now ? 'ended' : 'ends'
      } at ${wallClock(end, zone)} (${zone}).`;
}

interface ReadyException extends ExceptionRule {
  readonly label: string;
  matches(facts: DecisionFacts, found: Findings): boolean | undefined;
  readonly end: PeriodAdder;
}

/** In the order in which they begin: one that keeps a record may keep it until the next begins. */
function exceptionsOf(
  { exceptions, coders }: Given,
  effect: ExceptionRule['effect'],
  calendar: Calendar,
): readonly ReadyException[] {
  return exceptions
    .filter((exception) => exception.effect === effect)
    .toSorted((a, b) => a.from - b.from)
    .map((exception) => {
      const { owner, customer, value } = exception.scope;
      const hasValue = value === null ? null : matcher({ field: value.field }, namedTexts(exception, value, coders));
      return {
        ...exception,
        label: `exception ${exception.id}`,
        end: calendar.adder(exception.active),
        matches: (facts, found) => {
          if (owner !== null && owner !== facts.owner) return false;
          if (customer !== null && customer !== facts.customer) return false;
          return hasValue === null || hasValue(facts, found);
        },
      };
    });
}

function shorterText(
  exception: ReadyException,
  at: number,
  hasEnded: boolean,
  now: number,
  calendar: Calendar,
): string {
  const { bitesAt, until } = exception;
  const what = `Exception ${exceptionName(exception)} shortens it to ${periodRuleWords(exception.active)}`;
  if (hasEnded) return `${what}, and ended at ${calendar.when(until ?? Number.NaN)}.`;
  return now < bitesAt
    ? `${what}: shortened on ${calendar.when(bitesAt)}, and nothing happens before.`
    : `${what}, until ${calendar.when(at)}.`;
}

function longerText(exception: ReadyException, keptUntil: number, calendar: Calendar): string {
  const { active, until } = exception;
  const end =
    until === null ? '' : ` It ends at ${calendar.when(until)}, and lets go of nothing before the grace after that.`;
  return `Exception ${exceptionName(exception)} keeps it for ${periodRuleWords(active)}, until ${calendar.when(keptUntil)}.${end}`;
}
