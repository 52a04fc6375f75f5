/**
 * `moraine migrate` from Glacier vaults to the S3 storage classes, through the real command line: killed again and again,
 * then restored from the new place, the old copies deleted by approval, and purged with a certificate that names both.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON } from 'bson';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const AS_OF = ['--as-of', '2024-06-01'];
const MOVE = ['migrate', '--from', 'cold', '--to', 'ice', '--throttle', '2', '--yes', '--json', ...AS_OF];
const CUSTOMERS = ['east', 'north', 'west'];
/** Of random letters: several megabytes in the vault, so that a kill meets a transfer. */
const NOTES = 8;
let world: CliWorld;

interface Shown {
  readonly id: string;
  readonly customer: string;
  readonly vault: string;
  readonly vaultArchiveId: string;
  readonly state: string;
  readonly bytes: number;
  readonly treeHash: string;
}

async function archives(): Promise<readonly Shown[]> {
  const shown: Shown[] = JSON.parse((await world.moraine('archives', '--json')).stdout);
  return shown.sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function states(): Promise<unknown> {
  return JSON.parse((await world.moraine('migrate', 'status', '--json')).stdout).states;
}

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({
    vaults: `  ice: { backend: s3, region: eu-west-1, endpoint: "${stackUrls().s3}", bucket: "${names.vaultPrefix}-{owner}", storageClass: DEEP_ARCHIVE, credentials: { accessKeyId: test, secretAccessKey: test } }`,
  });
  await world.collection('calls').createIndex({ tenant: 1, at: 1, _id: 1 });
  const note = () => Array.from({ length: 60_000 }, () => Math.random().toString(36).slice(2, 10)).join('');
  for (const tenant of CUSTOMERS) {
    for (let n = 0; n < NOTES; n++)
      await world
        .collection('calls')
        .insertOne({ _id: `${tenant}-${n}`, tenant, at: new Date('2022-01-01'), note: note() } as never);
  }
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
limits: { records: 100, share: 1.0 }
`,
  );
  expect(await world.moraine('policy', 'publish', '--yes', ...AS_OF)).toMatchObject({ exitCode: 0 });
  expect(await world.moraine('run', '--flush', ...AS_OF)).toMatchObject({ exitCode: 0 });
}, 90_000);
afterAll(async () => {
  await world.close();
});

test('cost and cap before it starts; nothing is asked of a vault without a yes', async () => {
  const unasked = await world.moraine('migrate', '--from', 'cold', '--to', 'ice', '--json', ...AS_OF);
  expect(unasked.json).toMatchObject({ error: { code: 'CONFIRMATION_NEEDED' } });
  const dear = await world.moraine(...MOVE, '--tier', 'expedited', '--max-cost', '0.01');
  expect(dear.exitCode).toBe(2);
  expect(dear.json).toMatchObject({ error: { code: 'USAGE', message: expect.stringContaining('--max-cost') } });
  const back = await world.moraine('migrate', '--from', 'ice', '--to', 'cold', '--json', ...AS_OF);
  expect(back.json).toMatchObject({ error: { code: 'USAGE' } });
  expect(await states()).toEqual({});
}, 60_000);

test('killed again and again: everything arrives, byte for byte, and the ledger names the new place', async () => {
  const before = await archives();
  expect(before).toHaveLength(CUSTOMERS.length);
  expect(before.every(({ bytes }) => bytes > 1_000_000)).toBe(true);
  const first = await world.moraine(...MOVE);
  expect(first.json).toMatchObject({
    plan: { archives: 3, bytes: before.reduce((sum, { bytes }) => sum + bytes, 0) },
    started: 3,
    states: { retrieving: 2, wanted: 1 },
  });
  await world.emulator.advance('PT13H');
  for (const afterMs of [500, 900, 1_100, 1_300, 1_600]) {
    const running = world.start(...MOVE);
    setTimeout(() => running.kill('SIGKILL'), afterMs);
    await running;
    await world.client
      .db(`${names.database}_ledger`)
      .collection('archives')
      // Whoever was killed held a lease for minutes.
      .updateMany({ lease: { $ne: null } }, { $set: { lease: null }, $inc: { rev: 1 } });
  }
  for (let look = 0; look < 3; look++) {
    expect(await world.moraine(...MOVE)).toMatchObject({ exitCode: 0 });
    await world.emulator.advance('PT13H');
  }
  expect(await states()).toEqual({ moved: 3 });
  const after = await archives();
  for (const [at, { id, bytes, treeHash, vaultArchiveId }] of before.entries()) {
    expect(after[at]).toMatchObject({ id, bytes, treeHash, state: 'cleared' });
    expect(after[at]?.vault).toContain(`${names.vaultPrefix}-acme`);
    expect(after[at]?.vaultArchiveId).not.toBe(vaultArchiveId);
  }
  // Neither missing nor strays, in both places.
  for (let look = 0; look < 2; look++) {
    const compared = await world.moraine('reconcile', '--all', '--json', ...AS_OF);
    expect(compared.json).toMatchObject({ missing: [], strays: [] });
    await world.emulator.advance('P1DT6H');
  }
}, 120_000);

test('restored from the new place with the same identity', async () => {
  const [archive] = await archives();
  const asked = await world.moraine('retrieve', archive?.id ?? '', '--identity', 'alice.key', '--yes', '--wait');
  expect(asked.exitCode, asked.stderr).toBe(0);
  const restored = await world.moraine(
    'restore',
    archive?.id ?? '',
    '--identity',
    'alice.key',
    '--out',
    'out',
    '--json',
  );
  expect(restored.json).toMatchObject({ records: NOTES });
  const file = readFileSync(join(world.folder, 'out', `${names.database}_data`, 'calls.bson'));
  const ids: string[] = [];
  for (let at = 0; at < file.length; at += file.readInt32LE(at))
    ids.push(String(BSON.deserialize(file.subarray(at, at + file.readInt32LE(at)))['_id']));
  expect(ids.sort()).toEqual(Array.from({ length: NOTES }, (_, n) => `${archive?.customer}-${n}`));
}, 60_000);

test('old copies: another person approves exactly this set, then an inventory proves that they are gone', async () => {
  const remove = ['migrate', 'delete-old', '--from', 'cold', '--to', 'ice', '--yes', '--json', ...AS_OF];
  const asked = await world.moraine(...remove, '--by', 'olive');
  expect(asked.exitCode).toBe(3);
  expect(asked.json).toMatchObject({ error: { code: 'APPROVAL_NEEDED' } });
  const [waiting] = JSON.parse((await world.moraine('approve', 'list', '--json')).stdout);
  expect(waiting).toMatchObject({ kind: 'migrate' });
  const own = await world.moraine('approve', 'grant', waiting.id, '--yes', '--by', 'olive', '--json');
  expect(own.exitCode).not.toBe(0);
  expect(await world.moraine('approve', 'grant', waiting.id, '--yes', '--by', 'peter')).toMatchObject({ exitCode: 0 });
  expect((await world.moraine(...remove, '--by', 'olive')).json).toMatchObject({
    ordered: 3,
    deleted: 3,
    problems: [],
  });
  expect(await states()).toEqual({ deleting: 3 });
  for (let look = 0; look < 4; look++) {
    await world.emulator.advance('P1DT6H');
    await world.moraine('reconcile', '--json', ...AS_OF);
  }
  expect(await states()).toEqual({ gone: 3 });
}, 90_000);

test('purged in the new place: the certificate names both, and is signed', async () => {
  const purged = await world.moraine('purge', '--yes', '--json', '--as-of', '2031-01-01');
  expect(purged.json).toMatchObject({ purged: expect.arrayContaining([expect.any(String)]), failed: [] });
  await world.moraine('reconcile', '--json', '--as-of', '2031-01-01');
  const [{ id }] = JSON.parse((await world.moraine('certificate', 'list', '--json')).stdout);
  const shown = JSON.parse((await world.moraine('certificate', 'show', id, '--json')).stdout);
  const body = JSON.parse(shown.body ?? JSON.stringify(shown.certificate ?? shown));
  expect(body.copies.map(({ backend }: { readonly backend: string }) => backend)).toEqual(['s3', 'glacier']);
  expect(body.copies[1].deleted).toMatchObject({
    approval: expect.stringMatching(/^ap-/),
    confirmedByInventoryOf: expect.any(String),
  });
  const { stdout } = await world.moraine('certificate', 'show', id);
  expect(stdout).toContain('All 2 copies of it that existed went');
  expect(stdout.slice(stdout.indexOf('Copy 2 of 2, and its end'))).toMatch(/^ +Deleted by +approval ap-/m);
  expect(await world.moraine('certificate', 'verify', id)).toMatchObject({ exitCode: 0 });
  expect(await world.moraine('audit', 'verify')).toMatchObject({ exitCode: 0 });
}, 60_000);
