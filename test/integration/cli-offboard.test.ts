/** `moraine offboard` on real servers: two customers side by side, a hold, a kill in the middle, an export that is read back against what was there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON, type Document } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;

const POLICY = (name: string) => `
policy: ${name}
zone: UTC
dataset: { collection: ${world.namespace(name)}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum }
limits: { records: 100000, share: 1.0 }
`;

const AS_OF = ['--as-of', '2024-06-01'];
const REASON = ['--reason', 'contract ended'];
const of = (tenant: string, _id: string, more: Document = {}): Document => ({
  _id: `${tenant}-${_id}`,
  owner: 'acme',
  tenant,
  at: new Date('2024-01-01'),
  ...more,
});

beforeAll(async () => {
  world = await openCliWorld(names);
  for (const name of ['chats', 'calls']) {
    world.writePolicy(name, POLICY(name));
    await world.collection(name).createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
  }
  for (const tenant of ['north', 'south']) {
    await world
      .collection('chats')
      .insertMany([
        of(tenant, 'old', { at: new Date('2020-01-01') }),
        ...Array.from({ length: 1_200 }, (_, n) => of(tenant, `${n}`, { n })),
        of(tenant, 'no-date', { at: null }),
      ] as never[]);
    await world.collection('calls').insertMany([of(tenant, 'call')] as never[]);
  }
  expect(await world.moraine('policy', 'publish', '--yes', '--json', ...AS_OF)).toMatchObject({ exitCode: 0 });
  expect((await world.moraine('run', 'chats', '--flush', '--json', ...AS_OF)).json).toMatchObject({
    policies: [{ totals: { deleted: 2 } }],
  });
});
afterAll(async () => {
  await world.close();
});

const ledger = () => world.client.db(`${names.database}_ledger`);

async function archivesOf(customer: string): Promise<{ id: string; state: string }[]> {
  const { json } = await world.moraine('archives', '--all', '--json');
  return Array.isArray(json) ? json.filter((archive) => archive.customer === customer) : [];
}

async function stored(name: string, tenant: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for await (const raw of world.collection(name).find({ tenant }, { raw: true }))
    if (raw instanceof Uint8Array) found.set(String(BSON.deserialize(raw)['_id']), Buffer.from(raw));
  return found;
}

/** Documents of a BSON file, split with the bson package alone. */
function inFile(path: string): Map<string, Buffer> {
  const bytes = readFileSync(join(world.folder, path));
  const found = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const raw = bytes.subarray(at, at + bytes.readInt32LE(at));
    found.set(String(BSON.deserialize(raw)['_id']), raw);
    at += raw.length;
  }
  return found;
}

const database = () => world.namespace('').split('.')[0] ?? '';
const offboard = (customer: string, folder: string, ...more: string[]) =>
  world.moraine('offboard', customer, '--owner', 'acme', '--export', folder, ...REASON, ...AS_OF, '--json', ...more);

async function grant(): Promise<void> {
  const { json } = await world.moraine('approve', 'list', '--json');
  const waiting = Array.isArray(json) ? json.filter(({ state }) => state === 'requested') : [];
  expect(waiting.length).toBe(1);
  const granted = await world.moraine('approve', 'grant', waiting[0].id, '--yes', '--json', '--by', 'bea');
  expect(granted.exitCode).toBe(0);
}

/** What a worker that was killed leaves behind would be free after five minutes. */
async function letLeasesEnd(): Promise<void> {
  for (const name of ['expirations', 'archives', 'partitions'])
    await ledger()
      .collection(name)
      .updateMany({}, { $set: { lease: null }, $inc: { rev: 1 } });
}

test('an archive that the export does not hold stops it; nothing is destroyed, nobody is asked', async () => {
  const { exitCode, json } = await offboard('north', 'without', '--yes');
  expect(exitCode).toBe(3);
  expect(json).toMatchObject({ error: { code: 'EXPORT_NOT_WHOLE', hint: expect.stringContaining('retrieve') } });
  expect(existsSync(join(world.folder, 'without/manifest.json'))).toBe(true);
  expect((await stored('chats', 'north')).size).toBe(1_201);
  expect((await world.moraine('approve', 'list', '--json')).json).toEqual([]);
});

test('everything is returned and verified, then another person is asked; the requester cannot grant', async () => {
  const [archive] = await archivesOf('north');
  await world.moraine('retrieve', archive?.id ?? '', '--identity', world.identity, '--yes', '--json');
  await world.emulator.advance('PT6H');
  const before = await stored('chats', 'north');
  const asked = await offboard('north', 'north', '--identity', 'alice.key');
  expect(asked.exitCode).toBe(3);
  expect(asked.json).toMatchObject({ error: { code: 'APPROVAL_NEEDED' } });
  expect(inFile(`north/${database()}/chats.bson`)).toEqual(before);
  expect(inFile(`north/${database()}/calls.bson`)).toEqual(await stored('calls', 'north'));
  expect([...inFile(`north/moraine-archives/${archive?.id}/${database()}/chats.bson`).keys()]).toEqual(['north-old']);
  const { json } = await world.moraine('approve', 'list', '--json');
  const [waiting] = Array.isArray(json) ? json : [];
  expect(waiting).toMatchObject({ kind: 'offboard', shown: { records: 1_202, reason: 'contract ended' } });
  expect((await world.moraine('approve', 'grant', waiting.id, '--yes')).exitCode).not.toBe(0);
  expect((await stored('chats', 'north')).size).toBe(1_201);
});

test('a hold stops it and is named: exit 3; what is not held goes; after the release it is carried on to the end', async () => {
  const placed = await world.moraine(
    ...['hold', 'place', '--owner', 'acme', '--customer', 'north', '--dataset', world.namespace('chats')],
    ...['--case', 'C-7', '--reason', 'a claim', '--yes', '--json'],
  );
  expect(placed.exitCode).toBe(0);
  await grant();
  const held = await offboard('north', 'north', '--yes');
  expect(held.exitCode).toBe(3);
  expect(held.json).toMatchObject({
    state: 'open',
    certificate: null,
    collections: [
      { collection: world.namespace('calls'), deleted: 1, left: 0 },
      { collection: world.namespace('chats'), deleted: 0, held: 1_201, left: 1_201, holds: [expect.any(String)] },
    ],
    archives: [{ destroyed: false, holds: [expect.any(String)] }],
  });
  expect((await stored('chats', 'north')).size).toBe(1_201);
  expect(await stored('calls', 'north')).toEqual(new Map());
  const status = async () => (await world.moraine('status', '--json')).json;
  expect(await status()).toMatchObject({ offboardings: [{ owner: 'acme', customer: 'north' }] });
  await ledger().collection('holds').deleteMany({});
  const done = await offboard('north', 'north', '--yes');
  expect(done.exitCode).toBe(0);
  expect(done.json).toMatchObject({
    state: 'done',
    collections: [{ deleted: 1 }, { deleted: 1_201, held: 0, left: 0 }],
    archives: [{ destroyed: true, state: 'purged' }],
  });
  expect(await stored('chats', 'north')).toEqual(new Map());
  expect(await status()).toMatchObject({ offboardings: [] });
  expect((await archivesOf('north')).map(({ state }) => state)).toEqual(['purged']);
});

test('of the other customer nothing was touched', async () => {
  expect((await stored('chats', 'south')).size).toBe(1_201);
  expect((await stored('calls', 'south')).size).toBe(1);
  expect((await archivesOf('south')).map(({ state }) => state)).toEqual(['cleared']);
});

test('certificates: of the records, of the whole, and of the archive when an inventory confirms it', async () => {
  const certificates = async () => {
    const { json } = await world.moraine('certificate', 'list', '--json');
    return Array.isArray(json) ? json : [];
  };
  const before = await certificates();
  expect(before.length).toBe(3);
  for (let day = 0; day < 4; day++) {
    await world.emulator.advance('P1D');
    await world.moraine('reconcile', '--json', ...AS_OF);
  }
  const all = await certificates();
  expect(all.length).toBe(4);
  for (const { id } of all) expect((await world.moraine('certificate', 'verify', id)).exitCode).toBe(0);
  const whole = all.find(({ id }) => id.startsWith('offboard-'));
  const shown = await world.moraine('certificate', 'show', whole.id);
  expect(shown.stdout).toContain('1,202');
});

test('killed in the middle it is carried on: all of the customer goes, and only that', async () => {
  await world
    .collection('chats')
    .insertMany(Array.from({ length: 20_000 }, (_, n) => of('south', `more-${n}`)) as never[]);
  const asked = await offboard('south', 'south', '--without-archives');
  expect(asked.json).toMatchObject({ error: { code: 'APPROVAL_NEEDED' } });
  await grant();
  const total = (await stored('chats', 'south')).size;
  const running = world.start(
    ...['offboard', 'south', '--owner', 'acme', '--export', 'south', ...REASON, ...AS_OF],
    ...['--without-archives', '--yes', '--json'],
  );
  for (;;) {
    const left = await world.collection('chats').countDocuments({ tenant: 'south' });
    if (left < total) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  running.kill('SIGKILL');
  await running;
  const left = await world.collection('chats').countDocuments({ tenant: 'south' });
  expect(left).toBeGreaterThan(0);
  const busy = await offboard('south', 'south', '--without-archives', '--yes');
  expect(busy.exitCode).toBe(3);
  expect(busy.json).toMatchObject({ problems: [{ code: 'LEASE_HELD' }] });
  await letLeasesEnd();
  const done = await offboard('south', 'south', '--without-archives', '--yes');
  expect(done.json).toMatchObject({ state: 'done', collections: [{ deleted: 1 }, { deleted: total, left: 0 }] });
  expect(done.exitCode).toBe(0);
  expect(await world.collection('chats').countDocuments()).toBe(0);
  expect(await ledger().collection('rosterPages').countDocuments()).toBe(0);
  expect((await world.moraine('audit', 'verify')).exitCode).toBe(0);
  const { json } = await world.moraine('audit', 'show', '--json');
  const told = Array.isArray(json) ? json.filter(({ act }) => act === 'customer offboard') : [];
  expect(told.find(({ phase, subject }) => phase === 'intent' && subject.customer === 'south')).toMatchObject({
    details: { reason: 'contract ended', withoutArchives: [expect.any(String)] },
  });
});
