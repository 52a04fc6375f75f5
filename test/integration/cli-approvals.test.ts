/** Approvals through the real command line: asked for, shown in full, granted by another, used once; the same command goes on. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { hashCanonicalJson } from '../../src/canonical-json.ts';
import { callsPolicy } from '../harness/calls-policy.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const RUN_AT = ['--as-of', '2022-06-01', '--yes', '--json'];
const PURGE_AT = ['--as-of', '2030-01-01', '--yes', '--json'];
const ALICE = ['--by', 'alice'];
const BOB = ['--by', 'bob'];
const ledger = () => world.client.db(`${names.database}_ledger`);

const listed = z.array(z.object({ id: z.string(), kind: z.string(), state: z.string() }));
const archiveList = z.array(z.object({ id: z.string(), state: z.string(), dueAt: z.string() }));
const problem = z.object({ error: z.object({ code: z.string(), ids: z.object({ approval: z.string() }).partial() }) });

beforeAll(async () => {
  world = await openCliWorld(names);
  const calls = world.collection('calls');
  await calls.createIndex({ tenant: 1, at: 1, _id: 1 });
  const record = (_id: number, tenant: string) => ({ _id, tenant, at: new Date('2020-01-01') });
  await calls.insertMany([record(1, 'north'), record(2, 'north'), record(3, 'south')] as never[]);
  world.writePolicy('calls', callsPolicy('calls', world.namespace('calls')).replace('records: 1000', 'records: 2'));
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
}, 60_000);
afterAll(() => world.close());

function approvalsInConfig(text: string): void {
  const file = join(world.folder, 'moraine.yaml');
  const others = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => !line.startsWith('approvals:'));
  writeFileSync(file, [...others, text].join('\n'));
}
const waiting = async () => listed.parse((await world.moraine('approve', 'list', '--json')).json);
const archives = async () => archiveList.parse((await world.moraine('archives', '--json')).json);
const ids = async () => {
  const found = await world.collection('calls').find().sort({ _id: 1 }).toArray();
  return found.map(({ _id }) => Number(_id));
};

test('--by is for a sandbox only; a kind or stages that cannot be are refused with the line', async () => {
  approvalsInConfig('approvals: { required: [caps] }');
  expect(await world.moraine('approve', 'list')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('approvals.required'),
  });
  approvalsInConfig('approvals: { purge: { stages: [[bob], [Bob]] } }');
  expect(await world.moraine('approve', 'list')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('a different person each'),
  });
  approvalsInConfig('');
  world.configure({ environment: 'non-production', ledger: `${names.database}_ledger2` });
  const { exitCode, json } = await world.moraine('approve', 'list', ...BOB, '--json');
  expect(exitCode).toBe(2);
  expect(problem.parse(json).error.code).toBe('BY_REFUSED');
  world.configure({});
}, 60_000);

test('over the cap of a run: exit 3 and nothing changed; who asked cannot grant; then the same command goes on, once', async () => {
  approvalsInConfig('approvals: { required: [cap, expired-backlog, hold-release] }');
  const first = await world.moraine('run', '--flush', ...RUN_AT, ...ALICE);
  expect(first.exitCode).toBe(3);
  expect(first.json).toMatchObject({
    policies: [{ archives: [], problems: [{ code: 'APPROVAL_NEEDED', needsPerson: true }] }],
  });
  expect(await ids()).toEqual([1, 2, 3]);
  expect(await archives()).toEqual([]);
  expect((await world.moraine('run', '--flush', ...RUN_AT, ...ALICE)).exitCode).toBe(3);
  const [asked, ...others] = await waiting();
  expect(others).toEqual([]);
  expect(asked).toMatchObject({ kind: 'cap', state: 'requested' });
  const approval = asked?.id ?? '';
  expect(first.stdout).toContain(`moraine approve show ${approval}`);

  const shown = (await world.moraine('approve', 'show', approval, '--json')).json;
  const parsed = z
    .object({ hash: z.string(), kind: z.string(), subject: z.unknown(), shown: z.unknown() })
    .parse(shown);
  expect(parsed.hash).toBe(hashCanonicalJson({ kind: parsed.kind, subject: parsed.subject, shown: parsed.shown }));
  expect(parsed.shown).toMatchObject({
    records: 3,
    partitions: [
      { owner: 'acme', customer: 'north', records: 2 },
      { owner: 'acme', customer: 'south', records: 1 },
    ],
  });
  expect((await world.moraine('status')).stdout).toContain('1 approval waiting for another person');

  const own = await world.moraine('approve', 'grant', approval, '--yes', '--json', '--by', 'ALICE');
  expect(own.exitCode).toBe(3);
  expect(problem.parse(own.json).error.code).toBe('APPROVAL_NOT_ALLOWED');
  const unasked = await world.moraine('approve', 'grant', approval, '--json', ...BOB);
  expect(problem.parse(unasked.json).error.code).toBe('CONFIRMATION_NEEDED');
  const granted = await world.moraine('approve', 'grant', approval, '--yes', ...BOB);
  expect(granted.exitCode).toBe(0);
  expect(granted.stdout).toContain('"customer": "south"');

  const done = await world.moraine('run', '--flush', ...RUN_AT, ...ALICE);
  expect(done.exitCode).toBe(0);
  expect(done.json).toMatchObject({ policies: [{ totals: { archived: 3, deleted: 3 }, problems: [] }] });
  expect(await waiting()).toEqual([]);
  const all = await world.moraine('approve', 'list', '--all', '--json');
  expect(all.json).toMatchObject([{ id: approval, state: 'spent', grants: [{ by: 'person:bob' }] }]);
}, 120_000);

test('two approvers at once: one outcome; a refusal is final for exactly this', async () => {
  const held = await world.moraine('hold', 'place', '--case', 'C-1', '--reason', 'claim', '--all', '--yes', '--json');
  const { id: hold } = z.object({ id: z.string() }).parse(held.json);
  const release = (reason: string) =>
    world.moraine('hold', 'release', hold, '--reason', reason, '--yes', '--json', ...ALICE);
  const first = await release('settled');
  expect(first.exitCode).toBe(3);
  const approval = problem.parse(first.json).error.ids.approval ?? '';
  const codes = await Promise.all([
    world.moraine('approve', 'grant', approval, '--yes', ...BOB),
    world.moraine('approve', 'refuse', approval, '--reason', 'no', '--yes', '--by', 'carol'),
  ]);
  expect(codes.map(({ exitCode }) => exitCode).sort()).toEqual([0, 1]);
  const refused = await release('mistake');
  const other = problem.parse(refused.json).error.ids.approval ?? '';
  expect((await world.moraine('approve', 'refuse', other, '--reason', 'no mistake', '--yes', ...BOB)).exitCode).toBe(0);
  const again = await release('mistake');
  expect(again.exitCode).toBe(3);
  expect(problem.parse(again.json).error.code).toBe('APPROVAL_REFUSED');
  expect(await ledger().collection<{ _id: string }>('holds').findOne({ _id: hold })).toMatchObject({ state: 'active' });
  const wasGranted = codes[0].exitCode === 0;
  expect((await release('settled')).exitCode).toBe(wasGranted ? 0 : 3);
  if (!wasGranted) {
    const third = problem.parse((await release('settled at last')).json).error.ids.approval ?? '';
    await world.moraine('approve', 'grant', third, '--yes', ...BOB);
    expect((await release('settled at last')).exitCode).toBe(0);
  }
  // The grace of a release is real time, which no test waits for.
  await ledger()
    .collection('holds')
    .updateMany({}, { $set: { heldUntil: new Date('2020-01-01') } });
}, 120_000);

test('an early purge always takes an approval; a wrong use of its options is told', async () => {
  approvalsInConfig('approvals: { required: [] }');
  for (const args of [
    ['--early'],
    ['--archive', 'x', '--early'],
    ['--archive', 'x', '--reason', 'y'],
    ['calls', '--archive', 'x', '--early', '--reason', 'y'],
  ])
    expect((await world.moraine('purge', ...args, '--yes')).exitCode, args.join(' ')).toBe(2);
  const [archive, other] = await archives();
  const early = () =>
    world.moraine(
      'purge',
      '--archive',
      archive?.id ?? '',
      '--early',
      '--reason',
      'contract ended',
      ...RUN_AT,
      ...ALICE,
    );
  const first = await early();
  expect(first.exitCode).toBe(3);
  expect(await archives()).toEqual([archive, other]);
  const approval = problem.parse(first.json).error.ids.approval ?? '';
  expect((await world.moraine('approve', 'grant', approval, '--yes', ...BOB)).exitCode).toBe(0);
  const done = await early();
  expect(done.json).toMatchObject({ purged: [archive?.id], failed: [] });
  expect(done.exitCode).toBe(0);
  expect((await archives()).map(({ state }) => state).sort()).toEqual(['cleared', 'purged']);
  const entries = (await world.moraine('audit', 'show', '--json')).stdout;
  expect(entries).toContain('archive reschedule');
  expect((await world.moraine('audit', 'verify')).exitCode).toBe(0);
}, 120_000);

test('a review before every purge, in two stages, through the same command', async () => {
  approvalsInConfig('approvals: { purge: { stages: [[bob, carol], [dora]] } }');
  const purge = () => world.moraine('purge', ...PURGE_AT, ...ALICE);
  const first = await purge();
  expect(first.exitCode).toBe(3);
  expect(first.json).toMatchObject({ purged: [], review: [{ state: 'requested' }] });
  const [asked] = (await waiting()).filter(({ kind }) => kind === 'purge');
  const grant = (by: string) => world.moraine('approve', 'grant', asked?.id ?? '', '--yes', '--json', '--by', by);
  expect((await grant('dora')).exitCode).toBe(3);
  expect((await grant('bob')).json).toMatchObject({ state: 'requested' });
  expect((await purge()).json).toMatchObject({ purged: [] });
  expect((await grant('dora')).json).toMatchObject({ state: 'granted' });
  const done = await purge();
  expect(done.exitCode).toBe(0);
  expect((await archives()).map(({ state }) => state)).toEqual(['purged', 'purged']);
}, 120_000);

test('unknown ids are told', async () => {
  for (const args of [
    ['show', 'ap-1'],
    ['grant', 'ap-1', '--yes'],
    ['refuse', 'ap-1', '--reason', 'x', '--yes'],
  ])
    expect((await world.moraine('approve', ...args)).exitCode).toBe(2);
}, 60_000);
