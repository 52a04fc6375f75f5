/**
 * What a policy says about one record, and why. The reasons are what `plan` and `explain` show, what is logged, and
 * what the tests look at. The decision itself comes from the compiled policy, so that the scan and the explanation
 * cannot differ.
 */
import { unreachable } from '../errors.ts';
import { type CompiledPolicy, compile, type Decision, type DecisionFacts, isUnfit } from './compile.ts';
import { type Policy, policyVersion } from './policy.ts';
import { periodRuleWords, triggerWords } from './words.ts';
import { wallClock } from './zone.ts';

/** What `decide` needs to know of a legal hold. */
export interface HoldScope {
  readonly id: string;
  /** True also when it cannot be told: a hold that cannot be proved not to cover a record covers it. */
  covers(facts: DecisionFacts): boolean;
}

export type Rule =
  | 'policy'
  | 'fitness'
  | 'quarantine'
  | 'active-period'
  | 'archive-period'
  | 'exemption'
  | 'hold'
  | 'disposition';

export interface Reason {
  readonly rule: Rule;
  /** A whole sentence for a records manager, with dates in the policy's zone. Holds no content of the record. */
  readonly text: string;
}

export interface Outcome {
  readonly decision: Decision;
  /** ms; null when the record has no usable trigger. Infinity when beyond the calendar. */
  readonly dueAt: number | null;
  readonly purgeAt: number | null;
  readonly reasons: readonly Reason[];
}

/** Pass the compiled policy when there is one: the answer is the same, sooner. */
export function decide(
  facts: DecisionFacts,
  policy: Policy | CompiledPolicy,
  holds: readonly HoldScope[],
  now: number,
): Outcome {
  const compiled = 'decision' in policy ? policy : compile(policy);
  const covering = holds.filter((hold) => covers(hold, facts));
  const decision = compiled.decision(facts, covering.length > 0, now);
  const dueAt = isUnfit(facts) || facts.trigger === null ? null : compiled.dueAt(facts.trigger);
  const purgeAt = dueAt === null ? null : compiled.purgeAt(dueAt);
  const reasons = [
    policyReason(compiled.policy),
    ...fitnessReasons(facts),
    ...(dueAt === null || purgeAt === null ? [] : periodReasons(facts, compiled.policy, { dueAt, purgeAt, now })),
    ...exemptionReasons(facts, compiled.policy, now),
    ...covering.map((hold): Reason => ({ rule: 'hold', text: `Legal hold ${hold.id} covers this record.` })),
    { rule: 'disposition', text: dispositionText(decision, compiled.policy) } as const,
  ];
  return { decision, dueAt, purgeAt, reasons };
}

/** Is the record kept by any of these holds? For the scan, which needs no reasons. */
export function isHeld(holds: readonly HoldScope[], facts: DecisionFacts): boolean {
  return holds.some((hold) => covers(hold, facts));
}

function covers(hold: HoldScope, facts: DecisionFacts): boolean {
  try {
    return hold.covers(facts);
  } catch {
    // A hold that cannot be evaluated keeps the record: the mistake on this side can be repaired, a deletion cannot.
    return true;
  }
}

/** Enough of a version to recognise it. The whole one is in the ledger and in `policy show`. */
const SHOWN_VERSION_LENGTH = 12;

function policyReason(policy: Policy): Reason {
  const version = policyVersion(policy).slice(0, SHOWN_VERSION_LENGTH);
  return { rule: 'policy', text: `Policy ${policy.name}, version ${version}, for ${policy.dataset.collection}.` };
}

const UNFIT_TEXTS: Readonly<Record<string, string>> = {
  'owner-unusable': 'it does not say who owns it (a text that is not empty, an ObjectId or a UUID)',
  'customer-unusable': 'it does not say whose data it is (a text that is not empty, an ObjectId or a UUID)',
  'trigger-unusable': 'its period cannot be counted: the trigger is missing or is no date',
  'not-canonical': 'its bytes cannot be compared safely before the delete; a version field in the policy helps',
  'too-large': 'it is too large for one guarded delete; a version field in the policy helps',
};

function fitnessReasons(facts: DecisionFacts): Reason[] {
  const reasons = facts.unfit.map((code): Reason => {
    return { rule: 'fitness', text: `The record cannot be handled: ${UNFIT_TEXTS[code] ?? code}.` };
  });
  if (reasons.length === 0 && isUnfit(facts)) {
    reasons.push({ rule: 'fitness', text: 'The record cannot be handled: owner, customer or trigger is missing.' });
  }
  if (facts.quarantined) {
    reasons.push({ rule: 'quarantine', text: 'The record is in quarantine until a person decides.' });
  }
  return reasons;
}

function periodReasons(
  facts: DecisionFacts,
  policy: Policy,
  at: { readonly dueAt: number; readonly purgeAt: number; readonly now: number },
): Reason[] {
  const when = (ms: number) => wallClock(ms, policy.zone);
  const field = triggerWords(policy.trigger);
  const activeText =
    policy.active === null
      ? `The record's own date (${field}) ${at.dueAt <= at.now ? 'was' : 'is'} ${when(at.dueAt)} (${policy.zone}).`
      : `The active period of ${periodRuleWords(policy.active)} began at ${when(facts.trigger ?? Number.NaN)} (${field}) and ${
          at.dueAt <= at.now ? 'ended' : 'ends'
        } at ${when(at.dueAt)} (${policy.zone}).`;
  const archiveText =
    policy.archive === null
      ? 'Nothing of it is archived.'
      : `The archive period of ${periodRuleWords(policy.archive.for)} after that ${
          at.purgeAt <= at.now ? 'ended' : 'ends'
        } at ${when(at.purgeAt)}.`;
  return [
    { rule: 'active-period', text: activeText },
    { rule: 'archive-period', text: archiveText },
  ];
}

function exemptionReasons(facts: DecisionFacts, policy: Policy, now: number): Reason[] {
  if (facts.exemptUntil === null || facts.exemptUntil <= now) return [];
  const until = wallClock(facts.exemptUntil, policy.zone);
  return [{ rule: 'exemption', text: `The record was restored and is left alone until ${until} (${policy.zone}).` }];
}

function dispositionText(decision: Decision, policy: Policy): string {
  switch (decision) {
    case 'unfit':
      return 'It goes into quarantine and stays in the source.';
    case 'quarantined':
    case 'held':
      return 'It stays in the source.';
    case 'not-due':
      return 'Nothing is to be done yet.';
    case 'exempt':
      return 'Nothing is to be done until then.';
    case 'due':
      return policy.archive === null
        ? 'It is to be deleted.'
        : `It is to be archived into vault ${policy.archive.vault}.`;
    case 'expired':
      return 'It is past its archive period too: it is not archived, and deleted only when a person says so (`moraine run --expired`).';
    default:
      return unreachable(decision, 'decision');
  }
}
