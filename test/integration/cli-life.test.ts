/** One archive's life through the real command line: published, run, retrieved, restored, purged, confirmed, certified. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON, type Document } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
let archive = '';

const POLICY = (changes: { active?: string; verify?: string } = {}) => `
policy: chats
zone: UTC
dataset: { collection: ${world.namespace('chats')}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: createdAt }
active: ${changes.active ?? '2 years'}
then: archive
archive: { for: 7 years, vault: cold, verify: ${changes.verify ?? 'checksum'} }
limits: { records: 1000, share: 1.0 }
`;

const CHATS: readonly Document[] = [
  { _id: 'chat-1', owner: 'acme', tenant: 'north', createdAt: new Date('2020-02-29T10:00:00Z'), text: 'hello' },
  { _id: 'chat-2', owner: 'acme', tenant: 'north', createdAt: new Date('2020-03-01T10:00:00Z'), n: 1.5 },
  { _id: 'chat-3', owner: 'acme', tenant: 'north', createdAt: new Date('2024-05-01T10:00:00Z'), text: 'young' },
  { _id: 'chat-4', owner: 'acme', tenant: 'north', text: 'without a date' },
];

const RUN_AS_OF = ['--as-of', '2024-06-01'];
const PURGE_AS_OF = ['--as-of', '2029-06-01'];

beforeAll(async () => {
  world = await openCliWorld(names);
  await world.collection('chats').insertMany([...CHATS] as never[]);
  world.writePolicy('chats', POLICY());
});
afterAll(async () => {
  await world.close();
});

async function stored(): Promise<readonly string[]> {
  const ids = await world
    .collection('chats')
    .find()
    .map(({ _id }) => String(_id))
    .toArray();
  return ids.sort();
}

test('plan and check without the index: exit 2, the createIndex is printed, other policies would still be shown', async () => {
  const plan = await world.moraine('plan', '--json', ...RUN_AS_OF);
  expect(plan.exitCode).toBe(2);
  expect(plan.json).toMatchObject({
    policies: [{ policy: 'chats', partitions: [], error: { code: 'INDEX_MISSING' } }],
  });
  const check = await world.moraine('check');
  expect(check.exitCode).toBe(2);
  expect(check.stdout).toContain('createIndex({ "owner": 1, "tenant": 1, "createdAt": 1, "_id": 1 })');
  await world.collection('chats').createIndex({ owner: 1, tenant: 1, createdAt: 1, _id: 1 });
  const mended = await world.moraine('check');
  expect(mended.stdout).toMatch(/is walked by owner_1_tenant_1_createdAt_1__id_1 \(explain: .+\); 4 documents/);
  expect(mended.exitCode).toBe(0);
});

test('plan: JSON of the design, and nothing is changed', async () => {
  const { exitCode, json } = await world.moraine('plan', '--json', ...RUN_AS_OF);
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({
    asOf: '2024-06-01T00:00:00.000Z',
    policies: [
      {
        policy: 'chats',
        version: expect.stringMatching(/^[0-9a-f]{64}$/),
        inForce: null,
        partitions: [
          {
            owner: 'acme',
            customer: 'north',
            dataset: world.namespace('chats'),
            due: 2,
            bytes: expect.any(Number),
            oldest: '2022-02-28T10:00:00.000Z',
            held: 0,
            reasons: expect.any(Array),
          },
        ],
        totals: { due: 2, unfit: 1 },
      },
    ],
  });
  expect(await stored()).toEqual(['chat-1', 'chat-2', 'chat-3', 'chat-4']);
  expect((await world.moraine('archives', '--json', '--all')).json).toEqual([]);
  expect((await world.moraine('audit', 'show', '--json')).json).toEqual([]);
});

test('run before anything is published: exit 2, nothing is started', async () => {
  const { exitCode, json } = await world.moraine('run', 'chats', '--json', ...RUN_AS_OF);
  expect(exitCode).toBe(2);
  expect(json).toMatchObject({
    error: { code: 'POLICY_NOT_PUBLISHED', hint: expect.stringContaining('policy publish') },
  });
  expect((await world.moraine('run', 'nothing', '--json')).json).toMatchObject({ error: { code: 'POLICY_UNKNOWN' } });
});

test('policy publish: not without confirmation; then once; the same again is unchanged', async () => {
  const unconfirmed = await world.moraine('policy', 'publish', '--json', ...RUN_AS_OF);
  expect(unconfirmed.exitCode).toBe(3);
  expect(unconfirmed.json).toMatchObject({ error: { code: 'CONFIRMATION_NEEDED', changed: 'Nothing was changed.' } });
  expect((await world.moraine('policy', 'list', '--json')).json).toMatchObject([{ state: 'not published' }]);
  const first = await world.moraine('policy', 'publish', '--yes', '--json', ...RUN_AS_OF);
  expect(first).toMatchObject({ exitCode: 0 });
  expect(first.json).toMatchObject({ policies: [{ policy: 'chats', outcome: 'published', previous: null, due: 2 }] });
  const again = await world.moraine('policy', 'publish', '--json');
  expect(again.exitCode).toBe(0);
  expect(again.json).toMatchObject({ policies: [{ outcome: 'unchanged' }] });
  expect((await world.moraine('policy', 'show', 'chats', '--json')).json).toMatchObject({
    name: 'chats',
    history: [{}],
  });
});

test('run: archives and deletes; a new quarantined record makes it 3, a known one does not', async () => {
  const first = await world.moraine('run', '--flush', '--json', ...RUN_AS_OF);
  expect(first.json).toMatchObject({
    policies: [
      {
        policy: 'chats',
        archives: [{ owner: 'acme', customer: 'north', state: 'cleared', records: 2, bytes: expect.any(Number) }],
        totals: {
          selected: 2,
          unfit: 1,
          archived: 2,
          deleted: 2,
          changed: 0,
          held: 0,
          gone: 0,
          quarantined: 1,
          pending: 0,
        },
      },
    ],
  });
  expect(first.exitCode).toBe(3);
  expect(await stored()).toEqual(['chat-3', 'chat-4']);
  const second = await world.moraine('run', '--flush', '--json', ...RUN_AS_OF);
  expect(second.exitCode).toBe(0);
  const listed = (await world.moraine('archives', '--json')).json;
  expect(listed).toMatchObject([{ policy: 'chats', dueAt: '2029-03-01T10:00:00.000Z', treeHash: expect.any(String) }]);
  archive = Array.isArray(listed) ? String(listed[0].id) : '';
  const quarantine = await world.moraine('quarantine', 'list', '--json');
  expect(quarantine.json).toMatchObject([{ record: 'chat-4', reason: 'trigger-unusable', timesSeen: 2 }]);
});

test('run says when the files differ from what is in force, and uses what is in force', async () => {
  world.writePolicy('chats', POLICY({ active: '1 day' }));
  const { json, exitCode } = await world.moraine('run', '--json', '--flush', ...RUN_AS_OF);
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({ notes: [expect.stringContaining('differs from what is in force')] });
  expect(await stored()).toEqual(['chat-3', 'chat-4']);
  world.writePolicy('chats', POLICY());
});

test('archive, explain, status: where things are', async () => {
  const { json } = await world.moraine('archive', archive, '--json');
  expect(json).toMatchObject({ id: archive, state: 'cleared', outcomes: { archived: 2, deleted: 2 }, void: {} });
  expect(JSON.stringify(json)).not.toContain('chat-1');
  const gone = await world.moraine('explain', world.namespace('chats'), 'chat-1', '--json', ...RUN_AS_OF);
  expect(gone.json).toMatchObject({ source: null, archives: [{ archive, segments: [0], copy: 'good' }] });
  const there = await world.moraine('explain', world.namespace('chats'), 'chat-3', '--json', ...RUN_AS_OF);
  expect(there.json).toMatchObject({
    source: { decision: 'not-due', dueAt: '2026-05-01T10:00:00.000Z', owner: 'acme' },
    archives: [],
    quarantine: null,
  });
  const unfit = await world.moraine('explain', world.namespace('chats'), 'chat-4', '--json', ...RUN_AS_OF);
  expect(unfit.json).toMatchObject({ source: { decision: 'unfit' }, quarantine: { reason: 'trigger-unusable' } });
  const status = await world.moraine('status', '--json', ...RUN_AS_OF);
  expect(status.json).toMatchObject({
    archives: { cleared: 1, stored: 0 },
    overdue: { oldest: null, archives: { count: 0 } },
    quarantined: { records: 1, archives: 0 },
    holds: 0,
  });
  expect((await world.moraine('archive', 'nothing')).exitCode).toBe(2);
});

test('restore before a retrieval: exit 1 with a hint; the cost is said before the vault is asked', async () => {
  const early = await world.moraine('restore', archive, '--identity', 'alice.key', '--out', 'early', '--json');
  expect(early.exitCode).toBe(1);
  expect(early.json).toMatchObject({ error: { code: 'RETRIEVAL_NEEDED' } });
  const asked = await world.moraine('retrieve', archive, '--identity', world.identity);
  expect(asked.exitCode).toBe(3);
  expect(asked.stdout).toContain('by standard retrieval: about $');
  const retrieved = await world.moraine('retrieve', archive, '--identity', world.identity, '--yes', '--json');
  expect(retrieved.exitCode).toBe(0);
  expect(retrieved.json).toMatchObject({ archive, state: 'requested', asked: true, estimate: { tier: 'standard' } });
  expect(
    (await world.moraine('retrieve', archive, '--identity', world.identity, '--yes', '--json')).json,
  ).toMatchObject({ asked: false });
  expect((await world.moraine('retrieve', 'list', '--json')).json).toMatchObject({
    orders: [{ state: 'open', archives: 1 }],
    retrievals: [{ archive, state: 'requested' }],
  });
  const notReady = await world.moraine('restore', archive, '--identity', 'alice.key', '--out', 'early', '--json');
  expect(notReady.exitCode).toBe(1);
  expect(notReady.json).toMatchObject({
    error: { code: 'RETRIEVAL_NOT_READY', class: 'later', retryAt: expect.any(String) },
  });
  expect(existsSync(join(world.folder, 'early'))).toBe(false);
  await world.emulator.advance('PT6H');
});

test('restore with a wrong, truncated or missing identity: refused with the reason, nothing is left', async () => {
  const wrong = await world.moraine('restore', archive, '--identity', 'bob.key', '--out', 'wrong', '--json');
  expect(wrong.exitCode).toBe(1);
  expect(wrong.json).toMatchObject({ error: { code: 'IDENTITY_WRONG', hint: expect.stringContaining('alice') } });
  const key = readFileSync(world.identity, 'utf8');
  writeFileSync(join(world.folder, 'cut.key'), key.slice(0, -20));
  const cut = await world.moraine('restore', archive, '--identity', 'cut.key', '--out', 'wrong', '--json');
  expect(cut.json).toMatchObject({ error: { code: 'IDENTITY_WRONG' } });
  expect(cut.stdout + cut.stderr).not.toContain(key.split('\n')[2]?.slice(0, 40));
  const missing = await world.moraine('restore', archive, '--identity', 'no.key', '--out', 'wrong', '--json');
  expect(missing.json).toMatchObject({ error: { code: 'IDENTITY_WRONG' } });
  expect(existsSync(join(world.folder, 'wrong'))).toBe(false);
});

test('restore into a folder as mongodump lays it out, byte for byte; a folder with files is refused', async () => {
  writeFileSync(join(world.folder, 'taken'), '');
  const taken = await world.moraine('restore', archive, '--identity', 'alice.key', '--out', '.', '--json');
  expect(taken.exitCode).toBe(2);
  expect(taken.json).toMatchObject({ error: { code: 'RESTORE_TARGET_NOT_EMPTY' } });
  const { exitCode, json } = await world.moraine(
    'restore',
    archive,
    '--identity',
    'alice.key',
    '--out',
    'out',
    '--json',
  );
  expect(json).toMatchObject({ archive, records: 2, inserted: 2, void: 0 });
  expect(exitCode).toBe(0);
  const file = join(world.folder, 'out', `${names.database}_data`, 'chats.bson');
  const [first, second] = CHATS;
  expect(readFileSync(file)).toEqual(Buffer.concat([BSON.serialize(first ?? {}), BSON.serialize(second ?? {})]));
});

test('restore into MongoDB: inserts what is missing, never overwrites, and exempts what it inserted', async () => {
  expect((await world.moraine('retrieve', archive, '--identity', world.identity, '--yes')).exitCode).toBe(0);
  await world.emulator.advance('PT6H');
  await world.collection('chats').insertOne({ _id: 'chat-2', other: true } as never);
  const into = world.client.options.hosts[0];
  const url = `mongodb://${into}/?directConnection=true`;
  const both = await world.moraine(
    'restore',
    archive,
    '--identity',
    'alice.key',
    '--out',
    'x',
    '--into',
    url,
    '--json',
  );
  expect(both.exitCode).toBe(2);
  const args = ['restore', archive, '--identity', 'alice.key', '--into', url, '--exempt-until', '2024-07-01', '--json'];
  const { exitCode, json } = await world.moraine(...args, ...RUN_AS_OF);
  expect(json).toMatchObject({ inserted: 1, existing: 1, exemptUntil: '2024-07-01T00:00:00.000Z' });
  expect(exitCode).toBe(0);
  expect(await world.collection('chats').findOne({ _id: 'chat-2' } as never)).toEqual({ _id: 'chat-2', other: true });
  const run = await world.moraine('run', '--flush', '--json', ...RUN_AS_OF);
  expect(run.json).toMatchObject({ policies: [{ totals: { selected: 0 } }] });
  const explained = await world.moraine('explain', world.namespace('chats'), 'chat-1', '--json', ...RUN_AS_OF);
  expect(explained.json).toMatchObject({ source: { decision: 'exempt' } });
  await world.collection('chats').deleteMany({ _id: { $in: ['chat-1', 'chat-2'] } } as never);
});

test('purge: nothing early; not without confirmation; then gone, confirmed, certified, and the chain holds', async () => {
  const early = await world.moraine('purge', '--yes', '--json', '--as-of', '2029-03-01T09:59:59Z');
  expect(early).toMatchObject({ exitCode: 0 });
  expect(early.json).toMatchObject({ purged: [], held: [], failed: [] });
  const unconfirmed = await world.moraine('purge', '--json', ...PURGE_AS_OF);
  expect(unconfirmed.exitCode).toBe(3);
  const status = await world.moraine('status', '--json', ...PURGE_AS_OF);
  expect(status.json).toMatchObject({ overdue: { oldest: expect.any(String), archives: { count: 1 } } });
  const purged = await world.moraine('purge', '--yes', '--json', ...PURGE_AS_OF);
  expect(purged.json).toMatchObject({ asOf: '2029-06-01T00:00:00.000Z', purged: [archive], held: [], failed: [] });
  expect(purged.exitCode).toBe(0);
  expect(
    (await world.moraine('retrieve', archive, '--identity', world.identity, '--yes', '--json')).json,
  ).toMatchObject({
    error: { code: 'ARCHIVE_NOT_RETRIEVABLE' },
  });
  for (let day = 0; day < 6; day++) {
    const { json, exitCode } = await world.moraine('reconcile', '--json', ...PURGE_AS_OF);
    expect(exitCode).toBe(0);
    if (JSON.stringify(json).includes(`"confirmed":["${archive}"]`)) break;
    await world.emulator.advance('P1D');
  }
  expect((await world.moraine('archive', archive, '--json')).json).toMatchObject({ state: 'confirmed' });
  expect((await world.moraine('certificate', 'list', '--json')).json).toMatchObject([{ id: archive, archive }]);
  const shown = await world.moraine('certificate', 'show', archive, '--json');
  expect(shown.json).toMatchObject({ certificate: { note: expect.stringContaining('sandbox') } });
  expect(await world.moraine('certificate', 'verify', '--json')).toMatchObject({ exitCode: 0 });
  const audit = await world.moraine('audit', 'verify', '--json');
  expect(audit.exitCode).toBe(0);
  expect(audit.json).toEqual({ entries: expect.any(Number), ok: true, firstBad: null, reason: null });
});

test('a forged certificate and a changed audit entry are found: exit 1 and 3', async () => {
  const ledger = world.client.db(`${names.database}_ledger`);
  const certificate = await ledger.collection('certificates').findOne({});
  const body = String(certificate?.['body']);
  await ledger.collection('certificates').updateOne({}, { $set: { body: body.replace('"acme"', '"evil"') } });
  const forged = await world.moraine('certificate', 'verify', '--json');
  expect(forged.exitCode).toBe(1);
  expect(forged.json).toMatchObject({ ok: false, problems: [{ id: archive, code: 'CERTIFICATE_INVALID' }] });
  await ledger.collection('certificates').updateOne({}, { $set: { body } });
  await ledger.collection('audit').updateOne({ 'entries.seq': 3 }, { $set: { 'entries.$.actor': 'nobody' } });
  const audit = await world.moraine('audit', 'verify', '--json');
  expect(audit.exitCode).toBe(3);
  expect(audit.json).toMatchObject({ ok: false, firstBad: 3, reason: 'changed' });
  expect((await world.moraine('certificate', 'verify')).exitCode).toBe(3);
});

test('administrator new: mode 0600, never overwritten, its recipient printed', async () => {
  const made = await world.moraine('administrator', 'new', 'carol.key', '--no-passphrase', '--json');
  expect(made.json).toMatchObject({ file: 'carol.key', recipient: expect.stringMatching(/^age1/), passphrase: false });
  const again = await world.moraine('administrator', 'new', 'carol.key', '--no-passphrase', '--json');
  expect(again.exitCode).toBe(2);
  const before = readFileSync(join(world.folder, 'carol.key'), 'utf8');
  expect(readFileSync(join(world.folder, 'carol.key'), 'utf8')).toBe(before);
  chmodSync(join(world.folder, 'carol.key'), 0o600);
  const stranger = await world.moraine('administrator', 'prove', '--identity', 'carol.key', '--json');
  expect(stranger.json).toMatchObject({ error: { code: 'IDENTITY_WRONG' } });
  const proven = await world.moraine('administrator', 'prove', '--identity', 'alice.key', '--json');
  expect(proven.json).toMatchObject({ repeated: false });
  expect(proven.exitCode).toBe(0);
});
