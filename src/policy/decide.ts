/**
 * What a policy says about one record, and why. The reasons are what `plan` and `explain` show, what is logged, and
 * what the tests look at. The decision itself comes from the compiled policy, so that the scan and the explanation
 * cannot differ.
 */
import { unreachable } from '../errors.ts';
import type { Chosen } from './choice.ts';
import { type CompiledPolicy, compile, type Decision, type DecisionFacts, isUnfit } from './compile.ts';
import type { Note } from './findings.ts';
import { type Policy, policyVersion } from './policy.ts';
import { periodRuleWords } from './words.ts';
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
  | Note['rule']
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
  /** What happens to it when it is due, and which part of the policy says so; null: it cannot be told. */
  readonly disposition: Chosen | null;
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
  const explained = isUnfit(facts) ? null : compiled.explain(facts, now);
  const disposition = explained === null ? null : compiled.dispositionOf(facts);
  const dueAt = instantOrNull(explained?.dueAt);
  const purgeAt = instantOrNull(explained?.purgeAt);
  const reasons = [
    policyReason(compiled.policy),
    ...fitnessReasons(facts),
    ...(explained?.notes ?? []),
    ...(dueAt === null || purgeAt === null ? [] : [archiveReason(compiled.policy, disposition, purgeAt, now)]),
    ...exemptionReasons(facts, compiled.policy, now),
    ...covering.map((hold): Reason => ({ rule: 'hold', text: `Legal hold ${hold.id} covers this record.` })),
    { rule: 'disposition', text: dispositionText(decision, compiled.policy, disposition) } as const,
  ];
  return { decision, dueAt, purgeAt, disposition, reasons };
}

function instantOrNull(ms: number | undefined): number | null {
  return ms === undefined || Number.isNaN(ms) ? null : ms;
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

function archiveReason(policy: Policy, disposition: Chosen | null, purgeAt: number, now: number): Reason {
  const rule = 'archive-period';
  if (policy.archive === null || disposition?.disposition !== 'archive') {
    const isOfEnvironment = policy.archive !== null && policy.dispositions === undefined;
    return {
      rule,
      text: isOfEnvironment ? 'Nothing is archived in this environment.' : 'Nothing of it is archived.',
    };
  }
  const text = `The archive period of ${periodRuleWords(policy.archive.for)} after that ${
    purgeAt <= now ? 'ended' : 'ends'
  } at ${wallClock(purgeAt, policy.zone)}.`;
  return { rule, text };
}

function exemptionReasons(facts: DecisionFacts, policy: Policy, now: number): Reason[] {
  if (facts.exemptUntil === null || facts.exemptUntil <= now) return [];
  const until = wallClock(facts.exemptUntil, policy.zone);
  return [{ rule: 'exemption', text: `The record was restored and is left alone until ${until} (${policy.zone}).` }];
}

function dispositionText(decision: Decision, policy: Policy, disposition: Chosen | null): string {
  switch (decision) {
    case 'unfit':
      return 'It goes into quarantine and stays in the source.';
    case 'quarantined':
    case 'held':
      return 'It stays in the source.';
    case 'not-due':
    case 'other':
      return 'Nothing is to be done yet.';
    case 'exempt':
      return 'Nothing is to be done until then.';
    case 'treated':
      return 'Its fields were treated already: it stays.';
    case 'pending':
      return 'Nothing is to be done before that is known.';
    case 'due':
      return `${dueText(policy, disposition)}${becauseOf(policy, disposition)}`;
    case 'expired':
      return `It is past its archive period too: it is not archived, and ${disposition?.treat == null ? 'deleted' : 'treated in place'} only when a person says so (\`moraine run --expired\`).`;
    default:
      return unreachable(decision, 'decision');
  }
}

function becauseOf({ dispositions }: Policy, disposition: Chosen | null): string {
  return dispositions === undefined || disposition === null ? '' : ` So the policy says where ${disposition.by}.`;
}

function dueText({ archive }: Policy, chosen: Chosen | null): string {
  const fields = (chosen?.treat ?? []).map(({ field, how }) => `${field} (${how})`).join(', ');
  if (chosen?.disposition === 'delete') return 'It is to be deleted, without an archive.';
  if (chosen?.disposition === 'treat') return `It stays, and these fields are to be treated: ${fields}.`;
  const archived = `It is to be archived into vault ${archive?.vault ?? ''}`;
  return fields === '' ? `${archived}.` : `${archived}; in the original these fields are to be treated: ${fields}.`;
}
