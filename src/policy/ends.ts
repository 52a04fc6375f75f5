/** Where the periods of a policy end for one record: one calendar for all of them, tiers, and what values say. */
import { type PeriodAdder, periodAdder } from './adder.ts';
import type { DecisionFacts } from './compile.ts';
import type { Findings } from './findings.ts';
import { isoPeriod, periodOf } from './period.ts';
import type { PeriodRule, ValueRef } from './policy.ts';
import { countOf, instantOf, isOneOf, textOf, valueAt, valueKey, valueName } from './values.ts';
import { periodRuleWords } from './words.ts';
import { wallClock } from './zone.ts';

/** From an instant to the end of a period, for one record. NaN: it cannot be told. */
export type End = (from: number, facts: DecisionFacts, found: Findings) => number;

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

/**
 * `missing`: what a date that is not there yet means. The record waits for it, until the longest that it may take; or,
 * where a copy is kept until it (`kept`), that longest is the end, and the record goes into its archive.
 */
export function endOf(rule: PeriodRule, calendar: Calendar, missing: 'waits' | 'kept' = 'waits'): End {
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
      if (missing === 'kept') {
        const text = () => `There is no ${valueName(rule.until)} yet: its copy is kept until ${calendar.when(latest)}.`;
        found.note('pending', text, false);
        return latest;
      }
      found.waitUntil(latest);
      found.note(
        'pending',
        () =>
          `There is no ${valueName(rule.until)} yet: the record waits for it until ${calendar.when(latest)} at most.`,
      );
      return latest;
    };
  }
  const tiers = new Map(Object.entries(rule.of).map(([tier, period]) => [tier, endOf(period, calendar, missing)]));
  const otherwise = endOf(rule.otherwise, calendar, missing);
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

/** What cannot be told to be outside of a rule or an exception might be kept by it: the record waits. */
export function matcher(ref: ValueRef, texts: Pick<ReadonlySet<string>, 'has'>) {
  const key = valueKey(ref);
  return (facts: DecisionFacts, found: Findings): boolean | undefined => {
    const matches = isOneOf(valueAt(facts.values, key), texts);
    if (matches === undefined) found.unusable(ref, facts, 'a text, a number or a list of them');
    return matches;
  };
}
