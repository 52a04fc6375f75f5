/** Drills on a world in memory: what is chosen stays chosen, what is ready is compared, what differs is told at once. */
import { beforeEach, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { unwrapArchiveKey } from '../../src/keys/administrator.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { openAlarms } from '../../src/ledger/alarms.ts';
import { archives } from '../../src/ledger/archives.ts';
import { cancelDrill, readDrillLook } from '../../src/ledger/drills.ts';
import { recordIndexPages } from '../../src/ledger/record-index.ts';
import { liveRetrievals } from '../../src/ledger/retrievals.ts';
import { askForDrill, continueDrill, drillCost, releaseDrill } from '../../src/lifecycle/drill.ts';
import type { Scratch } from '../../src/lifecycle/drill-archive.ts';
import { lookAtDrills } from '../../src/lifecycle/drill-due.ts';
import { chooseDrills } from '../../src/lifecycle/drill-sample.ts';
import { assertSafeToDestroy } from '../../src/lifecycle/preflight.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { MemorySource } from '../../src/source/memory-source.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const OWNERS = [id.owner('acme')];
const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));
const stranger = await openIdentity(Buffer.from((await newIdentity({ now: new Date(), scryptLogN: 10 })).file));

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open(recipient);
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 1 day }
limits: { records: 5000, share: 1.0 }
`);
  // Of north an archive for each day, of south one.
  for (let day = 1; day <= 6; day++) put(`n${day}`, 'north', day);
  put('s1', 'south', 1);
  await runPolicy(world.context(undefined, { asOf: RUN_AT }), policy, { flush: true, expired: null });
});

function put(_id: string, tenant: string, day: number): void {
  world.put(policy, { _id, owner: 'acme', tenant, at: new Date(Date.UTC(2020, 0, 2 * day)) });
}

const wish = { archives: 1, share: 0, tier: 'standard', overdueOnly: false, by: 'person:test' } as const;
const choose = (more: Partial<Parameters<typeof chooseDrills>[2]> = {}, context = world.context()) =>
  chooseDrills(context, OWNERS, { ...wish, ...more });

interface Spied extends Scratch {
  readonly drops: string[];
}

function scratch(into: SourcePort = new MemorySource({ clock: world.clock })): Spied {
  const drops: string[] = [];
  return { into, database: 'moraine_drill_x', drops, drop: async () => void drops.push('drop') };
}

const open: Parameters<typeof continueDrill>[2] = (wrapped) => unwrapArchiveKey(wrapped, identity);

async function drilled(target = scratch(), openKey = open) {
  const drill = (await choose({ archives: 6 })).find(({ customer }) => customer === 'north');
  if (drill === undefined) throw new Error('A drill was expected.');
  await askForDrill(world.context(), drill._id);
  world.vault.advance(6);
  return await continueDrill(world.context(), drill._id, openKey, target);
}

test('each vault has its own sample, of different archives, from all that are cleared', async () => {
  const drills = await choose({ archives: 2, share: 0.5 });
  const sizes = new Map<string, unknown>(drills.map(({ customer, of, sample }) => [customer, [of, sample.length]]));
  expect(sizes).toEqual(
    new Map([
      ['north', [6, 3]],
      ['south', [1, 1]],
    ]),
  );
  for (const { sample } of drills) expect(new Set(sample.map(({ archive }) => archive)).size).toBe(sample.length);
});

test('what is chosen is written before anything is asked for, and chosen once: whoever asks again meets the same', async () => {
  const first = await choose();
  for (let again = 0; again < 5; again++) expect(await choose()).toEqual(first);
  expect(first.map(({ state }) => state)).toEqual(['chosen', 'chosen']);
  for (const { sample } of first) {
    for (const { archive } of sample) expect(await liveRetrievals(world.store, archive)).toEqual([]);
  }
});

test('every archive of a vault is chosen once in a while', async () => {
  const chosen = new Set<string>();
  for (let round = 0; round < 80 && chosen.size < 6; round++) {
    const drill = (await choose()).find(({ customer }) => customer === 'north');
    for (const { archive } of drill?.sample ?? []) chosen.add(archive);
    await cancelDrill(world.store, world.clock, drill?._id ?? '', 'another round');
  }
  expect(chosen.size).toBe(6);
});

test('a drill waits for its vault, then passes: compared, told, the scratch dropped before and after each', async () => {
  const drill = (await choose({ archives: 2 })).find(({ customer }) => customer === 'north');
  const cost = await drillCost(world.context(), drill === undefined ? [] : [drill]);
  expect(cost).toMatchObject({ archives: 2, hours: 5 });
  const { _id } = await askForDrill(world.context(), drill?._id ?? '');
  expect(await drillCost(world.context(), drill === undefined ? [] : [drill])).toMatchObject({ archives: 0 });
  const target = scratch();
  const early = await continueDrill(world.context(), _id, open, target);
  expect(early).toMatchObject({ drill: { state: 'open' } });
  expect(early.waiting).toHaveLength(2);
  world.vault.advance(6);
  const done = await continueDrill(world.context(), _id, open, target);
  expect(done).toMatchObject({ drill: { state: 'passed' }, waiting: [] });
  expect(done.drill.sample.map(({ outcome, records }) => [outcome, records])).toEqual([
    ['passed', 1],
    ['passed', 1],
  ]);
  expect(target.drops).toHaveLength(4);
  for (const { archive } of done.drill.sample) expect(await liveRetrievals(world.store, archive)).toEqual([]);
  expect(await openAlarms(world.store)).toEqual([]);
});

/** The source with a call replaced. */
function over(source: SourcePort, calls: Partial<SourcePort>): SourcePort {
  return new Proxy(source, {
    get: (target, name) => {
      if (Reflect.has(calls, name)) return Reflect.get(calls, name);
      const call: unknown = Reflect.get(target, name);
      return typeof call === 'function' ? call.bind(target) : call;
    },
  });
}

test('the scratch gives other bytes back: failed, and an alarm that stops nothing names archive and difference', async () => {
  const into = over(new MemorySource({ clock: world.clock }), { readByIds: async () => new Map() });
  const { drill } = await drilled(scratch(into));
  expect(drill.state).toBe('failed');
  const [alarm, ...others] = await openAlarms(world.store);
  expect(others).toEqual([]);
  expect(alarm).toMatchObject({ code: 'DRILL_FAILED', text: expect.stringContaining('came back otherwise') });
  expect(alarm?.text).toContain(drill.sample[0]?.archive);
  await assertSafeToDestroy(world.context());
});

test('the ledger says another Merkle root, has lost the keys of records, or the identity does not open it: failed, each named', async () => {
  const spoilt = await choose({ archives: 6 });
  const north = spoilt.find(({ customer }) => customer === 'north');
  const [first, second] = (north?.sample ?? []).map(({ archive }) => archive);
  const document = await archives(world.store).get(first ?? '');
  if (document?.stored == null) throw new Error('It was stored.');
  await archives(world.store).replace({ ...document, stored: { ...document.stored, merkleRoot: '00'.repeat(32) } });
  await recordIndexPages(world.store).removeMany({ archive: second ?? '' });
  await askForDrill(world.context(), north?._id ?? '');
  world.vault.advance(6);
  const { drill } = await continueDrill(world.context(), north?._id ?? '', open, scratch());
  const texts = drill.sample.map(({ text }) => text);
  expect(texts[0]).toContain("its Merkle root is not the ledger's");
  expect(texts[1]).toContain('is not in the index of the ledger');
  expect(texts.slice(2)).toEqual([null, null, null, null]);
  expect(drill.state).toBe('failed');

  const south = spoilt.find(({ customer }) => customer === 'south');
  await askForDrill(world.context(), south?._id ?? '');
  world.vault.advance(6);
  const wrong: typeof open = (wrapped) => unwrapArchiveKey(wrapped, stranger);
  const other = await continueDrill(world.context(), south?._id ?? '', wrong, scratch());
  expect(other.drill).toMatchObject({ state: 'failed', sample: [{ outcome: 'failed' }] });
  expect(await openAlarms(world.store)).toHaveLength(2);
});

test('a server that is away fails no drill: it waits, and goes on', async () => {
  let isAway = true;
  const real = new MemorySource({ clock: world.clock });
  const into = over(real, {
    insertMissing: async (...given) => {
      if (isAway) throw new MoraineError('MONGODB_UNAVAILABLE', 'It is away.');
      return await real.insertMissing(...given);
    },
  });
  const target = scratch(into);
  const { drill, waiting } = await drilled(target);
  expect(drill.state).toBe('open');
  expect(waiting).toHaveLength(6);
  isAway = false;
  expect(await continueDrill(world.context(), drill._id, open, target)).toMatchObject({ drill: { state: 'passed' } });
  expect(await openAlarms(world.store)).toEqual([]);
});

test('archives that were purged meanwhile count for nothing; all of them gone: void', async () => {
  const [drill] = await choose({ archives: 6 });
  for (const { archive } of drill?.sample ?? []) {
    const document = await archives(world.store).get(archive);
    if (document !== null) await archives(world.store).replace({ ...document, state: 'purged' });
  }
  const asked = await askForDrill(world.context(), drill?._id ?? '');
  expect(asked.state).toBe('void');
});

test('given up: its retrievals keep no archive from its purge, and another sample may be chosen', async () => {
  const [drill] = await choose();
  await askForDrill(world.context(), drill?._id ?? '');
  const cancelled = await cancelDrill(world.store, world.clock, drill?._id ?? '', 'a reason');
  await releaseDrill(world.context(), cancelled);
  for (const { archive } of cancelled.sample) expect(await liveRetrievals(world.store, archive)).toEqual([]);
  expect((await choose()).map(({ _id }) => _id)).not.toContain(drill?._id);
});

test('overdue a year after the first archive, not a day before; a drill that passed ends it, a failed one does not', async () => {
  const at = (asOf: string) => world.context(undefined, { asOf });
  await lookAtDrills(at('2025-05-31T00:00:00Z'), true);
  expect(await openAlarms(world.store)).toEqual([]);
  await lookAtDrills(at('2025-06-02T00:00:00Z'), true);
  const [alarm] = await openAlarms(world.store);
  expect(alarm).toMatchObject({ code: 'DRILL_OVERDUE', text: expect.stringContaining('2 of 2 vaults') });
  expect(await readDrillLook(world.store)).toMatchObject({ vaults: 2, overdue: 2 });
  await assertSafeToDestroy(world.context());
  expect(await choose({ overdueOnly: true }, at('2025-05-31T00:00:00Z'))).toEqual([]);

  world.clock.advance(300 * 86_400_000);
  const failing = scratch(over(new MemorySource({ clock: world.clock }), { readByIds: async () => new Map() }));
  for (const [target, state, overdue] of [
    [failing, 'failed', 2],
    [scratch(), 'passed', 0],
  ] as const) {
    const drills = await choose({ overdueOnly: true }, at('2025-06-02T00:00:00Z'));
    expect(drills).toHaveLength(2);
    for (const { _id } of drills) await askForDrill(world.context(), _id);
    world.vault.advance(6);
    for (const { _id } of drills) {
      expect((await continueDrill(world.context(), _id, open, target)).drill.state).toBe(state);
    }
    await lookAtDrills(at('2025-06-02T00:00:00Z'), true);
    expect(await readDrillLook(world.store)).toMatchObject({ vaults: 2, overdue });
  }
  // What failed is looked into by a person, whatever another sample shows.
  expect((await openAlarms(world.store)).map(({ code }) => code)).toEqual(['DRILL_FAILED', 'DRILL_FAILED']);
});
