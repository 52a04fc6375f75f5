/** Notices, telling owners, and placement through the real command line, on real servers of mail and HTTP. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { queuePrefix } from '../../jobs/queues.ts';
import { callsPolicy } from '../harness/calls-policy.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { until } from '../harness/daemons.ts';
import { Listening } from '../harness/listening.ts';
import { MailServer } from '../harness/mail-server.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const SECRET = 'only for this test file';
const RUN_AT = ['--as-of', '2022-06-01', '--yes', '--json', '--flush'];
/** Ten days before the archives of 2020 end: a year in use, three in the vault. */
const BEFORE_PURGE = ['--as-of', '2023-12-23', '--json'];

let world: CliWorld;
let mail: MailServer;
let hook: Listening;

const both = (region: string) => {
  const administrators = `administrators: [{ name: alice, recipient: ${world.recipient} }]`;
  return `{ acme: { ${administrators}, contact: owner@acme.example${region} }, zeta: { ${administrators} } }`;
};

const ways = (webhook: string) => `
notify:
  ways:
    mail: { kind: smtp, url: "${mail.url}", from: retention@example.com }
    hook: { kind: webhook, url: "${webhook}/told", secret: "${SECRET}", owners: [zeta] }
  beforePurge: { days: 14, records: 2 }
`;

beforeAll(async () => {
  mail = await MailServer.start();
  hook = await Listening.start();
  world = await openCliWorld(names);
  world.configure({ owners: both(''), more: ways(hook.url) });
  for (const name of ['calls', 'chats'])
    await world.collection(name).createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
  const record = (_id: number, tenant: string, owner: string) => ({ _id, tenant, owner, at: new Date('2020-01-02') });
  await world.collection('calls').insertMany([record(1, 'north', 'acme'), record(2, 'north', 'acme')] as never[]);
  await world
    .collection('chats')
    .insertMany([record(1, 'north', 'acme'), record(2, '../<b>&', 'acme'), record(3, 'west', 'zeta')] as never[]);
  const calls = callsPolicy('calls', world.namespace('calls')).replace('{ value: acme }', '{ field: owner }');
  const chats = callsPolicy('chats', world.namespace('chats')).replace('{ value: acme }', '{ field: owner }');
  world.writePolicy('calls', calls);
  world.writePolicy('chats', chats);
  expect((await world.moraine('policy', 'publish', 'calls', '--yes')).exitCode).toBe(0);
}, 120_000);
afterAll(async () => {
  await world.close();
  await mail.close();
  await hook.close();
});

const SENT = z.object({
  found: z.number(),
  sent: z.array(z.object({ owner: z.string(), way: z.string(), kind: z.string() })),
  failed: z.array(z.object({ owner: z.string(), way: z.string(), code: z.string(), nextTryAt: z.string().nullable() })),
});

async function send(...args: readonly string[]) {
  const { json, exitCode } = await world.moraine('notify', 'send', '--json', ...args);
  return { ...SENT.parse(json), exitCode };
}

test('what is in force is told to each owner by its ways, once; a second policy is told to both', async () => {
  const first = await send();
  expect(first.exitCode).toBe(0);
  expect(first.sent.map(({ owner, way }) => `${owner} ${way}`).sort()).toEqual(['acme mail', 'zeta hook']);
  expect(await send()).toEqual({ exitCode: 0, found: 0, sent: [], failed: [] });
  const [one, ...more] = mail.mails.splice(0);
  expect(more).toEqual([]);
  expect(one?.to).toEqual(['owner@acme.example']);
  expect(one?.mail.text).toContain('Policy **calls** is new');
  expect(hook.requests.splice(0).map(({ body }) => JSON.parse(body).owner)).toEqual(['zeta']);

  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  expect((await send()).sent).toHaveLength(2);
  expect(mail.mails.splice(0)[0]?.mail.text).toContain('Policy **chats** is new');
  hook.requests.length = 0;
}, 120_000);

test('a webhook that is away: exit code 1, tried again later; one that refuses: 3, seen by check, and sent again by a person', async () => {
  world.writePolicy('chats', readPolicy('chats').replace('active: 1 year', 'active: 1 year 1 day'));
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  hook.status = 503;
  const away = await send();
  expect(away).toMatchObject({ exitCode: 1, sent: [{ owner: 'acme' }], failed: [{ code: 'NOTICE_UNAVAILABLE' }] });
  world.writePolicy('chats', readPolicy('chats').replace('active: 1 year 1 day', 'active: 1 year'));
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  hook.status = 410;
  expect(await send()).toMatchObject({ exitCode: 3, failed: [{ code: 'NOTICE_REFUSED', nextTryAt: null }] });
  const check = await world.moraine('check', '--json');
  expect(check.stdout).toContain('NOTICE_UNDELIVERED');
  expect((await world.moraine('status')).stdout).toContain('1 notification to owners could not be delivered');
  hook.status = 200;
  hook.requests.length = 0;
  expect((await send('--again')).sent).toMatchObject([{ owner: 'zeta', way: 'hook' }]);
  const list = await world.moraine('notify', 'list', '--json');
  const states = z
    .array(z.object({ owner: z.string(), state: z.string(), messageId: z.string().nullable() }))
    .parse(list.json);
  expect(states.filter(({ state }) => state !== 'sent')).toMatchObject([{ owner: 'zeta', state: 'due' }]);
  expect((await world.moraine('notify', 'list', '--owner', 'acme')).stdout).toMatch(/acme .*mail .*sent/);
  mail.mails.length = 0;
}, 180_000);

const readPolicy = (name: string) => readFileSync(join(world.folder, 'policies', `${name}.yaml`), 'utf8');

test('a notice for each owner and customer, from the ledger: a file that was changed and not published says nothing', async () => {
  world.writePolicy('chats', readPolicy('chats').replace('active: 1 year', 'active: 9 years'));
  const { stdout, exitCode } = await world.moraine('policy', 'notice', '--owner', 'acme', '--customer', 'north');
  expect(exitCode).toBe(0);
  for (const text of ['1 year', '3 years', 'alice', 'Glacier vault', 'eu-west-1', world.namespace('calls')])
    expect(stdout).toContain(text);
  expect(stdout).not.toContain('9 years');
  expect(stdout).not.toContain('zeta');
  world.writePolicy('chats', readPolicy('chats').replace('active: 9 years', 'active: 1 year'));

  const out = join(world.folder, 'notices');
  const all = await world.moraine('policy', 'notice', '--format', 'html', '--out', out, '--json');
  expect(all.exitCode).toBe(0);
  expect(readdirSync(out, { recursive: true }).map(String).sort()).toEqual([
    'acme',
    'acme/%2E.%2F%3Cb%3E&.html',
    'acme/north.html',
    'zeta',
    'zeta/west.html',
  ]);
  const nasty = readFileSync(join(out, 'acme', '%2E.%2F%3Cb%3E&.html'), 'utf8');
  expect(nasty).toContain('<strong>../&#x3C;b>&#x26;</strong>');
  expect(nasty).not.toContain('<b>');
}, 120_000);

test('placement: an owner that requires a region is refused where something lies elsewhere; other owners go on', async () => {
  world.configure({ owners: both(', region: eu-central-1'), region: 'eu-west-1', more: ways(hook.url) });
  const check = await world.moraine('check', '--json');
  expect(check.exitCode).toBe(3);
  expect(check.stdout).toContain('PLACEMENT_REFUSED');
  const refused = await world.moraine('run', ...RUN_AT);
  expect(refused.exitCode).toBe(3);
  expect(refused.json).toMatchObject({
    policies: [
      { policy: 'calls', totals: { archived: 0 }, problems: [{ owner: 'acme', code: 'PLACEMENT_REFUSED' }] },
      { policy: 'chats', totals: { archived: 1, deleted: 1 } },
    ],
  });
  expect(await world.collection('chats').countDocuments({ owner: 'zeta' })).toBe(0);
  expect(await world.collection('chats').countDocuments({ owner: 'acme' })).toBe(2);
  // Not declared is not inside.
  world.configure({ owners: both(', region: eu-west-1'), more: ways(hook.url) });
  expect((await world.moraine('run', ...RUN_AT)).stdout).toContain('PLACEMENT_REFUSED');

  world.configure({ owners: both(', region: eu-west-1'), region: 'eu-west-1', more: ways(hook.url) });
  const allowed = await world.moraine('run', ...RUN_AT);
  expect(allowed.json).toMatchObject({ policies: [{ totals: { archived: 2 } }, { totals: { archived: 2 } }] });
  const notice = await world.moraine('policy', 'notice', '--owner', 'acme', '--customer', 'north');
  expect(notice.stdout).toContain('requires that its data stays in eu-west-1');
  expect(notice.stdout).toMatch(/2 records in 1 archive, to be destroyed/);
}, 180_000);

test('a large purge is foretold, once, to its owner alone; the audit chain says who was told what', async () => {
  const { json } = await world.moraine('notify', 'send', ...BEFORE_PURGE);
  expect(SENT.parse(json).sent).toMatchObject([{ owner: 'acme', way: 'mail', kind: 'purge' }]);
  const [foretold, ...more] = mail.mails.splice(0);
  expect(more).toEqual([]);
  expect(foretold?.mail.subject).toContain('4 archived records will be destroyed');
  expect(SENT.parse((await world.moraine('notify', 'send', ...BEFORE_PURGE)).json).found).toBe(0);

  const audit = await world.moraine('audit', 'show', '--limit', '2', '--json');
  expect(audit.json).toMatchObject([
    { act: 'notify', phase: 'outcome', subject: { owner: 'acme' }, details: { way: 'mail', to: 'owner@acme.example' } },
    { act: 'notify', phase: 'intent', details: { news: 'purge', records: 4 } },
  ]);
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
}, 120_000);

test('the daemon tells by itself', async () => {
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  world.writePolicy('chats', readPolicy('chats').replace('active: 1 year', 'active: 2 years'));
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  const daemon = world.start('worker', '--no-console');
  try {
    await putNotifyJob();
    await until('the owner is told', async () => mail.mails.length > 0);
    expect(mail.mails.splice(0)[0]?.mail.text).toContain('Policy **chats** has changed');
  } finally {
    daemon.kill('SIGTERM');
    await daemon;
  }
}, 120_000);

/** What the schedule does every five minutes. */
async function putNotifyJob(): Promise<void> {
  const installation = await world.client.db(`${names.database}_ledger`).collection('installation').findOne();
  const connection = new Redis(stackUrls().redis, { maxRetriesPerRequest: null });
  const queue = new Queue('notify', { connection, prefix: queuePrefix(String(installation?.['id'])) });
  await queue.add('notify', { by: 'test' }, { jobId: 'notify' });
  await queue.close();
  connection.disconnect();
}
