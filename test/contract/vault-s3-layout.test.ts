/** Buckets that are not as they must be: all of it is said, nothing is stored; and what lies under the key of an archive beside it. */
import {
  DeleteBucketEncryptionCommand,
  DeleteObjectCommand,
  DeletePublicAccessBlockCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { MIB, treeHash } from '../../src/archive/tree-hash.ts';
import { systemClock } from '../../src/clock.ts';
import { isMoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { createVault } from '../../src/vault/create-vault.ts';
import { objectKey } from '../../src/vault/intent.ts';
import type { VaultLocation, VaultPort } from '../../src/vault/port.ts';
import { vaultConfigSchema } from '../../src/vault/vault-config.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { bytesOf, claimOf, freshIntent, listed, store } from './vault-world.ts';

const names = testNames(import.meta.filename);
const endpoint = stackUrls().s3;
const credentials = { accessKeyId: 'moraine', secretAccessKey: 'moraine-local' };
const sdk = new S3Client({ region: 'eu-west-1', endpoint, forcePathStyle: true, credentials });
const KMS_KEY = 'arn:aws:kms:eu-west-1:000000000000:key/11111111-2222-4333-8444-555555555555';

function vault(more: Readonly<Record<string, unknown>> = {}): VaultPort {
  const entry = { backend: 's3', region: 'eu-west-1', endpoint, bucket: `${names.vaultPrefix}-{owner}`, ...more };
  const deps = { clock: systemClock, environment: 'sandbox' } as const;
  return createVault(id.vaultKey('cold'), vaultConfigSchema.parse(entry), deps);
}

const placeOf = (port: VaultPort, owner: string) => port.locate('7c2d', id.owner(owner), id.customer('nordwind'));

async function versionsUnder({ name, prefix }: VaultLocation) {
  const { Versions = [], DeleteMarkers = [] } = await sdk.send(
    new ListObjectVersionsCommand({ Bucket: name, Prefix: prefix }),
  );
  return { versions: Versions.length, markers: DeleteMarkers.length };
}

test('a bucket that we make is in order, but for leftovers of uploads that nobody aborts', async () => {
  const port = vault({ objectLock: 'governance' });
  const location = placeOf(port, 'fresh');
  await port.ensure(location);
  const { findings } = await port.inspect(location);
  expect(findings).toMatchObject([{ level: 'warning', text: expect.stringContaining('never completed') }]);
  const Rules = [
    {
      ID: 'leftovers',
      Status: 'Enabled' as const,
      Filter: {},
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
    },
  ];
  await sdk.send(
    new PutBucketLifecycleConfigurationCommand({ Bucket: location.name, LifecycleConfiguration: { Rules } }),
  );
  expect(await port.inspect(location)).toEqual({ exists: true, findings: [] });
});

test('everything that is wrong with a bucket is said at once, each with what mends it, and nothing is stored', async () => {
  const port = vault();
  const location = placeOf(port, 'broken');
  const { name: Bucket } = location;
  await port.ensure(location);
  await sdk.send(new DeletePublicAccessBlockCommand({ Bucket }));
  await sdk.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Suspended' } }));
  await sdk.send(
    new PutBucketOwnershipControlsCommand({
      Bucket,
      OwnershipControls: { Rules: [{ ObjectOwnership: 'ObjectWriter' }] },
    }),
  );
  const Statement = [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${Bucket}/*` }];
  await sdk.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }));
  const expiring = { ID: 'tidy', Status: 'Enabled' as const, Filter: {}, Expiration: { Days: 30 } };
  await sdk.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [expiring] } }));
  const { findings } = await vault({ objectLock: 'compliance', encryption: { kms: KMS_KEY } }).inspect(location);
  const wrong = findings.filter(({ level }) => level === 'error');
  for (const about of [
    'public access',
    'versioning',
    'Object Lock',
    'encryption',
    'access control',
    'policy',
    '"tidy"',
  ])
    expect(wrong.map(({ text }) => text).join('; ')).toContain(about);
  expect(wrong).toHaveLength(7);
  expect(findings.every(({ hint }) => hint.length > 0)).toBe(true);
  // A process that has not looked at it yet looks from all sides; the one that made it sees the versioning.
  for (const process of [vault(), port]) {
    const refused = await process.ensure(location).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'VAULT_REFUSED', message: expect.stringContaining('versioning') });
  }
  await expect(vault().ensure(location)).rejects.toMatchObject({ message: expect.stringContaining('access control') });
});

test('a default retention is wrong, for it would lock what failed', async () => {
  const port = vault({ objectLock: 'compliance' });
  const location = placeOf(port, 'default-retention');
  await port.ensure(location);
  const Rule = { DefaultRetention: { Mode: 'GOVERNANCE' as const, Days: 1 } };
  const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const, Rule };
  await sdk.send(new PutObjectLockConfigurationCommand({ Bucket: location.name, ObjectLockConfiguration }));
  await expect(vault({ objectLock: 'compliance' }).ensure(location)).rejects.toSatisfy((error) =>
    isMoraineError(error, 'VAULT_REFUSED'),
  );
});

test('SSE-S3 is said with each upload, whatever the bucket’s default is', async () => {
  const port = vault();
  const location = placeOf(port, 'sse-s3');
  await port.ensure(location);
  await sdk.send(new DeleteBucketEncryptionCommand({ Bucket: location.name }));
  const { intent } = await store(port, location, bytesOf(10, 1));
  const Key = objectKey(location.prefix, intent);
  const head = await sdk.send(new HeadObjectCommand({ Bucket: location.name, Key }));
  expect(head.ServerSideEncryption).toBe('AES256');
});

test('SSE-KMS: the key and a bucket key with every upload, whole and in parts, and as the bucket’s default', async () => {
  const port = vault({ encryption: { kms: KMS_KEY } });
  const location = placeOf(port, 'sse-kms');
  await port.ensure(location);
  const { findings } = await port.inspect(location);
  expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
  const whole = await store(port, location, bytesOf(10, 2));
  const bytes = bytesOf(8 * MIB + 1, 3);
  const intent = freshIntent(location);
  const upload = await port.beginUpload(location, intent, 8 * MIB);
  await port.sendPart(location, upload, 0, bytes.subarray(0, 8 * MIB));
  await port.sendPart(location, upload, 1, bytes.subarray(8 * MIB));
  await port.completeUpload(location, upload, { bytes: bytes.byteLength, treeHash: treeHash(bytes) });
  for (const one of [whole.intent, intent]) {
    const Key = objectKey(location.prefix, one);
    const head = await sdk.send(new HeadObjectCommand({ Bucket: location.name, Key }));
    expect(head).toMatchObject({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: KMS_KEY, BucketKeyEnabled: true });
  }
  const other = vault({ encryption: { kms: KMS_KEY.replace('key/1', 'key/2') } });
  await expect(other.ensure(location)).rejects.toMatchObject({ message: expect.stringContaining('encryption') });
  const ServerSideEncryptionConfiguration = {
    Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' as const, KMSMasterKeyID: KMS_KEY } }],
  };
  await sdk.send(new PutBucketEncryptionCommand({ Bucket: location.name, ServerSideEncryptionConfiguration }));
  expect((await port.inspect(location)).findings).toContainEqual(
    expect.objectContaining({ level: 'warning', text: expect.stringContaining('bucket key') }),
  );
});

test('a purge deletes every version and marker under the key, and nothing of another archive', async () => {
  const port = vault();
  const location = placeOf(port, 'versions');
  await port.ensure(location);
  const { intent, stored } = await store(port, location, bytesOf(100, 4));
  const other = await store(port, location, bytesOf(100, 5));
  const Key = objectKey(location.prefix, intent);
  await sdk.send(new PutObjectCommand({ Bucket: location.name, Key, Body: bytesOf(100, 6) }));
  await sdk.send(new DeleteObjectCommand({ Bucket: location.name, Key }));
  expect(await versionsUnder(location)).toEqual({ versions: 3, markers: 1 });
  const inventory = await port.readInventory(location, await port.requestInventory(location));
  const entries = await listed(inventory);
  expect(entries.filter(({ isDeleteMarker }) => isDeleteMarker === true)).toMatchObject([
    { description: Key, intent: null },
  ]);
  expect(entries.map(({ vaultArchiveId }) => vaultArchiveId)).toContain(stored.vaultArchiveId);
  // A marker hides it from who names no version; we name one.
  const jobId = await port.requestRetrieval(location, stored.vaultArchiveId, 'standard', null);
  await expect.poll(async () => (await port.retrievalState(location, jobId)).state).toBe('ready');
  await port.deleteArchive(location, claimOf(intent, stored));
  expect(await versionsUnder(location)).toEqual({ versions: 1, markers: 0 });
  expect(other.stored.vaultArchiveId).not.toBe(stored.vaultArchiveId);
});

test('one version of the key is locked by somebody: the archive itself is not touched', async () => {
  const port = vault({ objectLock: 'governance' });
  const location = placeOf(port, 'locked-version');
  await port.ensure(location);
  const { intent, stored } = await store(port, location, bytesOf(100, 7));
  const Key = objectKey(location.prefix, intent);
  await sdk.send(
    new PutObjectCommand({ Bucket: location.name, Key, Body: bytesOf(9, 8), ObjectLockLegalHoldStatus: 'ON' }),
  );
  await expect(port.deleteArchive(location, claimOf(intent, stored))).rejects.toSatisfy((error) =>
    isMoraineError(error, 'VAULT_VETO'),
  );
  expect(await versionsUnder(location)).toEqual({ versions: 2, markers: 0 });
});
