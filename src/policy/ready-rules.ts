/**
 * The rules of a policy, made ready for millions of records: until when they retain one, and which of them says when its
 * time is over.
 */
import type { DecisionFacts } from './compile.ts';
import { type Calendar, type End, endOf, matcher } from './ends.ts';
import { Findings } from './findings.ts';
import { type Policy, SPECIFICITIES } from './policy.ts';
import { conditionWords } from './words.ts';

interface ReadyRule {
  readonly name: string;
  readonly specificity: string;
  /** As certificates name it. */
  readonly label: string;
  readonly about: string;
  /** Undefined: it cannot be told. */
  matches(facts: DecisionFacts, found: Findings): boolean | undefined;
  /** 1 for the most general; the policy's own period is 0. */
  readonly rank: number;
  readonly retain: End | null;
  readonly delete: End | null;
}

export class ReadyRules {
  readonly #calendar: Calendar;
  readonly #rules: readonly ReadyRule[];
  /** Those that are about the record that is being looked at. Used again for the next one. */
  readonly #matching: ReadyRule[] = [];
  /** Which rule retains it the longest; empty: none. */
  retainedBy = '';

  constructor(policy: Policy, calendar: Calendar) {
    this.#calendar = calendar;
    this.#rules = rulesOf(policy, calendar);
  }

  /** -Infinity: nothing retains it. NaN: it cannot be told. To be asked before {@link chosen}. */
  retainUntil(from: number, facts: DecisionFacts, now: number, found: Findings): number {
    this.#matching.length = 0;
    this.retainedBy = '';
    let retainUntil = Number.NEGATIVE_INFINITY;
    for (const rule of this.#rules) {
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
      this.#matching.push(rule);
      if (rule.retain === null) continue;
      const until = rule.retain(from, facts, found);
      if (Number.isNaN(until)) return until;
      if (until > retainUntil) this.retainedBy = rule.label;
      retainUntil = Math.max(retainUntil, until);
      found.note(
        'retention-rule',
        () => `Rule ${rule.name} (${rule.specificity}) retains it until ${this.#calendar.when(until)}.`,
        until > now,
      );
    }
    return retainUntil;
  }

  /** The date of the most special rule, between equals the earliest. Null: no rule names one. NaN: it cannot be told. */
  chosen(from: number, facts: DecisionFacts, now: number, found: Findings): number | null {
    let top: ReadyRule | null = null;
    for (const rule of this.#matching) if (rule.delete !== null && rule.rank > (top?.rank ?? 0)) top = rule;
    if (top === null) return null;
    const before = found.pendingUntil;
    let [chosen, waits] = [Number.POSITIVE_INFINITY, before];
    for (const rule of this.#matching) {
      if (rule.delete === null) continue;
      if (rule.rank < top.rank) {
        // What it waits for, or cannot use, is no matter: it is said in an explanation only.
        if (found.notes !== null) this.#note(rule, rule.delete(from, facts, new Findings()), now, found);
        continue;
      }
      found.pendingUntil = before;
      const at = rule.delete(from, facts, found);
      this.#note(rule, at, now, found);
      // Which of several equals is the earliest cannot be told then.
      if (Number.isNaN(at)) return at;
      if (!(at < chosen)) continue;
      [chosen, waits] = [at, found.pendingUntil];
      top = rule;
    }
    found.pendingUntil = waits;
    const { name, label } = top;
    found.by = label;
    found.note('active-period', () => `Rule ${name} takes the place of the policy's own period.`, false);
    return chosen;
  }

  #note(rule: ReadyRule, at: number, now: number, found: Findings): void {
    if (Number.isNaN(at)) return;
    const when = () => `Rule ${rule.name} (${rule.specificity}) says ${this.#calendar.when(at)} for its disposition.`;
    found.note('retention-rule', when, at <= now);
  }
}

function rulesOf(policy: Policy, calendar: Calendar): readonly ReadyRule[] {
  return (policy.rules ?? []).map((rule) => {
    const owners = rule.when?.owner === undefined ? null : new Set(rule.when.owner);
    const customers = rule.when?.customer === undefined ? null : new Set(rule.when.customer);
    const value = rule.when?.value === undefined ? null : matcher(rule.when.value.ref, new Set(rule.when.value.is));
    return {
      name: rule.name,
      specificity: rule.specificity,
      label: `rule ${rule.name}`,
      about: conditionWords(rule.when),
      matches: (facts, found) => {
        if (owners !== null && !owners.has(facts.owner ?? '')) return false;
        if (customers !== null && !customers.has(facts.customer ?? '')) return false;
        return value === null || value(facts, found);
      },
      rank: SPECIFICITIES.indexOf(rule.specificity) + 1,
      retain: rule.retain === undefined ? null : endOf(rule.retain, calendar),
      delete: rule.delete === undefined ? null : endOf(rule.delete, calendar),
    };
  });
}
