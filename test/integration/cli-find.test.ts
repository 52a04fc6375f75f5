/** `find`, `retrieve` of one record and `restore` of it through the real command line: a part of the archive is enough. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON } from 'bson';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const NOW = ['--as-of', '2024-06-01'];
/** Segments of a MiB that nothing makes smaller: a part is less than the file. */
const RECORDS = Array.from({ length: 8 }, (_, n) => ({
  _id: `call-${n}`,
  tenant: 'north',
  at: new Date('2022-01-01'),
  mail: n === 5 ? 'jane@example.org' : 'john@example.org',
  noise: randomBytes(400_000),
}));

let world: CliWorld;
beforeAll(async () => {
  world = await openCliWorld(names);
  const calls = world.collection('calls');
  await calls.createIndex({ tenant: 1, at: 1, _id: 1 });
  await calls.insertMany(RECORDS as never[]);
  world.writePolicy(
    'calls',
    `policy: calls
zone: UTC
dataset: { collection: ${world.namespace('calls')}, owner: { value: acme }, customer: { field: tenant }, facets: { subject: { field: mail } } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`,
  );
  expect((await world.moraine('policy', 'publish', '--yes', ...NOW)).exitCode).toBe(0);
  expect((await world.moraine('run', 'calls', '--flush', ...NOW)).exitCode).toBe(0);
}, 120_000);
afterAll(() => world.close());

test('found by facet and record; nobody but an administrator may ask; only its part is retrieved and restored byte for byte', async () => {
  const person = await world.moraine('find', '--owner', 'acme', '--facet', 'subject=Jane@example.org', '--json');
  expect(person.json).toMatchObject({ archives: [{ answer: 'holds', records: 8, retrievable: true }], more: false });
  const record = [world.namespace('calls'), 'call-5'];
  const found = await world.moraine('find', ...record, '--json');
  expect(found.json).toMatchObject({ archives: [{ answer: 'may hold', segments: [expect.any(Number)] }] });
  expect((await world.moraine('find', world.namespace('calls'), 'call-9', '--json')).json).toMatchObject({
    archives: [],
  });

  const refused = await world.moraine('retrieve', ...record, '--yes', '--json');
  expect(refused).toMatchObject({ exitCode: 3 });
  expect(refused.json).toMatchObject({ error: { code: 'RETRIEVAL_NOT_ALLOWED' } });
  const mine = ['--identity', world.identity];
  const dear = await world.moraine('retrieve', ...record, ...mine, '--max-cost', '0', '--yes', '--json');
  expect(dear.json).toMatchObject({ error: { code: 'RETRIEVAL_OVER_LIMIT' } });
  const asked = await world.moraine('retrieve', ...record, ...mine, '--deadline', '6h', '--yes', '--json');
  expect(asked.json).toMatchObject({
    state: 'requested',
    tier: 'standard',
    range: { start: expect.any(Number), end: expect.any(Number) },
    order: { archives: 1, owners: [{ owner: 'acme', administrator: 'alice' }] },
  });
  const { range } = JSON.parse(asked.stdout);
  expect(range.end - range.start).toBeLessThanOrEqual(3 * 1024 * 1024);
  const early = await world.moraine('restore', ...record, ...mine, '--out', 'early', '--json');
  expect(early.json).toMatchObject({ error: { code: 'RETRIEVAL_NOT_READY' } });
  await world.emulator.advance('PT6H');
  const restored = await world.moraine('restore', ...record, ...mine, '--out', 'back', '--json');
  expect(restored.json).toMatchObject({ outcome: 'inserted', isPart: true });
  const bytes = readFileSync(join(world.folder, 'back', `${names.database}_data`, 'calls.bson'));
  expect(bytes.equals(BSON.serialize(RECORDS[5] ?? {}))).toBe(true);
  expect((await world.moraine('retrieve', 'list', '--json')).json).toMatchObject({ orders: [], retrievals: [] });
}, 120_000);
