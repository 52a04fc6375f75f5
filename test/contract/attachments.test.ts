/** Attachments in real stores: found, read as they stream, compared, deleted by version alone, put back byte for byte. */
import { hash, randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { serialize } from 'bson';
import { GridFSBucket, type MongoClient, ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { ClearingWarrant, VerifiedArchive } from '../../src/ledger/warrants.ts';
import { Attachments } from '../../src/source/attachments.ts';
import { connectMongo } from '../../src/source/mongo-connect.ts';
import type { AttachmentShape, DatasetShape, FoundAttachment } from '../../src/source/port.ts';
import { type EnforcingS3, enforcingS3 } from '../harness/enforcing-s3.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';

const names = testNames(import.meta.filename);
const urls = stackUrls();
const MIB = 1024 * 1024;
const store = {
  region: 'eu-west-1',
  endpoint: urls.s3,
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
};

let client: MongoClient;
let attachments: Attachments;
beforeAll(async () => {
  client = await connectMongo({ url: urls.mongodb });
  attachments = new Attachments(client, new Map([['videos', store]]));
});
afterAll(async () => {
  attachments.close();
  await client.db(names.database).dropDatabase();
  await client.close();
});

function dataset(...rules: readonly AttachmentShape[]): DatasetShape {
  return {
    namespace: id.namespace(`${names.database}.tickets`),
    owner: { value: 'acme' },
    customer: { value: 'north' },
    trigger: { field: 'at', kind: 'date' },
    facets: {},
    attachments: rules,
  };
}

function warrant(milliseconds = 60_000): ClearingWarrant {
  const verified = VerifiedArchive.issue(id.archive('archive'), id.attempt('attempt'));
  const lease = { epoch: 1, assertHeld: () => undefined };
  return ClearingWarrant.issue(verified, lease, new Date(Date.now() + milliseconds));
}

async function found(shape: DatasetShape, record: object): Promise<readonly FoundAttachment[]> {
  const answer = await attachments.find(shape, serialize(record));
  if ('problem' in answer) throw new Error(answer.problem);
  return answer.found;
}

async function bytesOf(file: FoundAttachment): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of attachments.read(file)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* pieces(bytes: Buffer, size = 8 * MIB): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('GridFS', () => {
  const rule = { kind: 'gridfs', bucket: 'fs', file: 'recording', exclusive: true } as const;
  const shape = dataset(rule);

  async function upload(bytes: Buffer): Promise<ObjectId> {
    const _id = new ObjectId();
    const bucket = new GridFSBucket(client.db(names.database));
    await new Promise<void>((resolve, reject) => {
      const stream = bucket.openUploadStreamWithId(_id, 'call.wav', { metadata: { codec: 'pcm' } });
      stream.on('finish', () => resolve()).on('error', reject);
      stream.end(bytes);
    });
    return _id;
  }
  const chunksLeft = (files_id: ObjectId) =>
    client.db(names.database).collection('fs.chunks').countDocuments({ files_id });

  test('a file is found, read, deleted with its chunks, and put back byte for byte with its own document', async () => {
    const bytes = randomBytes(3 * MIB + 17);
    const recording = await upload(bytes);
    const [file] = await found(shape, { _id: 1, recording });
    expect(file).toMatchObject({ kind: 'gridfs', bucket: `${names.database}.fs`, bytes: bytes.length });
    expect((await bytesOf(file!)).equals(bytes)).toBe(true);
    expect(await attachments.isSame(file!)).toBe(true);
    const document = await client.db(names.database).collection('fs.files').findOne({ _id: recording });
    expect(await attachments.remove(file!, warrant())).toBe('deleted');
    expect(await attachments.remove(file!, warrant())).toBe('deleted');
    expect(await attachments.isSame(file!)).toBe(false);
    expect(await chunksLeft(recording)).toBe(0);
    expect(await attachments.putBack(file!.facts, pieces(bytes))).toBe('inserted');
    expect(await attachments.putBack(file!.facts, pieces(bytes))).toBe('existing');
    expect(await client.db(names.database).collection('fs.files').findOne({ _id: recording })).toEqual(document);
    const [back] = await found(shape, { _id: 1, recording });
    expect((await bytesOf(back!)).equals(bytes)).toBe(true);
    expect(back!.stamp).toBe(file!.stamp);
  });

  test('a file that is missing is a problem; a field that is missing or null names none; arrays name several', async () => {
    const one = await upload(Buffer.from('one'));
    expect(await attachments.find(shape, serialize({ recording: new ObjectId() }))).toEqual({
      problem: 'attachment-missing',
    });
    expect(await found(shape, { _id: 1 })).toEqual([]);
    expect(await found(shape, { recording: null })).toEqual([]);
    expect(await found(shape, { recording: [one, one] })).toHaveLength(2);
  });

  test('a file whose document changed stays; a delete that comes too late deletes nothing', async () => {
    const recording = await upload(Buffer.from('same'));
    const [file] = await found(shape, { recording });
    await expect(attachments.remove(file!, warrant(-1_000))).rejects.toMatchObject({ code: 'MONGODB_UNAVAILABLE' });
    expect((await bytesOf(file!)).toString()).toBe('same');
    await client
      .db(names.database)
      .collection('fs.files')
      .updateOne({ _id: recording }, { $set: { filename: 'new' } });
    expect(await attachments.isSame(file!)).toBe(false);
    expect(await attachments.remove(file!, warrant())).toBe('changed');
    expect(await chunksLeft(recording)).toBe(1);
    await expect(bytesOf(file!)).rejects.toMatchObject({ code: 'ATTACHMENT_CHANGED' });
  });

  test('a file with a chunk missing is not taken for whole', async () => {
    const recording = await upload(randomBytes(MIB));
    const [file] = await found(shape, { recording });
    await client.db(names.database).collection('fs.chunks').deleteOne({ files_id: recording, n: 2 });
    await expect(bytesOf(file!)).rejects.toMatchObject({ code: 'ATTACHMENT_CHANGED' });
  });

  test('inspect asks for the index of the chunks', async () => {
    expect(await attachments.inspect(shape)).toEqual([]);
    await client.db(names.database).collection('bare.chunks').insertOne({ n: 0 });
    expect(await attachments.inspect(dataset({ ...rule, bucket: 'bare' }))).toMatchObject([{ code: 'INDEX_MISSING' }]);
    expect(await attachments.inspect(dataset({ ...rule, bucket: 'none' }))).toMatchObject([{ level: 'warning' }]);
  });
});

describe('S3', () => {
  const bucket = `${names.database}-videos`.toLowerCase().replaceAll('_', '-').slice(0, 60);
  const s3 = new S3Client({ ...store, forcePathStyle: true });
  const rule = {
    kind: 's3',
    store: 'videos',
    bucket: { field: 'files.bucket' },
    key: 'files.key',
    version: 'files.version',
    exclusive: true,
  } as const;
  const shape = dataset(rule);

  beforeAll(async () => {
    await s3.send(
      new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }),
    );
    await s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  });
  afterAll(() => s3.destroy());

  async function put(key: string, Body: Buffer): Promise<string> {
    const { VersionId } = await s3.send(
      new PutObjectCommand({ Bucket: bucket, Key: key, Body, ContentType: 'video/mp4', Metadata: { call: '17' } }),
    );
    return VersionId!;
  }
  const isThere = (key: string, version: string) =>
    s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key, VersionId: version })).then(
      () => true,
      () => false,
    );

  test('each element of an array names a version of its own; exactly that one is read and deleted', async () => {
    const [first, second] = [randomBytes(100), randomBytes(200)];
    const versions = [await put('a', first), await put('b', second)];
    const newer = await put('a', randomBytes(300));
    const files = versions.map((version, n) => ({ bucket, key: ['a', 'b'][n], version }));
    const all = await found(shape, { files });
    expect(all.map(({ version }) => version)).toEqual(versions);
    expect(Buffer.concat([await bytesOf(all[0]!), await bytesOf(all[1]!)]).equals(Buffer.concat([first, second]))).toBe(
      true,
    );
    expect(await attachments.remove(all[0]!, warrant())).toBe('deleted');
    expect(await attachments.remove(all[0]!, warrant())).toBe('deleted');
    expect(await isThere('a', versions[0]!)).toBe(false);
    expect(await isThere('a', newer)).toBe(true);
    expect(await isThere('b', versions[1]!)).toBe(true);
    expect(await attachments.isSame(all[0]!)).toBe(false);
    expect(await attachments.isSame(all[1]!)).toBe(true);
  });

  test('without a version in the record the newest is meant, and pinned', async () => {
    await put('c', Buffer.from('old'));
    const version = await put('c', Buffer.from('new'));
    const [file] = await found(dataset({ ...rule, bucket: { value: bucket }, key: 'key', version: null }), {
      key: 'c',
    });
    expect(file).toMatchObject({ version, bytes: 3 });
    expect(await attachments.isSame(file!)).toBe(true);
    await put('c', Buffer.from('newer'));
    expect((await bytesOf(file!)).toString()).toBe('new');
    // What the record means is another one now; by its version it would be the same.
    expect(await attachments.isSame(file!)).toBe(false);
    const { isNewest: _, ...pinned } = file!;
    expect(await attachments.isSame(pinned)).toBe(true);
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'c' }));
    expect(await attachments.isSame(file!)).toBe(false);
  });

  test('missing, hidden by a delete marker, or named by what is no text: told apart', async () => {
    const named = (file: object) => attachments.find(shape, serialize({ files: [file] }));
    expect(await named({ bucket, key: 'never', version: null })).toEqual({ problem: 'attachment-missing' });
    await put('d', Buffer.from('x'));
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'd' }));
    expect(await named({ bucket, key: 'd' })).toEqual({ problem: 'attachment-missing' });
    expect(await named({ bucket, key: 17 })).toEqual({ problem: 'attachment-unusable' });
    expect(await named({ key: 'd' })).toEqual({ problem: 'attachment-unusable' });
    expect(await found(shape, { files: [{ bucket, key: null }] })).toEqual([]);
  });

  test('many MiB come back as they were, with type and metadata; what stands there is never overwritten', async () => {
    const bytes = randomBytes(20 * MIB);
    const [file] = await found(shape, { files: [{ bucket, key: 'large', version: await put('large', bytes) }] });
    expect(hash('sha256', await bytesOf(file!), 'hex')).toBe(hash('sha256', bytes, 'hex'));
    await attachments.remove(file!, warrant());
    expect(await attachments.putBack(file!.facts, pieces(bytes))).toBe('inserted');
    expect(await attachments.putBack(file!.facts, pieces(bytes))).toBe('existing');
    const back = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: 'large' }));
    expect(back).toMatchObject({ ContentType: 'video/mp4', Metadata: { call: '17' } });
    expect(hash('sha256', await back.Body!.transformToByteArray(), 'hex')).toBe(hash('sha256', bytes, 'hex'));
  });

  test('a bucket without versions: an exclusive attachment there is unusable, and inspect says so', async () => {
    const plain = `${bucket}-plain`.slice(0, 63);
    await s3.send(
      new CreateBucketCommand({ Bucket: plain, CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }),
    );
    await s3.send(new PutObjectCommand({ Bucket: plain, Key: 'k', Body: 'x' }));
    const fixed = { ...rule, bucket: { value: plain }, key: 'key', version: null };
    expect(await attachments.find(dataset(fixed), serialize({ key: 'k' }))).toEqual({ problem: 'attachment-unusable' });
    expect(await attachments.inspect(dataset(fixed))).toMatchObject([{ level: 'error' }]);
    expect(await found(dataset({ ...fixed, exclusive: false }), { key: 'k' })).toHaveLength(1);
    expect(await attachments.inspect(dataset({ ...fixed, bucket: { value: bucket } }))).toEqual([]);
    expect(await attachments.inspect(dataset({ ...fixed, store: 'unknown' }))).toMatchObject([{ level: 'error' }]);
  });
});

describe('S3, where the service looks at the time that a request was signed for', () => {
  const CREATED = { LocationConstraint: 'eu-west-1' } as const;
  const bucket = `${names.vaultPrefix}-in-time`;
  const rule = { kind: 's3', store: 'videos', bucket: { value: bucket }, key: 'key', exclusive: true } as const;
  const shape = dataset({ ...rule, version: null });
  let service: EnforcingS3;
  let proxy: TcpProxy;
  let s3: S3Client;
  let delayed: Attachments;

  beforeAll(async () => {
    service = await enforcingS3();
    proxy = await TcpProxy.start(service.url);
    s3 = new S3Client({ ...store, endpoint: service.url, forcePathStyle: true });
    delayed = new Attachments(client, new Map([['videos', { ...store, endpoint: proxy.url }]]));
    await s3.send(
      new CreateBucketCommand({
        Bucket: bucket,
        CreateBucketConfiguration: CREATED,
        ObjectLockEnabledForBucket: true,
      }),
    );
  }, 120_000);
  afterAll(async () => {
    delayed.close();
    s3.destroy();
    await proxy.close();
    await service.end();
  });

  async function stored(Key: string): Promise<FoundAttachment> {
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x' }));
    const answer = await delayed.find(shape, serialize({ key: Key }));
    if ('problem' in answer) throw new Error(answer.problem);
    return answer.found[0]!;
  }
  const isThere = (file: FoundAttachment) => delayed.isSame(file);

  test('a delete that was frozen on its way past the end of its warrant deletes nothing', async () => {
    const file = await stored('frozen');
    proxy.latencyMs = 4_000;
    const late = delayed.remove(file, warrant(2_000));
    await expect(late).rejects.toMatchObject({
      code: 'ATTACHMENT_UNAVAILABLE',
      message: expect.stringContaining('came too late'),
    });
    proxy.latencyMs = 0;
    expect(await isThere(file)).toBe(true);
    expect(await delayed.remove(file, warrant(10_000))).toBe('deleted');
    expect(await isThere(file)).toBe(false);
  });

  test('a warrant that has ended deletes nothing, and one of the last announcement does', async () => {
    const file = await stored('ended');
    await expect(delayed.remove(file, warrant(-1))).rejects.toMatchObject({ code: 'ATTACHMENT_UNAVAILABLE' });
    await expect(delayed.remove(file, warrant(-3_600_000))).rejects.toMatchObject({ code: 'ATTACHMENT_UNAVAILABLE' });
    expect(await isThere(file)).toBe(true);
    expect(await delayed.remove(file, warrant(10_000))).toBe('deleted');
  });

  test('keys of any letters are signed as they are', async () => {
    for (const key of ['a b+c/d%20e', 'Zoë & 北/œ.mp4', "quote'(1)!*~"]) {
      const file = await stored(key);
      expect(await delayed.remove(file, warrant()), key).toBe('deleted');
      expect(await isThere(file), key).toBe(false);
    }
  });

  test('what a lock keeps is told from what came too late', async () => {
    const file = await stored('locked');
    const Retention = { Mode: 'GOVERNANCE', RetainUntilDate: new Date(Date.now() + 3_600_000) } as const;
    const VersionId = file.version ?? '';
    await s3.send(new PutObjectRetentionCommand({ Bucket: bucket, Key: 'locked', VersionId, Retention }));
    expect(await delayed.remove(file, warrant())).toBe('locked');
    await expect(delayed.remove(file, warrant(-1_000))).rejects.toMatchObject({ code: 'ATTACHMENT_UNAVAILABLE' });
    expect(await isThere(file)).toBe(true);
  });
});
