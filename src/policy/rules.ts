/**
 * Every rule that is considered for one record, in a fixed order, whether it applies or not: what `explain` prints. The
 * decision is that of `decide`; here is what surrounds it: what the ledger and the configuration say. Pure: all facts are
 * handed in. A text names no content of the record.
 */
import type { CapResult } from './caps.ts';
import { compile, type DecisionFacts, type Given, isInstant, isUnfit } from './compile.ts';
import { decide, type HoldScope, type Outcome } from './decide.ts';
import type { Note } from './findings.ts';
import type { Policy } from './policy.ts';
import type { SealDecision } from './window.ts';

export const RULES = [
  'policy',
  'in-force',
  'owner',
  'customer',
  'trigger',
  'bytes',
  'configuration',
  'quarantine',
  'pending',
  'active-period',
  'retention-rule',
  'exception',
  'precedence',
  'exemption',
  'hold',
  'archive-period',
  'chosen-disposition',
  'pause',
  'uncleared-archive',
  'waiting',
  'caps',
  'disposition',
] as const;

export interface ConsideredRule {
  readonly rule: (typeof RULES)[number];
  /** It says something about this record now: it stops it, or it is why it goes. */
  readonly applies: boolean;
  readonly text: string;
}

export interface RuleFacts {
  readonly policy: Policy;
  /** Exceptions and environment; absent: none, in production. */
  readonly given?: Given;
  /** Whether runs use this very version. */
  readonly published: 'in force' | 'file differs' | 'never published';
  readonly facts: DecisionFacts;
  readonly now: number;
  /** What moraine.yaml lacks for the owner, as a sentence; null: nothing. */
  readonly configuration: string | null;
  /** Of its entry in quarantine; null: none. */
  readonly quarantine: { readonly state: 'open' | 'disposed'; readonly text: string } | null;
  /** In force and about its owner, customer and dataset; `until`: released, and holding until then. */
  readonly holds: readonly (HoldScope & { readonly until: string | null })[];
  /** Names of the pauses that stop it. */
  readonly pauses: readonly string[];
  /** The highest archive of its partition that is not cleared, and whether the record lies below its bound. */
  readonly uncleared: { readonly archive: string; readonly state: string; readonly reaches: boolean } | null;
  /** Looked at for a record that is due: whether its partition is sealed now, and what the run's caps say. */
  readonly plan: { readonly seal: SealDecision; readonly caps: CapResult } | { readonly problem: string } | null;
}

export function considerRules(of: RuleFacts): { readonly outcome: Outcome; readonly rules: readonly ConsideredRule[] } {
  const compiled = compile(of.policy, of.given);
  const outcome = decide(of.facts, compiled, of.holds, of.now);
  const hasTrigger = isInstant(of.facts.trigger ?? Number.NaN);
  const { notes } = hasTrigger && !isUnfit(of.facts) ? compiled.explain(of.facts, of.now) : { notes: [] };
  const textOf = (rule: string) => outcome.reasons.find((reason) => reason.rule === rule)?.text ?? null;
  const isDue = outcome.decision === 'due';
  const rule = (name: ConsideredRule['rule'], applies: boolean, text: string): ConsideredRule => {
    return { rule: name, applies, text };
  };
  const { purgeAt } = outcome;
  const rules: readonly ConsideredRule[] = [
    rule('policy', true, textOf('policy') ?? `Policy ${of.policy.name}.`),
    inForce(of),
    fitness('owner', of.facts, ['owner-unusable'], of.facts.owner === null),
    fitness('customer', of.facts, ['customer-unusable'], of.facts.customer === null),
    fitness('trigger', of.facts, ['trigger-unusable'], !hasTrigger),
    fitness('bytes', of.facts, ['not-canonical', 'too-large'], false),
    rule('configuration', of.configuration !== null, of.configuration ?? 'Its owner is in moraine.yaml.'),
    quarantine(of),
    ...noted(notes, 'pending', 'It waits for no event.'),
    ...noted(notes, 'active-period', 'It cannot be counted.'),
    ...noted(notes, 'retention-rule', 'The policy has no further rules.'),
    ...noted(notes, 'exception', 'No exception is about it.'),
    ...noted(notes, 'precedence', 'There is nothing to weigh.'),
    rule('exemption', textOf('exemption') !== null, textOf('exemption') ?? 'It was not restored, or long ago.'),
    ...holds(of),
    rule('archive-period', purgeAt !== null && purgeAt <= of.now, textOf('archive-period') ?? 'It cannot be counted.'),
    ...noted(notes, 'chosen-disposition', 'The policy says the same for all of its records.'),
    ...pauses(of),
    uncleared(of),
    waiting(of, isDue),
    caps(of, isDue),
    rule('disposition', true, textOf('disposition') ?? ''),
  ];
  return { outcome, rules };
}

/** What was looked at under this name, or that there was nothing. */
function noted(notes: readonly Note[], name: Note['rule'], nothing: string): readonly ConsideredRule[] {
  const found = notes.filter(({ rule }) => rule === name);
  return found.length === 0 ? [{ rule: name, applies: false, text: nothing }] : found;
}

function inForce({ policy, published }: RuleFacts): ConsideredRule {
  const publish = `\`moraine policy publish ${policy.name}\``;
  const texts = {
    'in force': 'This version is in force.',
    'file differs': `The file differs from this version, which is in force until ${publish}.`,
    'never published': `The policy was never put into force, so nothing of it runs: ${publish}.`,
  };
  return { rule: 'in-force', applies: published !== 'in force', text: texts[published] };
}

const UNFIT: Readonly<Record<string, string>> = {
  'owner-unusable': 'It does not say who owns it.',
  'customer-unusable': 'It does not say whose data it is.',
  'trigger-unusable': 'Its period cannot be counted: the trigger is missing or is no date.',
  'not-canonical': 'Its bytes cannot be compared safely before the delete.',
  'too-large': 'It is too large for one guarded delete.',
};
const FIT = {
  owner: 'It says who owns it.',
  customer: 'It says whose data it is.',
  trigger: 'It has a trigger to count from.',
  bytes: 'Its bytes can be compared before the delete.',
};

function fitness(
  rule: keyof typeof FIT,
  { unfit }: DecisionFacts,
  codes: readonly string[],
  isMissing: boolean,
): ConsideredRule {
  const found = unfit.find((code) => codes.includes(code)) ?? (isMissing ? codes[0] : undefined);
  return { rule, applies: found !== undefined, text: found === undefined ? FIT[rule] : (UNFIT[found] ?? found) };
}

function quarantine({ quarantine: entry, facts }: RuleFacts): ConsideredRule {
  const rule = 'quarantine';
  if (entry?.state === 'open') return { rule, applies: true, text: `It is in quarantine: ${entry.text}` };
  if (entry !== null) return { rule, applies: true, text: `A person has decided to leave it as it is: ${entry.text}` };
  if (facts.quarantined) return { rule, applies: true, text: 'It is in quarantine until a person decides.' };
  return { rule, applies: false, text: 'It is not in quarantine.' };
}

function holds({ holds: named, facts }: RuleFacts): readonly ConsideredRule[] {
  const rule = 'hold';
  if (named.length === 0)
    return [{ rule, applies: false, text: 'No legal hold is about its owner, customer and dataset.' }];
  return named.map((hold) => {
    const covers = coversSafely(hold, facts);
    const until = hold.until === null ? '' : ` It is released, and holds until ${hold.until}.`;
    const text = covers ? `covers this record.${until}` : 'is about its owner, and does not cover this record.';
    return { rule, applies: covers, text: `Legal hold ${hold.id} ${text}` };
  });
}

function coversSafely(hold: HoldScope, facts: DecisionFacts): boolean {
  try {
    return hold.covers(facts);
  } catch {
    // As in the decision: what cannot be told is held.
    return true;
  }
}

function pauses({ pauses: stopping }: RuleFacts): readonly ConsideredRule[] {
  if (stopping.length === 0) return [{ rule: 'pause', applies: false, text: 'Nothing that it belongs to is paused.' }];
  return stopping.map((name) => ({ rule: 'pause', applies: true, text: `A person has paused the work: ${name}.` }));
}

function uncleared({ uncleared: archive }: RuleFacts): ConsideredRule {
  const rule = 'uncleared-archive';
  if (archive === null)
    return { rule, applies: false, text: 'No archive of its owner and customer waits to be cleared.' };
  const { archive: name, state, reaches } = archive;
  return reaches
    ? {
        rule,
        applies: true,
        text: `Archive ${name} (${state}) is not cleared: what lies below its bound waits for it.`,
      }
    : { rule, applies: false, text: `Archive ${name} (${state}) is not cleared, and the record lies above its bound.` };
}

function waiting({ plan }: RuleFacts, isDue: boolean): ConsideredRule {
  const rule = 'waiting';
  if (!isDue || plan === null) return { rule, applies: false, text: 'It does not wait for more records.' };
  if ('problem' in plan) return { rule, applies: true, text: plan.problem };
  return { rule, applies: !plan.seal.seal, text: plan.seal.text };
}

function caps({ plan }: RuleFacts, isDue: boolean): ConsideredRule {
  const rule = 'caps';
  if (!isDue || plan === null) return { rule, applies: false, text: 'Blast caps are looked at for what is due.' };
  if ('problem' in plan) return { rule, applies: true, text: 'Blast caps cannot be looked at, so nothing starts.' };
  return plan.caps.ok
    ? { rule, applies: false, text: 'A run would stay within the blast caps of the policy.' }
    : { rule, applies: true, text: `A run would start nothing: ${plan.caps.text}.` };
}
