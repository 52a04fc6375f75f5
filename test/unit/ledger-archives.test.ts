/** Moves of an archive: legal ones only, under the lease only, and never without their entry in the audit chain. */
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import {
  amendArchive,
  archives,
  findArchives,
  getArchive,
  highestUncleared,
  moveArchive,
  newestSequence,
  quarantineArchive,
  settleAudit,
  settleUnaudited,
} from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { LEASE_MS } from '../../src/ledger/leases.ts';
import { ARCHIVE_STATES, assertLegalMove, LEGAL_MOVES } from '../../src/ledger/states.ts';
import { anArchive } from '../harness/an-archive.ts';
import { LedgerWorld } from '../harness/ledger-world.ts';

const A1 = id.archive('a1');
const waiting = {
  key: 'a1:stored-verified:1',
  act: 'archive verified',
  phase: 'outcome' as const,
  subject: { archive: 'a1' },
  details: {},
};

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

async function put(fields: Partial<ArchiveDocument> = {}): Promise<void> {
  await archives(world.store).insert(anArchive(fields));
}

test('the table of moves, one by one: what is in it passes, all else throws', () => {
  for (const from of ARCHIVE_STATES) {
    for (const to of ARCHIVE_STATES) {
      const isLegal = LEGAL_MOVES.some((move) => move.from === from && move.to === to);
      const move = () => assertLegalMove(from, to, 'a1');
      if (isLegal) expect(move, `${from} ${to}`).not.toThrow();
      else expect(move, `${from} ${to}`).toThrow(expect.objectContaining({ code: 'ILLEGAL_MOVE' }));
    }
  }
});

describe('a move', () => {
  test('changes state, fields and date, and its entry is in the chain with both states, the version and the details', async () => {
    await put({ state: 'verified', rosterShrunk: false });
    const lease = await world.claim();
    world.advance(1_000);
    const set = { dueAt: new Date('2030-01-01T00:00:00Z') };
    const moved = await moveArchive(world.audit, world.clock, lease, { to: 'cleared', set, details: { deleted: 2 } });
    expect(moved).toMatchObject({ ...set, state: 'cleared', changedAt: world.clock.now(), unaudited: [] });
    await lease.write((document) => document);
    expect(await getArchive(world.store, A1)).toMatchObject({ ...set, state: 'cleared', unaudited: [] });
    const told = [];
    for await (const entry of auditEntries(world.store)) told.push(entry);
    expect(told).toMatchObject([
      {
        key: 'a1:verified-cleared:1',
        act: 'archive cleared',
        phase: 'outcome',
        subject: { archive: 'a1', owner: 'acme', customer: 'north', policy: 'chats' },
        details: { from: 'verified', policyVersion: 'f'.repeat(64), deleted: 2 },
      },
    ]);
  });

  test('that is not legal writes nothing', async () => {
    await put({ state: 'stored' });
    const lease = await world.claim();
    const { rev } = await getArchive(world.store, A1);
    await expect(moveArchive(world.audit, world.clock, lease, { to: 'cleared' })).rejects.toMatchObject({
      code: 'ILLEGAL_MOVE',
    });
    expect(await getArchive(world.store, A1)).toMatchObject({ rev, state: 'stored' });
    expect(await world.told()).toEqual([]);
  });

  test('is looked at again when the document changed under it', async () => {
    await put({ state: 'stored' });
    const lease = await world.claim();
    const current = await getArchive(world.store, A1);
    await archives(world.store).replace({ ...current, state: 'planned' });
    await expect(moveArchive(world.audit, world.clock, lease, { to: 'verified' })).rejects.toMatchObject({
      code: 'ILLEGAL_MOVE',
    });
    expect(await getArchive(world.store, A1)).toMatchObject({ state: 'planned' });
  });

  test('that has arrived although its reply was lost is not made twice', async () => {
    await put({ state: 'stored' });
    const lease = await world.claim();
    const current = await getArchive(world.store, A1);
    const date = new Date('2026-04-30T00:00:00Z');
    const unaudited = [{ ...waiting, key: 'a1:storing-stored:1', act: 'archive stored' }, waiting];
    await archives(world.store).replace({ ...current, state: 'verified', changedAt: date, unaudited });
    const moved = await moveArchive(world.audit, world.clock, lease, { to: 'verified' });
    expect(moved).toMatchObject({ state: 'verified', changedAt: date });
    expect(await world.told()).toEqual(['archive stored outcome', 'archive verified outcome']);
  });

  test('to a state that somebody else reached under another key is not taken for ours', async () => {
    await put({ state: 'stored' });
    const lease = await world.claim();
    const current = await getArchive(world.store, A1);
    await archives(world.store).replace({ ...current, state: 'verified', unaudited: [{ ...waiting, key: 'other' }] });
    await expect(moveArchive(world.audit, world.clock, lease, { to: 'verified' })).rejects.toMatchObject({
      code: 'ILLEGAL_MOVE',
    });
  });

  test('that was made before and undone under the same lease is made again', async () => {
    await put({ state: 'planned' });
    const lease = await world.claim();
    for (const to of ['storing', 'planned', 'storing'] as const)
      await moveArchive(world.audit, world.clock, lease, { to, auditLater: true });
    expect(await getArchive(world.store, A1)).toMatchObject({ state: 'storing' });
  });

  test('whose entry may wait: it stays in the document and goes in with the next move, in order', async () => {
    await put({ state: 'stored', rosterShrunk: false });
    const lease = await world.claim();
    await moveArchive(world.audit, world.clock, lease, { to: 'verified', auditLater: true });
    expect(await world.told()).toEqual([]);
    expect((await getArchive(world.store, A1)).unaudited.map(({ key }) => key)).toEqual([waiting.key]);
    await moveArchive(world.audit, world.clock, lease, { to: 'cleared' });
    expect(await world.told()).toEqual(['archive verified outcome', 'archive cleared outcome']);
    expect(lease.document.unaudited).toEqual([]);
  });
});

test('quarantine keeps where it came from and why', async () => {
  await put({ state: 'purged' });
  const lease = await world.claim();
  expect(await quarantineArchive(world.audit, world.clock, lease, 'ARCHIVE_STILL_IN_INVENTORY')).toMatchObject({
    state: 'quarantined',
    quarantinedFrom: 'purged',
    quarantineReason: 'ARCHIVE_STILL_IN_INVENTORY',
  });
  const told = [];
  for await (const { details } of auditEntries(world.store)) told.push(details);
  expect(told).toMatchObject([{ from: 'purged', reason: 'ARCHIVE_STILL_IN_INVENTORY' }]);
});

test('amend: changes fields and nothing else', async () => {
  await put();
  const lease = await world.claim();
  await amendArchive(lease, { unfit: 3 });
  expect(await getArchive(world.store, A1)).toMatchObject({ unfit: 3, state: 'cleared', epoch: 1 });
});

describe('entries that are not in the chain yet', () => {
  test('go in with what is appended next, and once', async () => {
    await put({ unaudited: [waiting] });
    const lease = await world.claim();
    const more = { ...waiting, key: 'more', act: 'archive clear', phase: 'intent' as const };
    await settleAudit(world.audit, lease, [more]);
    expect(await world.told()).toEqual(['archive verified outcome', 'archive clear intent']);
    expect(lease.document.unaudited).toEqual([]);
    await settleAudit(world.audit, lease);
    expect(await world.told()).toHaveLength(2);
  });

  test('nothing waits: what this process holds of the document stays the very same', async () => {
    await put();
    const lease = await world.claim();
    const { document } = lease;
    await settleAudit(world.audit, lease, [waiting]);
    expect(lease.document).toBe(document);
    expect(await world.told()).toHaveLength(1);
  });

  test('of a worker that is dead: put in by whoever looks; of one that lives: left to it', async () => {
    await put({ unaudited: [{ ...waiting, key: '0' }] });
    await put({ _id: id.archive('a2'), sequence: 2 });
    const until = new Date(world.serverTime().getTime() + LEASE_MS);
    await put({
      _id: id.archive('a3'),
      sequence: 3,
      lease: { worker: world.worker, until },
      unaudited: [{ ...waiting, key: 'a3' }],
    });
    expect(await settleUnaudited(world.store, world.audit)).toBe(1);
    expect(await getArchive(world.store, A1)).toMatchObject({ unaudited: [] });
    expect(await getArchive(world.store, id.archive('a3'))).toMatchObject({ unaudited: [{ key: 'a3' }] });
    world.advance(LEASE_MS);
    expect(await settleUnaudited(world.store, world.audit)).toBe(1);
    expect(await settleUnaudited(world.store, world.audit)).toBe(0);
    expect(await world.told()).toHaveLength(2);
  });
});

describe('reading', () => {
  test('an archive that is not there, or that a newer Moraine wrote, is not read', async () => {
    await expect(getArchive(world.store, A1)).rejects.toMatchObject({ code: 'ARCHIVE_UNKNOWN', ids: { archive: A1 } });
    await put({ v: 9 });
    await expect(getArchive(world.store, A1)).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    await expect(world.claim()).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    expect(await world.all('archives')).toMatchObject([{ v: 9, lease: null }]);
  });

  test('the highest that is not cleared: by its sequence, of the partition alone; none when all are', async () => {
    const { partition } = anArchive();
    await put({ _id: id.archive('c'), sequence: 9, state: 'cleared' });
    expect(await highestUncleared(world.store, partition)).toBeNull();
    await put({ _id: id.archive('p'), sequence: 2, state: 'planned' });
    await put({ _id: id.archive('v'), sequence: 10, state: 'verified' });
    await put({ _id: id.archive('s'), sequence: 3, state: 'stored' });
    await put({ _id: id.archive('other'), sequence: 11, state: 'storing', partition: id.partition('other') });
    expect((await highestUncleared(world.store, partition))?._id).toBe('v');
  });

  test('the newest number of a partition, whatever its state; 0 where there is none', async () => {
    const { partition } = anArchive();
    await put({ _id: id.archive('other'), sequence: 99, partition: id.partition('other') });
    expect(await newestSequence(world.store, partition)).toBe(0);
    for (const [at, sequence] of [3, 11, 7].entries())
      await put({ _id: id.archive(`n${at}`), sequence, state: 'confirmed' });
    expect(await newestSequence(world.store, partition)).toBe(11);
  });

  test('find: filter, order and limit are passed on', async () => {
    for (const sequence of [1, 2, 3]) await put({ _id: id.archive(`a${sequence}`), sequence });
    const found = [];
    for await (const { _id } of findArchives(
      world.store,
      { sequence: { $gte: 2 } },
      { sort: { sequence: -1 }, limit: 1 },
    ))
      found.push(_id);
    expect(found).toEqual(['a3']);
  });
});
