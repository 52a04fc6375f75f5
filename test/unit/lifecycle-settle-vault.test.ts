/** One inventory against the ledger: every state with every answer, and what is unknown to one of the two. */
import { beforeEach, describe, expect, test } from 'vitest';
import { type ArchiveId, type AttemptId, id } from '../../src/ids.ts';
import { endAlarms, raiseAlarm } from '../../src/ledger/alarms.ts';
import type { ArchiveDocument, PurgeFacts, StoredFacts } from '../../src/ledger/archive-document.ts';
import { archives, claimArchive } from '../../src/ledger/archives.ts';
import {
  ABANDONED_MARGIN_MS,
  abandonAttempt,
  attemptKeyDestroyed,
  attempts,
  openAttempt,
} from '../../src/ledger/attempts.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import {
  claimInventoryRequest,
  getInventory,
  needInventory,
  rememberInventoryJob,
} from '../../src/ledger/inventories.ts';
import { archiveEntryId, getQuarantine } from '../../src/ledger/quarantine.ts';
import { writeRosterPage } from '../../src/ledger/rosters.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { settleVault } from '../../src/lifecycle/settle-vault.ts';
import type { InventoryEntry, UploadIntent } from '../../src/vault/port.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const A1 = id.archive('a1');
const T1 = id.attempt('t1');
const HOUR_MS = 3_600_000;
const STORED = storedOf(anArchive());
const LATER = new Date(STORED.at.getTime() + 48 * HOUR_MS);
const BEFORE_ASKED = STORED.at;
const ACCEPTED = new Date(STORED.at.getTime() + 24 * HOUR_MS);
const PURGE: PurgeFacts = {
  claimedDueAt: STORED.at,
  asOf: STORED.at,
  askedAt: STORED.at,
  acceptedAt: ACCEPTED,
  keyDestroyedAt: ACCEPTED,
  confirmedByInventoryAt: null,
  certificate: null,
};

let world: MemoryWorld;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  const base = world.context();
  const key = { archive: A1, owner: LOCATION.owner, wrapped: new Uint8Array(), recipients: [] };
  context = { ...base, keys: overlay(base.keys, { readBack: async (attempt) => ({ ...key, attempt }) }) };
  await needInventory(world.store, LOCATION, STORED.at);
  await claimInventoryRequest(world.store, world.clock, LOCATION);
  await rememberInventoryJob(world.store, world.clock, LOCATION, 'job');
});

function storedOf({ stored }: Pick<ArchiveDocument, 'stored'>): StoredFacts {
  if (stored === null) throw new Error('It was not stored.');
  return stored;
}

async function put(fields: Partial<ArchiveDocument> = {}): Promise<void> {
  await archives(world.store).insert(anArchive(fields));
}

async function read(archive: ArchiveId = A1): Promise<ArchiveDocument> {
  const found = await archives(world.store).get(archive);
  if (found === null) throw new Error('It is gone.');
  return found;
}

function entry(fields: Partial<InventoryEntry> = {}): InventoryEntry {
  const { vaultArchiveId, bytes, treeHash, at } = STORED;
  return { vaultArchiveId, intent: null, description: '', bytes, treeHash, createdAt: at, ...fields };
}

/** `during`: while the inventory is read. */
async function settle(
  entries: readonly InventoryEntry[],
  inventoryDate = LATER,
  on: Context = context,
  during: () => Promise<void> = async () => undefined,
) {
  return await settleVault(on, LOCATION, 'job', {
    inventoryDate,
    entries: async function* () {
      await during();
      yield* entries;
    },
  });
}

describe('what the ledger knows', () => {
  const listed = [entry()];
  const stored = { state: 'stored', verifyLevel: 'inventory', verifiedAt: null, rosterShrunk: false } as const;
  const verified = { state: 'verified', rosterShrunk: false } as const;
  const purged = { state: 'purged', purge: PURGE } as const;
  const otherBytes = [entry({ bytes: STORED.bytes + 1 })];
  const otherHash = [entry({ treeHash: '00'.repeat(32) })];
  const noHash = [entry({ treeHash: null })];
  const justThen = { inventoryDate: STORED.at };
  const justAfter = { inventoryDate: new Date(STORED.at.getTime() + 1) };
  type Row = [
    string,
    Partial<ArchiveDocument>,
    InventoryEntry[],
    { inventoryDate?: Date },
    string,
    ('verified' | 'confirmed' | 'missing' | 'quarantined')[],
  ];

  test.each<Row>([
    ['stored, to be verified: listed', stored, listed, {}, 'verified', ['verified']],
    ['stored: listed a millisecond after', stored, listed, justAfter, 'verified', ['verified']],
    ['stored: an inventory of the same instant says nothing', stored, [], justThen, 'stored', []],
    ['stored: listed, without a tree hash', stored, noHash, {}, 'verified', ['verified']],
    ['stored: not listed', stored, [], {}, 'quarantined', ['quarantined']],
    ['stored: listed with another size', stored, otherBytes, {}, 'quarantined', ['quarantined']],
    ['stored: listed with another tree hash', stored, otherHash, {}, 'quarantined', ['quarantined']],
    ['stored, checksum is enough: not listed', { ...stored, verifyLevel: 'checksum' }, [], {}, 'stored', []],
    ['verified: listed', verified, listed, {}, 'verified', []],
    ['verified: not listed', verified, [], {}, 'quarantined', ['missing', 'quarantined']],
    ['cleared: listed', {}, listed, {}, 'cleared', []],
    ['cleared: listed, without a tree hash', {}, noHash, {}, 'cleared', []],
    ['cleared: not listed', {}, [], {}, 'quarantined', ['missing', 'quarantined']],
    ['cleared: an inventory of the same instant says nothing', {}, [], justThen, 'cleared', []],
    ['cleared: listed with another size', {}, otherBytes, {}, 'quarantined', ['missing', 'quarantined']],
    ['cleared: listed with another tree hash', {}, otherHash, {}, 'quarantined', ['missing', 'quarantined']],
    ['purging: not listed', { state: 'purging', purge: PURGE }, [], {}, 'purging', []],
    ['quarantined: not listed', { state: 'quarantined' }, [], {}, 'quarantined', []],
    ['confirmed: not listed', { state: 'confirmed', purge: PURGE }, [], {}, 'confirmed', []],
    ['purged: not listed any more', purged, [], {}, 'confirmed', ['confirmed']],
    ['purged: still listed', purged, listed, {}, 'quarantined', ['quarantined']],
    [
      'purged: an inventory of before it was asked says nothing',
      purged,
      [],
      { inventoryDate: BEFORE_ASKED },
      'purged',
      [],
    ],
    [
      'purged: not listed by an inventory of the very second',
      { state: 'purged', purge: { ...PURGE, askedAt: ACCEPTED, acceptedAt: new Date(ACCEPTED.getTime() + 999) } },
      [],
      { inventoryDate: ACCEPTED },
      'confirmed',
      ['confirmed'],
    ],
    [
      'purged: an inventory of the second before says nothing',
      { state: 'purged', purge: { ...PURGE, askedAt: ACCEPTED, acceptedAt: new Date(ACCEPTED.getTime() + 999) } },
      [],
      { inventoryDate: new Date(ACCEPTED.getTime() - 1_000) },
      'purged',
      [],
    ],
    [
      'purged: not listed a millisecond after',
      purged,
      [],
      { inventoryDate: new Date(ACCEPTED.getTime() + 1) },
      'confirmed',
      ['confirmed'],
    ],
    [
      'purged, and nobody knows when: waits',
      { ...purged, purge: { ...PURGE, acceptedAt: null } },
      [],
      {},
      'purged',
      [],
    ],
    ['stored: listed in an inventory of the same instant', stored, listed, justThen, 'verified', ['verified']],
    ['purged: asked for again, and listed in between', purged, listed, { inventoryDate: ACCEPTED }, 'purged', []],
    [
      'purged: asked for again, and not listed in between',
      purged,
      [],
      { inventoryDate: ACCEPTED },
      'confirmed',
      ['confirmed'],
    ],
    [
      'purged: an inventory from before it was stored says nothing',
      { ...purged, purge: { ...PURGE, askedAt: new Date(STORED.at.getTime() - HOUR_MS) } },
      [],
      justThen,
      'purged',
      [],
    ],
  ])('%s', async (_, fields, entries, { inventoryDate }, state, found) => {
    await put(fields);
    const findings = await settle(entries, inventoryDate);
    expect((await read()).state).toBe(state);
    const none = { verified: [], confirmed: [], missing: [], quarantined: [], strays: [], foreign: 0, removed: 0 };
    expect(findings).toMatchObject({ ...none, ...Object.fromEntries(found.map((kind) => [kind, [A1]])) });
  });

  test('the reasons of a quarantine tell what the inventory said', async () => {
    const text = async () => (await getQuarantine(world.store, archiveEntryId(A1)))?.text;
    await put({ verifiedAt: STORED.at });
    await settle([]);
    expect(await text()).toBe(`The inventory of ${LATER.toISOString()} does not list it as it was stored.`);
    expect(await read()).toMatchObject({
      quarantineReason: 'ARCHIVE_NOT_IN_INVENTORY',
      quarantinedFrom: 'cleared',
      lease: null,
    });
    await archives(world.store).removeMany({});
    await put({ state: 'purged', purge: PURGE });
    await settle([entry()]);
    expect(await read()).toMatchObject({ quarantineReason: 'ARCHIVE_STILL_IN_INVENTORY', quarantinedFrom: 'purged' });
    expect(await text()).toBe(`The inventory of ${LATER.toISOString()} still lists it after the accepted delete.`);
  });

  test('confirmed: date and certificate are in the ledger, and the audit chain says so', async () => {
    await put({ state: 'purged', purge: PURGE });
    await settle([]);
    expect(await read()).toMatchObject({
      purge: { ...PURGE, confirmedByInventoryAt: LATER, certificate: A1 },
      unaudited: [],
      lease: null,
    });
    const [certificate] = await world.all('certificates');
    expect(JSON.parse(String(Reflect.get(certificate ?? {}, 'body')))).toMatchObject({
      copies: [{ deleted: { confirmedByInventoryOf: LATER.toISOString(), acceptedAt: ACCEPTED.toISOString() } }],
    });
    const told = [];
    for await (const { act, details } of auditEntries(world.store)) told.push([act, details['certificate']]);
    expect(told).toContainEqual(['archive confirmed', A1]);
  });

  test('one that was confirmed and is listed still is known, and no stranger', async () => {
    await put({ state: 'confirmed', purge: PURGE });
    expect(await settle([entry()])).toMatchObject({ foreign: 0, strays: [] });
  });

  test('another worker is busy with it: left alone, and no error', async () => {
    await put({ state: 'purged', purge: PURGE });
    const other = { worker: id.worker('other'), clock: world.clock };
    await claimArchive(world.store, context.audit, A1, other);
    expect(await settle([])).toMatchObject({ confirmed: [] });
    expect((await read()).state).toBe('purged');
  });

  test('it went on between the reading and the claim: left alone', async () => {
    await put({ state: 'stored', verifyLevel: 'inventory', rosterShrunk: false });
    const collection: Context['store']['collection'] = (name) => world.store.collection(name);
    const serverTime = async () => {
      if ((await read()).state === 'stored')
        await archives(world.store).replace({ ...(await read()), state: 'verified' });
      return await world.store.serverTime();
    };
    const findings = await settle([], LATER, { ...context, store: overlay(context.store, { collection, serverTime }) });
    expect(findings).toMatchObject({ quarantined: [], verified: [] });
    expect((await read()).state).toBe('verified');
  });

  test('what fails for another reason is passed on, and the inventory is not used up', async () => {
    await put({ state: 'purged', purge: { ...PURGE, keyDestroyedAt: null } });
    await expect(settle([])).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await getInventory(world.store, LOCATION)).toMatchObject({ state: 'requested', jobId: 'job' });
    expect((await read()).lease).toBeNull();
  });

  test('archives of another vault, or of another account with a vault of that name, are not looked for', async () => {
    await put({ vault: { ...LOCATION, name: 'elsewhere' } });
    await put({ _id: id.archive('a2'), sequence: 2, vault: { ...LOCATION, account: '123456789012' } });
    await put({ _id: id.archive('a3'), sequence: 3, stored: null, state: 'quarantined' });
    expect(await settle([])).toMatchObject({ missing: [], quarantined: [] });
  });

  describe('a purge whose vault was asked and never answered', () => {
    const unanswered = { ...PURGE, askedAt: new Date('2024-06-01T00:00:00Z'), acceptedAt: null, keyDestroyedAt: null };
    const purging = { state: 'purging', purge: unanswered } as const;

    test('not listed any more: accepted by the date of the inventory, and the next purge ends it', async () => {
      await put(purging);
      await settle([]);
      expect(await read()).toMatchObject({
        state: 'purging',
        purge: { ...unanswered, acceptedAt: LATER },
        lease: null,
      });
    });

    test('an inventory from before it was stored says nothing; nor does any about one that was not asked', async () => {
      await put(purging);
      await settle([], STORED.at);
      expect(await read()).toMatchObject({ state: 'purging', purge: unanswered });
      await archives(world.store).removeMany({});
      const claimed = { ...unanswered, askedAt: null };
      await put({ ...purging, purge: claimed });
      await settle([], LATER);
      expect(await read()).toMatchObject({ state: 'purging', purge: claimed });
    });

    test('listed three days after the asking, and not before: the vault never deleted it, and it is cleared again', async () => {
      await put(purging);
      world.clock.advance(72 * HOUR_MS - 1);
      await settle([entry()]);
      expect(await read()).toMatchObject({ state: 'purging', purge: unanswered });
      world.clock.advance(1);
      await settle([entry()]);
      expect(await read()).toMatchObject({ state: 'cleared', purge: null });
    });
  });

  describe('an inventory that is not later than what is needed ends the need when nothing is left to compare', () => {
    const needed = async () => {
      await settle([], STORED.at);
      return (await getInventory(world.store, LOCATION))?.neededSince;
    };
    const earlier = { ...STORED, at: new Date(STORED.at.getTime() - 1) };
    const nothingAsked = { ...PURGE, askedAt: ACCEPTED };

    test.each<[string, Partial<ArchiveDocument> | null, boolean]>([
      ['nothing in the vault', null, true],
      ['purged, not confirmed', { state: 'purged', purge: nothingAsked }, false],
      ['stored before and not listed: put aside', { ...stored, stored: earlier, state: 'stored' }, true],
      ['stored in the same instant', stored, false],
      ['stored before, checksum is enough', { ...stored, verifyLevel: 'checksum', stored: earlier }, true],
      ['confirmed before', { state: 'confirmed', purge: PURGE, stored: earlier }, true],
      ['cleared in the same instant: not compared yet', {}, false],
      ['verified in the same instant: not compared yet', verified, false],
      ['confirmed, stored in the same instant', { state: 'confirmed', purge: PURGE }, true],
      ['a purge under way', { state: 'purging', purge: { ...PURGE, askedAt: null }, stored: earlier }, false],
    ])('%s', async (_, fields, isEnough) => {
      if (fields !== null) await put(fields);
      expect(await needed()).toEqual(isEnough ? null : STORED.at);
    });
  });

  test('the inventory is used up: the vault is free for the next one', async () => {
    await settle([]);
    expect(await getInventory(world.store, LOCATION)).toMatchObject({
      state: 'none',
      jobId: null,
      inventoryDate: LATER,
      neededSince: null,
    });
  });
});

describe('what the ledger does not know', () => {
  const removed: string[] = [];
  beforeEach(() => {
    removed.length = 0;
    const vaults = [...context.vaults].map(
      ([key, vault]) =>
        [
          key,
          overlay(vault, {
            deleteAbandoned: async (_location, vaultArchiveId, proof) => {
              for await (const { act, phase } of auditEntries(world.store)) removed.push(`${act} ${phase}`);
              removed.push(`${vaultArchiveId} of ${proof.attempt}`);
            },
          }),
        ] as const,
    );
    context = { ...context, vaults: new Map(vaults) };
  });

  function intentOf(attempt: AttemptId = T1, archive: ArchiveId = A1): UploadIntent {
    const { owner, customer, namespace: dataset, policyVersion } = anArchive();
    const { id: installation } = context.installation;
    return { installation, archive, attempt, owner, customer, dataset, dueAt: '2029-01-02T00:00:00Z', policyVersion };
  }

  function unknown(intent: UploadIntent | null, createdAt = STORED.at): InventoryEntry {
    return entry({ vaultArchiveId: 'unknown', intent, createdAt });
  }

  async function open(attempt: AttemptId = T1, location = LOCATION): Promise<void> {
    const intent = intentOf(attempt);
    const { archive } = intent;
    const facts = { _id: attempt, archive, epoch: 1, location, intent, partBytes: 1 };
    await openAttempt(world.store, world.clock, facts);
  }

  async function abandon(attempt: AttemptId = T1): Promise<void> {
    await abandonAttempt(world.store, world.clock, attempt, 'cut');
    await attemptKeyDestroyed(world.store, attempt, await world.context().keys.destroy(attempt));
  }

  test('without a description of ours, or of another installation: foreign', async () => {
    const other = { ...intentOf(), installation: 'another' };
    expect(await settle([unknown(null), unknown(other)])).toMatchObject({
      foreign: 2,
      strays: [],
      removed: 0,
      newestAt: null,
    });
  });

  test('of an attempt that the ledger does not have, or has for another archive, or for one that is gone: a stray, kept', async () => {
    const stray = { vault: LOCATION.name, vaultArchiveId: 'unknown', archive: 'a1' };
    expect(await settle([unknown(intentOf())])).toMatchObject({ strays: [stray], removed: 0, newestAt: STORED.at });
    await open();
    expect(await settle([unknown(intentOf())])).toMatchObject({ strays: [stray] });
    await put({ state: 'storing', stored: null });
    expect(await settle([unknown(intentOf(T1, id.archive('a2')))])).toMatchObject({
      strays: [{ ...stray, archive: 'a2' }],
    });
    expect(removed).toEqual([]);
  });

  test('of an attempt that is open, of an archive that the ledger knows: waits, and is no stray', async () => {
    await open();
    await put({ state: 'storing', stored: null });
    expect(await settle([unknown(intentOf())])).toMatchObject({ strays: [], foreign: 0, removed: 0 });
    expect(removed).toEqual([]);
  });

  test('of an abandoned attempt: waits for the margin, is then removed, said before and after', async () => {
    await open();
    await abandon();
    world.clock.advance(ABANDONED_MARGIN_MS - 1);
    expect(await settle([unknown(intentOf())])).toMatchObject({ removed: 0, strays: [] });
    expect(removed).toEqual([]);
    world.clock.advance(1);
    expect(await settle([unknown(intentOf())])).toMatchObject({ removed: 1, strays: [] });
    expect(removed).toEqual(['abandoned upload removed intent', 'unknown of t1']);
    const told = [];
    for await (const { act, phase, subject, details } of auditEntries(world.store))
      told.push({ act, phase, subject, details });
    const said = {
      act: 'abandoned upload removed',
      subject: { archive: 'a1', attempt: 't1', owner: 'acme', customer: 'north' },
      details: { vault: LOCATION.name },
    };
    expect(told).toEqual([
      { ...said, phase: 'intent' },
      { ...said, phase: 'outcome' },
    ]);
  });

  test('of an abandoned attempt while an alarm is open: nothing is removed, the comparison goes on', async () => {
    await open();
    await abandon();
    await put();
    world.clock.advance(ABANDONED_MARGIN_MS);
    await raiseAlarm(world.store, world.clock, 'LEDGER_BEHIND_VAULT', 'a restored backup');
    expect(await settle([unknown(intentOf())])).toMatchObject({ removed: 0, strays: [], missing: [A1] });
    expect(removed).toEqual([]);
  });

  test('the newest archive of this installation, known or stray, is told; a foreign one does not count', async () => {
    await put();
    const at = (hours: number) => new Date(STORED.at.getTime() + hours * HOUR_MS);
    const stray = unknown(intentOf(), at(2));
    const foreign = unknown(null, at(9));
    expect((await settle([entry(), foreign])).newestAt).toEqual(STORED.at);
    expect((await settle([entry(), stray, foreign])).newestAt).toEqual(at(2));
    expect((await settle([entry({ createdAt: at(3) }), stray])).newestAt).toEqual(at(3));
    expect((await settle([stray, entry({ createdAt: at(1) })])).newestAt).toEqual(at(2));
    await put({ _id: id.archive('a2'), sequence: 2, stored: { ...STORED, vaultArchiveId: 'va2' } });
    const second = entry({ vaultArchiveId: 'va2', createdAt: at(4) });
    expect((await settle([entry(), second])).newestAt).toEqual(at(4));
    expect((await settle([second, entry()])).newestAt).toEqual(at(4));
  });

  test('an attempt that is to be cleaned up in this vault keeps the need for an inventory; one elsewhere does not', async () => {
    const needed = async () => (await getInventory(world.store, LOCATION))?.neededSince;
    const elsewhere = id.attempt('elsewhere');
    await open(elsewhere, { ...LOCATION, name: 'elsewhere' });
    await abandon(elsewhere);
    await open();
    await abandon();
    world.clock.advance(ABANDONED_MARGIN_MS);
    await settle([], STORED.at);
    expect(await needed()).toEqual(STORED.at);
    await attempts(world.store).removeMany({ _id: T1 });
    await claimInventoryRequest(world.store, world.clock, LOCATION);
    await rememberInventoryJob(world.store, world.clock, LOCATION, 'job');
    await settle([], STORED.at);
    expect(await needed()).toBeNull();
  });

  test('an attempt is cleaned up by an inventory an hour after its end, in its own vault; what its worker wrote goes', async () => {
    const elsewhere = id.attempt('elsewhere');
    await open();
    await open(elsewhere, { ...LOCATION, name: 'elsewhere' });
    await abandon();
    await abandon(elsewhere);
    const ended = world.clock.now().getTime();
    await writeRosterPage(world.store, { archive: 'a1', attempt: T1, epoch: 1 }, 0, []);
    world.clock.advance(ABANDONED_MARGIN_MS);
    const isCleanedUp = async (attempt: AttemptId) => (await attempts(world.store).get(attempt))?.cleanedUp;
    await settle([], new Date(ended + HOUR_MS - 1));
    expect(await isCleanedUp(T1)).toBe(false);
    expect(await world.all('rosterPages')).toHaveLength(1);
    await settle([], new Date(ended + HOUR_MS));
    expect(await isCleanedUp(T1)).toBe(true);
    expect(await isCleanedUp(elsewhere)).toBe(false);
    expect(await world.all('rosterPages')).toEqual([]);
  });

  test('an attempt whose file is listed and may not be removed now stays to be cleaned up', async () => {
    await open();
    await abandon();
    const ended = world.clock.now().getTime();
    world.clock.advance(ABANDONED_MARGIN_MS);
    const isCleanedUp = async () => (await attempts(world.store).get(T1))?.cleanedUp;
    const late = new Date(ended + HOUR_MS);
    await raiseAlarm(world.store, world.clock, 'LEDGER_BEHIND_VAULT', 'a restored backup');
    expect(await settle([unknown(intentOf())], late)).toMatchObject({ removed: 0 });
    expect(await isCleanedUp()).toBe(false);
    await endAlarms(world.store);
    await claimInventoryRequest(world.store, world.clock, LOCATION);
    await rememberInventoryJob(world.store, world.clock, LOCATION, 'job');
    expect(await settle([unknown(intentOf())], late)).toMatchObject({ removed: 1 });
    expect(await isCleanedUp()).toBe(true);
  });

  test('an attempt whose key is not destroyed yet stays to be cleaned up', async () => {
    await open();
    await abandonAttempt(world.store, world.clock, T1, 'cut');
    const late = new Date(world.clock.now().getTime() + HOUR_MS);
    world.clock.advance(ABANDONED_MARGIN_MS);
    await settle([], late);
    expect(await attempts(world.store).get(T1)).toMatchObject({ state: 'abandoned', cleanedUp: false });
  });

  test('in a vault where nothing changes an older inventory is enough after three days', async () => {
    await open();
    await abandon();
    const ended = world.clock.now().getTime();
    const isCleanedUp = async () => (await attempts(world.store).get(T1))?.cleanedUp;
    const older = new Date(ended - HOUR_MS);
    world.clock.advance(72 * HOUR_MS - 1);
    await settle([], older);
    expect(await isCleanedUp()).toBe(false);
    world.clock.advance(1);
    await claimInventoryRequest(world.store, world.clock, LOCATION);
    await rememberInventoryJob(world.store, world.clock, LOCATION, 'job');
    await settle([], older);
    expect(await isCleanedUp()).toBe(true);
  });

  test('purged, and still listed by an old inventory: quarantined three days after the accepted delete, not before', async () => {
    await put({ state: 'purged', purge: { ...PURGE, acceptedAt: world.clock.now() } });
    world.clock.advance(72 * HOUR_MS - 1);
    await settle([entry()], STORED.at);
    expect((await read()).state).toBe('purged');
    world.clock.advance(1);
    await claimInventoryRequest(world.store, world.clock, LOCATION);
    await rememberInventoryJob(world.store, world.clock, LOCATION, 'job');
    await settle([entry()], STORED.at);
    expect(await read()).toMatchObject({ state: 'quarantined', quarantineReason: 'ARCHIVE_STILL_IN_INVENTORY' });
  });

  test('a worker whose clock is years ahead: an inventory from before the delete stays from before', async () => {
    await put({ state: 'purged', purge: { ...PURGE, acceptedAt: world.clock.now() } });
    const ahead = new Date(world.clock.now().getTime() + 10 * 365 * 24 * HOUR_MS);
    context = { ...context, clock: overlay<Context['clock']>(world.clock, { now: () => ahead, monotonicMs: () => 0 }) };
    await settle([entry()], STORED.at);
    expect((await read()).state).toBe('purged');
  });
});
