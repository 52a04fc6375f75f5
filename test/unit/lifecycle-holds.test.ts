/** Promise 3, attacked: nothing held is cleared or purged, at any interleaving; what a hold came too late for, it names. */
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { type HoldDocument, holds, RELEASE_GRACE_MS } from '../../src/ledger/holds.ts';
import { inFlight } from '../../src/ledger/in-flight.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { type HoldRequest, placeHold, releaseHold, settleIfFree } from '../../src/lifecycle/hold.ts';
import { planPolicy } from '../../src/lifecycle/plan.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { aHold } from '../harness/a-hold.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2032-06-01T00:00:00Z';
const ACME = id.owner('acme');
const CHATS = id.namespace('data.chats');
const POLICY = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }, facets: { subject: { field: mail } } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 90 days }
limits: { records: 1000, share: 1.0 }
`;

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(POLICY);
  put('jo', '2020-01-01', 'Jo@Example.org');
  put('kim', '2020-01-02', 'kim@example.org');
});

function put(_id: string, day: string, mail: string): void {
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date(day), mail });
}

const runContext = () => world.context(undefined, { asOf: RUN_AT });

async function run(context: Context = runContext(), expired = false) {
  const { totals } = await runPolicy(context, policy, { flush: true, expired: expired ? { saidBy: 'ann' } : null });
  await world.assertTotalsHold();
  return totals;
}

async function purge(context: Context = world.context(undefined, { asOf: PURGE_AT })) {
  return await purgeArchives(context, (await planPurge(context, null)).due);
}

async function place(fields: Partial<HoldRequest> = {}): Promise<HoldDocument> {
  const request: HoldRequest = {
    caseNumber: 'C-1',
    reason: 'a claim',
    owner: ACME,
    customer: null,
    namespace: null,
    triggerFrom: null,
    triggerBefore: null,
    recordIds: [],
    facet: null,
    ...fields,
  };
  return await placeHold(world.context(), request, 'person:test');
}

const subject = (mail: string) => ({ facet: { name: 'subject', values: [mail] } });
const keyed = (...ids: readonly string[]) => ({
  namespace: CHATS,
  recordIds: ids.map((_id) => idBytesOf(BSON.serialize({ _id }))),
});

/** The port with one call replaced. */
function over<T extends object>(port: T, calls: Partial<T>): T {
  return new Proxy(port, {
    get: (target, name) => Reflect.get(Reflect.has(calls, name) ? calls : target, name),
  });
}

test('placed before: in force at once; nothing is planned, cleared or purged, also of records that come later', async () => {
  const before = world.clock.now();
  const hold = await place();
  expect(hold).toMatchObject({ state: 'active', tooLate: [] });
  expect(world.clock.now()).toEqual(before);
  put('later', '2020-01-03', 'lee@example.org');
  expect(await run()).toMatchObject({ selected: 0, archived: 0, deleted: 0 });
  expect(world.idsIn(policy)).toEqual(['jo', 'kim', 'later']);
  const plan = await planPolicy(runContext(), policy, { flush: true });
  expect(plan.totals).toMatchObject({ held: 3, taken: 0 });
  expect(plan.partitions[0]?.reasons.join(' ')).toContain(`${hold._id} (case C-1)`);
});

test('placed between look and delete: active only when the announcement is over by every clock; the delete is refused, all stay', async () => {
  const context = runContext();
  let placed: HoldDocument | null = null;
  let until = 0;
  const source = over(context.source, {
    deleteGuarded: async (...args: Parameters<SourcePort['deleteGuarded']>) => {
      if (placed === null) {
        for await (const entry of inFlight(world.store).find({})) until = entry.until.getTime();
        placed = await place();
        expect(world.clock.now().getTime()).toBeGreaterThan(until);
      }
      return await context.source.deleteGuarded(...args);
    },
  });
  await run({ ...context, source });
  expect(placed).toMatchObject({ state: 'active' });
  expect(until).toBeGreaterThan(0);
  expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
  await run();
  expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
});

test('placed while the vault was being asked: too late, and it names the archive', async () => {
  await run();
  const [archive] = await world.archives();
  const context = world.context(undefined, { asOf: PURGE_AT });
  let placed: HoldDocument | null = null;
  const [[key, vault] = []] = [...context.vaults];
  if (key === undefined || vault === undefined) throw new Error('There is no vault.');
  const asked = over(vault, {
    deleteArchive: async (...args: Parameters<VaultPort['deleteArchive']>) => {
      placed = await place();
      return await vault.deleteArchive(...args);
    },
  });
  await purge({ ...context, vaults: new Map([[key, asked]]) });
  expect(placed).toMatchObject({ state: 'active', tooLate: [archive?._id] });
});

test('placed before the purge: held, archive and key stay; released it still holds, and goes after the grace', async () => {
  await run();
  const hold = await place();
  expect(await purge()).toMatchObject({ purged: [], held: [expect.anything()] });
  const released = await releaseHold(world.context(), hold._id, { by: 'person:test', reason: 'settled' });
  expect(released).toMatchObject({ state: 'released', releaseReason: 'settled' });
  world.clock.advance(RELEASE_GRACE_MS - 1);
  expect(await purge()).toMatchObject({ purged: [], held: [expect.anything()] });
  world.clock.advance(1);
  expect(await purge()).toMatchObject({ purged: [expect.anything()], held: [] });
});

test('two holds on the same: the release of one leaves the other', async () => {
  const first = await place();
  const second = await place({ caseNumber: 'C-2' });
  expect(second._id).not.toBe(first._id);
  await releaseHold(world.context(), first._id, { by: 'person:test', reason: 'settled' });
  world.clock.advance(RELEASE_GRACE_MS);
  expect(await run()).toMatchObject({ deleted: 0 });
  expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
});

test.each<[string, Partial<HoldRequest>]>([
  ['a facet', subject('jo@example.org')],
  ['a record key', keyed('jo')],
  ['a trigger range', { triggerBefore: new Date('2020-01-02') }],
])(
  'by %s: what it covers stays out of archives, the rest goes and is purged; after the release it goes too',
  async (_, fields) => {
    const hold = await place(fields);
    const plan = await planPolicy(runContext(), policy, { flush: true });
    expect(plan.totals).toMatchObject({ due: 1, held: 1, taken: 1 });
    expect(await run()).toMatchObject({ selected: 1, archived: 1, deleted: 1, held: 0 });
    expect(world.idsIn(policy)).toEqual(['jo']);
    expect(await run()).toMatchObject({ selected: 0 });
    expect(await purge()).toMatchObject({ purged: [expect.anything()], held: [] });
    await releaseHold(world.context(), hold._id, { by: 'person:test', reason: 'settled' });
    world.clock.advance(RELEASE_GRACE_MS);
    expect(await run()).toMatchObject({ deleted: 1 });
    expect(world.idsIn(policy)).toEqual([]);
  },
);

test.each<[string, Partial<HoldRequest>, Partial<HoldRequest>]>([
  ['a facet', subject('lee@example.org'), subject('jo@example.org')],
  ['a record key', keyed('lee'), keyed('lee', 'jo')],
  ['a trigger range', { triggerFrom: new Date('2020-02-01') }, { triggerFrom: new Date('2020-01-02') }],
])(
  'by %s, placed on archives that are there: one that names nothing in it does not keep it, one that does keeps it whole',
  async (_, beside, within) => {
    await run();
    const hold = await place(within);
    expect(await purge()).toMatchObject({ purged: [], held: [expect.anything()] });
    await releaseHold(world.context(), hold._id, { by: 'person:test', reason: 'settled' });
    world.clock.advance(RELEASE_GRACE_MS);
    await place({ ...beside, caseNumber: 'C-2' });
    expect(await purge()).toMatchObject({ purged: [expect.anything()], held: [] });
  },
);

test.each<[string, Partial<HoldRequest>]>([
  ['a facet', subject('jo@example.org')],
  ['a record key', keyed('jo')],
])(
  'by %s, placed between sealing and clearing: the whole archive is held, and the next one goes without it',
  async (_, fields) => {
    const context = runContext();
    const [[key, vault] = []] = [...context.vaults];
    if (key === undefined || vault === undefined) throw new Error('There is no vault.');
    const attacked = over(vault, {
      storeWhole: async (...args: Parameters<VaultPort['storeWhole']>) => {
        await place(fields);
        return await vault.storeWhole(...args);
      },
    });
    expect(await run({ ...context, vaults: new Map([[key, attacked]]) })).toMatchObject({ held: 2, deleted: 0 });
    expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
    expect(await run()).toMatchObject({ archived: 1, deleted: 1, held: 0 });
    expect(world.idsIn(policy)).toEqual(['jo']);
  },
);

test('a facet that the dataset does not declare: all of it stays', async () => {
  await place({ facet: { name: 'ticket', values: ['4711'] } });
  expect(await run()).toMatchObject({ selected: 0, deleted: 0 });
  expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
});

test('records past their archive period too: what a hold covers stays, the rest goes as a person said', async () => {
  put('old-jo', '2010-01-01', 'jo@example.org');
  put('old-kim', '2010-01-02', 'kim@example.org');
  await place(subject('jo@example.org'));
  await run(undefined, true);
  expect(world.idsIn(policy)).toEqual(['jo', 'old-jo']);
  await place({ caseNumber: 'C-2' });
  put('old-lee', '2010-01-02', 'lee@example.org');
  await run(undefined, true);
  expect(world.idsIn(policy)).toEqual(['jo', 'old-jo', 'old-lee']);
});

test('expired records: a hold placed after their page was chosen stops the page', async () => {
  put('old-kim', '2010-01-02', 'kim@example.org');
  const context = runContext();
  let hasPlaced = false;
  const source = over(context.source, {
    readByIds: async (...args: Parameters<SourcePort['readByIds']>) => {
      if (!hasPlaced && args[1].length === 1) {
        hasPlaced = true;
        await place(subject('kim@example.org'));
      }
      return await context.source.readByIds(...args);
    },
  });
  await run({ ...context, source }, true);
  expect(hasPlaced).toBe(true);
  expect(world.idsIn(policy)).toContain('old-kim');
});

test('a crash in placing: it stops acts all the same; placing the same again, or a look at the list, takes it on', async () => {
  const { rev: _, ...cut } = { ...aHold({ owner: ACME, state: 'placing' }), rev: 0 };
  await holds(world.store).insert(cut);
  expect(await run()).toMatchObject({ deleted: 0 });
  expect(await place()).toMatchObject({ _id: cut._id, state: 'active' });
  const other = aHold({ _id: 'hold-2', state: 'placing' });
  await holds(world.store).insert(other);
  const until = new Date(world.clock.now().getTime() + 10_000);
  const entry = { act: 'clear', worker: id.worker('w'), until, customer: id.customer('north'), archive: null } as const;
  await inFlight(world.store).insert({ _id: 'e', v: 1, owner: ACME, namespace: CHATS, ...entry });
  expect(await settleIfFree(world.context(), { ...other, rev: 0 })).toMatchObject({ state: 'placing' });
  await inFlight(world.store).remove('e', 0);
  expect(await settleIfFree(world.context(), { ...other, rev: 0 })).toMatchObject({ state: 'active' });
  expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
});

test('a hold of other parties waits for nobody; values of keys and facets are nowhere in the ledger', async () => {
  const entry = { act: 'clear', worker: id.worker('w'), customer: id.customer('north'), archive: null } as const;
  const until = new Date(world.clock.now().getTime() + 10_000);
  await inFlight(world.store).insert({ _id: 'e', v: 1, owner: id.owner('other'), namespace: CHATS, until, ...entry });
  const before = world.clock.now();
  await place({ ...subject('jo@example.org'), ...keyed('very-secret-id') });
  expect(world.clock.now()).toEqual(before);
  const written = JSON.stringify([await world.all('holds'), await world.all('audit')]);
  expect(written).toContain('hold place');
  expect(written).not.toMatch(/jo@example|very-secret-id/);
});
