/**
 * The form of a policy file, version 1 (`docs/policies.md`). Every message says what was EXPECTED, so that a
 * problem reads "expected <message>, found <what stands there>". The descriptions go into `policies/policy.schema.json`,
 * where editors show them.
 *
 * The caps in `limits` are lenient on purpose: a wrong cap does not make the policy unreadable, it closes it (design,
 * "Blast caps"). Nothing may go, `check` says why, and the other policies go on.
 */
import { z } from 'zod';
import { SPECIFICITIES } from './policy.ts';
import { isSchedule, SCHEDULE_WORDS } from './schedule.ts';
import { thenRule, treatedFields as treated } from './schema-then.ts';
import {
  activePeriod,
  archivePeriod,
  condition,
  fieldOrValue,
  fieldPath,
  localName,
  period,
  retainPeriod,
  strictly,
  valueRef,
} from './schema-words.ts';
import { zoneName } from './zone.ts';

export const DEFAULTS = {
  verify: 'checksum',
  dueWindow: '30 days',
  grace: '7 days',
} as const;

const POLICY_NAME = 'a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long';
const COLLECTION = 'database.collection, such as support.chats';
const TRIGGER =
  '{ field: <date field> }, { objectId: _id }, { expires: <date field> }, or event, latestOf or expires with created and latest';
const CREATED = 'the field with the date of creation, or { objectId: _id }';
const VAULT = 'the name of a vault in moraine.yaml';
/** Of S3, see src/vault/port.ts. */
const STORAGE_CLASSES = ['GLACIER_IR', 'GLACIER', 'DEEP_ARCHIVE'] as const;
const SCHEDULE =
  'hourly, daily, nightly or monthly, or five cron fields (minute, hour, day of month, month, day of week), such as "0 2 * * *"';

const namespace = (description: string) =>
  z
    .string({ error: COLLECTION })
    .refine(isNamespace, { error: COLLECTION })
    .meta({ description, examples: ['support.chats'] });

const versionField = z.strictObject({ field: fieldPath }, { error: strictly('{ field: <name> }') });

const child = z.strictObject(
  {
    collection: namespace('Database and collection of the children.'),
    key: fieldPath.describe('Field of the child that names its root.'),
    parent: fieldPath.optional().meta({ default: '_id', description: 'Field of the root that the key equals.' }),
    owner: fieldOrValue('owner', 'acme').optional(),
    customer: fieldOrValue('customer', 'acme').optional(),
    version: versionField.optional(),
  },
  { error: strictly('a group with collection and key') },
);

const EXCLUSIVE = 'true or false: whether no other record refers to the file, so that it is deleted with this one';
const exclusive = z.boolean({ error: EXCLUSIVE }).meta({
  description: 'No other record refers to the file: it is deleted with its record. Otherwise it is archived and stays.',
});
const ATTACHMENT = '{ s3: <store>, bucket, key, exclusive } or { gridfs: <bucket>, file, exclusive }';
const attachment = z.union(
  [
    z.strictObject(
      {
        s3: z.string({ error: ATTACHMENT }).min(1, { error: ATTACHMENT }).meta({
          description: 'A store under `attachments` in moraine.yaml.',
        }),
        bucket: fieldOrValue('bucket', 'recordings'),
        key: fieldPath.describe('Field with the key of the object; it may lie in a list.'),
        version: fieldPath.optional().describe('Field with the version id of the object.'),
        exclusive,
      },
      { error: strictly(ATTACHMENT) },
    ),
    z.strictObject(
      {
        gridfs: z
          .string({ error: ATTACHMENT })
          .min(1, { error: ATTACHMENT })
          .meta({ description: 'The GridFS bucket, such as fs.' }),
        file: fieldPath.describe('Field with the _id of the file.'),
        exclusive,
      },
      { error: strictly(ATTACHMENT) },
    ),
  ],
  { error: ATTACHMENT },
);

const dataset = z.strictObject(
  {
    collection: namespace('Database and collection.'),
    owner: fieldOrValue('owner', 'acme'),
    customer: fieldOrValue('customer', 'acme'),
    version: versionField.optional().meta({
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
    children: z
      .array(child, { error: 'a list of child collections' })
      .min(1, { error: 'one child collection at least' })
      .optional()
      .meta({ description: 'Optional. Collections with records that belong to one of these, and go where it goes.' }),
    attachments: z
      .array(attachment, { error: 'a list of attachments' })
      .min(1, { error: 'one attachment at least' })
      .optional()
      .meta({ description: 'Optional. Files that hang on a record: S3 objects and GridFS files.' }),
  },
  { error: strictly('a group with collection, owner and customer') },
);

const created = z
  .union([fieldPath, z.strictObject({ objectId: fieldPath }, { error: strictly(CREATED) })], { error: CREATED })
  .meta({ description: 'When the record was made: the scan is ordered by it, and nothing counts from before it.' });
const latest = period(
  'How long after its creation a record waits for its event at most; from then on it counts without.',
);

const trigger = z
  .union(
    [
      z.strictObject({ field: fieldPath }, { error: strictly(TRIGGER) }),
      z.strictObject({ objectId: fieldPath }, { error: strictly(TRIGGER) }),
      z.strictObject({ expires: fieldPath }, { error: strictly(TRIGGER) }),
      z.strictObject({ event: valueRef, created, latest }, { error: strictly(TRIGGER) }),
      z.strictObject(
        {
          latestOf: z.array(valueRef, { error: 'a list of date fields' }).min(1, { error: 'one date field at least' }),
          created,
          latest,
        },
        { error: strictly(TRIGGER) },
      ),
      z.strictObject({ expires: valueRef, created, latest }, { error: strictly(TRIGGER) }),
    ],
    { error: TRIGGER },
  )
  .meta({
    description:
      'The instant that the active period counts from: a date field, the time inside an ObjectId, an event that may not have happened yet, or the latest of several. With `expires` the value is the date on which the record itself is due, and `active` is left out.',
  });

const lookUp = z.strictObject(
  {
    collection: namespace('Database and collection to look up in.'),
    key: fieldPath.optional().meta({ default: '_id', description: 'The unique field there.' }),
    from: valueRef.describe('What the key equals.'),
  },
  { error: strictly('a group with collection and from') },
);

const RULE = 'a group with name, and retain or delete or both';
const rule = z.strictObject(
  {
    name: localName,
    scope: z
      .enum(SPECIFICITIES, { error: SPECIFICITIES.join(', ') })
      .optional()
      .meta({ description: 'How special the rule is. Left out: owner, customer or label, by what `when` names.' }),
    when: condition.optional().meta({ description: 'Which records it is about. Left out: all.' }),
    retain: retainPeriod.optional(),
    delete: activePeriod.optional(),
  },
  { error: strictly(RULE) },
);

const archive = z.strictObject(
  {
    for: archivePeriod,
    vault: z.string({ error: VAULT }).min(1, { error: VAULT }).meta({ description: 'A vault of moraine.yaml.' }),
    storageClass: z
      .enum(STORAGE_CLASSES, { error: STORAGE_CLASSES.join(' or ') })
      .optional()
      .meta({
        description: "Class of the archives in an s3 vault. Left out: the vault's own.",
      }),
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
      lookUps: z
        .record(localName, lookUp, { error: strictly('names of look-ups, each with collection and from') })
        .optional()
        .meta({ description: 'Optional. Documents of other collections that decisions look at.' }),
      trigger,
      active: activePeriod.optional(),
      rules: z
        .array(rule, { error: 'a list of rules' })
        .min(1, { error: 'one rule at least' })
        .optional()
        .meta({ description: 'Optional. What retains or deletes some records besides the active period.' }),
      // biome-ignore lint/suspicious/noThenProperty: the word of the policy language; nobody awaits a schema.
      then: thenRule,
      anonymise: treated('Fields that `then: anonymise` removes.'),
      redact: treated('Fields that `then: redact` replaces by a fixed text of their type.'),
      pseudonymise: treated(
        'Fields that `then: pseudonymise` replaces: the same person, within one owner, by the same name.',
      ),
      archive: archive.optional(),
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
        .refine((text) => Object.hasOwn(SCHEDULE_WORDS, text.trim()) || isSchedule(text), { error: SCHEDULE })
        .optional()
        .meta({
          description:
            'When the daemon runs the policy, in the policy’s zone: a word, or cron. Left out: only by hand.',
          examples: [...Object.keys(SCHEDULE_WORDS), '0 2 * * *'],
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
