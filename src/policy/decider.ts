/** Which part of a policy, or which exception, decides when one record goes: the one without which it would be another day. */
import { type CompiledPolicy, compile, type DecisionFacts } from './compile.ts';
import { exceptionName } from './exception.ts';
import { GoingSeer } from './going.ts';
import { periodRuleWords, triggerWords } from './words.ts';

export interface Decided {
  /** When it is due (ms); what is overdue, in the past. Infinity: it does not go, as things stand. */
  readonly dueAt: number;
  /** `rule bots (label)`, `exception x1`, `the active period of 2 years`. */
  readonly by: string;
}

/** For a few records: it makes the policy ready anew for every part of it. */
export function decidedBy(compiled: CompiledPolicy, facts: DecisionFacts, now: number): Decided {
  const { policy, given } = compiled;
  const { at, dueAt, isPending } = seen(compiled, facts, now);
  if (at === Number.POSITIVE_INFINITY && isPending) return { dueAt: at, by: 'waits for a value' };
  const without = (other: CompiledPolicy) => {
    const found = seen(other, facts, now);
    return found.at !== at || found.dueAt !== dueAt;
  };
  const exception = given.exceptions.find(({ id }) =>
    without(compile(policy, { ...given, exceptions: given.exceptions.filter((one) => one.id !== id) })),
  );
  if (exception !== undefined) return { dueAt, by: `exception ${exceptionName(exception)}` };
  const rules = policy.rules ?? [];
  const rule = rules.find((one) =>
    without(compile({ ...policy, rules: rules.filter((other) => other !== one) }, given)),
  );
  if (rule !== undefined) return { dueAt, by: `rule ${rule.name} (${rule.specificity})` };
  if (policy.active === null) return { dueAt, by: `the date of ${triggerWords(policy.trigger)}` };
  return { dueAt, by: `the active period of ${periodRuleWords(policy.active)}` };
}

function seen(compiled: CompiledPolicy, facts: DecisionFacts, now: number) {
  const { at, isPending } = new GoingSeer(compiled, now).of(facts);
  if (at === Number.POSITIVE_INFINITY) return { at, dueAt: at, isPending };
  return { at, dueAt: compiled.times(facts, at).dueAt, isPending };
}
