/** Replies to tickets that are archived and gone, through the real command line: found at the next run, archived, or told. */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const RUN_AS_OF = ['--as-of', '2024-06-01'];
const PURGE_AS_OF = ['--as-of', '2032-06-01'];

let world: CliWorld;
let root = '';

const POLICY = () => `
policy: tickets
zone: UTC
dataset:
  collection: ${world.namespace('tickets')}
  owner: { value: acme }
  customer: { field: tenant }
  children:
    - { collection: ${world.namespace('comments')}, key: ticket, parent: number, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 3 years, vault: cold, verify: checksum, maxWait: 1 day }
limits: { records: 1000, share: 1.0 }
`;

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({});
  const at = new Date('2020-01-01');
  await world.collection('tickets').insertMany([
    { _id: 't1', number: 1, tenant: 'north', at },
    { _id: 'young', number: 2, tenant: 'north', at: new Date('2024-05-01') },
  ] as never[]);
  await world.collection('tickets').createIndex({ tenant: 1, at: 1, _id: 1 });
  await world.collection('tickets').createIndex({ number: 1 }, { unique: true });
  await write('c1', 1);
  await write('c2', 2);
  await world.collection('comments').createIndex({ ticket: 1 });
  world.writePolicy('tickets', POLICY());
});
afterAll(() => world.close());

async function write(_id: string, ticket: number, more: Document = {}): Promise<void> {
  await world.collection('comments').insertOne({ _id, ticket, tenant: 'north', text: _id, ...more } as never);
}

async function comments(): Promise<readonly string[]> {
  const found = await world.collection('comments').find().sort({ _id: 1 }).toArray();
  return found.map(({ _id }) => String(_id));
}

async function run(asOf: readonly string[]): Promise<Document> {
  const { json, exitCode } = await world.moraine('run', '--flush', '--json', ...asOf);
  expect(exitCode).toBe(0);
  return (json as { policies: Document[] }).policies[0] ?? {};
}

async function explain(comment: string, asOf: readonly string[]): Promise<Document> {
  const { json } = await world.moraine('explain', world.namespace('comments'), comment, '--json', ...asOf);
  return json as Document;
}

test('a ticket is archived with its comment', async () => {
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
  const { archives } = await run(RUN_AS_OF);
  expect(archives).toMatchObject([{ state: 'cleared', records: 1 }]);
  root = String((archives as Document[])[0]?.['id']);
  expect(await comments()).toEqual(['c2']);
});

test('replies come: explain says what becomes of each, the next run archives what it may, plan and check tell the rest', async () => {
  await write('a-reply', 1);
  await write('of-south', 1, { tenant: 'south' });
  await write('stranger', 77);
  expect(await explain('a-reply', RUN_AS_OF)).toMatchObject({
    source: { root: { id: '{"$numberInt":"1"}', inSource: false, isForeign: false, deletedBy: { archive: root } } },
    archives: [],
  });
  expect(await explain('stranger', RUN_AS_OF)).toMatchObject({ source: { root: { deletedBy: null } } });
  expect((await explain('of-south', RUN_AS_OF))['source']).toMatchObject({ root: { isForeign: true } });
  const { archives } = await run(RUN_AS_OF);
  expect(archives).toMatchObject([{ state: 'cleared', records: 1 }]);
  const addendum = String((archives as Document[])[0]?.['id']);
  expect(await comments()).toEqual(['c2', 'of-south', 'stranger']);
  const of = (await world.moraine('archive', addendum, '--json')).json;
  const roots = (await world.moraine('archive', root, '--json')).json as Document;
  expect(of).toMatchObject({ addendumTo: root, dueAt: roots['dueAt'], outcomes: { deleted: 1 } });
  expect(await explain('a-reply', RUN_AS_OF)).toMatchObject({ source: null, archives: [{ archive: addendum }] });
  const plan = (await world.moraine('plan', '--json', ...RUN_AS_OF)).json as { policies: Document[] };
  expect(plan.policies[0]?.['orphans']).toMatchObject([
    { collection: world.namespace('comments'), unknown: 1, foreign: 1, past: 0, waiting: 0 },
  ]);
  const text = `Children without a root in ${world.namespace('comments')}`;
  expect((await world.moraine('plan', ...RUN_AS_OF)).stdout).toContain(text);
  const check = await world.moraine('check');
  expect(check.exitCode).toBe(0);
  expect(check.stdout).toContain(`! children      tickets: ${text}`);
});

test('a reply that comes when the archive is purged is past its date', async () => {
  const { exitCode, json } = await world.moraine('purge', '--yes', '--json', ...PURGE_AS_OF);
  expect({ exitCode, json }).toMatchObject({ exitCode: 0, json: { purged: [expect.any(String), expect.any(String)] } });
  await write('too-late', 1);
  // As of that day the young ticket is past its archive period too, and stays with its comment.
  await world.moraine('run', '--json', ...PURGE_AS_OF);
  expect(await comments()).toEqual(['c2', 'of-south', 'stranger', 'too-late']);
  const plan = (await world.moraine('plan', '--json', ...PURGE_AS_OF)).json as { policies: Document[] };
  expect(plan.policies[0]?.['orphans']).toMatchObject([{ unknown: 1, foreign: 1, past: 1 }]);
  expect(await explain('too-late', PURGE_AS_OF)).toMatchObject({
    source: { root: { inSource: false, deletedBy: { archive: null, by: root, isPast: true } } },
  });
});
