/** Reconcile, step by step: whose inventory is needed and since when, what it may abort, what it makes of what it finds, and that one failure stops no other. */
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { type ArchiveId, type AttemptId, id } from '../../src/ids.ts';
import { openAlarms } from '../../src/ledger/alarms.ts';
import type { ArchiveDocument, PurgeFacts } from '../../src/ledger/archive-document.ts';
import { archives, getArchive } from '../../src/ledger/archives.ts';
import {
  ABANDONED_MARGIN_MS,
  abandonAttempt,
  attemptKeyDestroyed,
  attempts,
  openAttempt,
} from '../../src/ledger/attempts.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { inFlight } from '../../src/ledger/in-flight.ts';
import {
  claimInventoryRequest,
  getInventory,
  needInventory,
  rememberInventoryJob,
} from '../../src/ledger/inventories.ts';
import { LEASE_MS } from '../../src/ledger/leases.ts';
import { exemptRecords, markQuarantined } from '../../src/ledger/record-marks.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import type { InventoryEntry, OpenUpload, VaultLocation, VaultPort } from '../../src/vault/port.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const HOUR_MS = 3_600_000;
const AT = new Date('2024-06-01T00:00:00Z');
const LATER = new Date(AT.getTime() + 48 * HOUR_MS);
const EXPECTED = new Date('2024-06-09T04:00:00Z');
const A1 = id.archive('a1');
const T1 = id.attempt('t1');
const OTHER: VaultLocation = { ...LOCATION, name: 'other' };
const STORED = anArchive().stored ?? undefined;
const PURGE: PurgeFacts = {
  claimedDueAt: AT,
  asOf: AT,
  askedAt: AT,
  acceptedAt: AT,
  keyDestroyedAt: AT,
  confirmedByInventoryAt: null,
  certificate: null,
};
const UNANSWERED = { state: 'purging', purge: { ...PURGE, acceptedAt: null, keyDestroyedAt: null } } as const;

let world: MemoryWorld;
let policy: Policy;
/** What the vaults say, by the name of the vault; without: a job that is pending. */
let inventories: Map<string, { readonly inventoryDate: Date; readonly entries: readonly InventoryEntry[] }>;
let uploads: OpenUpload[];
let aborted: string[];
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
  inventories = new Map();
  uploads = [];
  aborted = [];
});

function contextOf(more: Partial<VaultPort> = {}, fields: Partial<Context> = {}): Context {
  const base = world.context(undefined, { asOf: '2024-06-01T00:00:00Z' });
  const vault = overlay<VaultPort>(world.vault, {
    requestInventory: async ({ name }) => `job of ${name}`,
    inventoryState: async ({ name }) =>
      inventories.has(name)
        ? { state: 'ready', readyAt: AT, expiresAt: null }
        : { state: 'pending', expectedAt: EXPECTED },
    readInventory: async ({ name }) => {
      const { inventoryDate = AT, entries = [] } = inventories.get(name) ?? {};
      return {
        inventoryDate,
        entries: async function* () {
          yield* entries;
        },
      };
    },
    listUploads: async function* () {
      yield* uploads;
    },
    abortUpload: async (_location, uploadId) => {
      aborted.push(uploadId);
    },
    ...more,
  });
  return { ...base, vaults: new Map([[LOCATION.key, vault]]), ...fields };
}

const look = (context: Context = contextOf(), all = false) => reconcile(context, { all, source: false });

let sequence = 1;
async function put(fields: Partial<ArchiveDocument> = {}): Promise<void> {
  sequence += 1;
  await archives(world.store).insert(anArchive({ sequence, ...fields }));
}

function entryOf(vaultArchiveId = STORED?.vaultArchiveId ?? '', createdAt = AT): InventoryEntry {
  const { bytes = 0, treeHash = '' } = STORED ?? {};
  return { vaultArchiveId, intent: null, description: '', bytes, treeHash, createdAt };
}

async function openT1(archive: ArchiveId = A1, location: VaultLocation = LOCATION): Promise<void> {
  const { owner, customer, namespace: dataset, policyVersion } = anArchive();
  const { id: installation } = world.context().installation;
  const intent = { installation, archive, attempt: T1, owner, customer, dataset, dueAt: '2029-01-02', policyVersion };
  await openAttempt(world.store, world.clock, { _id: T1, archive, epoch: 1, location, intent, partBytes: 1 });
}

async function abandonT1(): Promise<void> {
  await abandonAttempt(world.store, world.clock, T1, 'cut');
  await attemptKeyDestroyed(world.store, T1, await world.context().keys.destroy(T1));
}

describe('an inventory is needed', () => {
  const storedAt = (at: Date) => (STORED === undefined ? {} : { stored: { ...STORED, at } });
  type Row = [string, Partial<ArchiveDocument>, 'AT' | null, 'AT' | null];
  test.each<Row>([
    ['stored, to be verified by one', { state: 'stored', verifyLevel: 'inventory' }, 'AT', 'AT'],
    ['stored, verified by checksum', { state: 'stored' }, null, 'AT'],
    ['verified', { state: 'verified', verifyLevel: 'inventory' }, null, 'AT'],
    ['cleared', {}, null, 'AT'],
    ['purged, to be confirmed', { state: 'purged', purge: PURGE, ...storedAt(new Date(0)) }, 'AT', 'AT'],
    ['purged, and nobody knows when', { state: 'purged', purge: { ...PURGE, acceptedAt: null } }, null, null],
    ['a purge that was answered', { state: 'purging', purge: PURGE }, null, 'AT'],
    ['a purge that was not asked yet', { state: 'purging', purge: { ...UNANSWERED.purge, askedAt: null } }, null, 'AT'],
    ['confirmed', { state: 'confirmed', purge: PURGE }, null, null],
    ['quarantined', { state: 'quarantined' }, null, null],
    ['planned', { state: 'planned', stored: null }, null, null],
  ])('%s: %s', async (_, fields, without, withAll) => {
    for (const [all, expected] of [
      [false, without],
      [true, withAll],
    ] as const) {
      await world.store.collection('inventories').removeMany({});
      await world.store.collection('archives').removeMany({});
      await put({ rosterShrunk: true, ...fields });
      const { vaults } = await look(contextOf(), all);
      const waiting = { vault: LOCATION.name, state: 'waiting', until: EXPECTED, text: null };
      expect(vaults).toEqual(expected === null ? [] : [waiting]);
      expect((await getInventory(world.store, LOCATION))?.neededSince ?? null).toEqual(expected === null ? null : AT);
    }
  });

  test('a purge without an answer: six hours after the vault was asked, since then', async () => {
    await put({ ...UNANSWERED, ...storedAt(new Date(0)) });
    world.clock.advance(6 * HOUR_MS - 1);
    expect((await look()).vaults).toEqual([]);
    world.clock.advance(1);
    expect((await look()).vaults).toHaveLength(1);
    expect((await getInventory(world.store, LOCATION))?.neededSince).toEqual(AT);
  });

  test.each([
    ['first', LATER, AT],
    ['last', AT, LATER],
  ])('since the newest of what waits in a vault, when that is met %s', async (_, first, second) => {
    const fields = { state: 'purged', rosterShrunk: true } as const;
    await put({ ...fields, purge: { ...PURGE, acceptedAt: first } });
    await put({ ...fields, _id: id.archive('a2'), purge: { ...PURGE, acceptedAt: second } });
    await put({ ...fields, _id: id.archive('a3'), vault: OTHER, purge: { ...PURGE, acceptedAt: first } });
    const { vaults } = await look();
    expect(vaults.map(({ vault }) => vault).sort()).toEqual([LOCATION.name, OTHER.name].sort());
    expect((await getInventory(world.store, LOCATION))?.neededSince).toEqual(LATER);
    expect((await getInventory(world.store, OTHER))?.neededSince).toEqual(first);
  });

  test('an abandoned attempt to clean up: since its end, once its margin is over', async () => {
    await openT1(A1, OTHER);
    await abandonT1();
    const ended = world.clock.now();
    world.clock.advance(ABANDONED_MARGIN_MS - 1);
    expect((await look()).vaults).toEqual([]);
    world.clock.advance(1);
    expect((await look()).vaults).toMatchObject([{ vault: OTHER.name, state: 'waiting' }]);
    expect((await getInventory(world.store, OTHER))?.neededSince).toEqual(ended);
  });

  test('what an earlier look needed, and a job that it left open, are followed to their end', async () => {
    await needInventory(world.store, LOCATION, AT);
    await needInventory(world.store, OTHER, AT);
    await claimInventoryRequest(world.store, world.clock, OTHER);
    await rememberInventoryJob(world.store, world.clock, OTHER, 'job');
    expect((await look()).vaults.map(({ vault }) => vault).sort()).toEqual([LOCATION.name, OTHER.name].sort());
    inventories.set(LOCATION.name, { inventoryDate: LATER, entries: [] });
    inventories.set(OTHER.name, { inventoryDate: LATER, entries: [] });
    expect((await look()).vaults.map(({ state }) => state)).toEqual(['compared', 'compared']);
    expect((await look()).vaults).toEqual([]);
  });

  test('another worker is asking for it: waited for', async () => {
    await put({ state: 'purged', purge: PURGE });
    await needInventory(world.store, LOCATION, AT);
    await claimInventoryRequest(world.store, world.clock, LOCATION);
    expect((await look()).vaults).toEqual([{ vault: LOCATION.name, state: 'waiting', until: null, text: null }]);
  });

  test('compared, and not late enough for what waits: the next one is asked for at once, and waited for', async () => {
    await put({ state: 'purged', purge: { ...PURGE, askedAt: LATER, acceptedAt: LATER } });
    inventories.set(LOCATION.name, { inventoryDate: AT, entries: [entryOf()] });
    let asked = 0;
    const context = contextOf({
      requestInventory: async () => `j${++asked}`,
      inventoryState: async (_location, job) =>
        job === 'j1' ? { state: 'ready', readyAt: AT, expiresAt: null } : { state: 'pending', expectedAt: EXPECTED },
    });
    expect((await look(context)).vaults).toEqual([
      { vault: LOCATION.name, state: 'waiting', until: EXPECTED, text: null },
    ]);
    expect(asked).toBe(2);
  });
});

describe('what it finds', () => {
  test('is told for every vault together', async () => {
    const { id: installation } = world.context().installation;
    const { owner, customer, namespace: dataset, policyVersion } = anArchive();
    const of = { installation, owner, customer, dataset, dueAt: '2029-01-02T00:00:00Z', policyVersion };
    const stray = { ...entryOf('stray'), intent: { ...of, archive: id.archive('lost'), attempt: id.attempt('lost') } };
    for (const [at, vault] of [LOCATION, OTHER].entries()) {
      await put({ _id: id.archive(`purged${at}`), state: 'purged', purge: PURGE, vault });
      if (STORED === undefined) throw new Error('It was not stored.');
      await put({ _id: id.archive(`missing${at}`), vault, stored: { ...STORED, vaultArchiveId: 'missing' } });
      inventories.set(vault.name, { inventoryDate: LATER, entries: [entryOf('theirs'), stray] });
    }
    const report = await look(contextOf(), true);
    expect([...report.confirmed].sort()).toEqual(['purged0', 'purged1']);
    expect([...report.missing].sort()).toEqual(['missing0', 'missing1']);
    expect([...report.quarantined].sort()).toEqual(['missing0', 'missing1']);
    expect(report.strays.map(({ vault, archive }) => [vault, archive])).toEqual(
      [OTHER.name, LOCATION.name].map((name) => [name, 'lost']),
    );
    expect(report).toMatchObject({ foreign: 2, removedUploads: 0, verified: [], cleared: [], reappeared: [] });
    expect(report.vaults.map(({ state, until, text }) => ({ state, until, text }))).toEqual([
      { state: 'compared', until: null, text: null },
      { state: 'compared', until: null, text: null },
    ]);
  });

  test('a vault that is away is told with what it said, and stops no other', async () => {
    await put({ state: 'purged', purge: PURGE });
    await put({ _id: id.archive('a2'), state: 'purged', purge: PURGE, vault: OTHER });
    inventories.set(OTHER.name, { inventoryDate: LATER, entries: [] });
    const listUploads: VaultPort['listUploads'] = async function* ({ name }) {
      if (name === LOCATION.name) throw new Error('that region is away');
      yield* uploads;
    };
    const report = await look(contextOf({ listUploads }));
    expect(report.vaults).toContainEqual({
      vault: LOCATION.name,
      state: 'failed',
      until: null,
      text: 'that region is away',
    });
    expect(report.confirmed).toEqual(['a2']);
  });

  test('told to stop: it ends with that, and asks no vault', async () => {
    await put({ state: 'purged', purge: PURGE });
    const signal = AbortSignal.abort('enough');
    await expect(look(contextOf({}, { signal }))).rejects.toMatchObject({ code: 'WORK_STOPPED' });
    expect(await getInventory(world.store, LOCATION)).toMatchObject({ state: 'none' });
  });
});

describe('an upload that is open in the vault', () => {
  const upload = (attempt: AttemptId | null, uploadId = 'u1'): OpenUpload => ({
    uploadId,
    intent: attempt === null ? null : { archive: A1, attempt },
    createdAt: AT,
  });
  beforeEach(async () => {
    await needInventory(world.store, LOCATION, AT);
  });

  test('is aborted when its attempt was abandoned and the margin is over; not before, and counted', async () => {
    await openT1();
    uploads = [upload(T1)];
    expect((await look()).removedUploads).toBe(0);
    await abandonT1();
    world.clock.advance(ABANDONED_MARGIN_MS - 1);
    expect((await look()).removedUploads).toBe(0);
    expect(aborted).toEqual([]);
    world.clock.advance(1);
    uploads = [upload(null, 'theirs'), upload(id.attempt('unknown'), 'unknown'), upload(T1), upload(T1, 'u2')];
    expect((await look()).removedUploads).toBe(2);
    expect(aborted).toEqual(['u1', 'u2']);
  });

  test('is counted together with the files that an inventory shows', async () => {
    await openT1();
    await abandonT1();
    world.clock.advance(ABANDONED_MARGIN_MS);
    uploads = [upload(T1)];
    const intent = (await attempts(world.store).get(T1))?.intent ?? null;
    inventories.set(LOCATION.name, { inventoryDate: LATER, entries: [{ ...entryOf('left'), intent }] });
    expect((await look(contextOf({ deleteAbandoned: async () => undefined }))).removedUploads).toBe(2);
  });
});

describe('a ledger that is older than its vault', () => {
  const MARGIN_MS = 15 * 60_000;
  const alarmed = async (createdAt: Date, environment: Context['installation']['environment'] = 'production') => {
    await put({ state: 'purged', purge: { ...PURGE, acceptedAt: new Date(createdAt.getTime() + HOUR_MS) } });
    inventories.set(LOCATION.name, { inventoryDate: createdAt, entries: [entryOf(undefined, createdAt)] });
    const context = contextOf();
    await look({ ...context, installation: { id: context.installation.id, environment } });
    return (await openAlarms(world.store)).map(({ code }) => code);
  };
  const write = async () => {
    const entry = { key: 'k', act: 'test', phase: 'outcome', subject: {}, details: {} } as const;
    await world.context().audit.appendOnce([entry]);
    return world.clock.now().getTime();
  };

  test('by less than a move may take to be written down: no alarm', async () => {
    expect(await alarmed(new Date((await write()) + MARGIN_MS))).toEqual([]);
  });

  test('by a millisecond more: a restored backup', async () => {
    expect(await alarmed(new Date((await write()) + MARGIN_MS + 1))).toEqual(['LEDGER_BEHIND_VAULT']);
  });

  test('an audit chain without an entry: a restored backup', async () => {
    expect(await alarmed(AT)).toEqual(['LEDGER_BEHIND_VAULT']);
    const [alarm] = await openAlarms(world.store);
    expect(alarm?.text).toContain(`from ${AT.toISOString()}, and the newest audit entry is from never`);
  });

  test('in a sandbox the vault has a time of its own: no alarm', async () => {
    expect(await alarmed(AT, 'sandbox')).toEqual([]);
  });

  test('a vault with nothing of ours says nothing', async () => {
    await put({ state: 'purged', purge: PURGE });
    inventories.set(LOCATION.name, { inventoryDate: LATER, entries: [entryOf('theirs', LATER)] });
    const context = contextOf();
    const installation = { id: context.installation.id, environment: 'production' } as const;
    expect((await look({ ...context, installation })).vaults).toMatchObject([{ state: 'compared' }]);
    expect(await openAlarms(world.store)).toEqual([]);
  });
});

describe('what the ledger left', () => {
  test('an attempt that nobody comes back to, an entry that is not in the chain, an announcement that is long over', async () => {
    await put({ epoch: 2, attempt: id.attempt('t2'), state: 'storing', stored: null });
    await openT1();
    const entry = { key: 'a1:left', act: 'archive planned', phase: 'outcome', subject: {}, details: {} } as const;
    await put({ _id: id.archive('a2'), state: 'confirmed', unaudited: [entry] });
    const announced = { act: 'clear', worker: id.worker('w'), until: world.clock.now(), archive: null } as const;
    const { owner, customer, namespace } = anArchive();
    await inFlight(world.store).insert({ _id: 'e', v: 1, owner, customer, namespace, ...announced });
    world.clock.advance(Math.max(HOUR_MS, 2 * LEASE_MS) + 1);
    await look();
    expect(await attempts(world.store).get(T1)).toMatchObject({ state: 'abandoned' });
    expect(await getArchive(world.store, id.archive('a2'))).toMatchObject({ unaudited: [] });
    const keys: string[] = [];
    for await (const { key } of auditEntries(world.store)) if (key !== undefined) keys.push(key);
    expect(keys).toContain('a1:left');
    expect(await world.all('inFlight')).toEqual([]);
  });
});

describe('records', () => {
  const RUN = { flush: true, expired: null } as const;
  function write(...ids: readonly string[]): void {
    for (const _id of ids) world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
  }
  const run = async (context: Context = world.context(undefined, { asOf: '2024-06-01T00:00:00Z' })) =>
    await runPolicy(context, policy, RUN);
  const found = async (source = true) =>
    (await reconcile(world.context(undefined, { asOf: '2024-06-01T00:00:00Z' }), { all: false, source })).reappeared;
  const scope = () => markScope(world.context(), policy.dataset.collection, LOCATION.owner, LOCATION.customer);
  const keyOf = (_id: string) => world.context().source.keyOf(idBytesOf(BSON.serialize({ _id })));

  test('that an archive holds as deleted and that are in the source again: counted, when they are asked for', async () => {
    write('a', 'b', 'c');
    await run();
    expect(await found()).toEqual([]);
    write('a', 'b', 'between');
    const [archive] = await world.archives();
    expect(await found()).toEqual([{ archive: archive?._id, namespace: policy.dataset.collection, records: 2 }]);
    expect(await found(false)).toEqual([]);
  });

  test('that were restored, or are in quarantine, are known and do not count', async () => {
    write('a', 'b', 'c');
    await run();
    write('a', 'b', 'c');
    await exemptRecords(world.store, await scope(), [keyOf('a')], new Date('2025-01-01'));
    await markQuarantined(world.store, await scope(), [keyOf('b')]);
    expect(await found()).toMatchObject([{ records: 1 }]);
  });

  test('that changed and stayed are not taken for ones that came back', async () => {
    write('a', 'b');
    const context = world.context(undefined, { asOf: '2024-06-01T00:00:00Z' });
    const source = overlay(context.source, {
      deleteGuarded: async (...args) => {
        world.put(policy, { _id: 'b', owner: 'acme', tenant: 'north', at: new Date('2020-01-01'), text: 'new' });
        return await context.source.deleteGuarded(...args);
      },
    });
    await run({ ...context, source });
    expect(world.idsIn(policy)).toEqual(['b']);
    expect(await found()).toEqual([]);
    write('a');
    expect(await found()).toMatchObject([{ records: 1 }]);
  });

  test('verified by an inventory: cleared, each by itself; one whose policy is gone stops no other', async () => {
    policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 90 days, verify: inventory }
limits: { records: 1000, share: 1.0 }
`);
    write('a');
    await run();
    const [archive] = await world.archives();
    if (archive?.stored == null) throw new Error('It was not stored.');
    await put({ state: 'verified', verifyLevel: 'inventory', rosterShrunk: false });
    const byChecksum = id.archive('checksum');
    const { _id: __, ...stored } = archive;
    const second = { ...archive.stored, vaultArchiveId: 'second' };
    await put({ ...stored, _id: byChecksum, state: 'verified', verifyLevel: 'checksum', sequence: 99, stored: second });
    const entries = [archive.stored, second].map(({ vaultArchiveId, bytes, treeHash }) => {
      return { vaultArchiveId, intent: null, description: '', bytes, treeHash, createdAt: AT };
    });
    inventories.set(archive.vault.name, { inventoryDate: LATER, entries });
    const report = await look(contextOf());
    expect(report).toMatchObject({ verified: [archive._id], cleared: [archive._id] });
    expect(world.idsIn(policy)).toEqual([]);
    expect(await getArchive(world.store, A1)).toMatchObject({ state: 'verified', lease: null });
    expect(await getArchive(world.store, byChecksum)).toMatchObject({ state: 'verified' });
  });

  test('told to stop while they are cleared: it ends with that', async () => {
    await put({ state: 'verified', verifyLevel: 'inventory', rosterShrunk: false });
    const signal = AbortSignal.abort('enough');
    await expect(look(contextOf({}, { signal }))).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  });
});
