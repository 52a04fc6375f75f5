/** What `then` of a policy file may say: words, groups with fields of their own, chains of them, and a choice among those. */
import { z } from 'zod';
import { fieldPath, strictly, type ValueText, valueRef } from './schema-words.ts';

const WORDS = 'archive, delete, anonymise, redact or pseudonymise';
const THEN = `${WORDS}, or a list of them such as [archive, anonymise]`;
const GROUPS = 'a group with anonymise, redact or pseudonymise and their fields, or one with by, of and otherwise';

const word = z.enum(['archive', 'delete', 'anonymise', 'redact', 'pseudonymise'], { error: THEN });

/** A list of fields of the record. */
export function treatedFields(description: string) {
  return fields.optional().meta({ description });
}

const fields = z.array(fieldPath, { error: 'a list of fields' }).min(1, { error: 'one field at least' });

const TREATED = {
  anonymise: treatedFields('Fields that are removed.'),
  redact: treatedFields('Fields that are replaced by a fixed text of their type.'),
  pseudonymise: treatedFields('Fields that are replaced: the same person, within one owner, by the same name.'),
};
const OWN = { error: strictly('a group with anonymise, redact or pseudonymise') };

/** Fields for this place alone, beside those that the policy names for all: one list of them at least. */
const own = [
  z.strictObject({ ...TREATED, anonymise: fields }, OWN),
  z.strictObject({ ...TREATED, redact: fields }, OWN),
  z.strictObject({ ...TREATED, pseudonymise: fields }, OWN),
] as const;

const step = z.union([word, ...own], { error: THEN });
const chain = z.union([word, ...own, z.array(step, { error: THEN }).min(1, { error: THEN })], { error: THEN });

export type ThenStep = z.output<typeof step>;
export type ChainText = z.output<typeof chain>;
export type ThenText = ChainText | ThenTiers;
export interface ThenTiers {
  readonly by: ValueText;
  readonly of: Readonly<Record<string, ThenText>>;
  readonly otherwise: ThenText;
}

const OF = 'what happens for each tier, such as { acme: delete }';
const tiers = z.strictObject(
  {
    by: valueRef.describe('The field that decides; or the word owner, or customer.'),
    of: z
      .lazy(() => z.record(z.string().min(1), thenRule, { error: OF }))
      .refine((all) => Object.keys(all).length > 0, { error: OF })
      .meta({ description: 'What happens, by tier.' }),
    otherwise: z.lazy(() => thenRule),
  },
  { error: strictly('a group with by, of and otherwise') },
);

export const thenRule: z.ZodType<ThenText> = z
  .lazy(() =>
    z.union([word, ...own, z.array(step, { error: THEN }).min(1, { error: THEN }), tiers], {
      // Who wrote a group meant one of the groups.
      error: ({ input }) => (typeof input === 'object' && input !== null && !Array.isArray(input) ? GROUPS : THEN),
    }),
  )
  .meta({
    id: 'then',
    description:
      'What happens at the end of the active period; with several words, in this order; or by owner, customer, a field or a tier.',
  });

/** The words and groups of one chain. */
export function stepsOf(chain: ChainText): readonly ThenStep[] {
  return Array.isArray(chain) ? chain : [chain];
}

export function isChoice(then: ThenText): then is ThenTiers {
  return typeof then === 'object' && 'by' in then;
}

/** Every chain of a `then`, with the place where it stands. */
export function chainsOf(
  then: ThenText,
  path: readonly (string | number)[] = ['then'],
): readonly { readonly chain: ChainText; readonly path: readonly (string | number)[] }[] {
  if (!isChoice(then)) return [{ chain: then, path }];
  return [
    ...Object.entries(then.of).flatMap(([tier, inner]) => chainsOf(inner, [...path, 'of', tier])),
    ...chainsOf(then.otherwise, [...path, 'otherwise']),
  ];
}
