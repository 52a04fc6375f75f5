/** What was decided about records that go: by which rules, and between which dates. Certificates tell it, and it names no record. */

export interface RuleCount {
  /** `the active period`, `the record's own date`, `rule <name>`, `exception <id>`, `the order to offboard`. */
  readonly rule: string;
  readonly records: number;
}

/** Both included. */
export interface Span {
  readonly from: Date;
  readonly to: Date;
}

export interface Decided {
  /** The rule of the most records first. */
  readonly rules: readonly RuleCount[];
  /** Null: no record. */
  readonly triggers: Span | null;
  /** When they were due for their disposition; null: they were not, and go all the same. */
  readonly due: Span | null;
}

export const NOTHING_DECIDED: Decided = { rules: [], triggers: null, due: null };

/** Counts up what is decided, a record at a time. */
export class DecidedTally {
  readonly #rules = new Map<string, number>();
  #triggers: Span | null = null;
  #due: Span | null = null;

  /** `trigger`, `dueAt`: ms; what is no date (a record without a usable trigger) widens nothing. */
  add(rule: string, trigger: number, dueAt: number): void {
    this.#rules.set(rule, (this.#rules.get(rule) ?? 0) + 1);
    this.#triggers = widened(this.#triggers, trigger);
    this.#due = widened(this.#due, dueAt);
  }

  /** What was added since the last call. */
  take(): Decided {
    const rules = sorted(this.#rules);
    const decided = { rules, triggers: this.#triggers, due: this.#due };
    this.#rules.clear();
    [this.#triggers, this.#due] = [null, null];
    return decided;
  }
}

export function addDecided(one: Decided, other: Decided): Decided {
  const rules = new Map(one.rules.map(({ rule, records }) => [rule, records]));
  for (const { rule, records } of other.rules) rules.set(rule, (rules.get(rule) ?? 0) + records);
  return {
    rules: sorted(rules),
    triggers: joined(one.triggers, other.triggers),
    due: joined(one.due, other.due),
  };
}

function widened(span: Span | null, ms: number): Span | null {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? span : joined(span, { from: at, to: at });
}

function joined(one: Span | null, other: Span | null): Span | null {
  if (one === null || other === null) return one ?? other;
  return {
    from: new Date(Math.min(one.from.getTime(), other.from.getTime())),
    to: new Date(Math.max(one.to.getTime(), other.to.getTime())),
  };
}

function sorted(rules: ReadonlyMap<string, number>): readonly RuleCount[] {
  return [...rules]
    .map(([rule, records]) => ({ rule, records }))
    .sort((a, b) => b.records - a.records || (a.rule < b.rule ? -1 : 1));
}
