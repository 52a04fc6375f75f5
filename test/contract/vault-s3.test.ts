import { createHash } from 'node:crypto';
import {
  CreateBucketCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, describe, expect, test } from 'vitest';
import { treeHash } from '../../src/archive/tree-hash.ts';
import { systemClock } from '../../src/clock.ts';
import type { Environment } from '../../src/environment.ts';
import { isMoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { createVault } from '../../src/vault/create-vault.ts';
import { objectKey } from '../../src/vault/intent.ts';
import type { VaultGuards, VaultLocation, VaultPort } from '../../src/vault/port.ts';
import { S3_ACTIONS } from '../../src/vault/s3-actions.ts';
import { vaultConfigSchema } from '../../src/vault/vault-config.ts';
import { FaultyHttp, type HttpFault } from '../harness/faulty-http.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { RecordedCalls } from './vault-calls.ts';
import { vaultContract } from './vault-contract.ts';
import { vaultGuardsContract } from './vault-guards-contract.ts';
import {
  abandoned,
  bytesOf,
  claimOf,
  type FaultyCall,
  freshIntent,
  inventoryAfter,
  listed,
  store,
} from './vault-world.ts';

const names = testNames(import.meta.filename);
const endpoint = stackUrls().s3;
const sdk = new S3Client({
  region: 'eu-west-1',
  endpoint,
  forcePathStyle: true,
  credentials: { accessKeyId: 'moraine', secretAccessKey: 'moraine-local' },
});

const proxy = await FaultyHttp.start(endpoint);
afterAll(() => proxy.close());

interface Settings {
  readonly address?: string;
  readonly storageClass?: string;
  readonly objectLock?: string;
  readonly environment?: Environment;
  readonly kmsKey?: string;
}

const recorded = new RecordedCalls();

function vault(settings: Settings = {}): VaultPort {
  const config = vaultConfigSchema.parse({
    backend: 's3',
    region: 'eu-west-1',
    endpoint: settings.address ?? proxy.url,
    bucket: `${names.vaultPrefix}-{owner}`,
    storageClass: settings.storageClass ?? 'GLACIER',
    objectLock: settings.objectLock,
    ...(settings.kmsKey === undefined ? {} : { encryption: { kms: settings.kmsKey } }),
  });
  const deps = { clock: systemClock, environment: settings.environment ?? 'sandbox', onCall: recorded.onCall } as const;
  return recorded.of(createVault(id.vaultKey('cold'), config, deps));
}

const world = async (settings: Settings = {}) => ({
  port: vault(settings),
  production: vault({ ...settings, environment: 'production' }),
  plantVault: async ({ name: Bucket }: VaultLocation, tags: Readonly<Record<string, string>>) => {
    const CreateBucketConfiguration = { LocationConstraint: 'eu-west-1' } as const;
    await sdk.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration }));
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await sdk.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const TagSet = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
    await sdk.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
  },
  tagsOf: async ({ name: Bucket }: VaultLocation) => {
    const { TagSet = [] } = await sdk.send(new GetBucketTaggingCommand({ Bucket }));
    return Object.fromEntries(TagSet.map(({ Key = '', Value = '' }) => [Key, Value]));
  },
  nobody: vault({ ...settings, address: 'http://127.0.0.1:1' }),
  // The local stack's S3 restores at once and its listing is the inventory.
  hasTime: false,
  outputOutlivesDelete: false,
  advanceTime: async () => {},
  plant: async (location: VaultLocation, Body: Uint8Array, name: string) => {
    await sdk.send(new PutObjectCommand({ Bucket: location.name, Key: `${location.prefix}${name}`, Body }));
  },
  oneCopyServesAll: true,
  asksByHead: settings.storageClass === 'GLACIER_IR',
  // A key names an attempt, so all but the delete may be repeated.
  tries: {
    storeWhole: 3,
    beginUpload: 3,
    sendPart: 3,
    completeUpload: 3,
    deleteArchive: 1,
    requestRetrieval: 3,
    retrievalState: 3,
  },
  fail: async (location: VaultLocation, call: FaultyCall, fault: HttpFault, times: number) => {
    // What is read at once is not restored: it is looked for.
    const isAtOnce = call === 'requestRetrieval' && settings.storageClass === 'GLACIER_IR';
    const isCall = CALLS[isAtOnce ? 'retrievalState' : call];
    proxy.failNext((method, url) => url.pathname.startsWith(`/${location.name}/`) && isCall(method, url), fault, times);
  },
});

const CALLS: Readonly<Record<FaultyCall, (method: string, url: URL) => boolean>> = {
  storeWhole: (method, { searchParams }) => method === 'PUT' && !searchParams.has('uploadId'),
  beginUpload: (method, { searchParams }) => method === 'POST' && searchParams.has('uploads'),
  sendPart: (method, { searchParams }) => method === 'PUT' && searchParams.has('uploadId'),
  completeUpload: (method, { searchParams }) => method === 'POST' && searchParams.has('uploadId'),
  deleteArchive: (method, { searchParams }) => method === 'DELETE' && searchParams.has('versionId'),
  requestRetrieval: (method, { searchParams }) => method === 'POST' && searchParams.has('restore'),
  retrievalState: (method, { pathname }) => method === 'HEAD' && pathname.split('/').length > 2,
};

vaultContract('s3, GLACIER', () => world());
vaultContract('s3, DEEP_ARCHIVE', () => world({ storageClass: 'DEEP_ARCHIVE' }));
vaultContract('s3, GLACIER_IR', () => world({ storageClass: 'GLACIER_IR' }));

let places = 0;
const guarded = async ({ holds, lock }: VaultGuards) => {
  const port = vault({ objectLock: lock ?? (holds ? 'holds' : 'none') });
  return {
    port,
    place: async () => {
      places += 1;
      const location = port.locate('7c2d', id.owner(`guard-${lock}-${holds}-${places}`), id.customer('nordwind'));
      await port.ensure(location);
      return location;
    },
    now: () => systemClock.now(),
    entries: async (location: VaultLocation, after: Date) =>
      await listed(await inventoryAfter({ ...(await world()), port }, location, after)),
  };
};
vaultGuardsContract('s3 without Object Lock', { holds: false, lock: null }, guarded);
vaultGuardsContract('s3, holds', { holds: true, lock: null }, guarded);
vaultGuardsContract('s3, governance', { holds: true, lock: 'governance' }, guarded);
vaultGuardsContract('s3, compliance', { holds: true, lock: 'compliance' }, guarded);

const is = (code: Parameters<typeof isMoraineError>[1]) => (error: unknown) => isMoraineError(error, code);

describe('s3', () => {
  const port = vault();
  const place = (owner: string, customer = 'nordwind') => port.locate('7c2d', id.owner(owner), id.customer(customer));

  test('the bucket is made with versions and without public access', async () => {
    const { name: Bucket } = place('settings');
    await port.ensure(place('settings'));
    expect((await sdk.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBe('Enabled');
    const { PublicAccessBlockConfiguration } = await sdk.send(new GetPublicAccessBlockCommand({ Bucket }));
    expect(PublicAccessBlockConfiguration).toEqual({
      BlockPublicAcls: true,
      IgnorePublicAcls: true,
      BlockPublicPolicy: true,
      RestrictPublicBuckets: true,
    });
  });

  test('stored again with the same attempt: the first is adopted, one version stays', async () => {
    const location = place('adopt');
    await port.ensure(location);
    const intent = freshIntent(location);
    const bytes = bytesOf(1000, 1);
    const first = await port.storeWhole(location, intent, bytes, treeHash(bytes));
    const again = await port.storeWhole(location, intent, bytes, treeHash(bytes));
    expect(again.vaultArchiveId).toBe(first.vaultArchiveId);
    expect(await listed(await inventoryAfter(await world(), location, again.at))).toHaveLength(1);
  });

  test.each(['other bytes', 'another attempt in its metadata'])(
    'the key holds %s: not adopted, not overwritten',
    async (fault) => {
      const location = place(fault === 'other bytes' ? 'squat-bytes' : 'squat-attempt');
      await port.ensure(location);
      const intent = freshIntent(location);
      const bytes = bytesOf(1000, 2);
      const Body = fault === 'other bytes' ? bytesOf(1000, 3) : bytes;
      const Metadata = { 'moraine-attempt': fault === 'other bytes' ? intent.attempt : 'another' };
      const ChecksumSHA256 = createHash('sha256').update(Body).digest('base64');
      const Key = objectKey(location.prefix, intent);
      await sdk.send(new PutObjectCommand({ Bucket: location.name, Key, Body, ChecksumSHA256, Metadata }));
      await expect(port.storeWhole(location, intent, bytes, treeHash(bytes))).rejects.toSatisfy(is('VAULT_CHECKSUM'));
      expect(await listed(await inventoryAfter(await world(), location, new Date(0)))).toHaveLength(1);
    },
  );

  test('completed by a worker that died before the reply: another process finds it', async () => {
    const location = place('taken-over');
    await port.ensure(location);
    const bytes = bytesOf(port.smallestPartBytes + 5, 4);
    const upload = await port.beginUpload(location, freshIntent(location), port.smallestPartBytes);
    await port.sendPart(location, upload, 0, bytes.subarray(0, upload.partBytes));
    await port.sendPart(location, upload, 1, bytes.subarray(upload.partBytes));
    const total = { bytes: bytes.byteLength, treeHash: treeHash(bytes) };
    const stored = await port.completeUpload(location, upload, total);
    const found = await vault().completeUpload(location, upload, total);
    expect(found.vaultArchiveId).toBe(stored.vaultArchiveId);
    const smaller = { ...total, bytes: total.bytes - 1 };
    await expect(vault().completeUpload(location, upload, smaller)).rejects.toSatisfy(is('VAULT_CHECKSUM'));
  });

  test('customers of one owner share the bucket, and neither lists nor deletes what is the other’s', async () => {
    const [one, two] = [place('shared', 'one'), place('shared', 'two')];
    await port.ensure(one);
    await port.ensure(two);
    const { intent, stored } = await store(port, one, bytesOf(10, 5));
    expect(await listed(await inventoryAfter(await world(), two, stored.at))).toEqual([]);
    await expect(port.deleteArchive(two, claimOf(intent, stored))).rejects.toSatisfy(is('INTERNAL'));
    expect(await listed(await inventoryAfter(await world(), one, stored.at))).toHaveLength(1);
  });

  test('a proof for another archive or attempt deletes nothing', async () => {
    const location = place('other-proof');
    await port.ensure(location);
    const { stored } = await store(port, location, bytesOf(10, 6));
    const other = freshIntent(location);
    await expect(port.deleteArchive(location, claimOf(other, stored))).rejects.toSatisfy(is('INTERNAL'));
    const removing = port.deleteAbandoned(location, stored.vaultArchiveId, abandoned(other));
    await expect(removing).rejects.toSatisfy(is('INTERNAL'));
    expect(await listed(await inventoryAfter(await world(), location, stored.at))).toHaveLength(1);
  });

  test('a bucket that has no Object Lock cannot serve a vault that wants it', async () => {
    await port.ensure(place('no-lock'));
    await expect(vault({ objectLock: 'governance' }).ensure(place('no-lock'))).rejects.toSatisfy(is('VAULT_REFUSED'));
  });

  test('versioning switched off later: refused before anything is stored', async () => {
    const location = place('suspended');
    await port.ensure(location);
    const VersioningConfiguration = { Status: 'Suspended' } as const;
    await sdk.send(new PutBucketVersioningCommand({ Bucket: location.name, VersioningConfiguration }));
    await expect(port.ensure(location)).rejects.toSatisfy(is('VAULT_REFUSED'));
  });

  test('a bucket without tags: taken over while it is empty, refused when it holds something', async () => {
    const [empty, full] = [place('untagged-empty'), place('untagged-full')];
    const CreateBucketConfiguration = { LocationConstraint: 'eu-west-1' } as const;
    for (const { name: Bucket } of [empty, full])
      await sdk.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration }));
    await sdk.send(new PutObjectCommand({ Bucket: full.name, Key: 'report.pdf', Body: 'theirs' }));
    await port.ensure(empty);
    await store(port, empty, bytesOf(10, 8));
    await expect(port.ensure(full)).rejects.toSatisfy(is('CHANGED_RESOURCE_NOT_OURS'));
  });

  test('DEEP_ARCHIVE has no expedited tier: refused, and the estimate is for what there is', async () => {
    const deep = vault({ storageClass: 'DEEP_ARCHIVE' });
    const location = deep.locate('7c2d', id.owner('deep'), id.customer('nordwind'));
    const asking = deep.requestRetrieval(location, 'k?versionId=v', 'expedited', null);
    await expect(asking).rejects.toSatisfy(is('VAULT_REFUSED'));
    expect(deep.estimateRetrieval(1, 'expedited').tier).toBe('standard');
  });
});

test('what each method of the port sends is what the list of its calls and rights says', () => {
  recorded.expectAsListed(S3_ACTIONS);
});
