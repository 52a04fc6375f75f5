/**
 * The form of a policy file, version 1 (`docs/policy-language.md`). Every message says what was EXPECTED, so that a
 * problem reads "expected <message>, found <what stands there>". The descriptions go into `policies/policy.schema.json`,
 * where editors show them.
 *
 * The caps in `limits` are lenient on purpose: a wrong cap does not make the policy unreadable, it closes it (design,
 * "Blast caps"). Nothing may go, `check` says why, and the other policies go on.
 */
import { z } from 'zod';
import { parsePeriod } from './period.ts';
import { isSchedule } from './schedule.ts';
import { zoneName } from './zone.ts';

export const DEFAULTS = {
  verify: 'checksum',
  dueWindow: '30 days',
  grace: '7 days',
} as const;

const PERIOD_EXAMPLE = 'a period such as "2 years", "18 months" or P1Y6M';

function period(description: string) {
  return z
    .string({ error: PERIOD_EXAMPLE })
    .refine((text) => parsePeriod(text) !== null, { error: `${PERIOD_EXAMPLE}, of at most 1000 years` })
    .meta({ description, examples: ['2 years', '18 months', '1 year 6 months', 'P30D'] });
}

const FIELD_NAME = 'the name of a field, with dots for fields inside fields, such as contact.email';

const fieldPath = z
  .string({ error: FIELD_NAME })
  .regex(/^[^.$\0][^.\0]*(\.[^.$\0][^.\0]*)*$/, { error: FIELD_NAME })
  .meta({ description: 'Field of the record; dots lead into fields inside fields.' });

function fieldOrValue(who: string, example: string) {
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

/** The words of a group, except for unknown keys: those keep their own issue, which becomes one problem per key. */
function strictly(expected: string) {
  return (issue: { readonly code?: string | undefined }) => (issue.code === 'unrecognized_keys' ? undefined : expected);
}

const POLICY_NAME = 'a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long';
const COLLECTION = 'database.collection, such as support.chats';
const ARCHIVE_ONLY = 'archive (archiving is what this version does)';
const TRIGGER = '{ field: <date field> }, { objectId: _id } or { expires: <date field> }';
const VAULT = 'the name of a vault in moraine.yaml';
const SCHEDULE = 'five cron fields (minute, hour, day of month, month, day of week), such as "0 2 * * *"';

const dataset = z.strictObject(
  {
    collection: z
      .string({ error: COLLECTION })
      .refine(isNamespace, { error: COLLECTION })
      .meta({ description: 'Database and collection.', examples: ['support.chats'] }),
    owner: fieldOrValue('owner', 'acme'),
    customer: fieldOrValue('customer', 'acme'),
    version: z
      .strictObject({ field: fieldPath }, { error: strictly('{ field: <name> }') })
      .optional()
      .meta({
        description:
          'Optional. A field that every change of a record changes. It then guards the delete; without it the whole document is compared.',
      }),
    facets: z
      .record(
        z.string().regex(/^[a-z][a-zA-Z0-9_-]{0,62}$/, {
          error: 'a facet name: a lower-case letter, then letters, digits, dashes',
        }),
        z.strictObject({ field: fieldPath }, { error: strictly('{ field: <name> }') }),
        { error: strictly('facet names with { field: <name> } each') },
      )
      .optional()
      .meta({
        description: 'Optional. What a legal hold can name besides owner and customer: a subject, a ticket number.',
      }),
  },
  { error: strictly('a group with collection, owner and customer') },
);

const trigger = z
  .union(
    [
      z.strictObject({ field: fieldPath }, { error: strictly(TRIGGER) }),
      z.strictObject({ objectId: fieldPath }, { error: strictly(TRIGGER) }),
      z.strictObject({ expires: fieldPath }, { error: strictly(TRIGGER) }),
    ],
    { error: TRIGGER },
  )
  .meta({
    description:
      'The instant that the active period counts from: a date field, or the time inside an ObjectId. With `expires` the field holds the date on which the record itself is due, and `active` is left out.',
  });

const archive = z.strictObject(
  {
    for: period('How long the archive is kept, counted from the end of the active period.'),
    vault: z.string({ error: VAULT }).min(1, { error: VAULT }).meta({ description: 'A vault of moraine.yaml.' }),
    verify: z.enum(['checksum', 'inventory'], { error: 'checksum or inventory' }).optional().meta({
      default: DEFAULTS.verify,
      description:
        'What must be proved before the originals are deleted: the checksum that the vault acknowledged, or also its own inventory (hours later).',
    }),
    dueWindow: period('How far apart the purge dates in one archive may lie.')
      .optional()
      .meta({ default: DEFAULTS.dueWindow }),
    maxWait: period(
      'How long a due record may wait until its archive is worth making. At most the grace, which is the default.',
    ).optional(),
  },
  { error: strictly('a group with for and vault') },
);

export const policySchema = z
  .strictObject(
    {
      policy: z
        .string({ error: POLICY_NAME })
        .regex(/^[a-z][a-z0-9-]{0,62}$/, { error: POLICY_NAME })
        .meta({ description: 'The name of the policy.' }),
      zone: z
        .string({ error: 'a time zone such as Europe/Amsterdam or UTC' })
        .refine((text) => zoneName(text) !== null, { error: 'a time zone such as Europe/Amsterdam or UTC' })
        .meta({
          description: 'The time zone (IANA name) in which periods are counted.',
          examples: ['Europe/Amsterdam', 'UTC'],
        }),
      dataset,
      trigger,
      active: period(
        'How long a record stays in the source, counted from its trigger. Left out with `trigger: { expires: … }`.',
      ).optional(),
      // biome-ignore lint/suspicious/noThenProperty: the word of the policy language; nobody awaits a schema.
      then: z
        .literal('archive', { error: ARCHIVE_ONLY })
        .meta({ description: 'What happens at the end of the active period.' }),
      archive,
      grace: period('How late work may be before it counts as overdue. It delays nothing.')
        .optional()
        .meta({ default: DEFAULTS.grace }),
      limits: z
        .unknown()
        .optional()
        .meta({
          type: 'object',
          description: 'The most that one run may take. Without both caps the policy starts nothing.',
          properties: {
            records: { type: 'integer', minimum: 1, description: 'The most records in one run.' },
            share: {
              type: 'number',
              exclusiveMinimum: 0,
              maximum: 1,
              description: 'The largest share of the collection in one run: 0.05 is 5 %.',
            },
          },
          required: ['records', 'share'],
          additionalProperties: false,
        }),
      schedule: z
        .string({ error: SCHEDULE })
        .refine(isSchedule, { error: SCHEDULE })
        .optional()
        .meta({
          description: 'When the daemon runs the policy, as cron in the policy’s zone. Left out: only by hand.',
          examples: ['0 2 * * *'],
        }),
    },
    { error: strictly('a policy: a group of fields that begins with policy: <name>') },
  )
  .meta({ title: 'Moraine policy, version 1' });

/** A policy file's content after the schema let it pass: as written, nothing filled in. */
export type PolicyText = z.output<typeof policySchema>;

/** The JSON Schema for editors. Written to `policies/policy.schema.json` by `scripts/write-policy-schema.ts`. */
export function policyJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(policySchema, { io: 'input' }) };
}

/** MongoDB's own naming limits; its own databases and `system.` collections are nobody's dataset. */
function isNamespace(text: string): boolean {
  const dot = text.indexOf('.');
  const database = text.slice(0, dot);
  const collection = text.slice(dot + 1);
  return (
    dot > 0 &&
    /^[^/\\. "$*<>:|?\0]{1,63}$/.test(database) &&
    !['admin', 'config', 'local'].includes(database) &&
    /^[^$\0]+$/.test(collection) &&
    !/^system\.|^\.|\.$/.test(collection) &&
    new TextEncoder().encode(text).length <= 255
  );
}
