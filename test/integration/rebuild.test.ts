/**
 * A ledger that is dropped, and the whole life that goes on: found again in the vaults, shown with an administrator's
 * identity, stopped until a person accepts it, restored from, purged on its day, confirmed and certified.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const KEYS = `${names.database}_keys`;
const LEDGER = `${names.database}_ledger`;
const RUN_AS_OF = ['--as-of', '2024-06-01'];
const PURGE_AS_OF = ['--as-of', '2030-06-01'];
const RECORDS = 1_500;

let world: CliWorld;
/** Archive ids by customer, and what the ledger knew of them. */
let before: readonly Listed[] = [];

interface Listed {
  readonly id: string;
  readonly customer: string;
  readonly state: string;
  readonly records: number;
  readonly vaultArchiveId: string;
  readonly dueAt: string;
}

const policy = () => `policy: chats
zone: UTC
dataset: { collection: ${world.namespace('chats')}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum, dueWindow: 400 days }
limits: { records: 100000, share: 1.0 }
`;

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({ more: `keys: { url: "${stackUrls().mongodb}", database: ${KEYS} }` });
  const chats = world.collection('chats');
  await chats.createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
  const of = (tenant: string, count: number) =>
    Array.from({ length: count }, (_, n) => ({
      _id: `${tenant}-${n}`,
      owner: 'acme',
      tenant,
      at: new Date(Date.UTC(2020, 0, 1 + (n % 300))),
      text: `${tenant} ${n}`,
    }));
  await chats.insertMany([...of('north', RECORDS), ...of('south', 3)] as never[]);
  world.writePolicy('chats', policy());
  expect((await world.moraine('policy', 'publish', '--yes', ...RUN_AS_OF)).exitCode).toBe(0);
  expect((await world.moraine('run', '--flush', ...RUN_AS_OF)).exitCode).toBe(0);
  before = await listed();
  expect(before.map(({ customer, state, records }) => [customer, state, records]).sort()).toEqual([
    ['north', 'cleared', RECORDS],
    ['south', 'cleared', 3],
  ]);
}, 120_000);
afterAll(async () => {
  await world.client.db(KEYS).dropDatabase();
  await world.close();
});

async function listed(): Promise<readonly Listed[]> {
  const { json } = await world.moraine('archives', '--policy', 'chats', '--json');
  if (!Array.isArray(json)) throw new Error('It lists no archives.');
  return json;
}

function archiveOf(customer: string): Listed {
  const found = before.find((one) => one.customer === customer);
  if (found === undefined) throw new Error(`No archive of ${customer}.`);
  return found;
}

const rebuild = (...more: readonly string[]) => world.moraine('rebuild', '--json', ...more);
const documents = (name: string) => world.client.db(LEDGER).collection(name).countDocuments();

async function advanceUntil(isSo: () => Promise<boolean>, by = 'PT12H'): Promise<void> {
  for (let half = 0; half < 12; half++) {
    if (await isSo()) return;
    await world.emulator.advance(by);
  }
  throw new Error('It did not come.');
}

test('a ledger that knows something is not rebuilt into, and stays as it is', async () => {
  const { exitCode, json } = await rebuild();
  expect(json).toMatchObject({ error: { code: 'LEDGER_NOT_EMPTY' } });
  expect(exitCode).toBe(2);
  expect(await listed()).toEqual(before);
});

test('the ledger is dropped: rebuild finds the archives again, keeps the installation, and stops what destroys', async () => {
  const ledger = world.client.db(LEDGER);
  const installation = await ledger.collection('installation').findOne();
  await ledger.dropDatabase();
  // A record came back into the source meanwhile, as it was; another with other text.
  const chats = world.collection('chats');
  await chats.insertOne({
    _id: 'south-0',
    owner: 'acme',
    tenant: 'south',
    at: new Date('2020-01-01'),
    text: 'south 0',
  } as never);
  await chats.insertOne({
    _id: 'south-1',
    owner: 'acme',
    tenant: 'south',
    at: new Date('2020-01-02'),
    text: 'other',
  } as never);
  await advanceUntil(async () => {
    const { exitCode, json } = await rebuild();
    expect(exitCode).toBe(0);
    return Reflect.get(Object(json), 'isRead') === true;
  });
  expect(await ledger.collection('installation').findOne()).toMatchObject({
    id: installation?.['id'],
    environment: 'sandbox',
  });
  const found = await listed();
  expect(found.map(({ id, state, vaultArchiveId }) => [id, state, vaultArchiveId]).sort()).toEqual(
    before.map(({ id, vaultArchiveId }) => [id, 'quarantined', vaultArchiveId]).sort(),
  );
  // Not before: no purge date is earlier than it was.
  for (const { id, dueAt } of found)
    expect(new Date(dueAt) >= new Date(before.find((one) => one.id === id)?.dueAt ?? '')).toBe(true);
  expect((await world.moraine('run', '--flush', '--json', ...RUN_AS_OF)).json).toMatchObject({
    error: { code: 'LEDGER_REBUILT' },
  });
  const purge = await world.moraine('purge', '--yes', '--json', ...PURGE_AS_OF);
  expect(purge.json).toMatchObject({ purged: [] });
  expect((await world.moraine('check', '--yes', '--json')).exitCode).not.toBe(0);
  expect(await documents('alarms')).toBe(1);
}, 120_000);

test('with the identity of nobody who may: nothing is asked of the vault, nothing is shown', async () => {
  const { json, exitCode } = await rebuild('--identity', world.otherIdentity);
  expect(exitCode).toBe(1);
  expect(json).toMatchObject({
    proven: 0,
    retrieving: 0,
    failed: [{ text: expect.stringContaining('does not open') }, {}],
  });
  expect(await documents('retrievals')).toBe(0);
});

test('with an administrator, cut and run again: each archive is shown, and cleared by what is in the source', async () => {
  const first = await rebuild('--identity', world.identity, '--tier', 'standard');
  expect(first.json).toMatchObject({ retrieving: 2, proven: 0, isRead: false });
  expect((await world.moraine('rebuild', '--accept', '--yes', '--json')).json).toMatchObject({
    error: { code: 'USAGE' },
  });
  await advanceUntil(async () => {
    const { json } = await rebuild('--identity', world.identity, '--tier', 'standard');
    return Reflect.get(Object(json), 'unproven') === 0;
  }, 'PT3H');
  const after = await listed();
  const facts = ({ id, customer, state, records, dueAt }: Listed) => ({ id, customer, state, records, dueAt });
  const byId = (list: readonly Listed[]) => list.map(facts).sort((a, b) => a.id.localeCompare(b.id));
  // To the second of the purge date and the count of the records, as it was.
  expect(byId(after)).toEqual(byId(before));
  const south = await world.moraine('archive', archiveOf('south').id, '--json');
  expect(JSON.stringify(south.json)).toContain('"deleted":1');
  expect(south.json).toMatchObject({ outcomes: { archived: 3, deleted: 1, held: 1, changed: 1, pending: 0 } });
}, 120_000);

test('accepted by a person: runs again, knows its records by their ids, and restores what counts', async () => {
  const accepted = await world.moraine('rebuild', '--accept', '--yes', '--json');
  expect(accepted.json).toMatchObject({ accepted: true, unproven: 0 });
  expect((await rebuild()).json).toMatchObject({ error: { code: 'LEDGER_NOT_EMPTY' } });
  const where = await world.moraine('explain', world.namespace('chats'), 'north-7', '--json', ...RUN_AS_OF);
  expect(JSON.stringify(where.json)).toContain(archiveOf('north').id);
  const { id } = archiveOf('south');
  const retrieve = await world.moraine('retrieve', id, '--tier', 'standard', '--yes', '--identity', world.identity);
  expect([retrieve.stderr, retrieve.exitCode]).toEqual([expect.anything(), 0]);
  await world.emulator.advance('PT6H');
  const out = join(world.folder, 'restored');
  const restored = await world.moraine('restore', id, '--identity', world.identity, '--out', out, '--json');
  // What is in the source stays out: the original counts.
  expect(restored.json).toMatchObject({ records: 3, inserted: 1, void: 2 });
  // And is archived anew.
  const run = await world.moraine('run', '--flush', '--json', ...RUN_AS_OF);
  expect(run.json).toMatchObject({ policies: [{ totals: { selected: 2, deleted: 2 } }] });
  expect(await world.collection('chats').countDocuments()).toBe(0);
}, 120_000);

test('purged on its day, confirmed by the vault, certified; the audit chain holds', async () => {
  expect((await world.moraine('purge', '--yes', '--json', ...PURGE_AS_OF)).json).toMatchObject({ failed: [] });
  await advanceUntil(async () => {
    await world.moraine('reconcile', ...PURGE_AS_OF);
    return (await listed()).every(({ state }) => state === 'confirmed');
  });
  const certificates = await world.moraine('certificate', 'list', '--json');
  expect(JSON.stringify(certificates.json)).toContain(archiveOf('north').id);
  expect((await world.moraine('certificate', 'verify', archiveOf('north').id, '--json')).exitCode).toBe(0);
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
}, 120_000);

test('a file that the ledger does not know: found as stray, adopted with an identity; another disposed of by approval', async () => {
  const chats = world.collection('chats');
  const write = async (tenant: string) => {
    await chats.insertOne({
      _id: `${tenant}-new`,
      owner: 'acme',
      tenant,
      at: new Date('2020-02-01'),
      text: tenant,
    } as never);
    expect((await world.moraine('run', '--flush', ...RUN_AS_OF)).exitCode).toBe(0);
  };
  await write('east');
  await write('west');
  const made = (await listed()).filter(({ state }) => state === 'cleared');
  // As after a restored backup: the ledger forgets both, and the vaults are looked at.
  const ledger = world.client.db(LEDGER);
  for (const { id } of made) {
    await ledger.collection<{ _id: string }>('archives').deleteOne({ _id: id });
    await ledger.collection('attempts').deleteMany({ archive: id });
    await ledger.collection('recordIndex').deleteMany({ archive: id });
  }
  await advanceUntil(async () => {
    const { json } = await world.moraine('reconcile', '--all', '--json', ...RUN_AS_OF);
    return (await strays()).length === 2 && Reflect.get(Object(json), 'strays') !== undefined;
  });
  const again = await world.moraine('reconcile', '--all', ...RUN_AS_OF);
  // Told before: not new to anybody.
  expect(again.exitCode).toBe(0);
  const [east = fail(), west = fail()] = (await strays()).sort((a, b) => a.customer.localeCompare(b.customer));
  expect([east.customer, west.customer]).toEqual(['east', 'west']);

  expect((await world.moraine('stray', 'adopt', east.id, '--identity', world.otherIdentity)).exitCode).toBe(1);
  const adopt = () =>
    world.moraine('stray', 'adopt', east.id, '--identity', world.identity, '--tier', 'standard', '--json');
  expect((await adopt()).json).toMatchObject({ state: 'waiting' });
  await world.emulator.advance('PT6H');
  expect((await adopt()).json).toMatchObject({ state: 'proven', outcomes: { archived: 1, deleted: 1 } });
  expect((await listed()).find(({ customer }) => customer === 'east')).toMatchObject({ state: 'cleared', records: 1 });

  const dispose = () =>
    world.moraine(
      'stray',
      'dispose',
      west.id,
      '--reason',
      'a double',
      '--yes',
      '--by',
      'alice',
      '--json',
      ...RUN_AS_OF,
    );
  const asked = await dispose();
  expect(asked.exitCode).toBe(3);
  const approval = String(Reflect.get(Object(Reflect.get(Object(asked.json), 'error')), 'ids')?.approval);
  expect((await world.moraine('approve', 'grant', approval, '--yes', '--by', 'bob', ...RUN_AS_OF)).exitCode).toBe(0);
  expect((await dispose()).json).toEqual({ stray: west.id, certificate: west.id });
  expect((await dispose()).exitCode).toBe(0);
  expect((await world.moraine('certificate', 'show', west.id, '--json')).exitCode).toBe(0);
  expect(await strays()).toEqual([]);
  expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
}, 120_000);

async function strays(): Promise<{ id: string; customer: string }[]> {
  const { json } = await world.moraine('stray', 'list', '--json');
  if (!Array.isArray(json)) throw new Error('It lists no strays.');
  return json;
}

function fail(): never {
  throw new Error('No stray.');
}
