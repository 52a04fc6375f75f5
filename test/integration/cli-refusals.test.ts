/** What the real command line refuses, and how it says so: file and line, exit code, what was changed. */
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;

function policy(
  changes: { name?: string; collection?: string; lines?: readonly string[]; limits?: string } = {},
): string {
  const { name = 'calls', collection = 'calls', lines = [], limits = '{ records: 1000, share: 1.0 }' } = changes;
  return [
    `policy: ${name}`,
    'zone: UTC',
    `dataset: { collection: ${world.namespace(collection)}, owner: { value: acme }, customer: { field: tenant } }`,
    'trigger: { field: at }',
    'active: 1 year',
    'then: archive',
    'archive: { for: 1 year, vault: cold, verify: checksum, maxWait: 1 day }',
    `limits: ${limits}`,
    ...lines,
    '',
  ].join('\n');
}

beforeAll(async () => {
  world = await openCliWorld(names);
  await world.collection('calls').createIndex({ tenant: 1, at: 1, _id: 1 });
  await world.collection('calls').insertMany(
    Array.from({ length: 20 }, (_, n) => ({
      _id: n,
      tenant: 'south',
      at: new Date(Date.UTC(2020, 0, 1 + n)),
    })) as never[],
  );
});
beforeEach(() => {
  for (const name of ['calls', 'broken', 'unindexed'])
    rmSync(join(world.folder, 'policies', `${name}.yaml`), { force: true });
  world.configure({});
  world.writePolicy('calls', policy());
});
afterAll(async () => {
  await world.close();
});

const COUNT = async () => await world.collection('calls').countDocuments();

test('an unknown option or command: exit 2 in our own form, as text and as JSON', async () => {
  const text = await world.moraine('plan', '--flsh');
  expect(text.exitCode).toBe(2);
  expect(text.stdout).toBe('');
  expect(text.stderr).toContain("✗ Unknown option '--flsh'");
  expect(text.stderr).toContain('Code:    USAGE');
  const json = await world.moraine('nonsense', '--json');
  expect(json.exitCode).toBe(2);
  expect(json.json).toEqual({
    error: {
      code: 'USAGE',
      class: 'usage',
      message: expect.stringContaining('nonsense'),
      changed: 'Nothing was changed.',
      hint: expect.any(String),
      retryAt: null,
      ids: {},
    },
  });
  expect((await world.moraine('plan', '--as-of', '2024-02-30')).exitCode).toBe(2);
  expect((await world.moraine('archives', '--state', 'lost')).exitCode).toBe(2);
});

test('a wrong policy: file, line, field and what was expected; nothing is started, the right policies wait too', async () => {
  world.writePolicy('broken', policy({ name: 'broken', collection: 'other', lines: ['grase: 7 days'] }));
  for (const command of ['plan', 'run', 'check'] as const) {
    const { exitCode, stdout, stderr } = await world.moraine(command);
    expect(exitCode).toBe(2);
    expect(stdout + stderr).toMatch(/policies\/broken\.yaml:9: grase: expected one of .*grace/);
  }
  const { json } = await world.moraine('plan', '--json');
  expect(json).toMatchObject({
    error: { code: 'POLICY_INVALID', ids: { file: 'policies/broken.yaml', line: 9, field: 'grase' } },
  });
  expect(await COUNT()).toBe(20);
});

test('a policy with a vault or owner that moraine.yaml lacks: the line says so', async () => {
  world.writePolicy('calls', policy().replace('vault: cold', 'vault: warm').replace('value: acme', 'value: evil'));
  const { exitCode, stderr } = await world.moraine('plan');
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/calls\.yaml:7: archive\.vault: expected a vault of moraine\.yaml: cold, found "warm"/);
  expect(stderr).toMatch(/calls\.yaml:3: dataset\.owner\.value: expected an owner of moraine\.yaml, found "evil"/);
});

test('a configuration that is missing or wrong: exit 2 with the line', async () => {
  expect((await world.moraine('plan', '--config', 'nowhere.yaml', '--json')).json).toMatchObject({
    error: { code: 'CONFIG_INVALID', hint: expect.stringContaining('moraine init') },
  });
  world.configure({ environment: 'playground' });
  const { exitCode, stderr } = await world.moraine('status');
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/moraine\.yaml:1: environment: expected/);
});

test('one policy without its index: exit 2, the other is planned all the same', async () => {
  await world.collection('unindexed').insertOne({ tenant: 'south', at: new Date() });
  world.writePolicy('unindexed', policy({ name: 'unindexed', collection: 'unindexed' }));
  const { exitCode, json } = await world.moraine('plan', '--json');
  expect(exitCode).toBe(2);
  expect(json).toMatchObject({
    policies: [
      { policy: 'calls', totals: { due: 0, expired: 20 } },
      { policy: 'unindexed', error: { code: 'INDEX_MISSING', hint: expect.stringContaining('createIndex') } },
    ],
  });
});

test('MongoDB away, and a server that never answers: a clear message within seconds, exit 1', async () => {
  world.configure({ mongodb: 'mongodb://127.0.0.1:9/?directConnection=true' });
  const startedAt = performance.now();
  const { exitCode, json } = await world.moraine('plan', '--json');
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  expect(exitCode).toBe(1);
  expect(json).toMatchObject({
    error: { code: 'MONGODB_UNAVAILABLE', class: 'retry', changed: 'Nothing was changed.' },
  });
  const silent = createServer(() => undefined);
  await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening));
  const address = silent.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  world.configure({ mongodb: `mongodb://user:secret@127.0.0.1:${port}/?directConnection=true` });
  const hung = await world.moraine('check');
  silent.close();
  expect(hung.exitCode).toBe(1);
  expect(hung.stdout).toContain('✗ mongodb');
  expect(hung.stdout + hung.stderr).not.toContain('secret');
}, 60_000);

test('--as-of outside a sandbox, and with --queue: exit 2 before anything is connected to', async () => {
  world.configure({ environment: 'non-production', mongodb: 'mongodb://127.0.0.1:9/?directConnection=true' });
  const outside = await world.moraine('plan', '--as-of', '2030-01-01', '--json');
  expect(outside.exitCode).toBe(2);
  expect(outside.json).toMatchObject({ error: { code: 'AS_OF_REFUSED' } });
  world.configure({});
  const queued = await world.moraine('run', '--queue', '--as-of', '2030-01-01', '--json');
  expect(queued.exitCode).toBe(2);
  expect(queued.json).toMatchObject({ error: { code: 'AS_OF_REFUSED' } });
});

test('a ledger of another environment: exit 2, also in check', async () => {
  expect((await world.moraine('status')).exitCode).toBe(0);
  world.configure({ environment: 'non-production' });
  const { exitCode, json } = await world.moraine('status', '--json');
  expect(exitCode).toBe(2);
  expect(json).toMatchObject({ error: { code: 'ENVIRONMENT_MISMATCH' } });
  expect((await world.moraine('check')).exitCode).toBe(2);
});

test('a blast cap: exit 3, nothing is taken; raised and published, the same run goes through', async () => {
  world.writePolicy('calls', policy({ limits: '{ records: 1000, share: 0.5 }' }));
  const asOf = ['--as-of', '2021-01-15'];
  expect((await world.moraine('policy', 'publish', '--yes', ...asOf)).exitCode).toBe(0);
  const capped = await world.moraine('run', '--flush', '--json', ...asOf);
  expect(capped.exitCode).toBe(3);
  expect(capped.json).toMatchObject({
    policies: [
      { archives: [], totals: { archived: 0, deleted: 0 }, problems: [{ code: 'BLAST_CAP', needsPerson: true }] },
    ],
  });
  expect(await COUNT()).toBe(20);
  world.writePolicy('calls', policy());
  expect((await world.moraine('policy', 'publish', '--yes', ...asOf)).exitCode).toBe(0);
  const run = await world.moraine('run', '--flush', '--json', ...asOf);
  expect(run).toMatchObject({ exitCode: 0 });
  expect(run.json).toMatchObject({ policies: [{ totals: { deleted: 15 } }] });
  expect(await COUNT()).toBe(5);
});

test('a cap on a purge: exit 3, the archive stays; --yes does not override it', async () => {
  const asOf = ['--as-of', '2026-01-01'];
  world.writePolicy('calls', policy({ limits: '{ records: 10, share: 1.0 }' }));
  expect((await world.moraine('policy', 'publish', '--yes', ...asOf)).exitCode).toBe(0);
  const purge = await world.moraine('purge', '--yes', '--json', ...asOf);
  expect(purge.exitCode).toBe(3);
  expect(purge.json).toMatchObject({ purged: [], capped: [{ policy: 'calls', archives: 1 }] });
  expect((await world.moraine('archives', '--json')).json).toMatchObject([{ state: 'cleared' }]);
});

test('expired records: run leaves them, --expired asks, and with --yes they go with a certificate', async () => {
  world.writePolicy('calls', policy());
  const asOf = ['--as-of', '2026-01-01'];
  expect((await world.moraine('policy', 'publish', '--yes', ...asOf)).exitCode).toBe(0);
  expect(await world.moraine('run', '--flush', ...asOf)).toMatchObject({ exitCode: 0 });
  expect(await COUNT()).toBe(5);
  expect((await world.moraine('run', '--expired', '--json', ...asOf)).json).toMatchObject({
    error: { code: 'CONFIRMATION_NEEDED' },
  });
  const run = await world.moraine('run', '--expired', '--yes', '--json', ...asOf);
  expect(run.exitCode).toBe(0);
  expect(run.json).toMatchObject({
    policies: [{ expired: [{ owner: 'acme', customer: 'south', outcomes: { deleted: 5 } }], totals: { deleted: 5 } }],
  });
  expect(await COUNT()).toBe(0);
  expect((await world.moraine('certificate', 'list', '--json')).json).toMatchObject([
    { what: 'expired records deleted' },
  ]);
});

test('an owner without an administrator: its records stay, exit 3 with the reason', async () => {
  await world.collection('calls').insertOne({ _id: 'late', tenant: 'south', at: new Date('2025-01-01') } as never);
  world.configure({ owners: '{ acme: { administrators: [] } }' });
  const { exitCode, json } = await world.moraine('run', '--flush', '--json', '--as-of', '2026-02-01');
  expect(exitCode).toBe(3);
  expect(json).toMatchObject({ policies: [{ problems: [{ code: 'OWNER_WITHOUT_ADMINISTRATOR', owner: 'acme' }] }] });
  expect(await COUNT()).toBe(1);
});

test('a long pause of the clock: asked in the foreground, accepted by check --yes; an alarm stops destructive work', async () => {
  const ledger = world.client.db(`${names.database}_ledger`);
  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
  await ledger.collection('installation').updateOne({}, { $set: { highWaterAt: twoDaysAgo }, $inc: { rev: 1 } });
  expect(await world.moraine('check')).toMatchObject({ exitCode: 3 });
  const stopped = await world.moraine('run', '--json', '--as-of', '2026-02-01');
  expect(stopped.exitCode).toBe(3);
  expect(stopped.json).toMatchObject({ error: { code: 'CONFIRMATION_NEEDED' } });
  expect(await world.moraine('check', '--yes')).toMatchObject({ exitCode: 0 });
  expect(await world.moraine('run', '--flush', '--as-of', '2026-02-01')).toMatchObject({ exitCode: 0 });
  expect(await COUNT()).toBe(0);
  await ledger.collection<{ _id: string }>('alarms').insertOne({
    _id: 'LEDGER_BEHIND_VAULT',
    v: 1,
    rev: 0,
    code: 'LEDGER_BEHIND_VAULT',
    text: 'The ledger seems to be a restored backup.',
    raisedAt: new Date(),
  } as never);
  expect((await world.moraine('run', '--json')).json).toMatchObject({ error: { code: 'LEDGER_BEHIND_VAULT' } });
  expect((await world.moraine('check')).exitCode).toBe(3);
  // To look is not to destroy: it is what the alarm asks for.
  const looked = await world.moraine('reconcile', '--json');
  expect(looked.exitCode).toBe(0);
  expect(looked.json).toMatchObject({ notes: [expect.stringContaining('restored backup')] });
  expect(await world.moraine('check', '--yes')).toMatchObject({ exitCode: 0 });
});

test('init: a sandbox to begin with, never overwritten; its configuration is understood', async () => {
  const first = await world.moraine('init', '--dir', 'begin', '--json');
  expect(first.exitCode).toBe(0);
  expect(first.json).toMatchObject({ config: 'begin/moraine.yaml', passphrase: false });
  expect(statSync(join(world.folder, 'begin/administrator.key')).mode & 0o777).toBe(0o600);
  const before = readFileSync(join(world.folder, 'begin/moraine.yaml'), 'utf8');
  const again = await world.moraine('init', '--dir', 'begin', '--json');
  expect(again.exitCode).toBe(2);
  expect(readFileSync(join(world.folder, 'begin/moraine.yaml'), 'utf8')).toBe(before);
  expect(existsSync(join(world.folder, 'begin/policies/chats.yaml'))).toBe(true);
  if (stackUrls().mongodb.startsWith('mongodb://127.0.0.1')) expect(before).toContain('environment: sandbox');
});

test('explain: what is no collection is told, not looked for', async () => {
  for (const wrong of ['calls', '.calls', 'calls.']) {
    const { exitCode, json } = await world.moraine('explain', wrong, '1', '--json');
    expect([wrong, exitCode]).toEqual([wrong, 2]);
    expect(json).toMatchObject({ error: { code: 'USAGE', message: expect.stringContaining('database.collection') } });
  }
});
