/** Rules that may meet one record and name different dates, with nothing that says which is the more special. */
import { canonicalJson } from '../canonical-json.ts';
import { type PeriodRule, type Policy, type RetentionRule, SPECIFICITIES } from './policy.ts';

export interface Overlap {
  /** Places of the two in the policy's rules. */
  readonly one: number;
  readonly other: number;
  readonly text: string;
}

export function overlaps({ rules = [] }: Policy): readonly Overlap[] {
  return rules.flatMap((rule, one) =>
    rules.flatMap((second, other): readonly Overlap[] => {
      if (
        other <= one ||
        rule.delete === undefined ||
        second.delete === undefined ||
        isSame(rule.delete, second.delete)
      )
        return [];
      if (rank(rule) !== rank(second) || areApart(rule, second)) return [];
      const text = `Rules ${rule.name} and ${second.name} are as special as each other (${rule.specificity}) and may meet one record: the shorter date counts.`;
      return [{ one, other, text }];
    }),
  );
}

function rank({ specificity }: RetentionRule): number {
  return SPECIFICITIES.indexOf(specificity);
}

/** No record is of two owners or two customers; a list in a field may have both values. */
function areApart(one: RetentionRule, other: RetentionRule): boolean {
  return (['owner', 'customer'] as const).some((party) => {
    const [mine, others] = [one.when?.[party], other.when?.[party]];
    return mine !== undefined && others !== undefined && !mine.some((name) => others.includes(name));
  });
}

function isSame(one: PeriodRule, other: PeriodRule): boolean {
  return canonicalJson(one) === canonicalJson(other);
}
