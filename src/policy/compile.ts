import type { CustomerId, OwnerId } from '../ids.ts';
import { type PeriodAdder, periodAdder } from './adder.ts';
import { MAX_INSTANT_MS, type Period, periodOf } from './period.ts';
import type { PeriodRule, Policy } from './policy.ts';
import { type DueBounds, superset } from './superset.ts';

/** What is known about one record when its policy is applied. Instants in ms since 1970 UTC. */
export interface DecisionFacts {
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  /** The trigger's instant; for a policy with `expires` the date on which the record itself is due. */
  readonly trigger: number | null;
  /** A restored record is left alone until then. */
  readonly exemptUntil: number | null;
  readonly quarantined: boolean;
  /** Why the record cannot be handled; empty for a fit one. */
  readonly unfit: readonly string[];
}

/**
 * - `unfit`: owner, customer or trigger cannot be used, or the bytes cannot be guarded.
 * - `quarantined`: kept aside until a person decides.
 * - `not-due`: the active period is not over.
 * - `exempt`: restored, and left alone for a time.
 * - `held`: due, and a legal hold keeps it.
 * - `due`: to be archived.
 * - `expired`: past its archive period as well: deleted with a certificate, and only when a person says so.
 */
export type Decision = 'unfit' | 'quarantined' | 'not-due' | 'exempt' | 'held' | 'due' | 'expired';

/** A policy made ready for millions of records: the same rules as `decide`, no words and no allocation per record. */
export interface CompiledPolicy {
  readonly policy: Policy;
  /** End of the active period, in ms. Infinity when beyond the calendar; NaN for what is no instant. */
  dueAt(trigger: number): number;
  /** End of the archive period, counted from `dueAt`, in ms. Infinity when beyond the calendar. */
  purgeAt(dueAt: number): number;
  /** See {@link Decision}; `held` says whether a legal hold covers the record. */
  decision(facts: DecisionFacts, held: boolean, now: number): Decision;
  /** Which triggers may be due, for the query (see superset.ts). */
  superset(now: number): DueBounds;
}

/**
 * Make one per policy and use it for all partitions: it remembers the calendar's answers. Records in the order of their
 * triggers are the fastest; the answers are the same in any order.
 */
export function compile(policy: Policy): CompiledPolicy {
  const active: Period | null = policy.active === null ? null : periodOf(onePeriod(policy.active));
  const endOfActive: PeriodAdder = active === null ? (ms) => ms : periodAdder(active, policy.zone);
  const endOfArchive =
    policy.archive === null
      ? () => Number.POSITIVE_INFINITY
      : periodAdder(periodOf(onePeriod(policy.archive.for)), policy.zone);

  const dueAt = (trigger: number) => (isInstant(trigger) ? endOfActive(trigger) : Number.NaN);
  const purgeAt = (due: number) => (isInstant(due) ? endOfArchive(due) : due);

  return {
    policy,
    dueAt,
    purgeAt,
    decision: (facts, held, now) => {
      if (isUnfit(facts)) return 'unfit';
      if (facts.quarantined) return 'quarantined';
      const due = dueAt(facts.trigger ?? Number.NaN);
      // Written so that a NaN, which no comparison likes, ends in `not-due`: nothing happens to the record.
      if (!(due <= now)) return 'not-due';
      if (facts.exemptUntil !== null && !(facts.exemptUntil <= now)) return 'exempt';
      if (held) return 'held';
      return purgeAt(due) <= now ? 'expired' : 'due';
    },
    superset: (now) => superset(now, active, policy.zone),
  };
}

/** Also true for facts that contradict themselves: no owner, no customer or no instant, and yet no reason why. */
export function isUnfit(facts: DecisionFacts): boolean {
  return (
    facts.unfit.length > 0 || facts.owner === null || facts.customer === null || !isInstant(facts.trigger ?? Number.NaN)
  );
}

/** BSON dates reach further than the calendar does; what lies outside is no usable trigger. */
function isInstant(ms: number): boolean {
  return Number.isInteger(ms) && Math.abs(ms) <= MAX_INSTANT_MS;
}

export function onePeriod(rule: PeriodRule): string {
  if (typeof rule === 'string') return rule;
  throw new RangeError('The period depends on the record.');
}
