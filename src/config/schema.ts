/** The form of moraine.yaml. Messages are noun phrases: they follow "expected". */
import { z } from 'zod';
import { ENVIRONMENTS } from '../environment.ts';
import { kmsConfigSchema } from '../keys/kms-config.ts';
import { recipientProblem } from '../keys/recipients.ts';
import { APPROVAL_KINDS, personKey } from '../ledger/approval-document.ts';
import { DEFAULT_IN_FLIGHT } from '../ledger/retrieval-orders.ts';
import { notifyConfigSchema } from '../notify/notify-config.ts';
import { isoPeriod, parsePeriod } from '../policy/period.ts';
import { attachmentStoreSchema } from '../source/attachment-store.ts';
import { headsAddressSchema, mayHaveCredentials } from '../vault/heads-config.ts';
import { vaultConfigSchema } from '../vault/vault-config.ts';
import type { YamlPath } from '../yaml-problems.ts';

const mongodbUrl = z
  .string()
  .regex(/^mongodb(\+srv)?:\/\/[^/?]+/, 'a MongoDB address such as mongodb://127.0.0.1:27017/')
  .meta({ description: 'Address of a MongoDB-compatible server.' });

const database = z
  .string()
  .regex(/^[^/\\. "$*<>:|?\0]{1,63}$/, 'a database name: 1 to 63 characters without / \\ . " $ * < > : | ? or space')
  .refine((name) => !['admin', 'config', 'local'].includes(name), "a database that is not one of the server's own");

const period = z
  .string()
  .refine((text) => parsePeriod(text) !== null, 'a period such as "35 days" or P35D')
  .transform((text) => {
    const parsed = parsePeriod(text);
    return parsed === null ? text : isoPeriod(parsed);
  });

const administrator = z.strictObject({
  name: z.string().min(1).meta({ description: 'Whom messages name when an archive needs opening.' }),
  recipient: z
    .string()
    .superRefine((recipient, context) => {
      const problem = recipientProblem(recipient);
      if (problem !== null) context.addIssue({ code: 'custom', message: problem });
    })
    .meta({ description: 'age1… as `moraine administrator new` printed it.' }),
  recovery: z.boolean().default(false).meta({ description: 'Its identity is kept offline.' }),
  account: z.string().trim().min(1).optional().meta({
    description:
      'Account of the administrator, as `moraine audit show` writes it after "person:": it may ask for retrievals.',
  }),
});

/** A port from the environment arrives as text. */
const port = z.union(
  [
    z.int().min(0).max(65_535),
    z
      .string()
      .regex(/^\d{1,5}$/)
      .transform(Number)
      .pipe(z.int().max(65_535)),
  ],
  { error: 'a port from 0 to 65535' },
);

/** Regions are compared as text: AWS's names, or names of one's own for other places. */
const placeName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a region such as eu-west-1');

const person = z
  .string()
  .trim()
  .min(1)
  .meta({ description: 'Name of an account, as `moraine audit show` writes it after "person:".' });

const approvals = z.strictObject({
  required: z.array(z.enum(APPROVAL_KINDS)).optional().meta({
    description:
      'What needs a second person; by default everything in production. Exceptions, early purges and offboarding always do.',
  }),
  expire: period
    .default('P7D')
    .meta({ description: 'How long a request may be decided, and then how long a grant may be used.' }),
  people: z.array(person).min(1).optional().meta({ description: 'Who may decide; by default anybody but who asked.' }),
  purge: z
    .strictObject({
      stages: z
        .array(z.array(person).min(1))
        .min(1)
        .refine(canBePassed, 'stages that can be passed with a different person each'),
    })
    .optional()
    .meta({ description: 'Review before every purge: one person of each stage, in order, and nobody twice.' }),
});

/** Is there a person for each stage, all different? Few stages and few people: every choice is tried. */
function canBePassed(stages: readonly (readonly string[])[], taken: readonly string[] = []): boolean {
  const [first, ...others] = stages;
  if (first === undefined) return true;
  const free = new Set(first.map(personKey).filter((name) => !taken.includes(name)));
  return [...free].some((name) => canBePassed(others, [...taken, name]));
}

export const configSchema = z.strictObject({
  environment: z.enum(ENVIRONMENTS).meta({
    description: 'Stamped into the ledger when it is first written. A sandbox has loopback addresses only.',
  }),
  mongodb: z.strictObject({
    url: mongodbUrl,
    ledger: database.default('moraine').meta({ description: "Database of Moraine's own ledger." }),
    region: placeName.optional().meta({ description: 'Where the server is, for owners that require a region.' }),
  }),
  redis: z
    .strictObject({ url: z.string().regex(/^rediss?:\/\/[^/?]+/, 'a Redis address such as redis://127.0.0.1:6379') })
    .optional()
    .meta({ description: 'For the daemon and --queue; acts in the foreground do without.' }),
  keys: z
    .strictObject({
      url: mongodbUrl.optional(),
      database: database.optional(),
      region: placeName.optional().meta({ description: 'Where the key store is; without keys.url that of mongodb.' }),
      second: z.strictObject({ url: mongodbUrl, database, region: placeName.optional() }).optional(),
      kms: kmsConfigSchema
        .optional()
        .meta({ description: 'A key of AWS KMS that opens archives of every owner without one of its own.' }),
      backupMaxAge: period.optional().meta({ description: 'How long backups of the key store live at most.' }),
      proofEvery: period
        .prefault('1 year')
        .meta({ description: 'How long it counts that an administrator has proven an identity.' }),
    })
    .prefault({})
    .meta({ description: 'The key store; by default in the ledger.' }),
  signingKey: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'File with an Ed25519 private key (PEM). Production requires it.' }),
  vaults: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and "-"'), vaultConfigSchema)
    .refine((vaults) => Object.keys(vaults).length > 0, 'at least one vault'),
  attachments: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and "-"'), attachmentStoreSchema)
    .default({})
    .meta({ description: 'Stores of S3 objects that hang on records, by the name that policies give them.' }),
  restoreHosts: z
    .array(z.string().regex(/^[A-Za-z0-9.-]+(:\d{1,5})?$/, 'a host such as mongo.staging.example:27017'))
    .default([])
    .meta({
      description: 'Hosts of MongoDB, none of production, that a non-production installation may restore into.',
    }),
  owners: z
    .record(
      z.string().min(1),
      z.strictObject({
        administrators: z.array(administrator),
        kms: kmsConfigSchema.optional().meta({ description: 'A key of AWS KMS that opens its archives.' }),
        contact: z.string().min(1).optional().meta({
          description: 'Who looks at what of it is in quarantine, and where mail about it goes; default: the owner.',
        }),
        region: z
          .union([placeName.transform((name) => [name]), z.array(placeName).min(1)], {
            error: 'a region such as eu-west-1, or a list of them',
          })
          .optional()
          .meta({
            description:
              'Source, vault, key store and stores of attachments of the owner must be in it, or in one of them.',
          }),
      }),
    )
    .default({})
    .meta({ description: 'Who can open the archives of each owner.' }),
  policies: z
    .array(z.string().min(1))
    .min(1)
    .meta({ description: 'Policy files: names or globs, relative to this file.' }),
  audit: z
    .strictObject({
      heads: headsAddressSchema
        .extend({
          retain: period.default('P10Y').meta({ description: 'For how long nobody can remove a head.' }),
          lateAfter: period.default('PT2H').meta({ description: 'An alarm when the newest head is older.' }),
        })
        .refine(mayHaveCredentials, {
          path: ['credentials'],
          message: 'none but for an endpoint on this machine; elsewhere use a role, a profile or the environment',
        })
        .optional(),
    })
    .prefault({})
    .meta({ description: 'Where signed heads of the audit chain are published every hour: a write-once place.' }),
  notify: notifyConfigSchema.optional().meta({ description: 'How owners are told what is in force and what will go.' }),
  approvals: approvals.prefault({}).meta({ description: 'What a second person has to approve, and who may.' }),
  drills: z
    .strictObject({
      every: period.default('P1Y').meta({ description: 'An alarm when a vault had no successful drill for so long.' }),
    })
    .prefault({})
    .meta({ description: 'Archives that are restored to see that they can be.' }),
  retrievals: z
    .strictObject({
      folder: z.string().min(1).optional().meta({
        description: 'Where finished retrievals are fetched to, encrypted as they are, before the vault drops them.',
      }),
      keep: period.default('P7D').meta({ description: 'How long a fetched file waits to be read.' }),
      inFlight: z
        .int()
        .min(1)
        .max(100_000)
        .default(DEFAULT_IN_FLIGHT)
        .meta({ description: 'How many retrievals of one order the vaults work on at once.' }),
    })
    .prefault({})
    .meta({ description: 'How retrieval orders are followed.' }),
  console: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: port.default(0).meta({ description: '0 takes any free port; the console prints it.' }),
      bullBoardWritable: z.boolean().default(false).meta({ description: 'Lets the queue dashboard change jobs.' }),
    })
    .prefault({}),
});

export type ConfigText = z.output<typeof configSchema>;

/** The JSON Schema for editors. Written to `moraine.schema.json` by `scripts/write-config-schema.ts`. */
export function configJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: 'input' }), title: 'moraine.yaml, version 1' };
}

/** The fields that may stand at a path of moraine.yaml. */
export function configKeysAt(path: YamlPath): readonly string[] {
  let schemas = forms(configJsonSchema());
  for (const part of path) {
    schemas = schemas
      .flatMap((schema) => {
        if (typeof part === 'number') return [schema['items']];
        const properties = schema['properties'];
        return [isRecord(properties) ? properties[part] : undefined, schema['additionalProperties']];
      })
      .flatMap(forms);
  }
  const keys = schemas.flatMap(({ properties }) => (isRecord(properties) ? Object.keys(properties) : []));
  return [...new Set(keys)];
}

/** A schema, or each of those it is a choice of. */
function forms(schema: unknown): readonly Record<string, unknown>[] {
  if (!isRecord(schema)) return [];
  const choices = schema['anyOf'] ?? schema['oneOf'];
  return Array.isArray(choices) ? choices.flatMap(forms) : [schema];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
