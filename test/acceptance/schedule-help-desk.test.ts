/** policies/help-desk: periods by plan, tickets with all that hangs on them, a subscription that ends, schedules, everything given out. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON } from 'bson';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { type Document, GridFSBucket, ObjectId } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { queuePrefix } from '../../jobs/queues.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { until } from '../harness/daemons.ts';
import {
  done,
  installSchedule,
  monthly,
  publishAll,
  reconcileUntilNone,
  retrieve,
  runAll,
  shownBy,
} from '../harness/schedule.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const SCHEDULE = 'help-desk';
const names = testNames(import.meta.filename);
let world: CliWorld;

const AS_OF = '2024-06-01';
const DAY_MS = 24 * 3_600_000;
/** Globex is on the enterprise plan, initech's subscription is over, and nobody knows yet when hooli's ends. */
const ACCOUNTS = [
  { _id: 'globex', plan: 'enterprise', subscriptionEndsAt: new Date('2030-01-01') },
  { _id: 'initech', plan: 'team', subscriptionEndsAt: new Date('2024-05-01') },
  { _id: 'hooli', plan: 'team' },
];
const IDS = ACCOUNTS.map(({ _id }) => _id);
const MONTHS = monthly('2020-07-15T08:00:00Z', 47);
const TICKETS = monthly('2022-08-15T08:00:00Z', 16);
/** Opened and closed within ten days, but for every fifth, which nobody closed. */
const closedAt = (n: number, at: Date) => (n % 5 === 4 ? {} : { closedAt: new Date(at.getTime() + 10 * DAY_MS) });

/** What hangs on a ticket, as it was put in. */
const comment = (ticket: string, account: string, n: number) => ({
  _id: `${ticket}/${n}`,
  ticket,
  account,
  by: n === 0 ? 'requester' : 'agent',
  text: `comment ${n}`,
});

async function upload(bucketName: string, text: string): Promise<ObjectId> {
  const bucket = new GridFSBucket(world.client.db(world.namespace('').split('.')[0]), { bucketName });
  const file = new ObjectId();
  await new Promise((resolve, reject) =>
    bucket.openUploadStreamWithId(file, text).on('finish', resolve).on('error', reject).end(Buffer.from(text)),
  );
  return file;
}

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({ owners: `{ desk: { administrators: [{ name: alice, recipient: ${world.recipient} }] } }` });
  const insert = async (name: string, documents: readonly object[]) =>
    await world.collection(name).insertMany(documents as never[]);
  await insert('accounts', ACCOUNTS);
  const fields = { chats: 'endedAt', calls: 'endedAt', reports: 'createdAt', tickets: 'createdAt' };
  for (const [name, field] of Object.entries({ ...fields, articles: 'createdAt', imports: 'createdAt' }))
    await world.collection(name).createIndex({ account: 1, [field]: 1, _id: 1 });
  await world.collection('comments').createIndex({ ticket: 1 });
  for (const account of IDS) {
    await insert(
      'chats',
      MONTHS.map((endedAt, n) => ({ _id: `${account}-${n}`, account, endedAt, lines: n })),
    );
    await insert(
      'reports',
      MONTHS.map((createdAt, n) => ({
        _id: `${account}-${n}`,
        account,
        createdAt,
        kind: createdAt.getUTCMonth() === 11 ? 'annual' : 'monthly',
      })),
    );
    await insert(
      'articles',
      MONTHS.slice(0, 10).map((createdAt, n) => ({ _id: `${account}-${n}`, account, createdAt, title: `How to ${n}` })),
    );
    for (const [n, endedAt] of MONTHS.entries()) {
      if (n % 6 !== 0) continue;
      const recording = await upload('recordings', `call ${account} ${n}`);
      await insert('calls', [{ _id: `${account}-${n}`, account, endedAt, recording, seconds: 90 + n }]);
    }
    for (const [n, createdAt] of TICKETS.entries()) {
      const _id = `${account}-${n}`;
      const files =
        n % 4 === 0 ? [await upload('files', `screenshot of ${_id}`), await upload('files', `log of ${_id}`)] : [];
      await insert('tickets', [
        { _id, account, createdAt, ...closedAt(n, createdAt), requester: 'jo@example.org', files },
      ]);
      await insert(
        'comments',
        [0, 1, 2].map((at) => comment(_id, account, at)),
      );
    }
    const hour = (hours: number) => new Date(Date.parse(AS_OF) - hours * 3_600_000);
    await insert('imports', [
      { _id: `${account}-done`, account, createdAt: hour(3), completedAt: hour(2), rows: [1, 2] },
      { _id: `${account}-running`, account, createdAt: hour(3), rows: [3] },
      { _id: `${account}-stuck`, account, createdAt: hour(8 * 24), rows: [4] },
    ]);
  }
  installSchedule(world, SCHEDULE);
  await publishAll(world);
});
afterAll(async () => {
  await world.close();
});

const count = async (name: string, filter: Document = {}) => await world.collection(name).countDocuments(filter);
const ids = async (name: string, filter: Document = {}) =>
  (await world.collection(name).find(filter).toArray()).map(({ _id }) => String(_id)).sort();
/** How many are not so many months old on the day. */
const younger = (days: readonly Date[], months: number, asOf = AS_OF) =>
  days.filter((at) => {
    const end = new Date(at);
    end.setUTCMonth(end.getUTCMonth() + months);
    return end > new Date(asOf);
  }).length;

test('a life: by plan and kind, on completion, tickets with comments and files, a subscription that ended, all of it given out, to the certificates', async ({
  task,
}) => {
  const tickets = new Map(
    (await world.collection('tickets').find().toArray()).map((ticket) => [String(ticket._id), ticket]),
  );
  const first = await runAll(world, AS_OF, '--flush');
  const calls = MONTHS.filter((_, n) => n % 6 === 0);
  const annual = MONTHS.filter((at) => at.getUTCMonth() === 11);
  const reports =
    younger(annual, 36) +
    younger(
      MONTHS.filter((at) => !annual.includes(at)),
      12,
    );
  for (const { _id: account, plan } of ACCOUNTS) {
    const isEnterprise = plan === 'enterprise';
    expect({
      account,
      chats: await count('chats', { account }),
      reports: await count('reports', { account }),
      calls: await count('calls', { account }),
      imports: await ids('imports', { account }),
      articles: await count('articles', { account }),
    }).toEqual({
      account,
      chats: younger(MONTHS, isEnterprise ? 24 : 3),
      reports,
      calls: younger(calls, isEnterprise ? 36 : 24),
      imports: [`${account}-running`],
      articles: account === 'initech' ? 0 : 10,
    });
  }
  // Without an end of the subscription the articles wait, and it is told.
  const { policies } = await done(world, 'plan', 'knowledge-base', '--as-of', AS_OF);
  expect(policies[0].partitions).toContainEqual(expect.objectContaining({ customer: 'hooli', due: 0, pending: 10 }));
  expect(await count('recordings.files')).toBe(await count('calls'));

  // Tickets of more than a year: away with their comments and files, and nothing of the others.
  const due = [...tickets.values()].filter(
    (ticket) => ticket['closedAt'] !== undefined && younger([ticket['closedAt']], 12) === 0,
  );
  expect(first['tickets']).toMatchObject({ archived: due.length, deleted: due.length });
  const stay = [...tickets.keys()].filter((_id) => !due.some((ticket) => ticket._id === (_id as never)));
  expect(await ids('tickets')).toEqual(stay.sort());
  expect(await ids('comments')).toEqual(stay.flatMap((_id) => [0, 1, 2].map((n) => `${_id}/${n}`)).sort());
  const filesLeft = [...tickets.values()].flatMap(({ _id, files }) => (stay.includes(String(_id)) ? files : []));
  expect(await ids('files.files')).toEqual(filesLeft.map(String).sort());

  // One of them comes back whole: the ticket, its comments, its files.
  const archives: readonly { id: string; customer: string; records: number }[] = await done(world, 'archives');
  const globex = archives.filter(({ customer }) => customer === 'globex');
  for (const { id } of globex) await retrieve(world, id);
  const [archive] = globex;
  await done(world, 'restore', archive?.id ?? '', '--identity', world.identity, '--out', 'back', '--yes');
  const back = documentsIn('back/tickets.bson');
  expect(back).toHaveLength(archive?.records ?? 0);
  for (const ticket of back) expect(ticket).toEqual(tickets.get(ticket['_id']));
  expect(documentsIn('back/comments.bson')).toHaveLength(3 * back.length);
  expect(documentsIn('back/comments.bson')).toContainEqual(comment(String(back[0]?.['_id']), 'globex', 1));
  const folder = join(world.folder, 'back/attachments', archive?.id ?? '');
  expect(
    readdirSync(folder)
      .map((file) => readFileSync(join(folder, file), 'utf8'))
      .sort(),
  ).toEqual(
    back
      .filter(({ files }) => files.length > 0)
      .flatMap(({ _id }) => [`log of ${_id}`, `screenshot of ${_id}`])
      .sort(),
  );

  // Everything that is kept of one customer, on demand: what the database holds, and what its archives hold.
  for (const { id } of globex) await retrieve(world, id);
  const out = ['export', 'globex', '--owner', 'desk', '--out', 'globex', '--identity', world.identity];
  const [{ complete, archives: given }] = (await done(world, ...out)).exports;
  expect([complete, given.length]).toEqual([true, globex.length]);
  for (const name of ['chats', 'calls', 'reports', 'tickets', 'comments', 'articles', 'imports'])
    expect([name, documentsIn(`globex/${name}.bson`).length]).toEqual([name, await count(name, { account: 'globex' })]);
  const lines = readFileSync(join(world.folder, 'globex', `${names.database}_data`, 'chats.jsonl'), 'utf8');
  expect(lines.trim().split('\n')).toHaveLength(await count('chats', { account: 'globex' }));
  expect((await done(world, 'export', 'verify', 'globex')).ok).toBe(true);

  // Two years in all; three on the enterprise plan. A subscription that ends takes the knowledge base along.
  await world
    .collection('accounts')
    .updateOne({ _id: 'hooli' as never }, { $set: { subscriptionEndsAt: new Date('2024-07-01') } });
  expect(await runAll(world, '2024-07-02', 'knowledge-base')).toMatchObject({ 'knowledge-base': { deleted: 10 } });
  expect(await ids('articles')).toEqual(await ids('articles', { account: 'globex' }));
  const states = async () => {
    const all: readonly { customer: string; state: string }[] = await done(world, 'archives');
    return new Set(all.map(({ customer, state }) => `${customer} ${state}`));
  };
  await done(world, 'purge', '--yes', '--as-of', '2025-06-15');
  expect(await states()).toEqual(new Set(['globex cleared', 'initech purged', 'hooli purged']));
  await done(world, 'purge', '--yes', '--as-of', '2026-06-15');
  await reconcileUntilNone(world, '2026-06-15', ['purged']);
  expect(await states()).toEqual(new Set(['globex confirmed', 'initech confirmed', 'hooli confirmed']));
  const shown = await shownBy(world, `${names.database}_ledger`);
  expect(shown.purged).toBe(shown.archived);
  expect(shown.purged).toBe(4 * due.length);
  task.meta.shown = shown;
}, 180_000);

test('the daemon runs them when they say: on the hour, every day, every night, on the first of the month', async () => {
  const installation = await world.client.db(`${names.database}_ledger`).collection('installation').findOne();
  const connection = new Redis(stackUrls().redis, { maxRetriesPerRequest: null });
  const queue = new Queue('sweep', { connection, prefix: queuePrefix(String(installation?.['id'])) });
  await done(world, 'pause', 'all', '--reason', 'look at the times only');
  const daemon = world.start('worker', '--no-console');
  try {
    const times = async () =>
      Object.fromEntries((await queue.getJobSchedulers()).map(({ key, pattern, tz }) => [key, `${pattern} ${tz}`]));
    await until('every policy has its times', async () => Object.keys(await times()).length === 6);
    expect(await times()).toEqual({
      'sweep-imports': '0 * * * * UTC',
      'sweep-chats': '0 2 * * * UTC',
      'sweep-calls': '0 2 * * * UTC',
      'sweep-knowledge-base': '0 2 * * * UTC',
      'sweep-tickets': '0 2 * * * UTC',
      'sweep-reports': '0 2 1 * * UTC',
    });
  } finally {
    daemon.kill('SIGTERM');
    await daemon;
    await queue.close();
    connection.disconnect();
  }
}, 90_000);

function documentsIn(file: string): readonly Document[] {
  const [folder = '', name = ''] = file.split('/');
  const bytes = readFileSync(join(world.folder, folder, `${names.database}_data`, name));
  const found: Document[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readInt32LE(at))
    found.push(BSON.deserialize(bytes.subarray(at, at + bytes.readInt32LE(at))));
  return found;
}
