/**
 * Buckets: one for each owner, made with versioning (a delete names a version), without public access, and with Object
 * Lock where it is configured. The tags come last, so that a bucket with our tags is a finished one; one without them is
 * taken over only while it is empty.
 */
import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  type CreateBucketCommandInput,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
} from '@aws-sdk/client-s3';
import { MoraineError } from '../errors.ts';
import { allTags, notOurs, taggedAs, type WantedTags } from './ownership.ts';
import type { VaultLocation } from './port.ts';
import type { S3Context } from './s3-context.ts';
import { httpStatus, isServiceError, translateError, translating } from './translate-error.ts';

/** Creates the bucket where it is not there. Throws CHANGED_RESOURCE_NOT_OURS, VAULT_OF_ANOTHER_ENVIRONMENT or VAULT_LIMIT. */
export async function ensureBucket(context: S3Context, location: VaultLocation, wanted: WantedTags): Promise<void> {
  if (!(await bucketExists(context, location))) await createBucket(context, location);
  const found = await readTags(context, location);
  const tagged = taggedAs(found, wanted, location);
  if (tagged === 'ours') return assertSettings(context, location);
  if (tagged === 'untagged' && !(await isEmpty(context, location))) {
    // Another worker may have tagged it and stored something since we read the tags.
    if (taggedAs(await readTags(context, location), wanted, location) === 'ours')
      return assertSettings(context, location);
    throw notOurs(location, 'it has objects but none of our tags');
  }
  const tags = { ...found, ...allTags(wanted) };
  // What was set up before is looked at below; whoever changed it since is to be told, not overruled.
  if (tagged === 'untagged') await setUp(context, location, tags);
  else await tag(context, location, tags);
  if (taggedAs(await readTags(context, location), wanted, location) !== 'ours')
    throw notOurs(location, 'its tags were removed');
  await assertSettings(context, location);
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
  const { region, objectLock } = context.settings;
  try {
    await context.client.send(
      new CreateBucketCommand({
        Bucket: location.name,
        ...regionOf(region),
        ObjectLockEnabledForBucket: objectLock !== undefined,
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
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    );
  });
  await tag(context, location, tags);
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

/** What somebody may have switched off since, or never had: without it a purge would not destroy, or a lock not hold. */
async function assertSettings(context: S3Context, location: VaultLocation): Promise<void> {
  const Bucket = location.name;
  const { Status } = await translating({ what: 'read the versioning of the bucket', location, effect: null }, () =>
    context.client.send(new GetBucketVersioningCommand({ Bucket })),
  );
  if (Status !== 'Enabled') throw wrongSetting(location, 'versioning is off');
  if (context.settings.objectLock === undefined) return;
  try {
    await context.client.send(new GetObjectLockConfigurationCommand({ Bucket }));
  } catch (error) {
    if (isServiceError(error, 'ObjectLockConfigurationNotFoundError'))
      throw wrongSetting(location, 'it has no Object Lock');
    throw translateError(error, { what: 'read the Object Lock of the bucket', location, effect: null });
  }
}

function wrongSetting(location: VaultLocation, why: string): MoraineError {
  return new MoraineError('VAULT_REFUSED', `The bucket ${location.name} cannot be used: ${why}.`, {
    hint: 'Correct the bucket, or choose another bucket template.',
    ids: { vault: location.name },
  });
}
