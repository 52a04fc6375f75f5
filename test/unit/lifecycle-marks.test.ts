/** Marks and quarantine of single records: what outcomes mean for the records that stay, and what a scan is told of them. */
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { RecordOutcome } from '../../src/ledger/archive-document.ts';
import { partitionId } from '../../src/ledger/partitions.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import {
  countChanged,
  exemptRecords,
  findMarks,
  markQuarantined,
  type RecordMark,
} from '../../src/ledger/record-marks.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { markOutcomes } from '../../src/lifecycle/mark-outcomes.ts';
import { quarantineRecord, quarantineUnfit } from '../../src/lifecycle/quarantine-record.ts';
import { markScope, marksOf } from '../../src/lifecycle/read-marks.ts';
import { type Policy, toShape } from '../../src/policy/policy.ts';
import { idBytesOf, rawRecord } from '../../src/source/raw-document.ts';
import { ACME } from '../harness/a-hold.ts';
import { watched } from '../harness/ledger-world.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const UNTIL = new Date('2030-01-01');

let world: MemoryWorld;
let policy: Policy;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
  context = world.context();
});

const idOf = (_id: string) => idBytesOf(BSON.serialize({ _id }));
const keyOf = (_id: string) => world.source.keyOf(idOf(_id));
const rosterOf = (...ids: readonly string[]) =>
  ids.map((_id) => ({ id: idOf(_id), sha256: new Uint8Array(32), segment: 0 }));
const scopeOf = () => markScope(context, ACME.namespace, ACME.owner, ACME.customer);

async function settle(archive: string, outcomes: Readonly<Record<string, RecordOutcome>>, on = context) {
  const of = { archive: id.archive(archive), ...ACME, policy: 'chats' };
  return await markOutcomes(on, of, rosterOf(...Object.keys(outcomes)), Object.values(outcomes));
}

async function marks(...ids: readonly string[]): Promise<Record<string, Partial<RecordMark>>> {
  const found = await findMarks(world.store, await scopeOf(), ids.map(keyOf));
  return Object.fromEntries(
    ids.flatMap((one) => {
      const mark = found.get(keyOf(one));
      if (mark === undefined) return [];
      const { exemptUntil, changedInARow, quarantined } = mark;
      return [[one, { exemptUntil, changedInARow, quarantined }]];
    }),
  );
}

async function entries(): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { state, reason, text, owner, customer, namespace, policy: name, idBytes } of findQuarantine(
    world.store,
    {},
  ))
    found.push({ state, reason, text, owner, customer, namespace, name, idBytes: Buffer.from(idBytes ?? []) });
  return found;
}

describe('outcomes of a page', () => {
  test('deleted, gone, held: passed on as they are, and nobody is marked', async () => {
    const outcomes = { a: 'deleted', b: 'gone', c: 'held' } as const;
    expect(await settle('a1', outcomes)).toEqual(['deleted', 'gone', 'held']);
    expect(await world.all('recordMarks')).toEqual([]);
    expect(await entries()).toEqual([]);
  });

  test('a deleted record has no marks any more; those of the records that stay, stay', async () => {
    await exemptRecords(world.store, await scopeOf(), ['a', 'b', 'c', 'd'].map(keyOf), UNTIL);
    await settle('a1', { a: 'deleted', b: 'gone', c: 'held' });
    expect(Object.keys(await marks('a', 'b', 'c', 'd'))).toEqual(['b', 'c', 'd']);
  });

  test('without marks in the partition, or with nothing deleted, none are looked for', async () => {
    const removals: string[] = [];
    const store = watched(context.store, (collection, call) => {
      if (collection === 'recordMarks') removals.push(call);
    });
    await settle('a1', { a: 'deleted' }, { ...context, store });
    expect(removals).toEqual(['find']);
    await settle('a1', { a: 'held' }, { ...context, store });
    expect(removals).toEqual(['find']);
  });

  test('changed: the third archive in a row is one too many, and only that record goes to quarantine', async () => {
    expect(await settle('a1', { a: 'changed', b: 'changed' })).toEqual(['changed', 'changed']);
    // The same archive counts once, however often its page is settled.
    expect(await settle('a1', { a: 'changed', b: 'changed' })).toEqual(['changed', 'changed']);
    expect(await settle('a2', { a: 'changed', c: 'held' })).toEqual(['changed', 'held']);
    expect(await entries()).toEqual([]);
    expect(await settle('a3', { b: 'changed', a: 'changed', c: 'changed' })).toEqual([
      'changed',
      'quarantined',
      'changed',
    ]);
    expect(await marks('a', 'b', 'c')).toEqual({
      a: { exemptUntil: null, changedInARow: 3, quarantined: true },
      b: { exemptUntil: null, changedInARow: 2, quarantined: false },
      c: { exemptUntil: null, changedInARow: 1, quarantined: false },
    });
    expect(await entries()).toEqual([
      {
        state: 'open',
        reason: 'changed-three-times',
        text: expect.stringContaining('three times in a row'),
        ...ACME,
        name: 'chats',
        idBytes: Buffer.from(idOf('a')),
      },
    ]);
  });

  test('a record that changed too often and is deleted after all begins anew', async () => {
    await countChanged(world.store, await scopeOf(), id.archive('a1'), [keyOf('a')]);
    await countChanged(world.store, await scopeOf(), id.archive('a2'), [keyOf('a')]);
    await settle('a3', { a: 'deleted' });
    expect(await settle('a4', { a: 'changed' })).toEqual(['changed']);
    expect(await marks('a')).toMatchObject({ a: { changedInARow: 1, quarantined: false } });
  });

  test('refused by the guard: in quarantine with that reason, and passed over from then on', async () => {
    expect(await settle('a1', { a: 'deleted', b: 'quarantined' })).toEqual(['deleted', 'quarantined']);
    expect(await entries()).toMatchObject([{ reason: 'guard-refused', ...ACME, idBytes: Buffer.from(idOf('b')) }]);
    expect(await marks('a', 'b')).toEqual({ b: { exemptUntil: null, changedInARow: 0, quarantined: true } });
  });
});

describe('marks for a scan', () => {
  const record = (_id: string) => rawRecord(BSON.serialize({ _id }));
  const partition = () => ({ dataset: toShape(policy), owner: ACME.owner, customer: ACME.customer });

  test('none: nothing more is asked', async () => {
    const calls: string[] = [];
    const store = watched(context.store, (collection, call) => {
      calls.push(`${collection} ${call}`);
    });
    const found = await marksOf({ ...context, store }, partition());
    expect(found.isEmpty).toBe(true);
    expect((await found.lookUp([record('a')]))(record('a'))).toEqual({ exemptUntil: null, quarantined: false });
    expect(calls).toEqual(['recordMarks find']);
  });

  test('some: each record has its own, one without has none; another partition is not asked about', async () => {
    await exemptRecords(world.store, await scopeOf(), [keyOf('exempt')], UNTIL);
    await markQuarantined(world.store, await scopeOf(), [keyOf('apart')]);
    const found = await marksOf(context, partition());
    expect(found.isEmpty).toBe(false);
    const batch = ['exempt', 'apart', 'free'].map(record);
    const markOf = await found.lookUp(batch);
    expect(batch.map(markOf)).toEqual([
      { exemptUntil: UNTIL.getTime(), quarantined: false },
      { exemptUntil: null, quarantined: true },
      { exemptUntil: null, quarantined: false },
    ]);
    expect(await marksOf(context, { ...partition(), customer: id.customer('south') })).toMatchObject({ isEmpty: true });
    expect(await marksOf(context, { ...partition(), owner: id.owner('other') })).toMatchObject({ isEmpty: true });
  });

  test('they are named by namespace, partition and a code under the key of the owner', async () => {
    const scope = await markScope(context, ACME.namespace, ACME.owner, ACME.customer);
    expect(scope).toMatchObject({
      namespace: ACME.namespace,
      partition: partitionId(ACME.namespace, ACME.owner, ACME.customer),
    });
    const hmac = await context.keys.hmacFor(ACME.owner);
    expect(Buffer.from(scope.hmac('x'))).toEqual(Buffer.from(hmac('x')));
  });
});

describe('quarantine', () => {
  const scope = { ...ACME, policy: 'chats' };
  const apart = (_id: string) => ({ idBytes: idOf(_id), key: keyOf(_id) });

  test('a record: marked before it is reported, so that one which is reported is passed over', async () => {
    const calls: string[] = [];
    const warnings: unknown[] = [];
    const store = watched(context.store, (collection, call) => {
      if (/^insert/.test(call)) calls.push(collection);
    });
    const log = { ...context.log, warn: (ids: unknown) => warnings.push(ids) };
    const done = await quarantineRecord({ ...context, store, log }, scope, apart('a'), 'too-large');
    expect(done).toEqual({ fresh: 1, known: 0, reopened: 0 });
    expect(calls).toEqual(['recordMarks', 'quarantine']);
    expect(await marks('a')).toMatchObject({ a: { quarantined: true } });
    expect(warnings).toEqual([{ policy: 'chats', namespace: ACME.namespace, reason: 'too-large' }]);
    expect(await quarantineRecord(context, scope, apart('a'), 'too-large')).toEqual({
      fresh: 0,
      known: 1,
      reopened: 0,
    });
  });

  test('a reason without a text of its own is told as it is', async () => {
    await quarantineRecord(context, scope, apart('a'), 'something-new');
    expect(await entries()).toMatchObject([{ reason: 'something-new', text: 'something-new' }]);
  });

  const unfit = (_id: string, more: BSON.Document) => world.put(policy, { _id, ...more });
  const good = { owner: 'acme', tenant: 'north', at: new Date('2020-01-01') };

  test('all that cannot be used: each with its reason, counted once however often it is met', async () => {
    unfit('good', good);
    unfit('no-owner', { ...good, owner: null });
    unfit('no-customer', { ...good, tenant: 7 });
    unfit('no-trigger', { ...good, at: 'never' });
    expect(await quarantineUnfit(context, policy)).toEqual({ fresh: 3, known: 0, reopened: 0 });
    const found = (await entries()) as { reason: string }[];
    expect(found.sort((a, b) => a.reason.localeCompare(b.reason))).toMatchObject([
      { reason: 'customer-unusable', owner: 'acme', customer: null, idBytes: Buffer.from(idOf('no-customer')) },
      { reason: 'owner-unusable', owner: null, customer: 'north', namespace: 'data.chats', name: 'chats' },
      { reason: 'trigger-unusable', owner: 'acme', customer: 'north', text: expect.stringContaining('trigger field') },
    ]);
    world.clock.advance(1_000);
    expect(await quarantineUnfit(context, policy)).toEqual({ fresh: 0, known: 3, reopened: 0 });
  });

  test('more than one batch of them: all are counted', async () => {
    for (let n = 0; n < 1_001; n++) unfit(`u${n}`, { ...good, at: null });
    expect(await quarantineUnfit(context, policy)).toEqual({ fresh: 1_001, known: 0, reopened: 0 });
    world.clock.advance(1_000);
    expect(await quarantineUnfit(context, policy)).toEqual({ fresh: 0, known: 1_001, reopened: 0 });
  });

  test('mended: its entry closes by itself; broken again, it opens again; of other reasons it stays open', async () => {
    unfit('a', { ...good, at: 'never' });
    await quarantineUnfit(context, policy);
    await quarantineRecord(context, scope, apart('large'), 'too-large');
    unfit('a', good);
    world.clock.advance(1_000);
    expect(await quarantineUnfit(context, policy)).toEqual({ fresh: 0, known: 0, reopened: 0 });
    const states = async () =>
      ((await entries()) as { reason: string; state: string }[])
        .map(({ reason, state }) => `${reason} ${state}`)
        .sort();
    expect(await states()).toEqual(['too-large open', 'trigger-unusable closed']);
    unfit('a', { ...good, at: 'never' });
    world.clock.advance(1_000);
    expect(await quarantineUnfit(context, policy)).toEqual({ fresh: 0, known: 0, reopened: 1 });
    expect(await states()).toEqual(['too-large open', 'trigger-unusable open']);
  });

  test('each field that can be unusable closes by itself', async () => {
    unfit('o', { ...good, owner: null });
    unfit('c', { ...good, tenant: null });
    unfit('t', { ...good, at: null });
    await quarantineUnfit(context, policy);
    for (const one of ['o', 'c', 't']) unfit(one, good);
    world.clock.advance(1_000);
    await quarantineUnfit(context, policy);
    expect((await entries()).map((entry) => (entry as { state: string }).state)).toEqual([
      'closed',
      'closed',
      'closed',
    ]);
  });

  test('told to stop: nothing is reported, and no entry is closed that nobody looked for', async () => {
    unfit('a', { ...good, at: null });
    await quarantineUnfit(context, policy);
    world.clock.advance(1_000);
    const stop = new AbortController();
    stop.abort();
    unfit('b', { ...good, at: null });
    const stopped = world.context(undefined, { signal: stop.signal });
    await expect(quarantineUnfit(stopped, policy)).rejects.toMatchObject({ code: 'WORK_STOPPED' });
    expect(await entries()).toMatchObject([{ state: 'open' }]);
  });
});
