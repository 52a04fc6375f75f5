/** `moraine export` on real servers: the files are what the server holds, byte for byte, with what was archived beside it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON, type Document } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
let archive = '';

const POLICY = (name: string) => `
policy: ${name}
zone: UTC
dataset: { collection: ${world.namespace(name)}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum }
limits: { records: 10000, share: 1.0 }
`;

const AS_OF = ['--as-of', '2024-06-01'];
const north = (_id: string, more: Document = {}): Document => ({
  _id,
  owner: 'acme',
  tenant: 'north',
  at: new Date('2024-01-01'),
  ...more,
});

beforeAll(async () => {
  world = await openCliWorld(names);
  for (const name of ['chats', 'calls']) {
    world.writePolicy(name, POLICY(name));
    await world.collection(name).createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
  }
  await world
    .collection('chats')
    .insertMany([
      north('old', { at: new Date('2020-01-01'), text: 'archived' }),
      ...Array.from({ length: 2_500 }, (_, n) => north(`chat-${n}`, { n, nested: { deep: [n, `${n}`, null] } })),
      north('without-date', { at: 'yesterday' }),
      north('south', { tenant: 'south' }),
      north('others', { owner: 'beta' }),
    ] as never[]);
  await world.collection('calls').insertMany([north('call'), north('south', { tenant: 'south' })] as never[]);
  expect(await world.moraine('policy', 'publish', '--yes', '--json', ...AS_OF)).toMatchObject({ exitCode: 0 });
  expect((await world.moraine('run', 'chats', '--flush', '--json', ...AS_OF)).json).toMatchObject({
    policies: [{ totals: { deleted: 1 } }],
  });
  const { json } = await world.moraine('archives', '--json');
  archive = Array.isArray(json) ? String(json.find(({ customer }) => customer === 'north')?.id) : '';
});
afterAll(async () => {
  await world.close();
});

/** Documents as the server sends them, by id. */
async function stored(name: string, filter: Document): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for await (const raw of world.collection(name).find(filter, { raw: true })) {
    if (raw instanceof Uint8Array) found.set(String(BSON.deserialize(raw)['_id']), Buffer.from(raw));
  }
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

test('export: every record of the customer of this owner as the server has it; the archive is named with the command to type', async () => {
  const { exitCode, json } = await world.moraine('export', 'north', '--owner', 'acme', '--out', 'out', '--json');
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({
    exports: [
      {
        owner: 'acme',
        customer: 'north',
        complete: false,
        collections: [
          { policy: 'calls', records: 1 },
          { policy: 'chats', records: 2_501, whileItRan: { changed: 0, gone: 0, came: 0 } },
        ],
        archives: [{ archive, outcome: 'not retrieved', records: 1 }],
        toRetrieve: [`moraine retrieve ${archive}`],
      },
    ],
  });
  const filter = { owner: 'acme', tenant: 'north' };
  expect(inFile(`out/${database()}/chats.bson`)).toEqual(await stored('chats', filter));
  expect(inFile(`out/${database()}/calls.bson`)).toEqual(await stored('calls', filter));
  const lines = readFileSync(join(world.folder, 'out', database(), 'chats.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  const again = lines.map((line) => BSON.serialize(BSON.EJSON.parse(line, { relaxed: false })));
  expect(new Set(again.map((raw) => Buffer.from(raw).toString('hex')))).toEqual(
    new Set([...(await stored('chats', filter)).values()].map((raw) => raw.toString('hex'))),
  );
  expect(readFileSync(join(world.folder, 'out/manifest.json'), 'utf8')).not.toContain('chat-1');
  const again2 = await world.moraine('export', 'north', '--owner', 'acme', '--out', 'out', '--json');
  expect(again2).toMatchObject({ exitCode: 2 });
  expect(again2.json).toMatchObject({ error: { code: 'RESTORE_TARGET_NOT_EMPTY' } });
});

test('export verify asks no server, and names what is wrong', async () => {
  writeFileSync(join(world.folder, 'away.yaml'), 'mongodb: nowhere');
  const right = await world.moraine('export', 'verify', 'out', '--json', '--config', 'away.yaml');
  expect(right.exitCode).toBe(0);
  expect(right.json).toMatchObject({ ok: true, owner: 'acme', customer: 'north', findings: [] });
  const file = join(world.folder, 'out', database(), 'calls.bson');
  const bytes = readFileSync(file);
  writeFileSync(file, Buffer.concat([bytes, bytes]));
  const wrong = await world.moraine('export', 'verify', 'out', '--json');
  expect(wrong.exitCode).toBe(1);
  expect(wrong.json).toMatchObject({ ok: false, findings: [{ path: `${database()}/calls.bson`, problem: 'changed' }] });
  expect((await world.moraine('export', 'verify', 'policies', '--json')).json).toMatchObject({
    error: { code: 'EXPORT_CORRUPT' },
  });
});

test('with an identity, what is retrieved comes out of the archive; a wrong identity is told', async () => {
  await world.moraine('retrieve', archive, '--identity', world.identity, '--yes', '--json');
  await world.emulator.advance('PT6H');
  const wrong = await world.moraine(
    'export',
    'north',
    '--owner',
    'acme',
    '--out',
    'wrong',
    '--identity',
    'bob.key',
    '--json',
  );
  expect(wrong.json).toMatchObject({ exports: [{ archives: [{ outcome: 'other administrator' }] }] });
  const right = await world.moraine(
    ...[
      'export',
      'north',
      '--owner',
      'acme',
      '--out',
      'whole',
      '--identity',
      'alice.key',
      '--format',
      'bson',
      '--json',
    ],
  );
  expect(right.exitCode).toBe(0);
  expect(right.json).toMatchObject({ exports: [{ complete: true, archives: [{ outcome: 'exported', records: 1 }] }] });
  const archived = inFile(`whole/moraine-archives/${archive}/${database()}/chats.bson`);
  expect([...archived.keys()]).toEqual(['old']);
  expect(BSON.deserialize(archived.get('old') ?? Buffer.alloc(0))).toMatchObject({ text: 'archived' });
  expect(existsSync(join(world.folder, 'whole', database(), 'chats.jsonl'))).toBe(false);
  expect((await world.moraine('export', 'verify', 'whole')).exitCode).toBe(0);
});

test('without --owner it says which owners there are and asks; each gets a folder of its own', async () => {
  const asked = await world.moraine('export', 'north', '--out', 'all');
  expect(asked.exitCode).toBe(3);
  expect(asked.stdout).toContain('acme, beta');
  const { exitCode, json } = await world.moraine('export', 'north', '--out', 'all', '--yes', '--json');
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({ exports: [{ owner: 'acme' }, { owner: 'beta', collections: [{ records: 1 }] }] });
  expect([...inFile(`all/beta/${database()}/chats.bson`).keys()]).toEqual(['others']);
  const nobody = await world.moraine('export', 'nobody', '--out', 'none', '--json');
  expect(nobody.exitCode).toBe(2);
  expect(nobody.json).toMatchObject({ error: { code: 'CUSTOMER_UNKNOWN' } });
  expect(readdirSync(world.folder).filter((name) => name.includes('partial'))).toEqual([]);
});

test('what is left of an export that was cut is told, and never taken for one', async () => {
  mkdirSync(join(world.folder, 'again.partial-x'));
  const { exitCode, json } = await world.moraine('export', 'north', '--owner', 'beta', '--out', 'again', '--json');
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({ notes: [expect.stringMatching(/again\.partial-x is left of an export that was cut/)] });
  const wrong = await world.moraine('export', 'north', '--out', 'new', '--format', 'csv');
  expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('bson and jsonl') });
  expect((await world.moraine('export', 'north')).exitCode).toBe(2);
});

test('the audit chain says who exported what, and holds', async () => {
  const { json } = await world.moraine('audit', 'show', '--json');
  const told = Array.isArray(json) ? json.filter(({ act }) => act === 'customer export') : [];
  expect(told.filter(({ phase }) => phase === 'outcome').length).toBe(6);
  expect(JSON.stringify(told)).not.toContain('chat-');
  expect((await world.moraine('audit', 'verify')).exitCode).toBe(0);
});
