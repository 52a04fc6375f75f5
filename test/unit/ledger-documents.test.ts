/** The ledger's smaller documents, field by field and at their boundaries; what they do on any store is in the contract suite. */
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { findCertificates, getCertificate, keepCertificate } from '../../src/ledger/certificates.ts';
import {
  acceptJump,
  assertClocksAgree,
  MAX_JUMP_MS,
  observeTime,
  openInstallation,
  readInstallation,
} from '../../src/ledger/installation.ts';
import {
  ASKING_MARGIN_MS,
  claimInventoryRequest,
  dropInventoryJob,
  getInventory,
  needInventory,
  pagedVaults,
  rememberInventoryJob,
  takeInventory,
} from '../../src/ledger/inventories.ts';
import {
  changeComing,
  policiesInForce,
  policyHistory,
  policyInForce,
  policyVersion,
  publishPolicy,
} from '../../src/ledger/policies.ts';
import {
  closeQuarantine,
  closeUnseenRecords,
  disposeQuarantine,
  findQuarantine,
  getQuarantine,
  oldestQuarantine,
  openQuarantine,
  quarantineArchiveEntry,
  quarantineRecords,
  recordEntryId,
} from '../../src/ledger/quarantine.ts';
import {
  countChanged,
  exemptRecords,
  findMarks,
  forgetMarks,
  hasMarks,
  markQuarantined,
  releaseMark,
  removeSpentMarks,
} from '../../src/ledger/record-marks.ts';
import {
  endRetrieval,
  findRetrievals,
  getRetrieval,
  liveRetrievals,
  markRetrievalReady,
} from '../../src/ledger/retrievals.ts';
import { endRun, latestRuns, startRun } from '../../src/ledger/runs.ts';
import { type LedgerDocument, MAX_CLASHES } from '../../src/ledger/store.ts';
import { ACME } from '../harness/a-hold.ts';
import { ASKING_WORKER, askedRetrieval } from '../harness/a-retrieval.ts';
import { LOCATION } from '../harness/an-archive.ts';
import { LedgerWorld, watched } from '../harness/ledger-world.ts';

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open(0);
});

const now = () => world.clock.now();
const after = (ms: number) => new Date(now().getTime() + ms);
const BY = { who: 'ann', reason: 'looked at it' };

async function list<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('quarantine', () => {
  const record = (n: number, fields: object = {}) => ({
    policy: 'chats',
    ...ACME,
    reason: 'too-large',
    text: 'It is too large.',
    idBytes: Buffer.from([16, n, 0, 0, 0]),
    ...fields,
  });
  const entryOf = async (n: number) => {
    const entry = await getQuarantine(world.store, recordEntryId(ACME.namespace, record(n).idBytes));
    if (entry === null) throw new Error('It is not there.');
    return entry;
  };
  const report = (...records: readonly ReturnType<typeof record>[]) =>
    quarantineRecords(world.store, world.clock, records);
  const close = async (n: number) => await closeQuarantine(world.store, world.clock, (await entryOf(n))._id, BY);
  const dispose = async (n: number) => await disposeQuarantine(world.store, world.clock, (await entryOf(n))._id, BY);

  test('a record: all of the entry; the same record of another collection is another one', async () => {
    await report(record(1));
    expect(await entryOf(1)).toEqual({
      _id: recordEntryId(ACME.namespace, record(1).idBytes),
      v: 1,
      rev: 0,
      kind: 'record',
      archive: null,
      policy: 'chats',
      ...ACME,
      reason: 'too-large',
      text: 'It is too large.',
      idBytes: record(1).idBytes,
      state: 'open',
      firstSeenAt: now(),
      lastSeenAt: now(),
      timesSeen: 1,
      closedAt: null,
      closedBy: null,
      closedReason: null,
    });
    expect(recordEntryId(id.namespace('data.mails'), record(1).idBytes)).not.toBe((await entryOf(1))._id);
    expect(recordEntryId(ACME.namespace, record(1).idBytes)).toMatch(/^record data\.chats [0-9a-f]{32}$/);
  });

  test('an archive: named, without a record', async () => {
    const { idBytes: _, ...facts } = record(1);
    const reported = await quarantineArchiveEntry(world.store, world.clock, { ...facts, archive: id.archive('a1') });
    expect(reported).toEqual({ fresh: 1, known: 0, reopened: 0 });
    expect(await getQuarantine(world.store, 'archive a1')).toMatchObject({
      kind: 'archive',
      archive: 'a1',
      idBytes: null,
    });
    expect(await openQuarantine(world.store)).toEqual({ records: 0, archives: 1, oldestAt: now() });
  });

  test('closed: by whom, why and when, and the record’s id is forgotten; closed again, the first stands', async () => {
    await report(record(1));
    world.advance(1_000);
    const closedAt = now();
    expect(await close(1)).toMatchObject({
      state: 'closed',
      closedAt,
      closedBy: 'ann',
      closedReason: BY.reason,
      idBytes: null,
    });
    world.advance(1_000);
    expect(await close(1)).toMatchObject({ closedAt });
    expect(await dispose(1)).toMatchObject({ state: 'closed', closedAt });
  });

  test('disposed: it stays named; seen again for the same reason it is not reported, for another it is', async () => {
    await report(record(1));
    expect(await dispose(1)).toMatchObject({ state: 'disposed', closedBy: 'ann', idBytes: record(1).idBytes });
    world.advance(1_000);
    expect(await report(record(1))).toEqual({ fresh: 0, known: 1, reopened: 0 });
    expect(await entryOf(1)).toMatchObject({ state: 'disposed', closedBy: 'ann', timesSeen: 2, lastSeenAt: now() });
    expect(await report(record(1, { reason: 'guard-refused' }))).toEqual({ fresh: 0, known: 0, reopened: 1 });
    expect(await entryOf(1)).toMatchObject({
      state: 'open',
      reason: 'guard-refused',
      closedBy: null,
      closedReason: null,
    });
  });

  test('a disposed archive that is met again is open again', async () => {
    const { idBytes: _, ...facts } = record(1);
    const again = () => quarantineArchiveEntry(world.store, world.clock, { ...facts, archive: id.archive('a1') });
    await again();
    await disposeQuarantine(world.store, world.clock, 'archive a1', BY);
    expect(await again()).toEqual({ fresh: 0, known: 0, reopened: 1 });
  });

  test('disposed and then taken up: closed, and its id forgotten', async () => {
    await report(record(1));
    await dispose(1);
    expect(await close(1)).toMatchObject({ state: 'closed', idBytes: null });
  });

  test('what a complete look did not see is closed: of this policy and collection, with these reasons, open or disposed', async () => {
    const others = [record(3, { policy: 'mails' }), record(4, { namespace: id.namespace('data.mails') })];
    await report(record(1), record(2), ...others, record(5, { reason: 'guard-refused' }), record(6));
    const { idBytes: _, ...facts } = record(7);
    await quarantineArchiveEntry(world.store, world.clock, { ...facts, archive: id.archive('a1') });
    await dispose(2);
    await close(6);
    const closedBefore = await entryOf(6);
    world.advance(1_000);
    const unseen = { policy: 'chats', namespace: ACME.namespace, reasons: ['too-large'], since: now() };
    expect(await closeUnseenRecords(world.store, world.clock, { ...unseen, since: after(-1_000) })).toBe(0);
    expect(await closeUnseenRecords(world.store, world.clock, unseen)).toBe(2);
    expect(await entryOf(1)).toMatchObject({ state: 'closed', closedBy: 'moraine', idBytes: null });
    expect(await entryOf(2)).toMatchObject({ state: 'closed' });
    expect(await entryOf(6)).toEqual(closedBefore);
    expect((await openQuarantine(world.store)).records).toBe(3);
    expect((await openQuarantine(world.store)).archives).toBe(1);
  });

  test('seen again, or closed by another, while it was to be closed: left as it is, and not counted', async () => {
    await report(record(1), record(2));
    world.advance(1_000);
    const since = now();
    let has = false;
    const store = watched(world.store, async (collection, call) => {
      if (has || collection !== 'quarantine' || call !== 'get') return;
      has = true;
      await report(record(1));
      await report(record(2));
    });
    const unseen = { policy: 'chats', namespace: ACME.namespace, reasons: ['too-large'], since };
    expect(await closeUnseenRecords(store, world.clock, unseen)).toBe(0);
    expect((await openQuarantine(world.store)).records).toBe(2);
  });

  test('closed by a person while it was to be closed: as that person said', async () => {
    await report(record(1));
    world.advance(1_000);
    let has = false;
    const store = watched(world.store, async (collection, call) => {
      if (has || collection !== 'quarantine' || call !== 'get') return;
      has = true;
      await close(1);
    });
    const unseen = { policy: 'chats', namespace: ACME.namespace, reasons: ['too-large'], since: now() };
    await closeUnseenRecords(store, world.clock, unseen);
    expect(await entryOf(1)).toMatchObject({ state: 'closed', closedBy: 'ann' });
  });

  test('closed and met again: open again, for the same reason too; open and met again: known', async () => {
    await report(record(1));
    expect(await report(record(1))).toEqual({ fresh: 0, known: 1, reopened: 0 });
    await close(1);
    expect(await report(record(1))).toEqual({ fresh: 0, known: 0, reopened: 1 });
    expect(await entryOf(1)).toMatchObject({ state: 'open', timesSeen: 3, idBytes: record(1).idBytes });
  });

  test('more than one command holds: each is counted once', async () => {
    const many = Array.from({ length: 1_001 }, (_, n) =>
      record(0, { idBytes: Buffer.from([16, n & 255, n >> 8, 0, 0]) }),
    );
    expect(await report(...many)).toEqual({ fresh: 1_001, known: 0, reopened: 0 });
    expect(await report(...many)).toEqual({ fresh: 0, known: 1_001, reopened: 0 });
  });

  test('one that another worker inserted in between is known, not new', async () => {
    let has = false;
    const store = watched(world.store, async (collection, call) => {
      if (has || collection !== 'quarantine' || call !== 'insertMany') return;
      has = true;
      await report(record(1));
    });
    expect(await quarantineRecords(store, world.clock, [record(1), record(2)])).toEqual({
      fresh: 1,
      known: 1,
      reopened: 0,
    });
  });

  test('oldest first; the oldest open one, of all and of each policy', async () => {
    expect(await openQuarantine(world.store)).toEqual({ records: 0, archives: 0, oldestAt: null });
    const start = now();
    for (const [n, policy] of [
      [1, 'chats'],
      [2, 'mails'],
      [3, 'chats'],
    ] as const) {
      await report(record(n, { policy }));
      world.advance(1_000);
    }
    const seconds = (n: number) => new Date(start.getTime() + n * 1_000);
    const found = await list(findQuarantine(world.store, { state: 'open' }));
    expect(found.map(({ firstSeenAt }) => firstSeenAt)).toEqual([seconds(0), seconds(1), seconds(2)]);
    expect(await list(findQuarantine(world.store, {}, { limit: 2 }))).toHaveLength(2);
    await close(1);
    expect(await openQuarantine(world.store)).toEqual({ records: 2, archives: 0, oldestAt: seconds(1) });
    // By a clock that is behind: written last, seen first.
    await quarantineRecords(world.store, { ...world.clock, now: () => seconds(-1) }, [record(4), record(5)]);
    expect((await openQuarantine(world.store)).oldestAt).toEqual(seconds(-1));
    expect([...(await oldestQuarantine(world.store, ['chats', 'mails', 'calls']))]).toEqual([
      ['chats', seconds(-1)],
      ['mails', seconds(1)],
    ]);
  });
});

describe('marks of records', () => {
  const scope = { namespace: ACME.namespace, partition: id.partition('p1'), hmac: (data: string) => Buffer.from(data) };
  const others = { ...scope, namespace: id.namespace('data.mails') };
  const markOf = async (key: string) => (await findMarks(world.store, scope, [key])).get(key);
  const mark = (fields: object) => ({
    exemptUntil: null,
    changedInARow: 0,
    changedIn: null,
    quarantined: false,
    ...fields,
  });

  test('each is named by its collection and code; nothing else of the record is kept', async () => {
    await exemptRecords(world.store, scope, ['k'], after(1_000));
    expect(await world.all('recordMarks')).toEqual([
      { _id: 'data.chats 6b', v: 1, rev: 0, partition: 'p1', ...mark({ exemptUntil: after(1_000) }) },
    ]);
    expect((await findMarks(world.store, others, ['k'])).size).toBe(0);
    expect(await forgetMarks(world.store, others, ['k'])).toBe(0);
    expect(await forgetMarks(world.store, scope, ['k', 'unknown'])).toBe(1);
  });

  test('an exemption without a date is a bug; a longer one stays, a shorter one grows; the rest begins anew', async () => {
    await expect(exemptRecords(world.store, scope, ['k'], new Date(Number.NaN))).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    expect(await markOf('k')).toBeUndefined();
    await countChanged(world.store, scope, id.archive('a1'), ['k']);
    await markQuarantined(world.store, scope, ['k']);
    await exemptRecords(world.store, scope, ['k', 'k'], after(2_000));
    expect(await markOf('k')).toMatchObject(mark({ exemptUntil: after(2_000) }));
    await exemptRecords(world.store, scope, ['k'], after(1_000));
    expect(await markOf('k')).toMatchObject({ exemptUntil: after(2_000) });
    await exemptRecords(world.store, scope, ['k'], after(3_000));
    expect(await markOf('k')).toMatchObject({ exemptUntil: after(3_000) });
  });

  test('changes in a row: the third archive tells, and each archive counts once', async () => {
    const changed = (archive: string, ...keys: readonly string[]) =>
      countChanged(world.store, scope, id.archive(archive), keys);
    expect(await hasMarks(world.store, scope.partition)).toBe(false);
    expect(await changed('a1', 'k', 'other')).toEqual([]);
    expect(await hasMarks(world.store, scope.partition)).toBe(true);
    expect(await hasMarks(world.store, id.partition('p2'))).toBe(false);
    expect(await changed('a1', 'k', 'k')).toEqual([]);
    expect(await changed('a2', 'k')).toEqual([]);
    expect(await markOf('k')).toMatchObject(mark({ changedInARow: 2, changedIn: 'a2' }));
    expect(await changed('a3', 'other', 'k')).toEqual(['k']);
    expect(await changed('a3', 'other', 'k')).toEqual(['k']);
    expect(await changed('a4', 'k')).toEqual(['k']);
    expect(await markOf('k')).toMatchObject(mark({ changedInARow: 4, changedIn: 'a4' }));
  });

  test('more than one command holds: all are marked, found and forgotten', async () => {
    const keys = Array.from({ length: 1_001 }, (_, n) => `k${n}`);
    await markQuarantined(world.store, scope, keys.slice(0, 500));
    await exemptRecords(world.store, scope, keys, after(1_000));
    const found = await findMarks(world.store, scope, keys);
    expect(found.size).toBe(1_001);
    expect([...found.values()].filter(({ quarantined }) => quarantined)).toEqual([]);
    expect(await forgetMarks(world.store, scope, keys)).toBe(1_001);
  });

  test('quarantine keeps what the mark says otherwise', async () => {
    await exemptRecords(world.store, scope, ['k'], after(1_000));
    await countChanged(world.store, scope, id.archive('a1'), ['k']);
    await markQuarantined(world.store, scope, ['k', 'fresh']);
    expect(await markOf('k')).toMatchObject(
      mark({ exemptUntil: after(1_000), changedInARow: 1, changedIn: 'a1', quarantined: true }),
    );
    expect(await markOf('fresh')).toMatchObject(mark({ quarantined: true }));
  });

  test('taken up again: its exemption stays, and without one nothing is left', async () => {
    await countChanged(world.store, scope, id.archive('a1'), ['k', 'exempt']);
    await markQuarantined(world.store, scope, ['k', 'exempt']);
    await releaseMark(world.store, scope, 'k');
    await releaseMark(world.store, scope, 'unknown');
    expect(await markOf('k')).toBeUndefined();
    expect(await markOf('unknown')).toBeUndefined();
    await exemptRecords(world.store, scope, ['exempt'], after(1_000));
    await markQuarantined(world.store, scope, ['exempt']);
    await releaseMark(world.store, scope, 'exempt');
    expect(await markOf('exempt')).toMatchObject(mark({ exemptUntil: after(1_000) }));
  });

  test('taken up while another worker counts a change: it begins anew all the same', async () => {
    await markQuarantined(world.store, scope, ['k']);
    let has = false;
    const store = watched(world.store, async (collection, call) => {
      if (has || collection !== 'recordMarks' || call !== 'remove') return;
      has = true;
      await countChanged(world.store, scope, id.archive('a1'), ['k']);
    });
    await releaseMark(store, scope, 'k');
    expect(await markOf('k')).toMatchObject(mark({}));
  });

  test('a mark that another worker inserted in between gets the change too', async () => {
    let has = false;
    const store = watched(world.store, async (collection, call) => {
      if (has || collection !== 'recordMarks' || call !== 'insertMany') return;
      has = true;
      await countChanged(world.store, scope, id.archive('a1'), ['k']);
    });
    await markQuarantined(store, scope, ['k', 'other']);
    expect(await markOf('k')).toMatchObject(mark({ changedInARow: 1, changedIn: 'a1', quarantined: true }));
    expect(await markOf('other')).toMatchObject(mark({ quarantined: true }));
  });

  test('an exemption is spent at its very end; what else is marked stays', async () => {
    await exemptRecords(world.store, scope, ['k'], now());
    await exemptRecords(world.store, scope, ['later'], after(1));
    await markQuarantined(world.store, scope, ['apart']);
    expect(await removeSpentMarks(world.store, now())).toBe(1);
    expect(await markOf('k')).toBeUndefined();
  });
});

describe('retrievals', () => {
  const facts = { location: LOCATION, vaultArchiveId: 'va1', tier: 'bulk', range: null, jobId: 'j1' } as const;
  const ask = (name: string, archive = 'a1') =>
    askedRetrieval(world.store, world.clock, {
      id: name,
      archive: id.archive(archive),
      ...facts,
      expectedAt: after(9),
    });

  test('all of it, from its request to its end', async () => {
    const requestedAt = now();
    const open = { state: 'requested', requestedAt, readyAt: null, expiresAt: null, endedAt: null };
    const asked = { askedBy: ASKING_WORKER, askedAt: now() };
    const expected = { _id: 'r1', v: 1, rev: 2, archive: 'a1', ...facts, expectedAt: after(9), ...open, ...asked };
    expect(await ask('r1')).toEqual(expected);
    world.advance(1_000);
    // The same id again changes nothing.
    expect(await ask('r1')).toEqual(expected);
    const output = { readyAt: after(1), expiresAt: after(2) };
    expect(await markRetrievalReady(world.store, 'r1', output)).toEqual({
      ...expected,
      rev: 3,
      state: 'ready',
      ...output,
    });
    const ended = await endRetrieval(world.store, world.clock, 'r1', 'read');
    expect(ended).toEqual({ ...expected, rev: 4, state: 'read', ...output, endedAt: now() });
    world.advance(1_000);
    expect(await endRetrieval(world.store, world.clock, 'r1', 'read')).toEqual(ended);
  });

  test.each(['read', 'cancelled', 'expired'] as const)(
    '%s is an end: no other follows, and its archive is free',
    async (state) => {
      await ask('r1');
      await ask('r2', 'a2');
      expect((await liveRetrievals(world.store, id.archive('a1'))).map(({ _id }) => _id)).toEqual(['r1']);
      await markRetrievalReady(world.store, 'r1', { readyAt: now(), expiresAt: null });
      expect(await liveRetrievals(world.store, id.archive('a1'))).toHaveLength(1);
      await endRetrieval(world.store, world.clock, 'r1', state);
      expect(await liveRetrievals(world.store, id.archive('a1'))).toEqual([]);
      const illegal = { code: 'ILLEGAL_MOVE' };
      await expect(markRetrievalReady(world.store, 'r1', { readyAt: now(), expiresAt: null })).rejects.toMatchObject(
        illegal,
      );
      for (const other of (['read', 'cancelled', 'expired'] as const).filter((one) => one !== state))
        await expect(endRetrieval(world.store, world.clock, 'r1', other)).rejects.toMatchObject(illegal);
      expect(await getRetrieval(world.store, 'r1')).toMatchObject({ state });
    },
  );

  test('oldest first; one that is unknown says so', async () => {
    await ask('b');
    await ask('a');
    world.advance(1_000);
    await ask('0');
    expect((await list(findRetrievals(world.store))).map(({ _id }) => _id)).toEqual(['a', 'b', '0']);
    expect(await list(findRetrievals(world.store, { archive: 'a2' }))).toEqual([]);
    await expect(getRetrieval(world.store, 'unknown')).rejects.toMatchObject({ code: 'RETRIEVAL_NEEDED' });
    await expect(markRetrievalReady(world.store, 'unknown', { readyAt: now(), expiresAt: null })).rejects.toThrow();
  });
});

describe('inventories', () => {
  const inventory = async () => {
    const found = await getInventory(world.store, LOCATION);
    if (found === null) throw new Error('It is not there.');
    return found;
  };
  const need = (at: Date) => needInventory(world.store, LOCATION, at);
  const claim = () => claimInventoryRequest(world.store, world.clock, LOCATION);
  const remember = (job = 'j1') => rememberInventoryJob(world.store, world.clock, LOCATION, job);
  const requested = async (at = now()) => {
    await need(at);
    await claim();
    await remember();
  };

  test('needed, asked for, taken: all of it at each step', async () => {
    const event = now();
    await need(event);
    const empty = { _id: 'glacier - eu-west-1 x-acme-north ', v: 1, location: LOCATION, inventoryDate: null };
    expect(await inventory()).toEqual({
      ...empty,
      rev: 0,
      state: 'none',
      jobId: null,
      since: null,
      neededSince: event,
    });
    world.advance(1_000);
    expect(await claim()).toBe(true);
    expect(await inventory()).toMatchObject({ state: 'asking', jobId: null, since: now(), neededSince: event });
    world.advance(1_000);
    await remember();
    expect(await inventory()).toMatchObject({ state: 'requested', jobId: 'j1', since: now() });
    await takeInventory(world.store, LOCATION, { jobId: 'j1', inventoryDate: after(1) });
    const taken = { state: 'none', jobId: null, since: null, neededSince: null, inventoryDate: after(1) };
    expect(await inventory()).toMatchObject(taken);
  });

  test('the newest event is what it must be later than', async () => {
    await need(now());
    await need(after(1_000));
    expect(await inventory()).toMatchObject({ neededSince: after(1_000), rev: 1 });
    await need(after(500));
    await need(after(1_000));
    expect(await inventory()).toMatchObject({ neededSince: after(1_000), rev: 1 });
  });

  test('of the very instant of the event it proves nothing; a millisecond later it does; enough is enough', async () => {
    const event = now();
    await requested(event);
    await takeInventory(world.store, LOCATION, { jobId: 'j1', inventoryDate: event });
    expect(await inventory()).toMatchObject({ neededSince: event, inventoryDate: event });
    await claim();
    await remember();
    await takeInventory(world.store, LOCATION, { jobId: 'j1', inventoryDate: event, isEnough: true });
    expect(await inventory()).toMatchObject({ neededSince: null });
    await requested(event);
    await takeInventory(world.store, LOCATION, { jobId: 'j1', inventoryDate: new Date(event.getTime() + 1) });
    expect(await inventory()).toMatchObject({ neededSince: null });
  });

  test('an older one than was taken before does not set its date back; one without a date is a bug', async () => {
    await requested(after(9_000));
    await takeInventory(world.store, LOCATION, { jobId: 'j1', inventoryDate: after(2_000) });
    await requested(after(9_000));
    await takeInventory(world.store, LOCATION, { jobId: 'j1', inventoryDate: after(1_000) });
    expect(await inventory()).toMatchObject({ inventoryDate: after(2_000), neededSince: after(9_000) });
    await requested(after(9_000));
    await takeInventory(world.store, LOCATION, { jobId: 'j1', inventoryDate: after(3_000) });
    expect(await inventory()).toMatchObject({ inventoryDate: after(3_000), neededSince: after(9_000) });
    await requested(after(9_000));
    const undated = { jobId: 'j1', inventoryDate: new Date(Number.NaN) };
    await expect(takeInventory(world.store, LOCATION, undated)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await inventory()).toMatchObject({ state: 'requested' });
  });

  test('a job of another worker is not ended by ours; one that is asked for is not ended at all', async () => {
    await requested();
    await remember('j2');
    expect(await inventory()).toMatchObject({ jobId: 'j1' });
    await takeInventory(world.store, LOCATION, { jobId: 'j2', inventoryDate: after(1) });
    await dropInventoryJob(world.store, LOCATION, 'j2');
    expect(await inventory()).toMatchObject({ state: 'requested', jobId: 'j1', inventoryDate: null });
    await dropInventoryJob(world.store, LOCATION, 'j1');
    expect(await inventory()).toMatchObject({ state: 'none', jobId: null, since: null, neededSince: now() });
  });

  test('wanted: those that are needed and nobody asks for; open: those with a job', async () => {
    const needed = { neededSince: { $ne: null }, state: 'none' } as const;
    const wanted = async () => (await list(pagedVaults(world.store, needed))).length;
    const open = async () => (await list(pagedVaults(world.store, { state: 'requested' }))).length;
    expect([await wanted(), await open()]).toEqual([0, 0]);
    await need(now());
    expect([await wanted(), await open()]).toEqual([1, 0]);
    await claim();
    expect([await wanted(), await open()]).toEqual([0, 0]);
    world.advance(ASKING_MARGIN_MS);
    expect(await claim()).toBe(true);
    await remember();
    world.advance(10 * ASKING_MARGIN_MS);
    expect([await wanted(), await open()]).toEqual([0, 1]);
    expect(await claim()).toBe(false);
    await takeInventory(world.store, LOCATION, { jobId: 'j1', inventoryDate: after(1) });
    expect([await wanted(), await open()]).toEqual([0, 0]);
  });

  test('vaults come page by page, each once, in the order of their ids', async () => {
    const names = Array.from({ length: 250 }, (_, at) => `v${String(at).padStart(3, '0')}`);
    for (const name of names.toReversed()) await needInventory(world.store, { ...LOCATION, name }, now());
    expect((await list(pagedVaults(world.store, { state: 'none' }))).map(({ name }) => name)).toEqual(names);
  });

  test.each([
    { backend: 's3' as const },
    { account: '1' },
    { region: 'eu-west-2' },
    { name: 'y' },
    { prefix: 'north/' },
  ])('another vault is another one: %o', async (other) => {
    await need(now());
    await needInventory(world.store, { ...LOCATION, ...other }, now());
    expect(await world.all('inventories')).toHaveLength(2);
    expect(await getInventory(world.store, { ...LOCATION, name: 'x-acme', prefix: 'north' })).toBeNull();
  });
});

describe('installation', () => {
  const HOUR_MS = 3_600_000;
  const mark = async () => (await readInstallation(world.store))?.highWaterAt;

  test('all of it; a ledger that was never written has none', async () => {
    expect(await readInstallation(world.store)).toBeNull();
    const made = await openInstallation(world.store, world.clock, 'production');
    expect(made).toEqual({
      _id: 'installation',
      v: 1,
      rev: 0,
      id: expect.stringMatching(/^[0-9abcdefghjkmnpqrstvwxyz]{10}$/),
      environment: 'production',
      createdAt: now(),
      highWaterAt: now(),
    });
    world.advance(HOUR_MS);
    expect(await openInstallation(world.store, world.clock, 'production')).toEqual(made);
    await expect(openInstallation(world.store, world.clock, 'sandbox')).rejects.toMatchObject({
      code: 'ENVIRONMENT_MISMATCH',
    });
  });

  test('the mark is written once a minute, at its end; never set back', async () => {
    await openInstallation(world.store, world.clock, 'sandbox');
    const start = now();
    await observeTime(world.store, after(59_999));
    expect(await mark()).toEqual(start);
    await observeTime(world.store, after(60_000));
    expect(await mark()).toEqual(after(60_000));
    await observeTime(world.store, after(0));
    expect(await mark()).toEqual(after(60_000));
    await expect(observeTime(world.store, after(-1))).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
  });

  test('36 hours to the millisecond are borne; one more stops, and the mark stays where it was', async () => {
    await openInstallation(world.store, world.clock, 'sandbox');
    await expect(observeTime(world.store, after(MAX_JUMP_MS + 1))).rejects.toMatchObject({ code: 'CLOCK_JUMPED' });
    expect(await mark()).toEqual(now());
    await observeTime(world.store, after(MAX_JUMP_MS));
    expect(await mark()).toEqual(after(MAX_JUMP_MS));
    await acceptJump(world.store, after(1_000 * HOUR_MS));
    expect(await mark()).toEqual(after(1_000 * HOUR_MS));
  });

  test('a slow answer: what the call took is borne beside the tolerance, and the skew is that of its middle', async () => {
    const slow = (ms: number) => async () => {
      world.advance(10_000);
      return new Date(now().getTime() - 5_000 + ms);
    };
    const agree = (ms: number) => assertClocksAgree({ clock: world.clock, mongodb: slow(ms), vault: null });
    expect(await agree(0)).toEqual({ mongodbMs: 0, vaultMs: null });
    expect(await agree(65_000)).toEqual({ mongodbMs: 65_000, vaultMs: null });
    expect(await agree(-65_000)).toEqual({ mongodbMs: -65_000, vaultMs: null });
    await expect(agree(65_001)).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
    await expect(agree(-65_001)).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
  });

  test('which clock is wrong, and which way, is said', async () => {
    const off = (ms: number) => async () => after(ms);
    const ask = (mongodbMs: number, vaultMs: number) =>
      assertClocksAgree({ clock: world.clock, mongodb: off(mongodbMs), vault: off(vaultMs) });
    await expect(ask(120_000, 0)).rejects.toThrow('Our clock is 120 s behind that of MongoDB; 60 s are allowed.');
    await expect(ask(0, -120_000)).rejects.toThrow('Our clock is 120 s ahead of that of the vault');
  });
});

describe('policies', () => {
  const publication = (version: string, fields: object = {}) => ({
    name: 'chats',
    namespace: ACME.namespace,
    version: id.policyVersion(version),
    policy: { version },
    by: 'ann',
    ...fields,
  });
  const publish = (
    version: string,
    fields: object = {},
    store: LedgerWorld['store'] | ReturnType<typeof watched> = world.store,
  ) => publishPolicy(store, world.clock, publication(version, fields));

  test('who put what into force when; the version says who published it first', async () => {
    const start = now();
    await publish('v1');
    world.advance(1_000);
    await publish('v2', { by: 'bob' });
    world.advance(1_000);
    await publish('v1', { by: 'cy' });
    const at = (n: number) => new Date(start.getTime() + n * 1_000);
    expect(await policyHistory(world.store, 'chats')).toEqual([
      { version: 'v1', at: at(0), by: 'ann' },
      { version: 'v2', at: at(1), by: 'bob' },
      { version: 'v1', at: at(2), by: 'cy' },
    ]);
    expect(await policyInForce(world.store, 'chats')).toEqual({
      name: 'chats',
      namespace: ACME.namespace,
      version: 'v1',
      policy: { version: 'v1' },
      publishedAt: at(0),
      by: 'ann',
    });
    expect(await policyHistory(world.store, 'unknown')).toEqual([]);
  });

  test('the first, the same again, another one: each says what it was', async () => {
    await expect(policyInForce(world.store, 'chats')).rejects.toMatchObject({ code: 'POLICY_NOT_PUBLISHED' });
    expect(await publish('v1')).toEqual({ outcome: 'published', previous: null });
    expect(await publish('v1')).toEqual({ outcome: 'unchanged', previous: 'v1' });
    expect(await policyHistory(world.store, 'chats')).toHaveLength(1);
    expect(await publish('v2')).toEqual({ outcome: 'published', previous: 'v1' });
  });

  test('a change that comes later is in force from its instant on; another publication before replaces it', async () => {
    const later = (ms: number) => new Date(now().getTime() + ms);
    const inForce = async (at: Date | null) => (await policyInForce(world.store, 'chats', at)).version;
    await publish('v1');
    const [coming, before] = [later(10_000), later(9_999)];
    expect(await publish('v2', { effectiveAt: coming, approval: 'a1' })).toEqual({
      outcome: 'published',
      previous: 'v1',
    });
    expect(await publish('v2', { effectiveAt: later(20_000) })).toEqual({ outcome: 'unchanged', previous: 'v1' });
    expect([await inForce(null), await inForce(before), await inForce(coming)]).toEqual(['v1', 'v1', 'v2']);
    expect((await list(policiesInForce(world.store, coming))).map(({ version }) => version)).toEqual(['v2']);
    const history = await policyHistory(world.store, 'chats');
    expect(changeComing(history, before)).toMatchObject({ version: 'v2', approval: 'a1', effectiveAt: coming });
    expect(changeComing(history, coming)).toBeNull();
    world.advance(1_000);
    // What is in force is published again: only what was coming is taken back.
    expect(await publish('v1')).toEqual({ outcome: 'published', previous: 'v1' });
    expect(await inForce(coming)).toBe('v1');
    expect(await policyHistory(world.store, 'chats')).toMatchObject([
      { version: 'v1' },
      { version: 'v2', replacedAt: now() },
    ]);
    await publish('v3', { effectiveAt: later(5_000) });
    world.advance(5_000);
    expect(await inForce(null)).toBe('v3');
    expect(await publish('v2')).toEqual({ outcome: 'published', previous: 'v3' });
    expect(await inForce(null)).toBe('v2');
  });

  test('a version of one policy never becomes that of another, also when its collection is free', async () => {
    await publish('v1');
    await publish('v2', { namespace: id.namespace('data.talks') });
    await expect(publish('v1', { name: 'mails' })).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(policyInForce(world.store, 'mails')).rejects.toMatchObject({ code: 'POLICY_NOT_PUBLISHED' });
  });

  test('by name; moved to another collection, the first one is free', async () => {
    await publish('w1', { name: 'mails', namespace: id.namespace('data.mails') });
    await publish('v1');
    const names = async () =>
      (await list(policiesInForce(world.store))).map(({ name, namespace }) => `${name} ${namespace}`);
    expect(await names()).toEqual(['chats data.chats', 'mails data.mails']);
    await publish('v2', { namespace: id.namespace('data.talks') });
    await publish('u1', { name: 'calls' });
    expect(await names()).toEqual(['calls data.chats', 'chats data.talks', 'mails data.mails']);
  });

  test('a second policy for a collection is refused before anything of it is written', async () => {
    await publish('v1');
    await expect(publish('w1', { name: 'other' })).rejects.toMatchObject({ code: 'POLICY_INVALID' });
    await expect(policyVersion(world.store, id.policyVersion('w1'))).rejects.toMatchObject({ code: 'POLICY_UNKNOWN' });
  });

  test.each([
    ['another text', { policy: { other: true } }],
    ['another name', { name: 'mails', namespace: id.namespace('data.mails') }],
    ['another collection', { namespace: id.namespace('data.mails') }],
  ])('one version never stands for two: %s', async (_, fields) => {
    await publish('v1');
    await publish('v2');
    await expect(publish('v1', fields)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await policyInForce(world.store, 'chats')).toMatchObject({ version: 'v2' });
  });

  test('others publish in between, once: tried again; for ever: given up', async () => {
    let n = 0;
    let most = 1;
    const racing = watched(world.store, async (collection, call) => {
      if (collection !== 'policiesInForce' || (call !== 'replace' && call !== 'insert') || n >= most) return;
      n += 1;
      await publish(`other${n}`);
    });
    expect(await publish('v1', {}, racing)).toEqual({ outcome: 'published', previous: 'other1' });
    most = 2 * MAX_CLASHES;
    await expect(publish('v2', {}, racing)).rejects.toMatchObject({ code: 'LEDGER_CONTENTION' });
    expect(n).toBe(1 + MAX_CLASHES + 1);
  });
});

describe('runs and certificates', () => {
  test('a run: all of it, and the first end stands', async () => {
    const facts = { command: 'purge', by: 'ann', asOf: after(5), policies: ['chats'] } as const;
    await startRun(world.store, world.clock, { id: 'r1', ...facts });
    const startedAt = now();
    const run = { _id: 'r1', v: 1, ...facts, startedAt };
    const open = { state: 'running', endedAt: null, totals: null, error: null };
    expect(await list(latestRuns(world.store, { limit: 1 }))).toEqual([{ ...run, rev: 0, ...open }]);
    world.advance(1_000);
    await endRun(world.store, world.clock, 'r1', { totals: { purged: 1 } });
    const end = { state: 'done', endedAt: now(), totals: { purged: 1 }, error: null };
    world.advance(1_000);
    await endRun(world.store, world.clock, 'r1', { totals: {}, error: 'INTERNAL' });
    expect(await list(latestRuns(world.store, { limit: 1 }))).toEqual([{ ...run, rev: 1, ...end }]);
  });

  test('a run that failed says so, and by which code', async () => {
    await startRun(world.store, world.clock, { id: 'r1', command: 'run', by: 'ann', asOf: null, policies: [] });
    await endRun(world.store, world.clock, 'r1', { totals: {}, error: 'VAULT_VETO' });
    expect(await list(latestRuns(world.store, { limit: 1 }))).toMatchObject([{ state: 'failed', error: 'VAULT_VETO' }]);
  });

  test('runs of one command, newest first, of one instant by id', async () => {
    const facts = { by: 'ann', asOf: null, policies: [] } as const;
    for (const name of ['b', 'a']) await startRun(world.store, world.clock, { id: name, command: 'run', ...facts });
    world.advance(1_000);
    await startRun(world.store, world.clock, { id: 'c', command: 'reconcile', ...facts });
    const ids = async (query: Parameters<typeof latestRuns>[1]) =>
      (await list(latestRuns(world.store, query))).map(({ _id }) => _id);
    expect(await ids({ limit: 9 })).toEqual(['c', 'a', 'b']);
    expect(await ids({ limit: 9, command: 'run' })).toEqual(['a', 'b']);
  });

  const certificate = (fields: object = {}) => ({
    id: 'c1',
    archive: id.archive('a1'),
    policy: 'chats',
    owner: ACME.owner,
    customer: ACME.customer,
    ...fields,
  });
  const signed = { body: '{}', signature: Buffer.from([1]), keyId: 'k1' };
  const keep = (fields?: object) => keepCertificate(world.store, world.clock, certificate(fields), async () => signed);

  test('a certificate: all of it, in the order of the numbers', async () => {
    const kept = await keep();
    const { id: _id, ...facts } = certificate();
    expect(kept).toEqual({ _id, v: 1, rev: 0, number: 1, ...facts, ...signed, issuedAt: now() });
    await keep({ id: 'b1' });
    world.advance(1_000);
    await keep({ id: 'a1', policy: 'mails' });
    const ids = async (...query: [Parameters<typeof findCertificates>[1]?, Parameters<typeof findCertificates>[2]?]) =>
      (await list(findCertificates(world.store, ...query))).map((found) => found._id);
    expect(await ids()).toEqual(['c1', 'b1', 'a1']);
    expect(await ids({ policy: 'mails' })).toEqual(['a1']);
    expect(await ids({}, { sort: { issuedAt: -1, _id: 1 }, limit: 2 })).toEqual(['a1', 'b1']);
    expect(await getCertificate(world.store, 'unknown')).toBeNull();
  });

  test('of another owner or archive under this id: a bug', async () => {
    await keep();
    for (const wrong of [{ owner: id.owner('other') }, { archive: null }])
      await expect(keep(wrong)).rejects.toMatchObject({
        code: 'INTERNAL',
      });
  });

  test('a certificate of a newer Moraine is not read as ours', async () => {
    await keep();
    const raw = world.store.collection<LedgerDocument>('certificates');
    const document = await raw.get('c1');
    if (document === null) throw new Error('It is not there.');
    await raw.replace({ ...document, v: 2 });
    await expect(getCertificate(world.store, 'c1')).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    await expect(list(findCertificates(world.store))).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
  });
});
