/** policies/video-platform: S3 objects with their records, until the contract ends, on request, in the client's region. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { done, installSchedule, offboard, reconcileUntilNone, runAll, shownBy } from '../harness/schedule.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const SCHEDULE = 'video-platform';
const names = testNames(import.meta.filename);
const bucket = `${names.vaultPrefix}-videos`;
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
let world: CliWorld;
let s3: S3Client;

const AS_OF = '2024-06-01';
/** Client and contract of each account. Nobody knows yet how long the club stays. */
const ACCOUNTS = [
  { _id: 'studio', client: 'nordic', state: 'open', contractEndsAt: new Date('2024-03-01') },
  { _id: 'school', client: 'nordic', state: 'open', contractEndsAt: new Date('2030-01-01') },
  { _id: 'museum', client: 'nordic', state: 'open', contractEndsAt: new Date('2030-01-01') },
  { _id: 'club', client: 'nordic', state: 'open' },
  { _id: 'surf', client: 'pacific', state: 'open', contractEndsAt: new Date('2030-01-01') },
];
const VIDEOS = 6;

async function put(key: string, body: string) {
  const { VersionId } = await s3.send(
    new PutObjectCommand({ Bucket: bucket, Key: key, Body: body.repeat(500), ContentType: 'video/mp4' }),
  );
  return { bucket, key, version: VersionId, bytes: body.length * 500 };
}

/** Every version that is in the bucket: `key version`. */
async function objects(prefix = ''): Promise<readonly string[]> {
  const { Versions = [], DeleteMarkers = [] } = await s3.send(
    new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix }),
  );
  expect(DeleteMarkers).toEqual([]);
  return Versions.map(({ Key, VersionId }) => `${Key} ${VersionId}`).sort();
}

beforeAll(async () => {
  world = await openCliWorld(names);
  const { s3: endpoint } = stackUrls();
  s3 = new S3Client({ region: 'eu-west-1', endpoint, credentials, forcePathStyle: true });
  await s3.send(
    new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' } }),
  );
  await s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  const by = `administrators: [{ name: alice, recipient: ${world.recipient} }]`;
  world.configure({
    region: 'eu-west-1',
    owners: `{ nordic: { ${by}, region: eu-west-1 }, pacific: { ${by}, region: ap-southeast-2 } }`,
    more: `attachments: { videos: { region: eu-west-1, endpoint: "${endpoint}", credentials: { accessKeyId: test, secretAccessKey: test } } }`,
  });
  await world.collection('accounts').insertMany(ACCOUNTS.map((account) => ({ ...account })) as never[]);
  for (const name of ['videos', 'masters'])
    await world.collection(name).createIndex({ client: 1, account: 1, uploadedAt: 1, _id: 1 });
  for (const { _id: account, client } of ACCOUNTS) {
    for (let n = 0; n < VIDEOS; n++) {
      const _id = `${account}-${n}`;
      const files = [
        await put(`${account}/${n}.mp4`, `film ${_id} `),
        await put(`${account}/${n}.jpg`, `still ${_id} `),
      ];
      const uploadedAt = new Date(Date.UTC(2023, 10 + n, 5));
      await world
        .collection('videos')
        .insertOne({ _id, client, account, uploadedAt, status: 'ready', title: `Video ${n}`, files } as never);
    }
    if (account === 'studio' || account === 'club') continue;
    for (let n = 0; n < 3; n++) {
      const file = await put(`${account}/master-${n}.mov`, `master ${account} ${n} `);
      const uploadedAt = new Date(Date.UTC(2024, 0, 5 + n));
      await world
        .collection('masters')
        .insertOne({ _id: `${account}-master-${n}`, client, account, uploadedAt, camera: 'B', file } as never);
    }
  }
  installSchedule(world, SCHEDULE);
  await done(world, 'policy', 'publish', '--yes');
  const check = await world.moraine('check', '--json');
  expect([check.exitCode, check.json]).toMatchObject([3, { ok: false }]);
  // Source, vault, key store and videos of one client lie elsewhere; nothing else speaks against the policies.
  const { findings }: { findings: readonly { level: string; code?: string; text: string }[] } = JSON.parse(
    check.stdout,
  );
  const wrong = findings.filter(({ level }) => level === 'error');
  const elsewhere = /^Owner (\w+) requires [\w-]+; (.+) is in ([\w-]+) /;
  expect(wrong.map(({ code, text }) => [code, ...(elsewhere.exec(text)?.slice(1) ?? [text])])).toEqual(
    ['the source', 'the key store', expect.stringMatching(/^vault /), 'the store of attachments videos'].map(
      (place) => ['PLACEMENT_REFUSED', 'pacific', place, 'eu-west-1'],
    ),
  );
});
afterAll(async () => {
  s3.destroy();
  await world.close();
});

const videosOf = async (account: string) => await world.collection('videos').countDocuments({ account });

test('a life: contract over, deletion asked for, account closed; masters in the region of their client alone; export, then nothing', async ({
  task,
}) => {
  // Another video was made from the same key since: its version is not that of the record which goes.
  const newer = await put('studio/0.mp4', 'cut anew ');
  expect(await runAll(world, AS_OF, 'videos')).toMatchObject({ videos: { deleted: VIDEOS, pending: 0 } });
  expect(await videosOf('studio')).toBe(0);
  expect(await objects('studio/')).toEqual([`${newer.key} ${newer.version}`]);
  for (const account of ['school', 'museum', 'club', 'surf']) {
    expect([account, await videosOf(account)]).toEqual([account, VIDEOS]);
    expect((await objects(`${account}/`)).filter((name) => !name.includes('master'))).toHaveLength(2 * VIDEOS);
  }

  // On request one video goes, with its two objects; a closed account takes all of its own along.
  await world.collection('videos').updateOne({ _id: 'museum-2' as never }, { $set: { status: 'deletion-requested' } });
  await world.collection('accounts').updateOne({ _id: 'club' as never }, { $set: { state: 'closed' } });
  expect(await runAll(world, AS_OF, 'videos')).toMatchObject({ videos: { deleted: 1 + VIDEOS } });
  expect([await videosOf('museum'), await videosOf('club')]).toEqual([VIDEOS - 1, 0]);
  expect((await objects('museum/')).filter((name) => /\/2\.(mp4|jpg) /.test(name))).toEqual([]);
  expect(await objects('club/')).toEqual([]);

  // Masters: the northern client's go into the vault in its region. Those of the other client must not leave theirs.
  const before = await objects('surf/');
  const run = await world.moraine('run', 'masters', '--flush', '--as-of', AS_OF, '--yes', '--json');
  expect([run.exitCode, run.json]).toMatchObject([
    3,
    {
      policies: [{ totals: { archived: 6, deleted: 6 }, problems: [{ owner: 'pacific', code: 'PLACEMENT_REFUSED' }] }],
    },
  ]);
  expect(
    await world
      .collection('masters')
      .find()
      .map(({ account }) => account)
      .toArray(),
  ).toEqual(Array(3).fill('surf'));
  expect(await objects('surf/')).toEqual(before);
  expect((await objects()).filter((name) => name.includes('master'))).toHaveLength(3);
  const archives: readonly { owner: string; customer: string }[] = await done(world, 'archives');
  expect(new Set(archives.map(({ owner, customer }) => `${owner} ${customer}`))).toEqual(
    new Set(['nordic school', 'nordic museum']),
  );

  // The school's contract ends: everything is handed back, videos, stills and masters byte for byte; then nothing is left.
  const school = await objects('school/');
  expect(school).toHaveLength(2 * VIDEOS);
  const report = await offboard(world, { owner: 'nordic', customer: 'school', asOf: AS_OF });
  expect(report).toMatchObject({ state: 'done', certificate: expect.any(String) });
  expect([await videosOf('school'), await objects('school/')]).toEqual([0, []]);
  const given = new Set(
    readdirSync(join(world.folder, 'left-school'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('moraine-attachments/index.jsonl'))
      .flatMap((file) =>
        readFileSync(join(world.folder, 'left-school', file), 'utf8')
          .trim()
          .split('\n'),
      )
      .map((line) => JSON.parse(line).sha256),
  );
  for (let n = 0; n < VIDEOS; n++)
    for (const body of [`film school-${n} `, `still school-${n} `]) expect(given).toContain(sha256(body.repeat(500)));
  for (let n = 0; n < 3; n++) expect(given).toContain(sha256(`master school ${n} `.repeat(500)));
  expect((await done(world, 'export', 'verify', 'left-school')).ok).toBe(true);

  // The museum's masters to their end, two years later.
  await done(world, 'purge', '--yes', '--as-of', '2026-06-01');
  await reconcileUntilNone(world, '2026-06-01', ['purged']);
  const shown = await shownBy(world, `${names.database}_ledger`);
  expect(shown.purged).toBe(shown.archived);
  task.meta.shown = shown;
}, 180_000);

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
