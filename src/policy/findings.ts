/** What an evaluation finds on its way: what a record waits for, and the sentences of an explanation. */
import type { DecisionFacts } from './compile.ts';
import type { ValueRef } from './policy.ts';
import { kindOf, valueAt, valueKey, valueName } from './values.ts';

/** One sentence of an explanation. */
export interface Note {
  readonly rule: 'pending' | 'active-period' | 'retention-rule' | 'exception' | 'precedence' | 'chosen-disposition';
  readonly text: string;
  readonly applies: boolean;
}

/** What an evaluation found besides the due date. Used again for the next record. */
export class Findings {
  /** It waits for something until then (ms); -Infinity: for nothing; Infinity: for ever, until the data or the policy change. */
  pendingUntil = Number.NEGATIVE_INFINITY;
  notes: Note[] | null = null;
  /** What the due date is by, see {@link CompiledPolicy.ruleOf}. */
  by = '';

  reset(): void {
    this.pendingUntil = Number.NEGATIVE_INFINITY;
  }

  waitUntil(ms: number): void {
    if (ms > this.pendingUntil) this.pendingUntil = ms;
  }

  note(rule: Note['rule'], text: () => string, applies = true): void {
    this.notes?.push({ rule, text: text(), applies });
  }

  /** The value cannot be used. Returns the instant that is never reached. */
  unusable(ref: ValueRef, facts: DecisionFacts, needed: string): number {
    this.waitUntil(Number.POSITIVE_INFINITY);
    this.note('pending', () => {
      const found = kindOf(valueAt(facts.values, valueKey(ref)));
      return `${valueName(ref)} holds ${found} where ${needed} belongs: the record waits until that is corrected.`;
    });
    return Number.NaN;
  }
}
