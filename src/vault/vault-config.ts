/** One entry of `vaults:` in moraine.yaml. */
import { z } from 'zod';
import { bucketTemplateFault } from './naming.ts';
import { STORAGE_CLASSES } from './port.ts';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether an endpoint is on this machine: only there may credentials stand in the file. */
export function isLoopback(endpoint: string): boolean {
  return URL.canParse(endpoint) && LOOPBACK.test(new URL(endpoint).hostname);
}

const region = z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region such as eu-west-1');
const endpoint = z.url({ protocol: /^https?$/ }).optional();
const credentials = z.strictObject({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) }).optional();

export const OBJECT_LOCK = ['none', 'holds', 'governance', 'compliance'] as const;
export type ObjectLock = (typeof OBJECT_LOCK)[number];

/** The service answers with the ARN, whatever it was asked by: only an ARN can be compared. */
const KMS_KEY = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/;

const roleArn = z
  .string()
  .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/, 'the ARN of a role (arn:aws:iam::…:role/…)');
const roles = z
  .strictObject({
    archive: roleArn.optional(),
    purge: roleArn.optional(),
    read: roleArn.optional(),
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .meta({ description: 'Address of STS; default: that of AWS in the region.' }),
  })
  .optional()
  .meta({
    description: 'Roles to take for writing, for inventories and deleting, and for retrieving; see docs/iam.md.',
  });

const glacierEntry = z.strictObject({
  backend: z.literal('glacier'),
  region,
  /** `-` is the account of the credentials. */
  account: z
    .string()
    .regex(/^(-|\d{12})$/, '"-" or an account of 12 digits')
    .default('-'),
  endpoint,
  /** First part of every vault's name; default: the first 8 characters of the installation's id. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, '1 to 64 letters, digits or "-"')
    .optional(),
  credentials,
  roles,
});

const s3Entry = z.strictObject({
  backend: z.literal('s3'),
  region,
  endpoint,
  /** One bucket for each owner: `{owner}` must occur, `{installation}` may. */
  bucket: z.string().superRefine((template, context) => {
    const fault = bucketTemplateFault(template);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault });
  }),
  storageClass: z.enum(STORAGE_CLASSES).default('DEEP_ARCHIVE').meta({
    description: 'Class of the archives; a policy may name another.',
  }),
  objectLock: z.enum(OBJECT_LOCK).default('none').meta({
    description:
      'none: the bucket has no Object Lock. holds: legal holds are mirrored. governance, compliance: that, and archives are locked until their purge date.',
  }),
  encryption: z
    .strictObject({ kms: z.string().regex(KMS_KEY, 'the ARN of a key of KMS') })
    .optional()
    .meta({ description: 'A key of KMS for what S3 encrypts; default: keys of S3 (SSE-S3).' }),
  credentials,
  roles,
});

export const vaultConfigSchema = z
  .discriminatedUnion('backend', [glacierEntry, s3Entry])
  .superRefine((entry, context) => {
    if (entry.credentials === undefined || (entry.endpoint !== undefined && isLoopback(entry.endpoint))) return;
    context.addIssue({
      code: 'custom',
      path: ['credentials'],
      message: 'none but for an endpoint on this machine; elsewhere use a role, a profile or the environment',
    });
  });

export type VaultConfig = z.output<typeof vaultConfigSchema>;
