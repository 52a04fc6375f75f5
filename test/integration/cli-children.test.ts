/** Tickets with comments, a GridFS recording and an S3 video through the real command line: archived, cleared, restored, purged as units. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { BSON, type Document, GridFSBucket, ObjectId } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const bucket = `${names.vaultPrefix}-videos`;
const endpoint = stackUrls().s3;
const s3 = new S3Client({
  region: 'eu-west-1',
  endpoint,
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  forcePathStyle: true,
});
const RUN_AS_OF = ['--as-of', '2024-06-01'];
const PURGE_AS_OF = ['--as-of', '2032-06-01'];

/** Days of reconciling, each command a process of its own, on a machine that others use too. */
const LONG_MS = 240_000;

let world: CliWorld;
let root = '';
let addendum = '';
let videoVersion = '';
const recordings = new Map<string, ObjectId>();
const RECORDING = randomBytes(600_000);
const VIDEO = randomBytes(9 * 1024 * 1024);

const POLICY = () => `
policy: tickets
zone: UTC
dataset:
  collection: ${world.namespace('tickets')}
  owner: { value: acme }
  customer: { field: tenant }
  children:
    - { collection: ${world.namespace('comments')}, key: ticket, customer: { field: tenant } }
  attachments:
    - { gridfs: calls, file: recording, exclusive: true }
    - { s3: videos, bucket: { value: ${bucket} }, key: videos.key, version: videos.version, exclusive: true }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 3 years, vault: cold, verify: inventory, maxWait: 1 day }
limits: { records: 1000, share: 1.0 }
`;

const at = (day: number) => new Date(Date.UTC(2020, 0, day));
const comment = (_id: string, ticket: string, more: Document = {}): Document => ({
  _id,
  ticket,
  tenant: 'north',
  text: _id,
  ...more,
});
const COMMENTS: readonly Document[] = [
  comment('c1', 't1', { n: new BSON.Double(1) }),
  comment('c2', 't1'),
  comment('c3', 't2'),
  comment('c4', 't3'),
  comment('foreign', 't3', { tenant: 'south' }),
  comment('c5', 'young'),
];

async function uploadRecording(_id: ObjectId, bytes: Buffer): Promise<void> {
  const files = new GridFSBucket(world.client.db(`${names.database}_data`), { bucketName: 'calls' });
  await new Promise<void>((resolve, reject) => {
    files
      .openUploadStreamWithId(_id, 'call.wav')
      .on('finish', () => resolve())
      .on('error', reject)
      .end(bytes);
  });
}

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({
    more: `attachments:\n  videos: { region: eu-west-1, endpoint: "${endpoint}", credentials: { accessKeyId: test, secretAccessKey: test } }`,
  });
  await s3.send(
    new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }),
  );
  await s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  const put = await s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'v1', Body: VIDEO, ContentType: 'video/mp4' }));
  videoVersion = put.VersionId ?? '';
  for (const ticket of ['t1', 't2']) {
    const _id = new ObjectId();
    recordings.set(ticket, _id);
    await uploadRecording(_id, RECORDING);
  }
  const tickets: Document[] = [
    {
      _id: 't1',
      tenant: 'north',
      at: at(1),
      recording: recordings.get('t1'),
      videos: [{ key: 'v1', version: videoVersion }],
    },
    { _id: 't2', tenant: 'north', at: at(2), recording: recordings.get('t2') },
    { _id: 't3', tenant: 'north', at: at(3) },
    { _id: 'young', tenant: 'north', at: new Date('2024-05-01') },
  ];
  await world.collection('tickets').insertMany(tickets as never[]);
  await world.collection('tickets').createIndex({ tenant: 1, at: 1, _id: 1 });
  await world.collection('comments').insertMany([...COMMENTS] as never[]);
  world.writePolicy('tickets', POLICY());
});
afterAll(async () => {
  s3.destroy();
  await world.close();
});

async function ids(collection: string): Promise<string[]> {
  const found = await world
    .collection(collection)
    .find()
    .map(({ _id }) => String(_id))
    .toArray();
  return found.sort();
}

async function archives(): Promise<readonly Document[]> {
  const { json } = await world.moraine('archives', '--all', '--json');
  return Array.isArray(json) ? json : [];
}

async function stateOf(archive: string): Promise<Document> {
  const { json } = await world.moraine('archive', archive, '--json');
  return json as Document;
}

test('check: an index on the key of the children is missing, and the command that makes it is printed', async () => {
  const check = await world.moraine('check');
  expect(check.exitCode).toBe(2);
  expect(check.stdout).toContain('createIndex({ "ticket": 1 })');
  expect((await world.moraine('plan', '--json', ...RUN_AS_OF)).exitCode).toBe(2);
  await world.collection('comments').createIndex({ ticket: 1 });
  expect((await world.moraine('check')).exitCode).toBe(0);
});

test('run: a ticket with a comment of another tenant is quarantined, the others are sealed with all that hangs on them', async () => {
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  const planned = await world.moraine('plan', ...RUN_AS_OF);
  expect(planned.stdout).toMatch(
    /A record counts once, with what hangs on it: records of \S+comments that belong to it; the files/,
  );
  const { json, exitCode } = await world.moraine('run', '--flush', '--json', ...RUN_AS_OF);
  expect(exitCode).toBe(3);
  expect(json).toMatchObject({ policies: [{ totals: { archived: 2, unfit: 1, pending: 2 } }] });
  const quarantine = await world.moraine('quarantine', 'list', '--json');
  expect(quarantine.json).toMatchObject([{ record: 't3', reason: 'child-of-another' }]);
  expect(await ids('tickets')).toEqual(['t1', 't2', 't3', 'young']);
  root = String((await archives())[0]?.['id']);
  expect(await stateOf(root)).toMatchObject({ state: 'stored' });
});

async function explain(comment: string): Promise<Document> {
  const { json } = await world.moraine('explain', world.namespace('comments'), comment, '--json', ...RUN_AS_OF);
  return json as Document;
}

test('explain a child: the record that it belongs to, what becomes of that, and the archive that holds both', async () => {
  expect(await explain('c1')).toMatchObject({
    policy: 'tickets',
    source: { root: { id: 't1', inSource: true, isForeign: false }, decision: 'due', customer: 'north' },
    archives: [{ archive: root, state: 'stored', isChild: true, copy: 'not final', segments: [0] }],
  });
  expect(await explain('foreign')).toMatchObject({
    source: { root: { id: 't3', isForeign: true }, decision: 'quarantined' },
    archives: [],
  });
  expect(await explain('c5')).toMatchObject({ source: { root: { id: 'young' }, decision: 'not-due' }, archives: [] });
  const { stdout } = await world.moraine('explain', world.namespace('comments'), 'c1', ...RUN_AS_OF);
  expect(stdout).toContain(`It belongs to record t1 of ${world.namespace('tickets')}, and goes with it.`);
  expect(stdout).toContain(`Archive ${root} (stored) holds it beside its root, which is in segment 0`);
});

test('while the inventory is awaited a comment comes, one changes, and a recording is replaced', {
  timeout: LONG_MS,
}, async () => {
  await world.collection('comments').insertOne(comment('late', 't1') as never);
  await world.collection('comments').updateOne({ _id: 'c2' } as never, { $set: { text: 'edited' } });
  await world.client
    .db(`${names.database}_data`)
    .collection('calls.files')
    .updateOne({ _id: recordings.get('t2')! }, { $set: { filename: 'another.wav' } });
  const inLedger = world.client.db(`${names.database}_ledger`).collection('archives');
  for (let day = 0; day < 12; day++) {
    await world.moraine('reconcile', '--json', ...RUN_AS_OF);
    const states = await inLedger.find({ state: { $in: ['stored', 'verified'] } }).toArray();
    if (states.length === 0) break;
    // The addendum is cleared: the next run looks once more for the comments of the tickets that are gone.
    if (states.every(({ state }) => state === 'verified')) await world.moraine('run', '--json', ...RUN_AS_OF);
    else await world.emulator.advance('P1D');
  }
  expect(await stateOf(root)).toMatchObject({ state: 'cleared', outcomes: { archived: 2, deleted: 1, changed: 1 } });
  expect(await ids('tickets')).toEqual(['t2', 't3', 'young']);
  expect(await ids('comments')).toEqual(['c3', 'c4', 'c5', 'foreign']);
  const files = world.client.db(`${names.database}_data`);
  expect(await files.collection('calls.files').countDocuments({ _id: recordings.get('t1')! })).toBe(0);
  expect(await files.collection('calls.chunks').countDocuments({ files_id: recordings.get('t1')! })).toBe(0);
  expect(await files.collection('calls.chunks').countDocuments({ files_id: recordings.get('t2')! })).toBeGreaterThan(0);
  await expect(
    s3.send(new HeadObjectCommand({ Bucket: bucket, Key: 'v1', VersionId: videoVersion })),
  ).rejects.toMatchObject({ $metadata: { httpStatusCode: 404 } });
  const late = await inLedger.findOne({ addendumTo: root });
  const of = await inLedger.findOne({ _id: root as never });
  addendum = String(late?._id);
  expect(late).toMatchObject({
    collection: world.namespace('comments'),
    dueAt: of?.['dueAt'],
    outcomes: { deleted: 2 },
  });
});

test('explain a child that is gone: from the ledger alone; a hold on another one does not cover its archive', async () => {
  const hold = await world.moraine(
    ...['hold', 'place', '--case', 'C-1', '--reason', 'a claim', '--owner', 'acme'],
    ...['--dataset', world.namespace('comments'), '--key', 'c4', '--yes', '--json'],
  );
  expect(hold.json).toMatchObject({
    state: 'active',
    dataset: world.namespace('tickets'),
    collection: world.namespace('comments'),
    recordKeys: 1,
    notes: [],
  });
  const beside = { archive: root, state: 'cleared', isChild: true, segments: [0], copy: 'may be void', holds: [] };
  const added = { archive: addendum, addendumTo: root, isChild: false, copy: 'good', holds: [] };
  expect(await explain('c1')).toMatchObject({ source: null, archives: [beside] });
  expect((await explain('c2'))['archives']).toEqual(
    expect.arrayContaining([expect.objectContaining(beside), expect.objectContaining(added)]),
  );
  expect(await explain('late')).toMatchObject({ source: null, archives: [added] });
  expect(await explain('never')).toMatchObject({ source: null, archives: [] });
});

test('restore: records, children and files as they were; what changed is void there and in the addendum', async () => {
  for (const archive of [root, addendum])
    await world.moraine('retrieve', archive, '--identity', world.identity, '--yes');
  await world.emulator.advance('PT6H');
  const restore = async (archive: string, out: string) =>
    (await world.moraine('restore', archive, '--identity', 'alice.key', '--out', out, '--json')).json;
  expect(await restore(root, 'out')).toMatchObject({
    records: 2,
    inserted: 1,
    void: 1,
    children: { records: 3, inserted: 1, void: 2 },
    attachments: { records: 3, inserted: 2, void: 1 },
    addenda: [addendum],
  });
  const data = join(world.folder, 'out', `${names.database}_data`);
  expect(readFileSync(join(data, 'comments.bson'))).toEqual(Buffer.from(BSON.serialize(COMMENTS[0] ?? {})));
  const lines = readFileSync(join(world.folder, 'out', 'attachments.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const files = lines.map((line): Document => JSON.parse(line));
  const bytesOf = (kind: string) =>
    readFileSync(join(world.folder, 'out', String(files.find((file) => file['kind'] === kind)?.['file'])));
  expect(bytesOf('gridfs').equals(RECORDING)).toBe(true);
  expect(bytesOf('s3').equals(VIDEO)).toBe(true);
  expect(await restore(addendum, 'late')).toMatchObject({ records: 2, inserted: 2, void: 0 });
  const late = readFileSync(join(world.folder, 'late', `${names.database}_data`, 'comments.bson')).toString('latin1');
  expect(late).toContain('edited');
});

test('restore into MongoDB puts children and files back where they were', async () => {
  for (const archive of [root, addendum])
    await world.moraine('retrieve', archive, '--identity', world.identity, '--yes');
  await world.emulator.advance('PT6H');
  const url = `mongodb://${world.client.options.hosts[0]}/?directConnection=true`;
  for (const archive of [root, addendum]) {
    const args = ['--into', url, '--exempt-until', '2033-01-01', '--json', ...RUN_AS_OF];
    const { exitCode } = await world.moraine('restore', archive, '--identity', 'alice.key', ...args);
    expect(exitCode).toBe(0);
  }
  expect(await ids('tickets')).toEqual(['t1', 't2', 't3', 'young']);
  expect(await ids('comments')).toEqual(['c1', 'c2', 'c3', 'c4', 'c5', 'foreign', 'late']);
  const files = new GridFSBucket(world.client.db(`${names.database}_data`), { bucketName: 'calls' });
  const chunks: Buffer[] = [];
  for await (const chunk of files.openDownloadStream(recordings.get('t1')!)) chunks.push(chunk);
  expect(Buffer.concat(chunks).equals(RECORDING)).toBe(true);
  const video = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: 'v1' }));
  expect(Buffer.from(await video.Body!.transformToByteArray()).equals(VIDEO)).toBe(true);
});

test('purge: the archive and its addendum go on the same day', async () => {
  const { json } = await world.moraine('purge', '--yes', '--json', ...PURGE_AS_OF);
  const purged = (json as { purged: string[] }).purged;
  expect(purged).toEqual(expect.arrayContaining([root, addendum]));
});
