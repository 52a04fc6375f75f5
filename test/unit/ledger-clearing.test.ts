/** Pages of a clearing in the ledger: intents add up, an outcome is written once, and the counts are exact at any moment. */
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { archives } from '../../src/ledger/archives.ts';
import {
  type ClearingLease,
  clearingPages,
  countOutcomes,
  proveVerified,
  readPageState,
  removeClearingPages,
  scopeOf,
  settlePage,
  writePageIntent,
} from '../../src/ledger/clearing.ts';
import { VerifiedArchive } from '../../src/ledger/warrants.ts';
import { ACME } from '../harness/a-hold.ts';
import { anArchive } from '../harness/an-archive.ts';
import { LedgerWorld, watched } from '../harness/ledger-world.ts';

let world: LedgerWorld;
let isHeld: boolean;
const lease: ClearingLease = {
  epoch: 1,
  subject: 'a1',
  keep: async () => undefined,
  assertHeld: () => {
    if (!isHeld) throw new Error('the lease is gone');
  },
};
beforeEach(async () => {
  world = await LedgerWorld.open();
  isHeld = true;
});

describe('the intent of a page', () => {
  test('hashes of what records are to become stay with their records, whatever is intended later; a record that is intended anew gets its new one', async () => {
    const hash = (byte: number) => new Uint8Array(32).fill(byte);
    await writePageIntent(
      world.store,
      lease,
      4,
      [9, 2],
      new Map([
        [9, hash(9)],
        [2, hash(2)],
      ]),
    );
    await writePageIntent(
      world.store,
      lease,
      4,
      [2, 5],
      new Map([
        [2, hash(22)],
        [5, hash(5)],
      ]),
    );
    const { intended, treated } = await readPageState(world.store, 'a1', 4);
    expect([...intended]).toEqual([2, 5, 9]);
    expect([...treated].map(([at, sha256]) => [at, sha256[0], sha256[31], sha256.length])).toEqual([
      [2, 22, 22, 32],
      [5, 5, 5, 32],
      [9, 9, 9, 32],
    ]);
  });

  test('adds to what an earlier try intended, in order and once each, and counts the tries', async () => {
    expect(await readPageState(world.store, 'a1', 3)).toEqual({
      intended: new Set(),
      treated: new Map(),
      tries: 0,
      outcomes: null,
    });
    expect(await writePageIntent(world.store, lease, 3, [10, 2])).toBe(1);
    expect(await writePageIntent(world.store, lease, 3, [2, 9, 1])).toBe(2);
    expect(await readPageState(world.store, 'a1', 3)).toEqual({
      intended: new Set([1, 2, 9, 10]),
      treated: new Map(),
      tries: 2,
      outcomes: null,
    });
    const [page] = await world.all('clearingPages');
    expect(page).toMatchObject({ archive: 'a1', page: 3, intended: [1, 2, 9, 10] });
    // Another page, and the same page of another archive, know nothing of it.
    expect(await readPageState(world.store, 'a1', 2)).toMatchObject({ tries: 0 });
    expect(await readPageState(world.store, 'a2', 3)).toMatchObject({ tries: 0 });
  });

  test('refused once the page is settled, or when another worker is at it, or without the lease', async () => {
    await settlePage(world.store, lease, 0, ['deleted']);
    await expect(writePageIntent(world.store, lease, 0, [0])).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await writePageIntent(world.store, lease, 1, [0]);
    const raced = watched(world.store, async (collection, call) => {
      if (collection !== 'clearingPages' || call !== 'replace') return;
      const found = await clearingPages(world.store).get('a1:000001');
      if (found !== null) await clearingPages(world.store).replace(found);
    });
    await expect(writePageIntent(raced, lease, 1, [1])).rejects.toMatchObject({ code: 'LEASE_LOST' });
    const removing = watched(world.store, async (collection, call) => {
      if (collection === 'clearingPages' && call === 'get') await clearingPages(world.store).removeMany({});
    });
    await expect(writePageIntent(removing, lease, 1, [1])).rejects.toMatchObject({ code: 'LEASE_LOST' });
    isHeld = false;
    await expect(writePageIntent(world.store, lease, 2, [0])).rejects.toThrow('the lease is gone');
    expect(await clearingPages(world.store).count({ page: 2 })).toBe(0);
  });
});

describe('the outcomes of a page', () => {
  const ALL = ['deleted', 'treated', 'changed', 'held', 'gone', 'quarantined'] as const;

  test('come back as they were settled, with or without an intent before', async () => {
    await settlePage(world.store, lease, 0, ALL);
    expect(await readPageState(world.store, 'a1', 0)).toEqual({
      intended: new Set(),
      treated: new Map(),
      tries: 0,
      outcomes: ALL,
    });
    await writePageIntent(world.store, lease, 1, [0]);
    await settlePage(world.store, lease, 1, ['deleted', 'gone']);
    expect(await readPageState(world.store, 'a1', 1)).toEqual({
      intended: new Set([0]),
      treated: new Map(),
      tries: 1,
      outcomes: ['deleted', 'gone'],
    });
  });

  test('stand: settled again, or by another at the same time, or without the lease is refused', async () => {
    await settlePage(world.store, lease, 0, ['deleted']);
    await expect(settlePage(world.store, lease, 0, ['gone'])).rejects.toMatchObject({ code: 'LEASE_LOST' });
    const first = watched(world.store, async (collection, call) => {
      if (collection === 'clearingPages' && call === 'insert') await settlePage(world.store, lease, 1, ['held']);
    });
    await expect(settlePage(first, lease, 1, ['gone'])).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await writePageIntent(world.store, lease, 2, [0]);
    const second = watched(world.store, async (collection, call) => {
      if (collection === 'clearingPages' && call === 'replace') await settlePage(world.store, lease, 2, ['held']);
    });
    await expect(settlePage(second, lease, 2, ['gone'])).rejects.toMatchObject({ code: 'LEASE_LOST' });
    isHeld = false;
    await expect(settlePage(world.store, lease, 3, ['gone'])).rejects.toThrow('the lease is gone');
    isHeld = true;
    const outcomes = await Promise.all([0, 1, 2, 3].map((page) => readPageState(world.store, 'a1', page)));
    expect(outcomes.map((state) => state.outcomes)).toEqual([['deleted'], ['held'], ['held'], null]);
  });

  test('are counted; what has none is pending, and other archives do not count', async () => {
    await settlePage(world.store, lease, 0, ALL);
    await settlePage(world.store, lease, 1, ['deleted', 'deleted']);
    await writePageIntent(world.store, lease, 2, [0]);
    await settlePage(world.store, { ...lease, subject: 'a2' }, 0, ['gone']);
    expect(await countOutcomes(world.store, 'a1', 10)).toEqual({
      archived: 10,
      deleted: 3,
      treated: 1,
      changed: 1,
      held: 1,
      gone: 1,
      quarantined: 1,
      pending: 2,
    });
    await removeClearingPages(world.store, 'a1');
    expect((await world.all('clearingPages')).map(({ _id }) => _id)).toEqual(['a2:000000']);
  });

  test('a letter that nobody wrote stops whoever reads it', async () => {
    await settlePage(world.store, lease, 0, ['deleted']);
    const found = await clearingPages(world.store).get('a1:000000');
    if (found !== null) await clearingPages(world.store).replace({ ...found, outcomes: 'z' });
    await expect(readPageState(world.store, 'a1', 0)).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(countOutcomes(world.store, 'a1', 1)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

describe('the proof that an archive may be cleared', () => {
  const verified = { state: 'verified' as const, rosterShrunk: false };

  test('is made for a verified archive with its attempt, under the lease', async () => {
    await archives(world.store).insert(anArchive(verified));
    const proof = proveVerified(await world.claim());
    expect(proof).toBeInstanceOf(VerifiedArchive);
    expect({ archive: proof.archive, attempt: proof.attempt, isProof: proof.isProof }).toEqual({
      archive: 'a1',
      attempt: 't1',
      isProof: true,
    });
  });

  test.each([
    ['stored only', { state: 'stored' as const }],
    ['cleared before', { state: 'cleared' as const }],
    ['without an attempt', { ...verified, attempt: null }],
    ['without the date of its verification', { ...verified, verifiedAt: null }],
  ])('is not made: %s', async (_, fields) => {
    await archives(world.store).insert(anArchive(fields));
    const held = await world.claim();
    expect(() => proveVerified(held)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  test('is not made when the lease is at its end', async () => {
    await archives(world.store).insert(anArchive(verified));
    const held = await world.claim();
    world.advance(5 * 60_000);
    expect(() => proveVerified(held)).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
  });
});

test('what is announced for an archive: its policy, its party and itself', () => {
  expect(scopeOf({ ...anArchive(), rev: 0 })).toEqual({ policy: 'chats', ...ACME, archive: id.archive('a1') });
});
