import {
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import type { StackUrls } from '../../infra/local-stack/index.ts';
import type { TestNames } from './stack.ts';

const SCAN_COUNT = 1000;
const NOT_FOUND = 404;

/** Removes all that a test file made under its names, in each server. */
export async function dropNames(urls: StackUrls, names: TestNames): Promise<void> {
  await Promise.all([
    dropDatabases(urls.mongodb, names.database),
    dropKeys(urls.redis, names.prefix),
    dropVaults(urls.glacier, names.vaultPrefix),
    dropBuckets(urls.s3, names.vaultPrefix),
  ]);
}

async function dropDatabases(url: string, prefix: string): Promise<void> {
  const client = new MongoClient(url);
  try {
    const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
    for (const { name } of databases) {
      if (name === prefix || name.startsWith(`${prefix}_`)) await client.db(name).dropDatabase();
    }
  } finally {
    await client.close();
  }
}

export async function dropKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: SCAN_COUNT })) {
      if (Array.isArray(keys) && keys.length > 0) await redis.unlink(...keys);
    }
  } finally {
    redis.disconnect();
  }
}

async function dropVaults(url: string, prefix: string): Promise<void> {
  const reply = await fetch(new URL(`/_emulator/vaults?prefix=${prefix}`, url), { method: 'DELETE' });
  await reply.body?.cancel();
  // A real endpoint in the emulator's place has no such route: there the test's vaults stay.
  if (!reply.ok && reply.status !== NOT_FOUND) throw new Error(`vaults ${prefix}* were not dropped: ${reply.status}`);
}

async function dropBuckets(endpoint: string, prefix: string): Promise<void> {
  const client = new S3Client({
    endpoint,
    region: 'eu-west-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  try {
    const { Buckets = [] } = await client.send(new ListBucketsCommand({ Prefix: prefix }));
    for (const { Name } of Buckets) {
      if (!Name?.startsWith(prefix)) continue;
      if (await emptyBucket(client, Name)) await client.send(new DeleteBucketCommand({ Bucket: Name }));
    }
  } finally {
    client.destroy();
  }
}

/** False when something stays: a version under Object Lock cannot be deleted before its time. */
async function emptyBucket(client: S3Client, Bucket: string): Promise<boolean> {
  for (;;) {
    const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
    const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
    if (Objects.length === 0) return true;
    const { Errors = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    if (Errors.length > 0) return false;
  }
}
