/** Restored documents and what stands in their place: the choice of a person, under the guard; nothing that changed in between is lost. */
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { holds } from '../../src/ledger/holds.ts';
import { findMarks } from '../../src/ledger/record-marks.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { type PlacedDocuments, placeDocuments } from '../../src/lifecycle/restore-conflicts.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { aHold } from '../harness/a-hold.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const namespace = id.namespace('data.chats');
const EXEMPT_UNTIL = new Date('2024-07-01');
let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
});

const bytes = (_id: string, updatedAt: number, text: string) =>
  BSON.serialize({ _id, updatedAt: new Date(updatedAt), text });
const there = () =>
  Object.fromEntries(
    world.source.all(namespace).map((raw) => {
      const { _id, text } = BSON.deserialize(raw);
      return [_id, text];
    }),
  );

function place(changes: Partial<PlacedDocuments> = {}): PlacedDocuments {
  const of = { namespace, owner: id.owner('acme'), customer: id.customer('north'), policy: 'chats' };
  const how = { version: 'updatedAt', choice: 'keep', exemptUntil: EXEMPT_UNTIL, isPreview: false } as const;
  return { into: world.source, ...of, ...how, ...changes };
}

/** One of each: the same, newer than the copy, older than it, and none. */
function seed(): readonly Uint8Array[] {
  world.source.put(namespace, bytes('same', 5, 'archived'));
  world.source.put(namespace, bytes('newer', 9, 'newer'));
  world.source.put(namespace, bytes('older', 1, 'older'));
  return ['same', 'newer', 'older', 'absent'].map((_id) => bytes(_id, 5, 'archived'));
}

const NONE = { inserted: 0, existing: 0, replaced: 0, same: 0, newer: 0, changed: 0, held: 0 };

async function exempt(): Promise<string[]> {
  const scope = await markScope(world.context(), namespace, id.owner('acme'), id.customer('north'));
  const keys = ['same', 'newer', 'older', 'absent'].map((_id) => [_id, keyOf(_id)] as const);
  const marks = await findMarks(
    world.store,
    scope,
    keys.map(([, key]) => key),
  );
  return keys.flatMap(([_id, key]) => (marks.get(key)?.exemptUntil?.getTime() === EXEMPT_UNTIL.getTime() ? [_id] : []));
}

function keyOf(_id: string): string {
  const raw = BSON.serialize({ _id });
  return world.source.keyOf(Uint8Array.from([raw[4] ?? 0, ...raw.subarray(9, raw.length - 1)]));
}

test('keep: what is missing comes, exempt; what is there stays and is told apart', async () => {
  const written = await placeDocuments(world.context(), place(), seed());
  expect(written).toEqual({ ...NONE, inserted: 1, existing: 3, same: 1, newer: 1, changed: 1 });
  expect(there()).toEqual({ same: 'archived', newer: 'newer', older: 'older', absent: 'archived' });
  expect(await exempt()).toEqual(['absent']);
  const again = await placeDocuments(world.context(), place(), seed());
  expect(again).toMatchObject({ inserted: 0 });
});

test('without a version field nothing is newer: it is changed', async () => {
  const written = await placeDocuments(world.context(), place({ version: null }), seed());
  expect(written).toMatchObject({ newer: 0, changed: 2, same: 1 });
});

test('newest: what is older than the copy is replaced, and exempt before', async () => {
  const written = await placeDocuments(world.context(), place({ choice: 'newest' }), seed());
  expect(written).toEqual({ ...NONE, inserted: 1, existing: 2, same: 1, newer: 1, replaced: 1 });
  expect(there()).toEqual({ same: 'archived', newer: 'newer', older: 'archived', absent: 'archived' });
  expect(await exempt()).toEqual(['older', 'absent']);
});

test('replace: all that differs', async () => {
  const written = await placeDocuments(world.context(), place({ choice: 'replace' }), seed());
  expect(written).toEqual({ ...NONE, inserted: 1, existing: 1, same: 1, replaced: 2 });
  expect(new Set(Object.values(there()))).toEqual(new Set(['archived']));
});

test('fail: nothing of the batch is written', async () => {
  const failing = placeDocuments(world.context(), place({ choice: 'fail' }), seed());
  await expect(failing).rejects.toMatchObject({ code: 'RESTORE_CONFLICT' });
  expect(there()).toEqual({ same: 'archived', newer: 'newer', older: 'older' });
  expect(await exempt()).toEqual([]);
});

test.each(['keep', 'fail', 'newest', 'replace'] as const)(
  'a preview of %s writes nothing, no mark either',
  async (choice) => {
    const before = seed();
    const written = await placeDocuments(world.context(), place({ choice, isPreview: true }), before);
    const replaced = { keep: 0, fail: 0, newest: 1, replace: 2 }[choice];
    expect(written).toMatchObject({ inserted: 1, replaced, existing: 3 - replaced });
    expect(there()).toEqual({ same: 'archived', newer: 'newer', older: 'older' });
    expect(await exempt()).toEqual([]);
  },
);

/** The source with a change between the look and the write. */
function changing(change: () => void): SourcePort {
  return new Proxy<SourcePort>(world.source, {
    get: (target, name) => {
      const call: unknown = Reflect.get(target, name);
      if (typeof call !== 'function') return call;
      return (...given: unknown[]) => {
        if (name === 'replaceGuarded' || name === 'insertMissing') change();
        return Reflect.apply(call, target, given);
      };
    },
  });
}

test('a record that changes between the look and the replace stays as it is, and counts as changed', async () => {
  const documents = seed();
  const into = changing(() => world.source.put(namespace, bytes('older', 2, 'edited meanwhile')));
  const written = await placeDocuments(world.context(), place({ into, choice: 'replace' }), documents);
  expect(written).toMatchObject({ replaced: 1, changed: 1, inserted: 1 });
  expect(there()).toMatchObject({ older: 'edited meanwhile', newer: 'archived' });
});

test('a record that comes between the look and the insert stays, and is told for what it is', async () => {
  const documents = seed();
  let times = 0;
  const into = changing(() => {
    if (times++ === 0) world.source.put(namespace, bytes('absent', 9, 'came meanwhile'));
  });
  const written = await placeDocuments(world.context(), place({ into }), documents);
  expect(written).toMatchObject({ inserted: 0, newer: 2, existing: 4 });
  expect(there()).toMatchObject({ absent: 'came meanwhile' });
});

test('what a hold covers is not replaced, and nothing stays announced', async () => {
  const documents = seed();
  await holds(world.store).insert(aHold({ customer: id.customer('north') }));
  const written = await placeDocuments(world.context(), place({ choice: 'replace' }), documents);
  expect(written).toEqual({ ...NONE, inserted: 1, existing: 3, same: 1, held: 2 });
  expect(there()).toMatchObject({ newer: 'newer', older: 'older' });
  expect(await world.store.collection('inFlight').count({})).toBe(0);
});
