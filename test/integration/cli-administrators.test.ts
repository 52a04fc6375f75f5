/** Identities through the real command line: passphrases from a file, proof, and handing an owner's keys to somebody new. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
let archive = '';
const AS_OF = ['--as-of', '2024-06-01'];

beforeAll(async () => {
  world = await openCliWorld(names);
  writeFileSync(join(world.folder, 'passphrase'), 'correct horse\n');
  writeFileSync(join(world.folder, 'wrong'), 'battery staple\n');
  await world.collection('calls').createIndex({ tenant: 1, at: 1, _id: 1 });
  await world.collection('calls').insertOne({ _id: 1, tenant: 'north', at: new Date('2022-01-01') } as never);
  world.writePolicy(
    'calls',
    `
policy: calls
zone: UTC
dataset: { collection: ${world.namespace('calls')}, owner: { value: acme }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 7 years, vault: cold, verify: checksum }
limits: { records: 10, share: 1.0 }
`,
  );
  expect(await world.moraine('policy', 'publish', '--yes', ...AS_OF)).toMatchObject({ exitCode: 0 });
  const { stdout } = await world.moraine('run', '--flush', '--json', ...AS_OF);
  archive = JSON.parse(stdout).policies[0].archives[0].id;
});
afterAll(async () => {
  await world.close();
});

/** Recipient of an identity file that the harness wrote in plain text. */
function recipientIn(file: string): string {
  return /public key: (\S+)/.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
}

test('new with a passphrase: mode 0600, not readable without it, no prompt where no terminal is', async () => {
  const unasked = await world.moraine('administrator', 'new', 'carol.key', '--json');
  expect(unasked.exitCode).toBe(2);
  expect(unasked.json).toMatchObject({ error: { code: 'USAGE', hint: 'Pass --passphrase-file FILE.' } });
  const made = await world.moraine('administrator', 'new', 'carol.key', '--passphrase-file', 'passphrase', '--json');
  expect(made.json).toMatchObject({ recipient: expect.stringMatching(/^age1/), passphrase: true });
  expect(made.exitCode).toBe(0);
  const file = join(world.folder, 'carol.key');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const text = readFileSync(file, 'utf8');
  expect(text).not.toContain('AGE-SECRET-KEY');
  expect((await world.moraine('administrator', 'new', 'carol.key', '--no-passphrase')).exitCode).toBe(2);
  expect(readFileSync(file, 'utf8')).toBe(text);
  const { recipient } = JSON.parse(made.stdout);
  world.configure({ owners: `{ acme: { administrators: [{ name: carol, recipient: ${recipient} }] } }` });
  const wrong = await world.moraine(
    'administrator',
    'prove',
    '--identity',
    'carol.key',
    '--passphrase-file',
    'wrong',
    '--json',
  );
  expect(wrong.exitCode).toBe(1);
  expect(wrong.json).toMatchObject({ error: { code: 'IDENTITY_WRONG' } });
  expect(wrong.stdout + wrong.stderr).not.toContain('battery');
  const right = ['--identity', 'carol.key', '--passphrase-file', 'passphrase'] as const;
  expect((await world.moraine('administrator', 'prove', ...right, '--json')).json).toMatchObject({ repeated: false });
  expect((await world.moraine('administrator', 'prove', ...right, '--json')).json).toMatchObject({ repeated: true });
  expect((await world.moraine('audit', 'show', '--limit', '1', '--json')).json).toMatchObject([
    { act: 'administrator prove', subject: { recipient } },
  ]);
}, 90_000);

test('rewrap: bob opens the archive only after alice has wrapped its key for him; an identity that opens nothing is told', async () => {
  const [alice, bob] = [recipientIn(world.identity), recipientIn(world.otherIdentity)];
  world.configure({
    owners: `{ acme: { administrators: [{ name: alice, recipient: ${alice} }, { name: bob, recipient: ${bob} }] } }`,
  });
  expect(await world.moraine('retrieve', archive, '--identity', world.identity, '--yes')).toMatchObject({
    exitCode: 0,
  });
  await world.emulator.advance('PT6H');
  const early = await world.moraine('restore', archive, '--identity', 'bob.key', '--out', 'out', '--json');
  expect(early.json).toMatchObject({ error: { code: 'IDENTITY_WRONG', hint: expect.stringContaining('alice') } });
  const before = await world.moraine('administrator', 'report');
  expect(before.exitCode).toBe(3);
  expect(before.stdout).toMatch(/alice age1\S+… opens 1 archive: 1 in \S+/);
  expect(before.stdout).toMatch(/bob age1\S+… opens nothing/);
  expect(before.stdout).toContain('1 archive not wrapped for exactly the present administrators');
  const byBob = await world.moraine('administrator', 'rewrap', '--identity', 'bob.key', '--owner', 'acme', '--json');
  expect(byBob.exitCode).toBe(3);
  expect(byBob.json).toMatchObject({ rewrapped: 0, unopened: 1 });
  const byAlice = await world.moraine(
    'administrator',
    'rewrap',
    '--identity',
    'alice.key',
    '--owner',
    'acme',
    '--json',
  );
  expect(byAlice.exitCode).toBe(0);
  expect(byAlice.json).toMatchObject({ looked: 1, rewrapped: 1, unopened: 0 });
  const after = await world.moraine('administrator', 'report', '--owner', 'acme', '--json');
  expect(after.exitCode).toBe(0);
  expect(after.json).toMatchObject({
    owners: [
      {
        owner: 'acme',
        archives: 1,
        toRewrap: 0,
        withoutRecovery: 1,
        openers: [
          { name: 'alice', archives: 1 },
          { name: 'bob', archives: 1 },
        ],
      },
    ],
    note: expect.stringContaining('does not undo copies'),
  });
  const restored = await world.moraine('restore', archive, '--identity', 'bob.key', '--out', 'out', '--json');
  expect(restored.json).toMatchObject({ records: 1, inserted: 1 });
  expect((await world.moraine('administrator', 'rewrap', '--identity', 'bob.key', '--owner', 'nobody')).exitCode).toBe(
    2,
  );
});

async function retrieved(): Promise<void> {
  expect(await world.moraine('retrieve', archive, '--identity', world.identity, '--yes')).toMatchObject({
    exitCode: 0,
  });
  await world.emulator.advance('PT6H');
}

test('another archive in its place: named, exit 1, nothing of it is restored', async () => {
  await world.collection('calls').insertOne({ _id: 2, tenant: 'north', at: new Date('2022-01-02') } as never);
  expect(await world.moraine('run', '--flush', ...AS_OF)).toMatchObject({ exitCode: 0 });
  const archives: { id: string; vaultArchiveId: string }[] = JSON.parse(
    (await world.moraine('archives', '--json')).stdout,
  );
  const mine = archives.find(({ id }) => id === archive)?.vaultArchiveId;
  const other = archives.find(({ id }) => id !== archive)?.vaultArchiveId;
  const ledger = world.client.db(`${names.database}_ledger`).collection<{ _id: string }>('archives');
  await ledger.updateOne({ _id: archive }, { $set: { 'stored.vaultArchiveId': other } });
  await retrieved();
  const { exitCode, json } = await world.moraine('restore', archive, '--identity', 'bob.key', '--out', 'bad', '--json');
  await ledger.updateOne({ _id: archive }, { $set: { 'stored.vaultArchiveId': mine } });
  expect(json).toMatchObject({ error: { code: 'ARCHIVE_CORRUPT', message: expect.stringContaining('manifest.json') } });
  expect(exitCode).toBe(1);
  expect(readdirSync(world.folder).filter((name) => name.startsWith('bad'))).toEqual([]);
});

test('one byte flipped in the vault: refused by its checksum, exit 1, nothing of it is restored', async () => {
  // The one of the swapped archive is still open and would be read.
  const [open] = JSON.parse((await world.moraine('retrieve', 'list', '--json')).stdout).retrievals;
  expect((await world.moraine('retrieve', 'cancel', open.id, '--json')).json).toMatchObject({ state: 'cancelled' });
  const [{ bytes }] = JSON.parse((await world.moraine('archives', '--json')).stdout);
  const files = readdirSync(world.emulator.state, { recursive: true, encoding: 'utf8' })
    .map((name) => join(world.emulator.state, name))
    .filter((name) => statSync(name).isFile() && statSync(name).size === bytes);
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const content = readFileSync(file);
    const at = content.indexOf('segments/') + 700;
    content[at] = (content[at] ?? 0) ^ 1;
    writeFileSync(file, content);
  }
  await retrieved();
  const { exitCode, json } = await world.moraine('restore', archive, '--identity', 'bob.key', '--out', 'bad', '--json');
  expect(exitCode).toBe(1);
  expect(json).toMatchObject({
    error: { code: 'VAULT_CHECKSUM', hint: expect.stringContaining('moraine retrieve cancel') },
  });
  expect(readdirSync(world.folder).filter((name) => name.startsWith('bad'))).toEqual([]);
});
