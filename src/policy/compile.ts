import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';
import type { DatasetShape } from '../source/port.ts';
import { type Chosen, chooserOf, inTakingOrder, type ReadyBranch, readyBranch } from './choice.ts';
import { Calendar, endOf } from './ends.ts';
import { dueOf, ownRule } from './evaluate.ts';
import type { ExceptionRule, ValueCoders } from './exception.ts';
import { Findings, type Note } from './findings.ts';
import { MAX_INSTANT_MS, periodOf } from './period.ts';
import {
  branchesOf,
  type Disposition,
  dispositionRuleOf,
  type PeriodRule,
  type Policy,
  toShape,
  valueRefs,
} from './policy.ts';
import { onlyPeriod, shortestPeriods } from './shortest.ts';
import { isAboutParties, specialise } from './specialise.ts';
import { type DueBounds, superset } from './superset.ts';
import { type RecordValues, valueKey } from './values.ts';

/** What is known about one record when its policy is applied. Instants in ms since 1970 UTC. */
export interface DecisionFacts {
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  /** The instant that the scan is ordered by: the trigger, or the creation where the trigger is an event or a look-up. */
  readonly trigger: number | null;
  /** What the policy's values say, read before; absent where it looks at none. */
  readonly values?: RecordValues;
  /** A restored record is left alone until then. */
  readonly exemptUntil: number | null;
  readonly quarantined: boolean;
  /** Id of the treatment that it was treated with in place already; null, absent: it was not. */
  readonly treated?: string | null;
  /** Why the record cannot be handled; empty for a fit one. */
  readonly unfit: readonly string[];
}

/**
 * - `unfit`: owner, customer or trigger cannot be used, or the bytes cannot be guarded.
 * - `quarantined`: kept aside until a person decides.
 * - `treated`: treated in place already; it stays.
 * - `pending`: an event that its period counts from has not happened, or a value that it needs cannot be used.
 * - `not-due`: the active period is not over.
 * - `exempt`: restored, and left alone for a time.
 * - `held`: due, and a legal hold keeps it.
 * - `due`: for its disposition.
 * - `expired`: past its archive period as well: deleted with a certificate, and only when a person says so.
 * - `other`: said by a policy that was made ready for one branch (`taking`), of a record that another branch is about.
 */
export type Decision =
  | 'unfit'
  | 'quarantined'
  | 'treated'
  | 'pending'
  | 'not-due'
  | 'exempt'
  | 'held'
  | 'due'
  | 'expired'
  | 'other';

/** Instants in ms. NaN: it cannot be told. Infinity: beyond the calendar, or (purge) nothing is archived. */
export interface Times {
  /** When the record is due for its disposition. */
  readonly dueAt: number;
  /** When its copy is to be purged. */
  readonly purgeAt: number;
  /** It waits for an event or a value until then; Infinity: for ever. null: for nothing. */
  readonly pendingUntil: number | null;
}

/** What a decision rests on besides the policy. */
export interface Given {
  /** In force, or ended and still within the grace. A plan pins those that it was made with. */
  readonly exceptions: readonly ExceptionRule[];
  /** Where one of them names values. */
  readonly coders?: ValueCoders;
  /** In `non-production` nothing outlives its active use: what would be archived is deleted. */
  readonly environment: 'production' | 'non-production' | 'sandbox';
}

/** A policy made ready for millions of records: the same rules as `decide`, no words and no allocation per record. */
export interface CompiledPolicy {
  readonly policy: Policy;
  readonly given: Given;
  /** What happens to what is due, in this environment; null: it depends on the record. */
  readonly disposition: Disposition | null;
  /** All that may happen to what is due, each once, in the order in which it is done. */
  readonly branches: readonly ReadyBranch[];
  /** How the source must read the records, with the fields that exceptions look at. */
  readonly shape: DatasetShape;
  /** What decisions look at in documents that look-ups find. */
  readonly lookUpRefs: readonly { readonly lookUp: string; readonly field: string }[];
  /** One period (ISO 8601) for all records, so that the server can count them; null: each is decided, for its values or its marker. */
  readonly uniform: { readonly active: string | null; readonly archive: string | null } | null;
  /** What applies to one owner's and customer's records: the same answers for them, often simpler. */
  of(owner: OwnerId, customer: CustomerId): CompiledPolicy;
  /** The same for the records of one branch alone: of all others it says `other`. Undefined: the only one that there is. */
  taking(branch: string | undefined): CompiledPolicy;
  /** What happens to the record when it is due, and what says so; null: it cannot be told. */
  dispositionOf(facts: DecisionFacts): Chosen | null;
  /** It was treated in place already, as the policy says for it. */
  isTreated(facts: DecisionFacts): boolean;
  /** `now`: exceptions come and go with the time. */
  times(facts: DecisionFacts, now: number): Times;
  /** See {@link Decision}; `held` says whether a legal hold covers the record. */
  decision(facts: DecisionFacts, held: boolean, now: number): Decision;
  /**
   * What its due date is by: `the active period`, `the record's own date`, `rule <name>` or `exception <id>`. It names parts
   * of the policy and never a value. Empty: it cannot be told.
   */
  ruleOf(facts: DecisionFacts, now: number): string;
  /** As `times`, with everything that was looked at as sentences. */
  explain(facts: DecisionFacts, now: number): Times & { readonly notes: readonly Note[] };
  /** Which triggers may be due, for the query (see superset.ts). Of a policy that is not uniform none are certain. */
  superset(now: number): DueBounds;
}

/** Without exceptions, and where archives are made. */
export const NOTHING_GIVEN: Given = { exceptions: [], environment: 'production' };

/**
 * Make one per policy and run and use it for all partitions: it remembers the calendar's answers. Records in the order of
 * their triggers are the fastest; the answers are the same in any order.
 */
export function compile(policy: Policy, given: Given = NOTHING_GIVEN): CompiledPolicy {
  const calendar = new Calendar(policy.zone);
  const whole = compileOne(policy, given, calendar, policy);
  if (!isAboutParties(policy, given.exceptions)) return whole;

  const variants = new Map<string, CompiledPolicy>();
  const known = new Map<OwnerId, Map<CustomerId, CompiledPolicy>>();
  const of = (owner: OwnerId, customer: CustomerId): CompiledPolicy => {
    const found = known.get(owner)?.get(customer);
    if (found !== undefined) return found;
    const special = specialise(policy, given.exceptions, owner, customer);
    const key = JSON.stringify([
      special.policy.active,
      special.policy.archive,
      special.policy.rules,
      special.policy.dispositions,
      special.exceptions,
    ]);
    let variant = variants.get(key);
    if (variant === undefined) {
      variant = compileOne(special.policy, { ...given, exceptions: special.exceptions }, calendar, policy);
      variants.set(key, variant);
    }
    const customers = known.get(owner) ?? new Map<CustomerId, CompiledPolicy>();
    known.set(owner, customers.set(customer, variant));
    return variant;
  };
  const variantOf = ({ owner, customer }: DecisionFacts) =>
    owner === null || customer === null ? whole : of(owner, customer);
  return {
    ...whole,
    of,
    times: (facts, now) => variantOf(facts).times(facts, now),
    decision: (facts, held, now) => variantOf(facts).decision(facts, held, now),
    isTreated: (facts) => variantOf(facts).isTreated(facts),
    ruleOf: (facts, now) => variantOf(facts).ruleOf(facts, now),
  };
}

/** `rules`: the policy as it is for some records; `policy`: as it was published. `only`: for one branch alone. */
function compileOne(
  rules: Policy,
  given: Given,
  calendar: Calendar,
  policy: Policy,
  only: ReadyBranch | null = null,
): CompiledPolicy {
  const rule = dispositionRuleOf(rules);
  const choose = chooserOf(rule, given.environment);
  const all = inTakingOrder(branchesOf(rule).map((branch) => readyBranch(branch, given.environment)));
  const branches = only === null ? all : [only];
  // What cannot be told belongs to the first, so that it is in one.
  const isOther = (chosen: ReadyBranch | null) => only !== null && (chosen ?? all[0])?.key !== only.key;
  const archives = branches.some(({ disposition }) => disposition === 'archive');
  const archiveRule = archives && rules.archive !== null ? rules.archive.for : null;
  const isAlike = !('by' in rule) && branches.every(({ treatment }) => treatment === null);
  const uniform = isAlike ? uniformOf(rules, given, archiveRule) : null;
  const dueAt = dueOf(rules, given, calendar);
  const endOfArchive = archiveRule === null ? () => Number.POSITIVE_INFINITY : endOf(archiveRule, calendar, 'kept');
  const scratch = new Findings();

  const purgeAt = (due: number, chosen: Chosen | null, facts: DecisionFacts, found: Findings) => {
    if (Number.isNaN(due) || chosen === null) return Number.NaN;
    return chosen.disposition === 'archive' ? endOfArchive(due, facts, found) : Number.POSITIVE_INFINITY;
  };
  const evaluate = (facts: DecisionFacts, now: number, found: Findings): Times => {
    const trigger = facts.trigger ?? Number.NaN;
    if (!isInstant(trigger)) return { dueAt: Number.NaN, purgeAt: Number.NaN, pendingUntil: null };
    const due = dueAt(facts, now, found);
    const purge = purgeAt(due, choose(facts, found), facts, found);
    const { pendingUntil } = found;
    return {
      dueAt: due,
      purgeAt: purge,
      pendingUntil: pendingUntil === Number.NEGATIVE_INFINITY ? null : pendingUntil,
    };
  };
  const decideTimes = (facts: DecisionFacts, held: boolean, now: number, due: number, purge: number): Decision => {
    // Written so that a NaN, which no comparison likes, ends in `not-due`: nothing happens to the record.
    if (!(due <= now)) return 'not-due';
    if (facts.exemptUntil !== null && !(facts.exemptUntil <= now)) return 'exempt';
    if (held) return 'held';
    return purge <= now ? 'expired' : 'due';
  };
  const fast =
    uniform === null
      ? null
      : {
          dueAt: uniform.active === null ? (ms: number) => ms : calendar.adder(uniform.active),
          purgeAt: uniform.archive === null ? () => Number.POSITIVE_INFINITY : calendar.adder(uniform.archive),
        };
  const shape = toShape(
    policy,
    given.exceptions.flatMap(({ scope }) => (scope.value === null ? [] : [scope.value.field])),
  );

  const compiled: CompiledPolicy = {
    policy,
    given,
    disposition: branches.length === 1 ? (branches[0]?.disposition ?? null) : null,
    branches,
    shape,
    lookUpRefs: lookUpRefsOf(policy),
    uniform,
    of: () => compiled,
    taking: (key) => {
      const [one, another] = branches;
      if (another === undefined && (key === undefined || key === one?.key)) return compiled;
      const branch = branches.find((each) => each.key === key);
      if (branch !== undefined) return compileOne(rules, given, calendar, policy, branch);
      throw new MoraineError(
        'INTERNAL',
        `Policy ${policy.name} has no disposition ${key ?? 'for all of its records'}.`,
        {
          ids: { policy: policy.name },
        },
      );
    },
    dispositionOf: (facts) => {
      scratch.reset();
      return choose(facts, scratch);
    },
    isTreated: (facts) => {
      scratch.reset();
      return hasMarker(facts, choose(facts, scratch));
    },
    times: (facts, now) => {
      scratch.reset();
      return evaluate(facts, now, scratch);
    },
    decision: (facts, held, now) => {
      if (isUnfit(facts)) return 'unfit';
      scratch.reset();
      const chosen = choose(facts, scratch);
      if (isOther(chosen)) return 'other';
      if (facts.quarantined) return 'quarantined';
      if (hasMarker(facts, chosen)) return 'treated';
      if (fast !== null) {
        const due = fast.dueAt(facts.trigger ?? Number.NaN);
        // The end of the archive period is asked for what is due only.
        return decideTimes(facts, held, now, due, due <= now ? fast.purgeAt(due) : Number.POSITIVE_INFINITY);
      }
      const due = dueAt(facts, now, scratch);
      const purge = purgeAt(due, chosen, facts, scratch);
      if (scratch.pendingUntil > now) return 'pending';
      return decideTimes(facts, held, now, due, purge);
    },
    ruleOf: (facts, now) => {
      if (fast !== null && (rules.rules ?? []).length === 0) return ownRule(rules);
      scratch.reset();
      scratch.by = '';
      return Number.isNaN(dueAt(facts, now, scratch)) ? '' : scratch.by;
    },
    explain: (facts, now) => {
      const found = new Findings();
      found.notes = [];
      const times = evaluate(facts, now, found);
      return { ...times, notes: found.notes };
    },
    superset: (now) => boundsOf(rules, given, uniform, now),
  };
  return compiled;
}

/** Also true for facts that contradict themselves: no owner, no customer or no instant, and yet no reason why. */
export function isUnfit(facts: DecisionFacts): boolean {
  return (
    facts.unfit.length > 0 || facts.owner === null || facts.customer === null || !isInstant(facts.trigger ?? Number.NaN)
  );
}

function hasMarker({ treated }: DecisionFacts, chosen: ReadyBranch | null): boolean {
  return chosen !== null && chosen.treatment !== null && treated === chosen.treatment;
}

/** BSON dates reach further than the calendar does; what lies outside is no usable trigger. */
export function isInstant(ms: number): boolean {
  return Number.isInteger(ms) && Math.abs(ms) <= MAX_INSTANT_MS;
}

function uniformOf(rules: Policy, { exceptions }: Given, archive: PeriodRule | null): CompiledPolicy['uniform'] {
  if (exceptions.length > 0 || rules.trigger.kind === 'composite') return null;
  if (archive !== null && typeof archive !== 'string') return null;
  const active = onlyPeriod(rules);
  return active === undefined ? null : { active, archive };
}

function boundsOf(rules: Policy, given: Given, uniform: CompiledPolicy['uniform'], now: number): DueBounds {
  const bounds = (iso: string | null) => superset(now, iso === null ? null : periodOf(iso), rules.zone);
  if (uniform !== null) return bounds(uniform.active);
  const dueBefore = shortestPeriods(rules, given.exceptions, now).map((iso) => bounds(iso).dueBefore);
  return { dueBefore: Math.max(...dueBefore), certainlyDueBefore: -MAX_INSTANT_MS };
}

function lookUpRefsOf(policy: Policy): CompiledPolicy['lookUpRefs'] {
  const refs = new Map<string, { readonly lookUp: string; readonly field: string }>();
  for (const ref of valueRefs(policy)) if ('lookUp' in ref) refs.set(valueKey(ref), ref);
  return [...refs.values()];
}
