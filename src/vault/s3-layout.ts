/**
 * What a bucket must be before anything is stored in it, and what of that it is not. All findings at once: who mends a
 * bucket does it in one go.
 *
 * Without versioning a purge destroys nothing; with a default retention, or a lifecycle rule that expires, somebody else
 * than Moraine decides when an archive goes; with ACLs or a public policy it is not the owner's alone.
 */
import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
  type LifecycleRule,
} from '@aws-sdk/client-s3';
import { z } from 'zod';
import type { LayoutFinding, VaultLocation } from './port.ts';
import { type S3Context, wantsObjectLock } from './s3-context.ts';
import { isServiceError, translateError } from './translate-error.ts';

type Look = (context: S3Context, Bucket: string) => Promise<readonly LayoutFinding[]>;

/** Everything that is wrong with a bucket that is there. Changes nothing. */
export async function layoutFindings(context: S3Context, location: VaultLocation): Promise<readonly LayoutFinding[]> {
  const looks: readonly (readonly [string, Look])[] = [
    ['s3:GetBucketPublicAccessBlock', publicAccess],
    ['s3:GetBucketVersioning', versioning],
    ['s3:GetBucketObjectLockConfiguration', objectLock],
    ['s3:GetEncryptionConfiguration', encryption],
    ['s3:GetBucketOwnershipControls', ownership],
    ['s3:GetBucketPolicy', bucketPolicy],
    ['s3:GetLifecycleConfiguration', lifecycle],
  ];
  const found = await Promise.all(looks.map(([action, look]) => orRefused(context, location, action, look)));
  return found.flat();
}

/** What we may not look at is not known to be right: fail closed, and tell it beside the others. */
async function orRefused(
  context: S3Context,
  location: VaultLocation,
  action: string,
  look: Look,
): Promise<readonly LayoutFinding[]> {
  try {
    return await look(context, location.name);
  } catch (error) {
    if (isServiceError(error, 'AccessDenied'))
      return [wrong(`we may not look at it (${action})`, `Allow ${action} on the bucket.`)];
    throw translateError(error, { what: 'look at the bucket', location, effect: null });
  }
}

/** Of a setting that may not be there: null, by the service's code for that. */
async function orNone<T>(asked: Promise<T>, code: string): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (isServiceError(error, code)) return null;
    throw error;
  }
}

const publicAccess: Look = async ({ client }, Bucket) => {
  const reply = await orNone(
    client.send(new GetPublicAccessBlockCommand({ Bucket })),
    'NoSuchPublicAccessBlockConfiguration',
  );
  const found = reply?.PublicAccessBlockConfiguration;
  const names = ['BlockPublicAcls', 'IgnorePublicAcls', 'BlockPublicPolicy', 'RestrictPublicBuckets'] as const;
  const missing = names.filter((name) => found?.[name] !== true);
  if (missing.length === 0) return [];
  return [wrong(`public access is not blocked (${missing.join(', ')})`, 'Block all public access to the bucket.')];
};

const versioning: Look = async ({ client }, Bucket) => {
  const { Status, MFADelete } = await client.send(new GetBucketVersioningCommand({ Bucket }));
  return [
    ...(Status === 'Enabled' ? [] : [wrong('versioning is off', 'Switch versioning on: a purge names a version.')]),
    ...(MFADelete === 'Enabled'
      ? [wrong('MFA delete is on, so nothing can be purged', 'Switch MFA delete off; Object Lock protects instead.')]
      : []),
  ];
};

const objectLock: Look = async (context, Bucket) => {
  const reply = await orNone(
    context.client.send(new GetObjectLockConfigurationCommand({ Bucket })),
    'ObjectLockConfigurationNotFoundError',
  );
  const found = reply?.ObjectLockConfiguration;
  if (found?.ObjectLockEnabled !== 'Enabled') {
    return wantsObjectLock(context)
      ? [wrong('it has no Object Lock', 'Enable Object Lock on the bucket, or set objectLock: none for this vault.')]
      : [];
  }
  if (found.Rule?.DefaultRetention === undefined) return [];
  return [
    wrong(
      'its Object Lock has a default retention, which outlasts purge dates and locks uploads that failed',
      'Remove the default retention; Moraine locks each archive until its own purge date.',
    ),
  ];
};

const encryption: Look = async ({ client, settings }, Bucket) => {
  const reply = await orNone(
    client.send(new GetBucketEncryptionCommand({ Bucket })),
    'ServerSideEncryptionConfigurationNotFoundError',
  );
  const [rule] = reply?.ServerSideEncryptionConfiguration?.Rules ?? [];
  const found = rule?.ApplyServerSideEncryptionByDefault;
  if (settings.kmsKey === null) {
    if (found !== undefined) return [];
    return [wrong('it has no default encryption', 'Set SSE-S3 (AES256) as its default encryption.')];
  }
  const isOurs = found?.SSEAlgorithm === 'aws:kms' && found.KMSMasterKeyID === settings.kmsKey;
  const hint = `Set SSE-KMS with ${settings.kmsKey} and a bucket key as its default encryption.`;
  if (!isOurs) return [wrong('its default encryption is not with the key of this vault', hint)];
  return rule?.BucketKeyEnabled === true ? [] : [unwise('it has no bucket key, so each request asks KMS', hint)];
};

const ownership: Look = async ({ client }, Bucket) => {
  const reply = await orNone(
    client.send(new GetBucketOwnershipControlsCommand({ Bucket })),
    'OwnershipControlsNotFoundError',
  );
  const [rule] = reply?.OwnershipControls?.Rules ?? [];
  if (rule?.ObjectOwnership === 'BucketOwnerEnforced') return [];
  return [wrong('it has access control lists', 'Set its object ownership to BucketOwnerEnforced.')];
};

/** That public policies have no effect is looked at above; one that is there was meant to have some. */
const bucketPolicy: Look = async ({ client }, Bucket) => {
  const reply = await orNone(client.send(new GetBucketPolicyCommand({ Bucket })), 'NoSuchBucketPolicy');
  if (!letsEverybodyIn(reply?.Policy)) return [];
  return [wrong('its policy lets everybody in', 'Remove the statements that allow "*" without a condition.')];
};

const statementSchema = z.object({
  Effect: z.string(),
  Principal: z.unknown().optional(),
  Condition: z.record(z.string(), z.unknown()).optional(),
});
const policySchema = z.object({ Statement: z.union([z.array(statementSchema), statementSchema]) });

/** A policy that cannot be read is taken for the worst. */
function letsEverybodyIn(text: string | undefined): boolean {
  if (text === undefined) return false;
  const read = policySchema.safeParse(jsonOf(text));
  if (!read.success) return true;
  const { Statement } = read.data;
  const statements = Array.isArray(Statement) ? Statement : [Statement];
  return statements.some(
    ({ Effect, Principal, Condition = {} }) =>
      Effect === 'Allow' && Object.keys(Condition).length === 0 && JSON.stringify(Principal ?? '')?.includes('"*"'),
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not a policy: whoever judges it sees that.
    return null;
  }
}

/** By which S3 itself would end archives, or leftovers of uploads. */
const lifecycle: Look = async ({ client }, Bucket) => {
  const reply = await orNone(
    client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })),
    'NoSuchLifecycleConfiguration',
  );
  const rules = (reply?.Rules ?? []).filter(({ Status }) => Status === 'Enabled');
  return [
    ...rules.filter(expires).map(({ ID = '' }) => {
      return wrong(`its lifecycle rule "${ID}" expires objects`, 'Remove the rule: only a purge destroys an archive.');
    }),
    ...rules.filter(moves).map(({ ID = '' }) => {
      const hint =
        'Remove the transition, or keep it away from archives: prices and times of retrieval go by the plan.';
      return unwise(`its lifecycle rule "${ID}" moves objects to another storage class`, hint);
    }),
    ...(rules.some(({ AbortIncompleteMultipartUpload: abort }) => abort?.DaysAfterInitiation !== undefined)
      ? []
      : [
          unwise(
            'no lifecycle rule aborts uploads that were never completed',
            'Add a rule with AbortIncompleteMultipartUpload after 7 days: what a cut attempt left costs money until then.',
          ),
        ]),
  ];
};

function expires({ Expiration, NoncurrentVersionExpiration }: LifecycleRule): boolean {
  const isOfObjects = Expiration?.Days !== undefined || Expiration?.Date !== undefined;
  return isOfObjects || NoncurrentVersionExpiration !== undefined;
}

function moves({ Transitions = [], NoncurrentVersionTransitions = [] }: LifecycleRule): boolean {
  return Transitions.length > 0 || NoncurrentVersionTransitions.length > 0;
}

function wrong(text: string, hint: string): LayoutFinding {
  return { level: 'error', text, hint };
}

function unwise(text: string, hint: string): LayoutFinding {
  return { level: 'warning', text, hint };
}
