/** Audit heads in S3, on LocalStack: Object Lock is what keeps them. */
import { randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, expect, it } from 'vitest';
import { S3Heads } from '../../src/vault/heads-s3.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { headsContract } from './heads-contract.ts';

const names = testNames(import.meta.filename);
const endpoint = stackUrls().s3;
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const region = 'eu-west-1';
const client = new S3Client({ region, endpoint, credentials, forcePathStyle: true });
afterAll(() => client.destroy());

async function bucketOf(isLocked: boolean): Promise<string> {
  const Bucket = `${names.vaultPrefix}-${randomBytes(4).toString('hex')}`;
  const CreateBucketConfiguration = { LocationConstraint: region } as const;
  await client.send(
    new CreateBucketCommand({ Bucket, CreateBucketConfiguration, ObjectLockEnabledForBucket: isLocked }),
  );
  return Bucket;
}

const prefix = 'audit/heads/x0x0x0x0x0/';
const placeIn = (bucket: string) => new S3Heads({ bucket, prefix, region, endpoint, credentials });
const keyOf = (number: number) => `${prefix}${String(number).padStart(12, '0')}.json`;

headsContract('S3', async () => {
  const Bucket = await bucketOf(true);
  return {
    place: placeIn(Bucket),
    remove: async (number) => {
      const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix: keyOf(number) }));
      const [{ VersionId } = {}] = Versions;
      // Also for whoever may pass by a lock in governance mode.
      const command = { Bucket, Key: keyOf(number), VersionId, BypassGovernanceRetention: true };
      return await client.send(new DeleteObjectCommand(command)).then(
        () => null,
        (error: unknown) => error,
      );
    },
    cover: async (number, how) => {
      if (how === 'written') await client.send(new PutObjectCommand({ Bucket, Key: keyOf(number), Body: 'forged' }));
      else await client.send(new DeleteObjectCommand({ Bucket, Key: keyOf(number) }));
    },
  };
});

it('a bucket without Object Lock is refused, with what to do', async () => {
  const bucket = await bucketOf(false);
  await expect(placeIn(bucket).assertWriteOnce()).rejects.toMatchObject({
    code: 'AUDIT_HEADS_REFUSED',
    hint: expect.stringContaining('Object Lock'),
  });
});

it('a bucket that is not there is said so', async () => {
  await expect(placeIn('heads-nowhere-at-all').assertWriteOnce()).rejects.toMatchObject({ code: 'VAULT_NOT_FOUND' });
});
