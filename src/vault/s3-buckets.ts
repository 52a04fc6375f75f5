/**
 * Buckets: one for each owner, made with versioning (a delete names a version), without public access and access control
 * lists, encrypted, and with Object Lock where it is configured. The tags come last, so that a bucket with our tags is a finished one; one without them is
 * taken over only while it is empty.
 */
import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  type CreateBucketCommandInput,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  PutBucketEncryptionCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
  type ServerSideEncryptionRule,
} from '@aws-sdk/client-s3';
import { MoraineError } from '../errors.ts';
import { allTags, notOurs, tagFindings, taggedAs, type WantedTags } from './ownership.ts';
import type { Layout, VaultLocation } from './port.ts';
import { type S3Context, wantsObjectLock } from './s3-context.ts';
import { layoutFindings } from './s3-layout.ts';
import { httpStatus, isServiceError, translateError, translating } from './translate-error.ts';

/** Creates the bucket where it is not there. Throws CHANGED_RESOURCE_NOT_OURS, VAULT_OF_ANOTHER_ENVIRONMENT or VAULT_LIMIT. */
export async function ensureBucket(
  context: S3Context,
  location: VaultLocation,
  wanted: WantedTags,
  inspected: Set<string>,
): Promise<void> {
  if (!(await bucketExists(context, location))) await createBucket(context, location);
  const found = await readTags(context, location);
  const tagged = taggedAs(found, wanted, location);
  if (tagged === 'ours') return assertSettings(context, location, inspected);
  if (tagged === 'untagged' && !(await isEmpty(context, location))) {
    // Another worker may have tagged it and stored something since we read the tags.
    if (taggedAs(await readTags(context, location), wanted, location) === 'ours')
      return assertSettings(context, location, inspected);
    throw notOurs(location, 'it has objects but none of our tags');
  }
  const tags = { ...found, ...allTags(wanted) };
  // What was set up before is looked at below; whoever changed it since is to be told, not overruled.
  if (tagged === 'untagged') await setUp(context, location, tags);
  else await tag(context, location, tags);
  if (taggedAs(await readTags(context, location), wanted, location) !== 'ours')
    throw notOurs(location, 'its tags were removed');
  await assertSettings(context, location, inspected);
}

async function bucketExists(context: S3Context, location: VaultLocation): Promise<boolean> {
  try {
    await context.client.send(new HeadBucketCommand({ Bucket: location.name }));
    return true;
  } catch (error) {
    const status = error instanceof Error ? httpStatus(error) : null;
    if (status === 404) return false;
    if (status === 403) throw notOurs(location, 'we may not look at it');
    if (status === 301) throw notOurs(location, 'it is in another region');
    throw translateError(error, { what: 'look for the bucket', location, effect: null });
  }
}

async function createBucket(context: S3Context, location: VaultLocation): Promise<void> {
  const { region } = context.settings;
  try {
    await context.client.send(
      new CreateBucketCommand({
        Bucket: location.name,
        ...regionOf(region),
        ObjectLockEnabledForBucket: wantsObjectLock(context),
        ObjectOwnership: 'BucketOwnerEnforced',
      }),
    );
  } catch (error) {
    // Another worker was faster: whose it is, its tags say.
    if (isServiceError(error, 'BucketAlreadyOwnedByYou')) return;
    if (isServiceError(error, 'BucketAlreadyExists')) throw notOurs(location, 'another account has this name');
    if (isServiceError(error, 'TooManyBuckets')) {
      throw new MoraineError('VAULT_LIMIT', `Bucket ${location.name} would be one more than the account may hold.`, {
        cause: error,
        ids: { vault: location.name },
      });
    }
    throw translateError(error, { what: 'create the bucket', location, effect: null });
  }
}

/** us-east-1 is the place of a bucket that names none, and may not be named. */
function regionOf(region: string): Pick<CreateBucketCommandInput, 'CreateBucketConfiguration'> {
  if (region === 'us-east-1') return {};
  // The SDK's list of regions is older than some regions; the service knows them all.
  return { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } };
}

async function setUp(
  context: S3Context,
  location: VaultLocation,
  tags: Readonly<Record<string, string>>,
): Promise<void> {
  const Bucket = location.name;
  await translating({ what: 'set up the bucket', location, effect: null }, async () => {
    await context.client.send(
      new PutPublicAccessBlockCommand({
        Bucket,
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          IgnorePublicAcls: true,
          BlockPublicPolicy: true,
          RestrictPublicBuckets: true,
        },
      }),
    );
    await context.client.send(
      new PutBucketOwnershipControlsCommand({
        Bucket,
        OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
      }),
    );
    await context.client.send(
      new PutBucketEncryptionCommand({
        Bucket,
        ServerSideEncryptionConfiguration: { Rules: [defaultEncryption(context)] },
      }),
    );
    await context.client.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    );
  });
  await tag(context, location, tags);
}

function defaultEncryption({ settings }: S3Context): ServerSideEncryptionRule {
  const { kmsKey } = settings;
  if (kmsKey === null) return { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } };
  return {
    ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: kmsKey },
    BucketKeyEnabled: true,
  };
}

/** All tags at once: the service knows no other way. */
async function tag(context: S3Context, location: VaultLocation, tags: Readonly<Record<string, string>>): Promise<void> {
  const TagSet = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  await translating({ what: 'tag the bucket', location, effect: null }, () =>
    context.client.send(new PutBucketTaggingCommand({ Bucket: location.name, Tagging: { TagSet } })),
  );
}

async function readTags(context: S3Context, location: VaultLocation): Promise<Record<string, string>> {
  try {
    const reply = await context.client.send(new GetBucketTaggingCommand({ Bucket: location.name }));
    return Object.fromEntries((reply.TagSet ?? []).map(({ Key, Value }) => [Key ?? '', Value ?? '']));
  } catch (error) {
    if (isServiceError(error, 'NoSuchTagSet')) return {};
    throw translateError(error, { what: 'read the tags of the bucket', location, effect: null });
  }
}

async function isEmpty(context: S3Context, location: VaultLocation): Promise<boolean> {
  const list = new ListObjectVersionsCommand({ Bucket: location.name, MaxKeys: 1 });
  const { Versions } = await translating({ what: 'look into the bucket', location, effect: null }, () =>
    context.client.send(list),
  );
  return (Versions?.length ?? 0) === 0;
}

/** Whose it is and how it is, of a bucket that may not be there yet. */
export async function inspectBucket(context: S3Context, location: VaultLocation, wanted: WantedTags): Promise<Layout> {
  if (!(await bucketExists(context, location))) return { exists: false, findings: [] };
  const [tags, findings] = await Promise.all([readTags(context, location), layoutFindings(context, location)]);
  return { exists: true, findings: [...tagFindings(tags, wanted, location), ...findings] };
}

/**
 * What somebody may have changed since, or never set: looked at from all sides before the first write of this process, and
 * for versioning, without which a purge would destroy nothing, before every archive.
 */
async function assertSettings(context: S3Context, location: VaultLocation, inspected: Set<string>): Promise<void> {
  const Bucket = location.name;
  if (inspected.has(Bucket)) {
    const { Status } = await translating({ what: 'read the versioning of the bucket', location, effect: null }, () =>
      context.client.send(new GetBucketVersioningCommand({ Bucket })),
    );
    if (Status === 'Enabled') return;
  }
  const wrong = (await layoutFindings(context, location)).filter(({ level }) => level === 'error');
  if (wrong.length > 0) {
    throw new MoraineError(
      'VAULT_REFUSED',
      `The bucket ${Bucket} cannot be used: ${wrong.map(({ text }) => text).join('; ')}.`,
      { hint: wrong.map(({ hint }) => hint).join(' '), ids: { vault: Bucket } },
    );
  }
  inspected.add(Bucket);
}
