/**
 * What happens to one record that is due: the branch of a policy that its owner, its customer or a value of it leads to,
 * made ready for millions of records. A value that is of no use chooses nothing, ever: the record waits.
 */
import type { DecisionFacts, Given } from './compile.ts';
import type { Findings } from './findings.ts';
import type { Branch, Disposition, DispositionRule, FieldTreatment } from './policy.ts';
import { treatmentId } from './treatment.ts';
import { textOf, valueAt, valueKey, valueName } from './values.ts';
import { branchWords } from './words.ts';

/** What happens to what is due, in one environment. */
export interface ReadyBranch {
  /** The same for the same, wherever it stands: `archive`, `delete`, `treat-<treatment>`, `archive-<treatment>`. */
  readonly key: string;
  readonly disposition: Disposition;
  /** What is done in place, alone or once the copy is safe; null: nothing. */
  readonly treat: readonly FieldTreatment[] | null;
  /** Id of that treatment, as it stands in markers. */
  readonly treatment: string | null;
}

/** A branch, and which part of the policy leads to it: "customer is bolt", or `then` itself. */
export interface Chosen extends ReadyBranch {
  readonly by: string;
}

/** Null: it cannot be told, and the findings say why. */
export type Choose = (facts: DecisionFacts, found: Findings) => Chosen | null;

/** In `non-production` nothing outlives its active use: what would be archived is deleted. */
export function readyBranch({ disposition, treat }: Branch, environment: Given['environment']): ReadyBranch {
  const isDeleted = disposition === 'delete' || (disposition === 'archive' && environment === 'non-production');
  if (isDeleted) return { key: 'delete', disposition: 'delete', treat: null, treatment: null };
  if (treat === undefined) return { key: disposition, disposition, treat: null, treatment: null };
  const treatment = treatmentId(treat);
  return { key: `${disposition}-${treatment}`, disposition, treat, treatment };
}

export function chooserOf(
  rule: DispositionRule,
  environment: Given['environment'],
  path: readonly string[] = [],
): Choose {
  if (!('by' in rule)) {
    const chosen = { ...readyBranch(rule, environment), by: path.length === 0 ? 'then' : path.join(', ') };
    const text = () => `As ${chosen.by}: ${branchWords(chosen)}.`;
    if (path.length === 0) return () => chosen;
    return (_facts, found) => {
      found.note('chosen-disposition', text);
      return chosen;
    };
  }
  const { by, of, otherwise } = rule;
  const name = typeof by === 'string' ? by : valueName(by);
  const under = (step: string) => [...path, step];
  const branches = new Map(
    Object.entries(of).map(([tier, inner]) => [tier, chooserOf(inner, environment, under(`${name} is ${tier}`))]),
  );
  const others = chooserOf(
    otherwise,
    environment,
    under(`${name} is ${branches.size === 1 ? 'not' : 'none of'} ${[...branches.keys()].join(', ')}`),
  );
  if (by === 'owner') return (facts, found) => (branches.get(facts.owner ?? '') ?? others)(facts, found);
  if (by === 'customer') return (facts, found) => (branches.get(facts.customer ?? '') ?? others)(facts, found);
  const key = valueKey(by);
  return (facts, found) => {
    const tier = textOf(valueAt(facts.values, key));
    if (tier === undefined) {
      found.unusable(by, facts, 'a text or a number');
      return null;
    }
    return ((tier === null ? undefined : branches.get(tier)) ?? others)(facts, found);
  };
}

/** Each branch once, in the order in which records are taken: what is archived comes last, for what lies below an archive's bound waits until that is cleared. */
export function inTakingOrder(branches: readonly ReadyBranch[]): readonly ReadyBranch[] {
  const byKey = new Map(branches.map((branch) => [branch.key, branch]));
  return [...byKey.values()].toSorted(
    (a, b) => Number(a.disposition === 'archive') - Number(b.disposition === 'archive'),
  );
}
