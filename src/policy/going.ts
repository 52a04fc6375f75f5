/**
 * When a record goes, seen from now: the first instant at which its policy and its exceptions let it go. Exceptions begin,
 * bite and end; between two such events nothing but the time changes, so each stretch has one answer, and the first that
 * lies within its own stretch is exact.
 */
import type { ReadyBranch } from './choice.ts';
import { type CompiledPolicy, type DecisionFacts, isUnfit } from './compile.ts';
import { addPeriod, MAX_INSTANT_MS, periodOf } from './period.ts';

/** Instants in ms. */
export interface Going {
  /** The smallest instant from now on at which it may go; Infinity: none, as things stand. */
  readonly at: number;
  /** When its copy is to be purged then; Infinity: there is none. NaN where it does not go. */
  readonly purgeAt: number;
  /** What happens to it then; null where it does not go. */
  readonly branch: ReadyBranch | null;
  /** It does not go now because an event or a value is missing. */
  readonly isPending: boolean;
}

const STAYS: Going = { at: Number.POSITIVE_INFINITY, purgeAt: Number.NaN, branch: null, isPending: false };

/** Of the records of one owner and customer: `compiled.of(owner, customer)`, made once for many records. */
export class GoingSeer {
  readonly #compiled: CompiledPolicy;
  /** Beginnings of the stretches, the first is now. */
  readonly #begins: readonly number[];

  constructor(compiled: CompiledPolicy, now: number) {
    this.#compiled = compiled;
    this.#begins = [now, ...eventsAfter(compiled, now)];
  }

  /** Holds are for whoever asks: a hold keeps what goes. */
  of(facts: DecisionFacts): Going {
    if (isUnfit(facts) || facts.quarantined || this.#compiled.isTreated(facts)) return STAYS;
    const branch = this.#compiled.dispositionOf(facts);
    let isPending = false;
    for (const [index, begin] of this.#begins.entries()) {
      const { dueAt, purgeAt, pendingUntil } = this.#compiled.times(facts, begin);
      if (index === 0) isPending = pendingUntil !== null && pendingUntil > begin;
      const at = Math.max(begin, dueAt, pendingUntil ?? begin, facts.exemptUntil ?? begin);
      // A NaN is below nothing: it goes in no stretch.
      if (at < (this.#begins[index + 1] ?? MAX_INSTANT_MS)) return { at, purgeAt, branch, isPending };
    }
    return { ...STAYS, isPending };
  }
}

/** No record with a trigger (ms) from here on goes until then. */
export function goingBefore(compiled: CompiledPolicy, now: number, until: number): number {
  const events = eventsAfter(compiled, now).filter((at) => at <= until);
  // Right before an event the exceptions are still as they were before it.
  const instants = [now, ...events.flatMap((at) => [at - 1, at]), until];
  return Math.max(...instants.map((at) => compiled.superset(at).dueBefore));
}

function eventsAfter({ given, policy }: CompiledPolicy, now: number): readonly number[] {
  const grace = periodOf(policy.grace);
  const events = given.exceptions.flatMap(({ effect, from, until, bitesAt }) => [
    from,
    ...(effect === 'shorter' ? [bitesAt] : []),
    ...(until === null ? [] : [until, addPeriod(until, grace, policy.zone)]),
  ]);
  return [...new Set(events.filter((at) => at > now && at < MAX_INSTANT_MS))].toSorted((a, b) => a - b);
}
