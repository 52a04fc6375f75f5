/** The rules of the ways out of quarantine, archive by archive: where it goes back to, beside which others, and what is lost. */
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { type ArchiveDocument, type ArchivePlan, NO_OUTCOMES } from '../../src/ledger/archive-document.ts';
import { archives, claimArchive, getArchive } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { clearingPages } from '../../src/ledger/clearing.ts';
import { holds } from '../../src/ledger/holds.ts';
import { getInventory } from '../../src/ledger/inventories.ts';
import { claimPartition } from '../../src/ledger/partitions.ts';
import {
  archiveEntryId,
  getQuarantine,
  type QuarantineDocument,
  quarantineArchiveEntry,
  quarantineRecords,
  recordEntryId,
} from '../../src/ledger/quarantine.ts';
import { findMarks, markQuarantined } from '../../src/ledger/record-marks.ts';
import type { ArchiveState } from '../../src/ledger/states.ts';
import type { LedgerDocument } from '../../src/ledger/store.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { pause } from '../../src/lifecycle/pause.ts';
import { disposeQuarantined, planDisposal, retryQuarantined } from '../../src/lifecycle/quarantine.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const A1 = id.archive('a1');
const BY = { who: 'ann', reason: 'looked at it' };
const at = (day: string) => new Date(`${day}T00:00:00Z`);
const boundAt = (day: string) => BSON.serialize({ t: at(day), i: 'x' });

let world: MemoryWorld;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  context = world.context();
});

/** An archive in quarantine, with its entry. */
async function quarantined(
  from: ArchiveState | null,
  fields: Partial<ArchiveDocument> = {},
): Promise<QuarantineDocument> {
  const made = anArchive({
    state: 'quarantined',
    quarantinedFrom: from,
    quarantineReason: 'lost',
    attempt: null,
    ...fields,
  });
  await archives(world.store).insert(made);
  const facts = { policy: 'chats', ...ACME, reason: 'lost', text: 'It was lost.', archive: A1 };
  await quarantineArchiveEntry(world.store, world.clock, facts);
  const entry = await getQuarantine(world.store, archiveEntryId(A1));
  if (entry === null) throw new Error('It is not there.');
  return entry;
}

async function beside(sequence: number, state: ArchiveState, plan: Pick<ArchivePlan, 'after' | 'bound' | 'pass'>) {
  const made = anArchive({ _id: id.archive(`other${sequence}`), sequence, state });
  await archives(world.store).insert({ ...made, plan: { ...made.plan, ...plan } });
}

const withBound = (bound: Uint8Array | null) => ({ plan: { ...anArchive().plan, bound } });
const retry = (entry: QuarantineDocument, on = context) => retryQuarantined(on, entry, BY);
const dispose = (entry: QuarantineDocument, acceptLoss = false) =>
  disposeQuarantined(context, entry, BY, { acceptLoss });
const inventorySince = async () => (await getInventory(world.store, LOCATION))?.neededSince ?? null;

async function told(): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { act, phase, subject, details } of auditEntries(world.store))
    found.push({ act, phase, subject, details });
  return found;
}

describe('taken up again', () => {
  test.each<[ArchiveState, ArchiveState, 'checksum' | 'inventory', boolean]>([
    ['planned', 'planned', 'checksum', false],
    ['stored', 'stored', 'checksum', false],
    ['verified', 'stored', 'inventory', true],
    ['cleared', 'cleared', 'checksum', true],
    ['purged', 'purged', 'checksum', true],
  ])('from %s: to %s, to be verified by %s', async (from, to, verifyLevel, asksInventory) => {
    const purge = {
      claimedDueAt: at('2029-01-02'),
      asOf: at('2029-01-03'),
      askedAt: at('2029-01-04'),
      acceptedAt: at('2029-01-05'),
      keyDestroyedAt: at('2029-01-06'),
      confirmedByInventoryAt: null,
      certificate: null,
    };
    const entry = await quarantined(from, from === 'purged' ? { purge } : {});
    const { archive, entry: closed } = await retry(entry);
    expect(archive).toMatchObject({ state: to, verifyLevel, quarantinedFrom: null, quarantineReason: null });
    expect(closed).toMatchObject({ state: 'closed', closedBy: 'ann', closedReason: 'retry: looked at it' });
    const since = from === 'purged' ? purge.acceptedAt : at('2024-06-01');
    expect(await inventorySince()).toEqual(asksInventory ? since : null);
    expect((await getArchive(world.store, A1)).lease).toBeNull();
    const subject = { archive: 'a1', owner: 'acme', customer: 'north', policy: 'chats', dataset: 'data.chats' };
    const details = { by: 'ann', reason: 'looked at it', code: 'lost' };
    expect(await told()).toMatchObject([
      { act: 'quarantine retry', phase: 'intent', subject, details },
      { act: `archive ${to}`, phase: 'outcome', details: { reason: 'taken up again after lost' } },
      { act: 'quarantine retry', phase: 'outcome', subject, details: { ...details, state: to } },
    ]);
  });

  test('verified by inventory already: it is asked for one, also from stored', async () => {
    await retry(await quarantined('stored', { verifyLevel: 'inventory' }));
    expect(await inventorySince()).toEqual(at('2024-06-01'));
  });

  test('by another person meanwhile: as that one left it', async () => {
    const entry = await quarantined('cleared');
    await retry(entry);
    const before = await getArchive(world.store, A1);
    expect((await retry(entry)).archive).toMatchObject({ state: 'cleared', epoch: before.epoch });
    const closed = await getQuarantine(world.store, entry._id);
    if (closed === null) throw new Error('It is not there.');
    const lines = (await told()).length;
    expect(await retry(closed)).toMatchObject({ entry: { state: 'closed' }, archive: { state: 'cleared' } });
    expect(await told()).toHaveLength(lines);
  });

  test('its partition is being planned, or it is being worked on: LEASE_HELD, and it stays as it is', async () => {
    const entry = await quarantined('stored');
    const of = { namespace: ACME.namespace, owner: ACME.owner, customer: ACME.customer };
    const plans = await claimPartition(world.store, of, world.context());
    await expect(retry(entry)).rejects.toMatchObject({ code: 'LEASE_HELD' });
    await plans.giveUp();
    const other = world.context();
    const work = await claimArchive(other.store, other.audit, A1, other);
    await expect(retry(entry)).rejects.toMatchObject({ code: 'LEASE_HELD' });
    await work.giveUp();
    expect(await getArchive(world.store, A1)).toMatchObject({ state: 'quarantined' });
    expect((await getQuarantine(world.store, entry._id))?.state).toBe('open');
    // Nothing of the first try stands in its way.
    expect((await retry(entry)).archive).toMatchObject({ state: 'stored' });
  });

  describe('beside others of its partition', () => {
    const low = boundAt('2020-01-01');
    const high = boundAt('2020-02-01');

    test.each<ArchiveState>(['planned', 'storing', 'stored', 'verified'])(
      '%s, planned over the same records: unsafe',
      async (state) => {
        const entry = await quarantined('stored', withBound(low));
        await beside(2, state, { after: null, bound: null });
        await expect(retry(entry)).rejects.toMatchObject({
          code: 'RETRY_UNSAFE',
          ids: { archive: 'a1', other: 'other2' },
        });
        expect(await getArchive(world.store, A1)).toMatchObject({ state: 'quarantined', lease: null });
      },
    );

    test.each<ArchiveState>(['cleared', 'purged', 'abandoned'])(
      '%s: it can no more clear than we can, so it is safe',
      async (state) => {
        const entry = await quarantined('stored', withBound(low));
        await beside(2, state, { after: null, bound: null });
        expect((await retry(entry)).archive).toMatchObject({ state: 'stored' });
      },
    );

    test('those that stand above its bound are safe, one on the other', async () => {
      const entry = await quarantined('stored', withBound(low));
      await beside(2, 'stored', { after: low, bound: high });
      await beside(3, 'planned', { after: high, bound: null });
      expect((await retry(entry)).archive).toMatchObject({ state: 'stored' });
    });

    test('one that stands on another bound is not', async () => {
      const entry = await quarantined('stored', withBound(low));
      await beside(2, 'cleared', { after: null, bound: high });
      await beside(3, 'planned', { after: high, bound: null });
      await expect(retry(entry)).rejects.toMatchObject({ code: 'RETRY_UNSAFE' });
    });

    test('one of the same pass has other records, and what stands on their bound has too; one of another pass may not', async () => {
      const of = (pass: string) => ({ after: null, bound: low, pass: { id: pass, reachedEnd: true } });
      const entry = await quarantined('stored', { plan: { ...anArchive().plan, ...of('p1') } });
      await beside(2, 'stored', of('p1'));
      await beside(3, 'planned', { after: low, bound: high });
      expect((await retry(entry)).archive).toMatchObject({ state: 'stored' });
    });

    test('one of another pass with the same bounds may have the same', async () => {
      const of = (pass: string) => ({ after: null, bound: low, pass: { id: pass, reachedEnd: true } });
      const entry = await quarantined('stored', { plan: { ...anArchive().plan, ...of('p1') } });
      await beside(2, 'stored', of('p2'));
      await expect(retry(entry)).rejects.toMatchObject({ code: 'RETRY_UNSAFE' });
    });

    test('without a bound of its own it may hold anything', async () => {
      const entry = await quarantined('stored', withBound(null));
      await beside(2, 'planned', { after: low, bound: null });
      await expect(retry(entry)).rejects.toMatchObject({ code: 'RETRY_UNSAFE' });
    });

    test('those planned before it, and those of another partition, have other records', async () => {
      const entry = await quarantined('stored', { ...withBound(low), sequence: 5 });
      await beside(4, 'planned', { after: null, bound: null });
      const made = anArchive({
        _id: id.archive('south'),
        sequence: 6,
        state: 'planned',
        partition: id.partition('p2'),
      });
      await archives(world.store).insert(made);
      expect((await retry(entry)).archive).toMatchObject({ state: 'stored' });
    });

    test('a cleared one deletes nothing any more: it goes back beside any other', async () => {
      const entry = await quarantined('cleared', withBound(low));
      await beside(2, 'planned', { after: null, bound: null });
      expect((await retry(entry)).archive).toMatchObject({ state: 'cleared' });
    });
  });
});

describe('disposed of', () => {
  test.each<[string, ArchiveState, Partial<ArchiveDocument>, object]>([
    ['never verified', 'stored', { verifiedAt: null }, { kind: 'archive given up', lost: 0 }],
    [
      'verified once',
      'stored',
      { outcomes: { ...NO_OUTCOMES, archived: 2, pending: 2 } },
      { kind: 'archive stays', lost: 0 },
    ],
    ['cleared', 'cleared', {}, { kind: 'archive stays', lost: 2, perhapsLost: 0 }],
    [
      'cleared, and treated in place',
      'cleared',
      { outcomes: { ...NO_OUTCOMES, archived: 3, deleted: 1, treated: 2 } },
      { kind: 'archive stays', lost: 3, perhapsLost: 0 },
    ],
    ['purged', 'purged', {}, { kind: 'archive stays', lost: 0, perhapsLost: 0 }],
  ])('%s: what it means is told first', async (_, from, fields, expected) => {
    expect(await planDisposal(context, await quarantined(from, fields))).toMatchObject({
      ...expected,
      archive: { _id: 'a1' },
    });
  });

  test('one that is no longer in quarantine loses nothing', async () => {
    const entry = await quarantined('cleared');
    await archives(world.store).replace({ ...(await getArchive(world.store, A1)), state: 'cleared' });
    expect(await planDisposal(context, entry)).toMatchObject({ kind: 'archive stays', lost: 0 });
  });

  test('never verified, and yet its purge was begun: nothing of it is given up', async () => {
    const purge = {
      claimedDueAt: at('2029-01-02'),
      asOf: at('2029-01-03'),
      askedAt: null,
      acceptedAt: null,
      keyDestroyedAt: null,
      confirmedByInventoryAt: null,
      certificate: null,
    };
    const entry = await quarantined('purging', { verifiedAt: null, purge });
    expect(await planDisposal(context, entry)).toMatchObject({ kind: 'archive stays' });
  });

  test('cut while it was being cleared: what its pages settled is lost, what they intended perhaps', async () => {
    const outcomes = { ...NO_OUTCOMES, archived: 7, pending: 7 };
    const entry = await quarantined('verified', { outcomes });
    const page = (archive: string, n: number, settled: string | null) =>
      clearingPages(world.store).insert({
        _id: `${archive}:00000${n}`,
        v: 1,
        archive,
        page: n,
        intended: [0, 1],
        tries: 1,
        outcomes: settled,
      });
    await page('a1', 0, 'ddc');
    await page('a1', 1, null);
    await page('a2', 0, null);
    expect(await planDisposal(context, entry)).toMatchObject({ kind: 'archive stays', lost: 2, perhapsLost: 2 });
    const refused = dispose(entry);
    await expect(refused).rejects.toMatchObject({ code: 'CONFIRMATION_NEEDED' });
    await expect(refused).rejects.toThrow(
      'is the only copy of 2 records that were deleted from the source, and perhaps of some of 2 more',
    );
    expect(await told()).toEqual([]);
    const { entry: disposed, archive } = await dispose(entry, true);
    expect(disposed).toMatchObject({ state: 'disposed', closedBy: 'ann', closedReason: 'looked at it' });
    expect(archive).toMatchObject({ state: 'quarantined', quarantinedFrom: 'verified' });
    expect(await told()).toMatchObject([
      { act: 'quarantine dispose', phase: 'intent', details: { by: 'ann', lost: 2, perhapsLost: 2 } },
      { act: 'quarantine dispose', phase: 'outcome', details: { lost: 2, perhapsLost: 2, state: 'quarantined' } },
    ]);
  });

  test.each([
    ['treated in place: the whole record is in the copy only', 'tc', 1, 0],
    ['intended only: perhaps lost, which is to be accepted too', null, 0, 2],
  ] as const)('cut, %s', async (_, settled, lost, perhapsLost) => {
    const entry = await quarantined('verified', { outcomes: { ...NO_OUTCOMES, archived: 2, pending: 2 } });
    const page = { _id: 'a1:000000', v: 1, archive: 'a1', page: 0, intended: [0, 1], tries: 1, outcomes: settled };
    await clearingPages(world.store).insert(page);
    expect(await planDisposal(context, entry)).toMatchObject({ lost, perhapsLost });
    await expect(dispose(entry)).rejects.toMatchObject({
      code: 'CONFIRMATION_NEEDED',
      hint: expect.stringContaining('--accept-loss'),
    });
    expect(await dispose(entry, true)).toMatchObject({ entry: { state: 'disposed' } });
  });

  test.each([
    ['held', 'HELD'],
    ['paused', 'PAUSED'],
  ])('never verified, and %s: nothing of it is given up, and no announcement is left', async (brake, code) => {
    const entry = await quarantined('stored', { verifiedAt: null });
    if (brake === 'held') await holds(world.store).insert(aHold());
    else await pause(world.context(), { what: 'owner', name: 'acme' }, { by: 'ann', reason: 'look' });
    await expect(dispose(entry)).rejects.toMatchObject({ code });
    expect(await getArchive(world.store, A1)).toMatchObject({ state: 'quarantined', lease: null });
    expect(await world.all('inFlight')).toEqual([]);
    expect(await getQuarantine(world.store, entry._id)).toMatchObject({ state: 'open' });
  });

  test('given up by another person meanwhile, held or not: its entry is closed, and nothing is done to it again', async () => {
    const entry = await quarantined('stored', { verifiedAt: null });
    await archives(world.store).replace({ ...(await getArchive(world.store, A1)), state: 'abandoned' });
    await holds(world.store).insert(aHold());
    expect(await dispose(entry)).toMatchObject({ entry: { state: 'closed' }, archive: { state: 'abandoned' } });
    expect(await getArchive(world.store, A1)).toMatchObject({ lease: null });
  });

  test('taken up again when its entry is closed: nothing is said or done', async () => {
    const entry = await quarantined('cleared');
    await retry(entry);
    const lines = (await told()).length;
    const closed = await getQuarantine(world.store, entry._id);
    if (closed === null) throw new Error('It is not there.');
    await archives(world.store).replace({
      ...(await getArchive(world.store, A1)),
      state: 'quarantined',
      quarantinedFrom: 'cleared',
    });
    expect(await retry(closed)).toMatchObject({ entry: { state: 'closed' }, archive: { state: 'quarantined' } });
    expect(await told()).toHaveLength(lines);
  });

  test('nothing is lost: nothing is to be accepted', async () => {
    const entry = await quarantined('purged');
    expect((await dispose(entry)).entry).toMatchObject({ state: 'disposed' });
    // Once more says nothing twice.
    const lines = (await told()).length;
    const again = await getQuarantine(world.store, entry._id);
    if (again === null) throw new Error('It is not there.');
    expect(await dispose(again)).toMatchObject({ entry: { state: 'disposed' }, archive: { _id: 'a1' } });
    expect(await told()).toHaveLength(lines);
  });

  test('given up: abandoned with its reason, nothing of it or of the announcement is left', async () => {
    const entry = await quarantined('stored', { verifiedAt: null });
    const exceptions = world.store.collection<LedgerDocument & { archive: string }>('rosterExceptions');
    await exceptions.insert({ _id: 'e', v: 1, archive: A1 });
    const { entry: closed, archive } = await dispose(entry);
    expect(closed).toMatchObject({ state: 'closed', closedReason: 'dispose: looked at it' });
    expect(archive).toMatchObject({ state: 'abandoned', quarantinedFrom: null, quarantineReason: null });
    expect((await getArchive(world.store, A1)).lease).toBeNull();
    for (const name of ['inFlight', 'rosterExceptions']) expect(await world.all(name), name).toEqual([]);
    expect(await told()).toMatchObject([
      { phase: 'intent' },
      { act: 'archive abandoned', details: { reason: 'given up after lost' } },
      { act: 'quarantine dispose', phase: 'outcome', details: { state: 'abandoned' } },
    ]);
  });
});

describe('records', () => {
  const idBytes = idBytesOf(BSON.serialize({ _id: 'jo' }));

  async function recordEntry(party: object = {}): Promise<QuarantineDocument> {
    const facts = { policy: 'chats', ...ACME, reason: 'too-large', text: 'Too large.', idBytes, ...party };
    await quarantineRecords(world.store, world.clock, [facts]);
    const entry = await getQuarantine(world.store, recordEntryId(ACME.namespace, idBytes));
    if (entry === null) throw new Error('It is not there.');
    return entry;
  }

  test('taken up again: its mark goes, and the audit names it by a code only', async () => {
    const scope = await markScope(context, ACME.namespace, ACME.owner, ACME.customer);
    const key = world.source.keyOf(idBytes);
    await markQuarantined(world.store, scope, [key, 'other']);
    const { archive, entry } = await retry(await recordEntry());
    expect(archive).toBeNull();
    expect(entry).toMatchObject({ state: 'closed', idBytes: null });
    expect([...(await findMarks(world.store, scope, [key, 'other'])).keys()]).toEqual(['other']);
    const hmac = await context.keys.hmacFor(ACME.owner);
    const record = Buffer.from(hmac(key)).toString('base64url');
    const subject = { record, owner: 'acme', customer: 'north', policy: 'chats', dataset: 'data.chats' };
    const lines = (await told()) as { subject: object; details: object }[];
    expect(lines.map((line) => line.subject)).toEqual([subject, subject]);
    expect(lines[1]?.details).toEqual({ by: 'ann', reason: 'looked at it', code: 'too-large' });
  });

  test.each([
    ['owner', { owner: null }],
    ['customer', { customer: null }],
  ])('without an %s it has no mark: the entry is closed', async (name, party) => {
    expect((await retry(await recordEntry(party))).entry).toMatchObject({ state: 'closed' });
    const [line] = (await told()) as { subject: Record<string, string> }[];
    expect(line?.subject).not.toHaveProperty(name);
    expect(line?.subject['record'] === 'of no known owner').toBe(name === 'owner');
  });

  test('disposed of: it stays in the source, and loses nothing', async () => {
    const entry = await recordEntry();
    expect(await planDisposal(context, entry)).toEqual({
      kind: 'record stays',
      lost: 0,
      perhapsLost: 0,
      archive: null,
    });
    expect(await dispose(entry)).toMatchObject({ entry: { state: 'disposed' }, archive: null });
  });
});
