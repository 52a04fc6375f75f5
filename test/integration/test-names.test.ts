/** The harness itself: what a test file leaves is dropped, what belongs to its neighbours is not. */
import { CreateBucketCommand, ListBucketsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { afterAll, expect, test } from 'vitest';
import { dropNames } from '../harness/drop-names.ts';
import { stackUrls, type TestNames, testNames } from '../harness/stack.ts';

const urls = stackUrls();
const neighbour = testNames(import.meta.filename);
const mine: TestNames = {
  database: `${neighbour.database.slice(0, -1)}x`,
  prefix: `${neighbour.prefix.slice(0, -1)}x`,
  vaultPrefix: `${neighbour.vaultPrefix.slice(0, -1)}x`,
};

const mongodb = new MongoClient(urls.mongodb);
const redis = new Redis(urls.redis);
const s3 = new S3Client({
  endpoint: urls.s3,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
});

afterAll(async () => {
  await mongodb.close();
  redis.disconnect();
  s3.destroy();
});

test('drop: databases, keys and buckets of these names go, those of another file stay', async () => {
  for (const names of [mine, neighbour]) {
    for (const database of [names.database, `${names.database}_ledger`]) {
      await mongodb.db(database).collection('things').insertOne({ a: 1 });
    }
    await redis.set(`${names.prefix}:key`, '1');
    await s3.send(new CreateBucketCommand({ Bucket: names.vaultPrefix }));
    await s3.send(new PutObjectCommand({ Bucket: names.vaultPrefix, Key: 'key', Body: 'body' }));
  }
  await dropNames(urls, mine);
  expect(await left(mine)).toEqual({ databases: [], keys: [], buckets: [] });
  expect(await left(neighbour)).toEqual({
    databases: [neighbour.database, `${neighbour.database}_ledger`],
    keys: [`${neighbour.prefix}:key`],
    buckets: [neighbour.vaultPrefix],
  });
});

async function left(names: TestNames) {
  const { databases } = await mongodb.db('admin').admin().listDatabases({ nameOnly: true });
  const { Buckets = [] } = await s3.send(new ListBucketsCommand({ Prefix: names.vaultPrefix }));
  return {
    databases: databases
      .map((database) => database.name)
      .filter((name) => name.startsWith(names.database))
      .sort(),
    keys: await redis.keys(`${names.prefix}*`),
    buckets: Buckets.map((bucket) => bucket.Name),
  };
}
