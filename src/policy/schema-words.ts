/** The words that a policy file is made of: periods, fields, values, conditions. See schema.ts for the whole. */
import { z } from 'zod';
import { parsePeriod } from './period.ts';
import { SCHEDULE_WORDS } from './schedule.ts';

const PERIOD_EXAMPLE = 'a period such as "2 years", "18 months" or P1Y6M';
const PERIOD_LIMIT = `${PERIOD_EXAMPLE}, of at most 1000 years`;

/** Of text that is none. */
function noPeriod({ input }: { readonly input?: unknown }): string {
  return typeof input === 'string' && Object.hasOwn(SCHEDULE_WORDS, input)
    ? `${PERIOD_EXAMPLE} (when the policy runs is said by \`schedule: ${input}\`)`
    : PERIOD_LIMIT;
}

export function period(description: string) {
  return z
    .string({ error: PERIOD_EXAMPLE })
    .refine((text) => parsePeriod(text) !== null, { error: noPeriod })
    .meta({ description, examples: ['2 years', '18 months', '1 year 6 months', 'P30D'] });
}

const FIELD_NAME = 'the name of a field, with dots for fields inside fields, such as contact.email';

export const fieldPath = z
  .string({ error: FIELD_NAME })
  .regex(/^[^.$\0][^.\0]*(\.[^.$\0][^.\0]*)*$/, { error: FIELD_NAME })
  .meta({ description: 'Field of the record; dots lead into fields inside fields.' });

/** The words of a group, except for unknown keys: those keep their own issue, which becomes one problem per key. */
export function strictly(expected: string) {
  return (issue: { readonly code?: string | undefined }) => (issue.code === 'unrecognized_keys' ? undefined : expected);
}

export function fieldOrValue(who: string, example: string) {
  const expected = `{ field: <name> } or { value: <text> } for the ${who}`;
  const value = `text that is not empty, such as ${example}`;
  return z
    .union(
      [
        z.strictObject({ field: fieldPath }, { error: strictly(expected) }),
        z.strictObject(
          {
            value: z
              .string({ error: value })
              .min(1, { error: value })
              .meta({ description: `The same ${who} for every record.` }),
          },
          { error: strictly(expected) },
        ),
      ],
      { error: expected },
    )
    .meta({ description: `Where a record names its ${who}, or one ${who} for all records.` });
}

const LOCAL_NAME = 'a name: a lower-case letter, then letters, digits, dashes';

/** A name that the policy gives to something of its own. */
export const localName = z.string({ error: LOCAL_NAME }).regex(/^[a-z][a-zA-Z0-9_-]{0,62}$/, { error: LOCAL_NAME });

const VALUE = 'a field such as plan, or { lookUp: <name>, field: <name> }';

/** A field of the record, in short or in full, or of the document that a look-up finds. */
export const valueRef = z
  .union(
    [
      fieldPath,
      z.strictObject({ field: fieldPath }, { error: strictly(VALUE) }),
      z.strictObject({ lookUp: localName, field: fieldPath }, { error: strictly(VALUE) }),
    ],
    { error: VALUE },
  )
  .meta({ id: 'value', description: 'A field of the record, or of the document that a look-up finds for it.' });

const MONTHS = 'a whole number of months, 1 to 12000';
const GROUPS = 'a group with by, of and otherwise, with months, or with until';
const ACTIVE = `${PERIOD_EXAMPLE}; completion; or ${GROUPS}`;
const ELSE = `${PERIOD_EXAMPLE}; or ${GROUPS}`;

const months = z.strictObject(
  {
    months: valueRef,
    atMost: z
      .number({ error: MONTHS })
      .int({ error: MONTHS })
      .min(1, { error: MONTHS })
      .max(12_000, { error: MONTHS })
      .meta({ description: 'The most months that count, whatever the field says.' }),
    otherwise: period('Where the field says nothing.'),
  },
  { error: strictly('a group with months, atMost and otherwise') },
);

const until = z.strictObject(
  {
    until: valueRef,
    atMost: period('The longest, counted from where the period begins; also while the date is missing.'),
  },
  { error: strictly('a group with until and atMost') },
);

const activeText = z
  .string({ error: PERIOD_EXAMPLE })
  .refine((text) => text === 'completion' || parsePeriod(text) !== null, { error: noPeriod })
  .meta({
    description: 'A period, or `completion`: due at the trigger itself.',
    examples: ['2 years', '18 months', 'completion'],
  });

export type ValueText = z.output<typeof valueRef>;
export type MonthsText = z.output<typeof months>;
export type UntilText = z.output<typeof until>;
export type PeriodText = string | MonthsText | UntilText | TierText;
export interface TierText {
  readonly by: ValueText;
  readonly of: Readonly<Record<string, PeriodText>>;
  readonly otherwise: PeriodText;
}

export const activePeriod: z.ZodType<PeriodText> = z
  .lazy(() => z.union([activeText, tiers(activePeriod), months, until], { error: periodError(ACTIVE) }))
  .meta({ id: 'activePeriod', description: 'One period for all records, or one that depends on the record.' });

/** Of an archive, and of what a rule retains: no time at all would keep nothing. */
function keptPeriod(id: string, description: string): z.ZodType<PeriodText> {
  const kept: z.ZodType<PeriodText> = z
    .lazy(() =>
      z.union([period('A period for all records.'), tiers(kept), months, until], { error: periodError(ELSE) }),
    )
    .meta({ id, description });
  return kept;
}

export const archivePeriod = keptPeriod(
  'archivePeriod',
  'How long the copy is kept, counted from the end of the active period: one period for all records, or one that depends on the record.',
);

export const retainPeriod = keptPeriod(
  'retainPeriod',
  'The record is kept so long, counted from its trigger, whatever says otherwise.',
);

function tiers(inner: z.ZodType<PeriodText>) {
  const of = 'a period for each tier, such as { enterprise: 2 years }';
  return z.strictObject(
    {
      by: valueRef.describe('The field that names the tier; or the word owner, or customer.'),
      of: z
        .record(z.string().min(1), inner, { error: of })
        .refine((all) => Object.keys(all).length > 0, { error: of })
        .meta({ description: 'The periods by tier.' }),
      otherwise: inner,
    },
    { error: strictly('a group with by, of and otherwise') },
  );
}

/** Who wrote text or a number meant a period; who wrote a group meant one of the groups. */
function periodError(groups: string) {
  return ({ input }: { readonly input?: unknown }) => {
    if (typeof input === 'string') return noPeriod({ input });
    return typeof input === 'object' && input !== null ? groups : PERIOD_EXAMPLE;
  };
}

const TEXTS = 'a text, or a list of them';
const texts = z
  .union(
    [
      z.string({ error: TEXTS }).min(1, { error: TEXTS }),
      z.array(z.string({ error: TEXTS }).min(1, { error: TEXTS }), { error: TEXTS }).min(1, { error: TEXTS }),
    ],
    { error: TEXTS },
  )
  .meta({ description: 'One, or several of which one is enough.' });

const scalar = z.union([z.string(), z.number(), z.boolean()], { error: TEXTS });
const scalars = z
  .union([scalar, z.array(scalar, { error: TEXTS }).min(1, { error: TEXTS })], { error: TEXTS })
  .meta({ description: 'The value, or several of which one is enough.' });

const WHEN = 'a group with owner, customer, or field (or lookUp and field) with is';

export const condition = z.strictObject(
  {
    owner: texts.optional(),
    customer: texts.optional(),
    lookUp: localName.optional(),
    field: fieldPath.optional(),
    is: scalars.optional(),
  },
  { error: strictly(WHEN) },
);
