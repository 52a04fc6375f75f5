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
import { type PeriodAdder, periodAdder } from './adder.ts';
import type { DecisionFacts, Given } from './compile.ts';
import { type ExceptionRule, exceptionName, namedTexts } from './exception.ts';
import type { Findings } from './findings.ts';
import { addPeriod, isoPeriod, periodOf } from './period.ts';
import { type PeriodRule, type Policy, SPECIFICITIES, type ValueRef } from './policy.ts';
import { countOf, instantOf, isOneOf, textOf, valueAt, valueKey, valueName } from './values.ts';
import { conditionWords, periodRuleWords, triggerWords } from './words.ts';
import { wallClock } from './zone.ts';

/** From an instant to the end of a period, for one record. NaN: it cannot be told. */
type End = (from: number, facts: DecisionFacts, found: Findings) => number;

/** The instant that periods count from. NaN: it cannot be told. */
type Start = (facts: DecisionFacts, found: Findings) => number;

/** One calendar for all the periods of a policy: it remembers the answers. */
export class Calendar {
  readonly zone: string;
  readonly #adders = new Map<string, PeriodAdder>();

  constructor(zone: string) {
    this.zone = zone;
  }

  adder(iso: string): PeriodAdder {
    let adder = this.#adders.get(iso);
    if (adder === undefined) {
      const exact = periodAdder(periodOf(iso), this.zone);
      // The calendar takes no start that is none, and beyond its end it stays.
      adder = (ms) => (Number.isFinite(ms) ? exact(ms) : ms);
      this.#adders.set(iso, adder);
    }
    return adder;
  }

  when(ms: number): string {
    return `${wallClock(ms, this.zone)} (${this.zone})`;
  }
}

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

export function endOf(rule: PeriodRule, calendar: Calendar): End {
  if (typeof rule === 'string') {
    const end = calendar.adder(rule);
    return (from) => end(from);
  }
  if ('months' in rule) {
    const key = valueKey(rule.months);
    const otherwise = calendar.adder(rule.otherwise);
    return (from, facts, found) => {
      const months = countOf(valueAt(facts.values, key));
      if (months === undefined) return found.unusable(rule.months, facts, 'a whole number of months');
      if (months === null) return otherwise(from);
      return calendar.adder(monthsPeriod(Math.min(months, rule.atMost)))(from);
    };
  }
  if ('until' in rule) {
    const key = valueKey(rule.until);
    const atMost = calendar.adder(rule.atMost);
    return (from, facts, found) => {
      const latest = atMost(from);
      const until = instantOf(valueAt(facts.values, key));
      if (until === undefined) return found.unusable(rule.until, facts, 'a date');
      if (until !== null) return Math.max(from, Math.min(until, latest));
      found.waitUntil(latest);
      found.note(
        'pending',
        () =>
          `There is no ${valueName(rule.until)} yet: the record waits for it until ${calendar.when(latest)} at most.`,
      );
      return latest;
    };
  }
  const tiers = new Map(Object.entries(rule.of).map(([tier, period]) => [tier, endOf(period, calendar)]));
  const otherwise = endOf(rule.otherwise, calendar);
  const { by } = rule;
  if (by === 'owner') return (from, facts, found) => (tiers.get(facts.owner ?? '') ?? otherwise)(from, facts, found);
  if (by === 'customer')
    return (from, facts, found) => (tiers.get(facts.customer ?? '') ?? otherwise)(from, facts, found);
  const key = valueKey(by);
  return (from, facts, found) => {
    const tier = textOf(valueAt(facts.values, key));
    if (tier === undefined) return found.unusable(by, facts, 'a text or a number');
    const named = tier !== null && tiers.has(tier) ? tier : null;
    found.note(
      'retention-rule',
      () =>
        `${valueName(by)} is ${named ?? `none of ${[...tiers.keys()].join(', ')}`}: ${periodRuleWords((named === null ? undefined : rule.of[named]) ?? rule.otherwise)}.`,
    );
    return ((tier === null ? undefined : tiers.get(tier)) ?? otherwise)(from, facts, found);
  };
}

export function monthsPeriod(months: number): string {
  return isoPeriod({ years: Math.floor(months / 12), months: months % 12, days: 0, hours: 0, minutes: 0 });
}

/** The due date of a record at an instant: exceptions come and go with the time. */
export type Due = (facts: DecisionFacts, now: number, found: Findings) => number;

export function dueOf(policy: Policy, given: Given, calendar: Calendar): Due {
  const { exceptions } = given;
  const start = startOf(policy, calendar);
  const own = policy.active === null ? null : endOf(policy.active, calendar);
  const rules = rulesOf(policy, calendar);
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
    let retainUntil = Number.NEGATIVE_INFINITY;
    let chosen = Number.NaN;
    let rank = 0;
    let chosenName: string | null = null;
    for (const rule of rules) {
      const matches = rule.matches(facts, found);
      if (matches === undefined) return Number.NaN;
      if (!matches) {
        found.note(
          'retention-rule',
          () => `Rule ${rule.name} is about ${rule.about}, and not about this record.`,
          false,
        );
        continue;
      }
      if (rule.retain !== null) {
        const until = rule.retain(from);
        retainUntil = Math.max(retainUntil, until);
        found.note(
          'retention-rule',
          () => `Rule ${rule.name} (${rule.specificity}) retains it until ${calendar.when(until)}.`,
          until > now,
        );
      }
      if (rule.delete === null) continue;
      const at = rule.delete(from);
      found.note(
        'retention-rule',
        () => `Rule ${rule.name} (${rule.specificity}) says ${calendar.when(at)} for its disposition.`,
        at <= now,
      );
      if (rule.rank > rank || (rule.rank === rank && at < chosen)) {
        chosen = at;
        rank = rule.rank;
        chosenName = rule.name;
      }
    }
    const waits = found.pendingUntil;
    if (rank === 0) {
      chosen = own === null ? from : own(from, facts, found);
      found.note('active-period', () => ownText(policy, from, chosen, now), !(chosen <= now));
    } else {
      found.note('active-period', () => `Rule ${chosenName} takes the place of the policy's own period.`, false);
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
      // It does not wait for what the policy's own period waits for.
      found.pendingUntil = waits;
    }
    let due = Math.max(chosen, retainUntil);
    for (const [index, exception] of longer.entries()) {
      const matches = exception.matches(facts, found);
      if (matches === undefined) return Number.NaN;
      if (!matches) continue;
      // What is due before it begins goes before it begins.
      if (!(now >= exception.from || due >= exception.from)) continue;
      const until = Math.min(exception.end(from), lastDays[index] ?? Number.POSITIVE_INFINITY);
      found.note('exception', () => longerText(exception, until, calendar), until > now);
      due = Math.max(due, until);
    }
    if (rules.length + exceptions.length > 0) {
      found.note(
        'precedence',
        () => `Of all these, it is due at ${calendar.when(due)}: what retains beats what deletes.`,
        !(due <= now),
      );
    }
    return due;
  };
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

interface ReadyRule {
  readonly name: string;
  readonly specificity: string;
  readonly about: string;
  /** Undefined: it cannot be told. */
  matches(facts: DecisionFacts, found: Findings): boolean | undefined;
  /** 1 for the most general; the policy's own period is 0. */
  readonly rank: number;
  readonly retain: PeriodAdder | null;
  readonly delete: PeriodAdder | null;
}

function rulesOf(policy: Policy, calendar: Calendar): readonly ReadyRule[] {
  return (policy.rules ?? []).map((rule) => {
    const owners = rule.when?.owner === undefined ? null : new Set(rule.when.owner);
    const customers = rule.when?.customer === undefined ? null : new Set(rule.when.customer);
    const value = rule.when?.value === undefined ? null : matcher(rule.when.value.ref, new Set(rule.when.value.is));
    return {
      name: rule.name,
      specificity: rule.specificity,
      about: conditionWords(rule.when),
      matches: (facts, found) => {
        if (owners !== null && !owners.has(facts.owner ?? '')) return false;
        if (customers !== null && !customers.has(facts.customer ?? '')) return false;
        return value === null || value(facts, found);
      },
      rank: SPECIFICITIES.indexOf(rule.specificity) + 1,
      retain: rule.retain === undefined ? null : calendar.adder(rule.retain),
      delete: rule.delete === undefined ? null : calendar.adder(rule.delete),
    };
  });
}

interface ReadyException extends ExceptionRule {
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
        end: calendar.adder(exception.active),
        matches: (facts, found) => {
          if (owner !== null && owner !== facts.owner) return false;
          if (customer !== null && customer !== facts.customer) return false;
          return hasValue === null || hasValue(facts, found);
        },
      };
    });
}

/** What cannot be told to be outside of a rule or an exception might be kept by it: the record waits. */
function matcher(ref: ValueRef, texts: Pick<ReadonlySet<string>, 'has'>) {
  const key = valueKey(ref);
  return (facts: DecisionFacts, found: Findings): boolean | undefined => {
    const matches = isOneOf(valueAt(facts.values, key), texts);
    if (matches === undefined) found.unusable(ref, facts, 'a text, a number or a list of them');
    return matches;
  };
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
