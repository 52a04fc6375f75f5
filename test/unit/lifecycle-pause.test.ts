/** A person's brake: what is paused waits where it stands and comes to the same end after it; what it came too late for is named. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { archives } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { inFlight } from '../../src/ledger/in-flight.ts';
import { type PauseDocument, type PauseTarget, pauses } from '../../src/ledger/pauses.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { pause, resume, settlePausing, settlePausingIfFree } from '../../src/lifecycle/pause.ts';
import { planPolicy } from '../../src/lifecycle/plan.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { anArchive } from '../harness/an-archive.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2032-06-01T00:00:00Z';
const CHATS: PauseTarget = { what: 'policy', name: 'chats' };
const ACME: PauseTarget = { what: 'owner', name: 'acme' };
const ALL: PauseTarget = { what: 'all', name: null };
const BECAUSE = { by: 'person:test', reason: 'look first' };

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 90 days }
limits: { records: 1000, share: 1.0 }
`);
  for (const _id of ['jo', 'kim'])
    world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
});

const runContext = () => world.context(undefined, { asOf: RUN_AT });
const purgeContext = () => world.context(undefined, { asOf: PURGE_AT });
const begin = (target: PauseTarget) => pause(world.context(), target, BECAUSE);
const end = (target: PauseTarget) => resume(world.context(), target, BECAUSE);

async function run(context: Context = runContext()) {
  const run = await runPolicy(context, policy, { flush: true, expired: null });
  await world.assertTotalsHold();
  expect(run.problems).toEqual([]);
  return run;
}

async function purge(context: Context = purgeContext()) {
  return await purgeArchives(context, (await planPurge(context, null)).due);
}

/** The context with one call of its vault replaced. */
function withVault(context: Context, calls: (vault: VaultPort) => Partial<VaultPort>): Context {
  const [[key, vault] = []] = [...context.vaults];
  if (key === undefined || vault === undefined) throw new Error('There is no vault.');
  const replaced = calls(vault);
  const attacked = new Proxy(vault, {
    get: (target, name) => Reflect.get(Reflect.has(replaced, name) ? replaced : target, name),
  });
  return { ...context, vaults: new Map([[key, attacked]]) };
}

test.each([CHATS, ALL])(
  '$what $name: a run starts nothing, says by which pause, and goes on after it',
  async (target) => {
    const { _id, state, tooLate } = await begin(target);
    expect({ state, tooLate }).toEqual({ state: 'paused', tooLate: [] });
    expect(await run()).toMatchObject({ plan: null, archives: [], paused: [expect.stringContaining(_id)] });
    expect(await world.archives()).toEqual([]);
    await end(target);
    expect(await run()).toMatchObject({ paused: [], totals: { archived: 2, deleted: 2 } });
  },
);

test('an owner: its partitions wait with the reason, and nothing of them counts against the caps', async () => {
  const { _id } = await begin(ACME);
  const plan = await planPolicy(runContext(), policy, { flush: true });
  expect(plan.totals).toMatchObject({ due: 2, taken: 0 });
  expect(plan.partitions[0]?.reasons.join(' ')).toContain(`Paused: ${_id} (owner acme)`);
  expect(await run()).toMatchObject({ archives: [], paused: [`${_id} (owner acme)`], totals: { archived: 0 } });
  expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
});

test('of another policy or owner: stops nothing, and waits for nobody', async () => {
  const until = new Date(world.clock.now().getTime() + 10_000);
  const entry = { act: 'clear', worker: id.worker('w'), customer: id.customer('north'), archive: null } as const;
  const party = { policy: 'chats', owner: id.owner('acme'), namespace: policy.dataset.collection };
  await inFlight(world.store).insert({ _id: 'e', v: 1, until, ...party, ...entry });
  const before = world.clock.now();
  await begin({ what: 'policy', name: 'calls' });
  await begin({ what: 'owner', name: 'other' });
  expect(world.clock.now()).toEqual(before);
  expect(await run()).toMatchObject({ paused: [], totals: { deleted: 2 } });
});

test('two that overlap: each is one however often it is asked for, and the end of one leaves the other', async () => {
  const first = await begin(CHATS);
  expect((await pause(world.context(), CHATS, { by: 'person:other', reason: 'again' }))._id).toBe(first._id);
  await begin(ALL);
  expect(await pauses(world.store).count({})).toBe(2);
  expect(await end(CHATS)).toHaveLength(1);
  expect(await end(CHATS)).toEqual([]);
  expect(await run()).toMatchObject({ totals: { deleted: 0 } });
  await end(ALL);
  expect(await run()).toMatchObject({ totals: { deleted: 2 } });
});

test('begun while an archive is on its way to the vault: it waits as stored, no record gets an outcome, the same copy is used', async () => {
  const context = runContext();
  const attacked = withVault(context, (vault) => ({
    storeWhole: async (...args) => {
      await begin(ACME);
      return await vault.storeWhole(...args);
    },
  }));
  expect(await run(attacked)).toMatchObject({ totals: { archived: 2, deleted: 0, held: 0, pending: 2 } });
  const [before] = await world.archives();
  expect(before?.state).toBe('verified');
  await run();
  expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
  await end(ACME);
  await run();
  expect(await world.archives()).toMatchObject([{ _id: before?._id, state: 'cleared', outcomes: { deleted: 2 } }]);
});

test('begun while the vault was being asked to delete: too late, and it names the archive', async () => {
  await run();
  let paused: PauseDocument | null = null;
  const attacked = withVault(purgeContext(), (vault) => ({
    deleteArchive: async (...args) => {
      const done = await vault.deleteArchive(...args);
      paused ??= await begin(ALL);
      return done;
    },
  }));
  const { purged } = await purge(attacked);
  expect(purged).toHaveLength(1);
  expect(paused).toMatchObject({ tooLate: purged });
});

test('a machine that slept right after its look, with clocks of its own that stood: it looks again, and the archive stays', async () => {
  await run();
  const context = purgeContext();
  const [now, monotonicMs] = [context.clock.now(), context.clock.monotonicMs()];
  const clock = { now: () => now, monotonicMs: () => monotonicMs, sleep: () => Promise.resolve() };
  let paused: PauseDocument | null = null;
  const store: Context['store'] = {
    serverTime: () => context.store.serverTime(),
    collection: (name) =>
      new Proxy(context.store.collection(name), {
        get: (target, property) => {
          const call = Reflect.get(target, property);
          if (name !== 'archives' || property !== 'replace') return call;
          // The one write that says `askedAt`: the machine sleeps before it.
          return async (document: { purge?: { askedAt: Date | null } | null }) => {
            if (document.purge?.askedAt != null) paused ??= await begin(CHATS);
            return await Reflect.apply(call, target, [document]);
          };
        },
      }),
  };
  expect(await purge({ ...context, store, clock })).toMatchObject({ purged: [], waiting: [expect.anything()] });
  expect(paused).toMatchObject({ state: 'paused', tooLate: [] });
  const [archive] = await world.archives();
  expect(archive).toMatchObject({ state: 'cleared', purge: null });
  expect(world.vaultFiles(id.archive(archive?._id ?? ''), await world.archives())).toHaveLength(1);
  expect((await planPurge(purgeContext(), null)).paused).toMatchObject([{ id: archive?._id }]);
  expect(await purge()).toMatchObject({ purged: [], held: [], failed: [] });
  await end(CHATS);
  world.letLeasesEnd();
  expect((await purge()).purged).toEqual([archive?._id]);
});

test('one that a newer Moraine wrote, and one that is half written: nothing goes on', async () => {
  const { _id } = await begin(CHATS);
  const written = await pauses(world.store).get(_id);
  if (written === null) throw new Error('The pause is not there.');
  await pauses(world.store).replace({ ...written, v: 99 });
  await expect(runPolicy(runContext(), policy, { flush: true, expired: null })).rejects.toMatchObject({
    code: 'LEDGER_NEWER',
  });
  await expect(planPurge(purgeContext(), null)).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
  await pauses(world.store).replace({ ...written, rev: written.rev + 1, state: 'pausing' });
  expect(await run()).toMatchObject({ plan: null });
  expect(world.idsIn(policy)).toEqual(['jo', 'kim']);
});

test('a look at the list takes on one whose placing was cut, when nothing is under way', async () => {
  const { _id } = await begin(ACME);
  const written = await pauses(world.store).get(_id);
  if (written === null) throw new Error('The pause is not there.');
  const cut = await pauses(world.store).replace({ ...written, state: 'pausing', pausedAt: null });
  if (cut === null) throw new Error('The pause was not replaced.');
  const until = new Date(world.clock.now().getTime() + 10_000);
  const entry = { act: 'clear', worker: id.worker('w'), customer: id.customer('north'), archive: null } as const;
  // An announcement of before there were pauses names no policy.
  const party = { owner: id.owner('acme'), namespace: policy.dataset.collection };
  await inFlight(world.store).insert({ _id: 'e', v: 1, until, ...party, ...entry });
  expect(await settlePausingIfFree(world.context(), cut)).toMatchObject({ state: 'pausing' });
  await inFlight(world.store).remove('e', 0);
  expect(await settlePausingIfFree(world.context(), cut)).toMatchObject({ state: 'paused' });
});

const told = async () => {
  const found = [];
  for await (const { key, act, phase, subject, details } of auditEntries(world.store))
    found.push({ key, act, phase, subject, details });
  return found;
};

test('what is written, and what the audit chain says: before, when it is in force, and at its end', async () => {
  const context = world.context();
  const askedAt = world.clock.now();
  const paused = await pause(context, ACME, BECAUSE);
  const { _id } = paused;
  const written = { state: 'paused', reason: 'look first', pausedBy: 'person:test', askedAt, pausedAt: askedAt };
  expect(paused).toMatchObject({ ...ACME, ...written, resumedBy: null, resumedAt: null, resumeReason: null });
  world.clock.advance(1_000);
  expect(await resume(context, ACME, { by: 'person:other', reason: 'seen' })).toMatchObject([
    { _id, state: 'resumed', resumedBy: 'person:other', resumedAt: world.clock.now(), resumeReason: 'seen' },
  ]);
  const subject = { pause: _id, owner: 'acme' };
  const end = { act: 'resume', subject, details: { what: 'owner', reason: 'seen', by: 'person:other' } };
  expect(await told()).toEqual([
    {
      key: `${_id}:pause`,
      act: 'pause',
      phase: 'intent',
      subject,
      details: { what: 'owner', reason: 'look first', by: 'person:test' },
    },
    { key: `${_id}:paused`, act: 'pause', phase: 'outcome', subject, details: { what: 'owner', tooLate: [] } },
    { ...end, key: `${_id}:resume`, phase: 'intent' },
    { ...end, key: `${_id}:resumed`, phase: 'outcome' },
  ]);
});

test('of everything: the chain names no owner and no policy', async () => {
  const { _id } = await begin(ALL);
  expect((await told())[0]).toMatchObject({ subject: { pause: _id } });
  expect(Object.keys((await told())[0]?.subject ?? {})).toEqual(['pause']);
});

test('lifted, and cut before the chain said so: the next end of the same target says it, of no other', async () => {
  const { _id } = await begin(CHATS);
  const found = await pauses(world.store).get(_id);
  if (found === null) throw new Error('The pause is not there.');
  const end = { resumedBy: 'person:cut', resumedAt: world.clock.now(), resumeReason: 'seen' };
  await pauses(world.store).replace({ ...found, state: 'resumed', ...end });
  const ends = async () => (await told()).filter(({ key }) => key === `${_id}:resumed`);
  await resume(world.context(), ACME, BECAUSE);
  expect(await ends()).toEqual([]);
  expect(await resume(world.context(), CHATS, BECAUSE)).toEqual([]);
  expect(await ends()).toMatchObject([{ details: { reason: 'seen', by: 'person:cut' } }]);
  await resume(world.context(), CHATS, BECAUSE);
  expect(await ends()).toHaveLength(1);
});

test('acts that began before do not end: it stops already, is not called paused, and says how to take it on', async () => {
  const entry = { act: 'clear', worker: id.worker('w'), customer: id.customer('north'), archive: null } as const;
  const party = { policy: 'chats', owner: id.owner('acme'), namespace: policy.dataset.collection };
  const until = new Date(world.clock.now().getTime() + 10 * 365 * 86_400_000);
  await inFlight(world.store).insert({ _id: 'e', v: 1, until, ...party, ...entry });
  await expect(begin(CHATS)).rejects.toMatchObject({
    code: 'LEDGER_CONTENTION',
    hint: expect.stringContaining('moraine pause list'),
  });
  const [written] = await world.all('pauses');
  expect(written).toMatchObject({ state: 'pausing', pausedAt: null });
  expect((await told()).map(({ phase }) => phase)).toEqual(['intent']);
  expect(await run()).toMatchObject({ plan: null });
  await inFlight(world.store).remove('e', 0);
  expect(await begin(CHATS)).toMatchObject({ _id: written?._id, state: 'paused' });
});

test('too late only for what the vault was asked to delete, and what it stops', async () => {
  const purge = { claimedDueAt: new Date(RUN_AT), asOf: new Date(RUN_AT), acceptedAt: null, keyDestroyedAt: null };
  const asked = { ...purge, askedAt: new Date(RUN_AT), confirmedByInventoryAt: null, certificate: null };
  const put = (name: string, sequence: number, more: Parameters<typeof anArchive>[0]) =>
    archives(world.store).insert(anArchive({ _id: id.archive(name), sequence, state: 'purging', ...more }));
  await put('asked', 1, { purge: asked });
  await put('not-asked', 2, { purge: { ...asked, askedAt: null } });
  await put('without', 3, { purge: null });
  await put('gone', 4, { purge: asked, state: 'purged' });
  expect(await begin(CHATS)).toMatchObject({ tooLate: ['asked'] });
  expect(await begin({ what: 'policy', name: 'calls' })).toMatchObject({ tooLate: [] });
  expect((await told()).find(({ key }) => key?.endsWith(':paused'))).toMatchObject({ details: { tooLate: ['asked'] } });
});

test('one that is in force, or was lifted, is not settled again', async () => {
  const paused = await begin(CHATS);
  for (const state of ['paused', 'resumed'] as const) {
    expect(await settlePausing(world.context(), { ...paused, state })).toEqual({ ...paused, state });
    expect(await settlePausingIfFree(world.context(), { ...paused, state })).toEqual({ ...paused, state });
  }
  await end(CHATS);
  // Whoever was about to settle it finds it lifted, and leaves it so.
  expect(await settlePausing(world.context(), { ...paused, state: 'pausing' })).toMatchObject({ state: 'resumed' });
});
