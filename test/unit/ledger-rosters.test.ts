/** Rosters: written once, shrunk to exceptions and an index without plaintext, and gone page by page as they are told. */
import { createHash, createHmac } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { RecordOutcome } from '../../src/ledger/archive-document.ts';
import { prefixBits } from '../../src/ledger/code-pages.ts';
import { RecordIndexBuilder, recordIndexPages, segmentsOf } from '../../src/ledger/record-index.ts';
import {
  type RosterException,
  type RosterRecord,
  readExceptions,
  readRosterPage,
  removeExceptions,
  removeRoster,
  removeRosterFrom,
  removeRostersOf,
  rosterPages,
  shrinkRoster,
  writeRosterPage,
} from '../../src/ledger/rosters.ts';
import { ACME } from '../harness/a-hold.ts';
import { LedgerWorld } from '../harness/ledger-world.ts';

const A1 = id.archive('a1');
const OF = { archive: 'a1', attempt: 't1', epoch: 1 };
const hmac = (key: string) => createHmac('sha256', 'key').update(key).digest();
const keyOf = (bytes: Uint8Array) => `key of ${Buffer.from(bytes).toString()}`;

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

function record(name: string, segment = 0): RosterRecord {
  return { id: Buffer.from(name), sha256: createHash('sha256').update(name).digest(), segment };
}

async function exceptions(): Promise<RosterException[]> {
  const found: RosterException[] = [];
  for await (const exception of readExceptions(world.store, A1)) found.push(exception);
  return found;
}

async function shrink(outcomes: readonly (readonly RecordOutcome[])[], records: number, pages = outcomes.length) {
  const attempt = id.attempt('t1');
  const of = { archive: A1, attempt, ...ACME, records, pages, hmac, keyOf };
  await shrinkRoster(world.store, { ...of, outcomes: async (page) => outcomes[page] ?? [] });
}

const pageIds = async () => (await world.all('rosterPages')).map(({ _id }) => _id);

describe('pages', () => {
  test('come back as they were written, whatever else is there', async () => {
    await writeRosterPage(world.store, OF, 0, [record('a'), record('b', 7)]);
    await writeRosterPage(world.store, { ...OF, attempt: 't2' }, 0, [record('c')]);
    const page = await readRosterPage(world.store, 't1', 0);
    expect(page?.page).toBe(0);
    expect(page?.records.map(({ id: bytes, segment }) => [Buffer.from(bytes).toString(), segment])).toEqual([
      ['a', 0],
      ['b', 7],
    ]);
    expect(page?.records.map(({ sha256 }) => Buffer.from(sha256))).toEqual([record('a').sha256, record('b').sha256]);
    expect(await readRosterPage(world.store, 't1', 1)).toBeNull();
  });

  test('are written once: the same page again is a bug and changes nothing', async () => {
    await writeRosterPage(world.store, OF, 0, [record('a')]);
    await expect(writeRosterPage(world.store, OF, 0, [record('b')])).rejects.toMatchObject({
      code: 'INTERNAL',
      ids: { archive: 'a1' },
    });
    expect((await readRosterPage(world.store, 't1', 0))?.records).toHaveLength(1);
  });

  test('go by attempt, from a page on, or with their archive', async () => {
    const fill = async () => {
      await rosterPages(world.store).removeMany({});
      for (const attempt of ['t1', 't2'])
        for (const page of [0, 1, 2]) await writeRosterPage(world.store, { ...OF, attempt }, page, [record('a')]);
      await writeRosterPage(world.store, { archive: 'a2', attempt: 't3', epoch: 1 }, 0, [record('a')]);
    };
    await fill();
    await removeRosterFrom(world.store, 't1', 1);
    expect(await pageIds()).toEqual(['t1:000000', 't2:000000', 't2:000001', 't2:000002', 't3:000000']);
    await removeRoster(world.store, 't2');
    expect(await pageIds()).toEqual(['t1:000000', 't3:000000']);
    await fill();
    await removeRostersOf(world.store, A1);
    expect(await pageIds()).toEqual(['t3:000000']);
  });
});

describe('shrinking', () => {
  test('keeps what was not deleted, by its number in the archive, and finds every record by its HMAC alone', async () => {
    await writeRosterPage(world.store, OF, 0, [record('a'), record('b', 1), record('c', 1)]);
    await writeRosterPage(world.store, OF, 1, [record('d', 2)]);
    await writeRosterPage(world.store, OF, 2, [record('e', 3), record('f', 4)]);
    const outcomes: RecordOutcome[][] = [['deleted', 'changed', 'deleted'], ['deleted'], ['held', 'quarantined']];
    await shrink(outcomes, 6);
    expect(await exceptions()).toEqual([
      { ordinal: 1, outcome: 'changed' },
      { ordinal: 4, outcome: 'held' },
      { ordinal: 5, outcome: 'quarantined' },
    ]);
    expect((await world.all('rosterExceptions')).map(({ _id }) => _id)).toEqual(['a1:000000', 'a1:000002']);
    const found = [];
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f'])
      found.push(await segmentsOf(world.store, A1, 6, hmac(`key of ${name}`)));
    expect(found).toEqual([[0], [1], [1], [2], [3], [4]]);
    expect(await segmentsOf(world.store, A1, 6, hmac('key of nobody'))).toEqual([]);
    const kept = JSON.stringify([await world.all('recordIndex'), await world.all('rosterExceptions')]);
    expect(kept).not.toContain('key of');
    await shrink(outcomes, 6);
    expect(await exceptions()).toHaveLength(3);
    await writeRosterPage(world.store, { archive: 'a2', attempt: 't2', epoch: 1 }, 0, [record('z')]);
    const other = { archive: id.archive('a2'), attempt: id.attempt('t2'), ...ACME, records: 1, pages: 1, hmac, keyOf };
    await shrinkRoster(world.store, { ...other, outcomes: async () => ['gone'] });
    expect(await exceptions()).toHaveLength(3);
    await removeExceptions(world.store, A1);
    expect(await exceptions()).toEqual([]);
    expect(await world.all('rosterExceptions')).toHaveLength(1);
  });

  test('a page is gone: an earlier worker had written everything and was cut while it removed; nothing is written', async () => {
    await writeRosterPage(world.store, OF, 1, [record('d')]);
    await shrink([['deleted'], ['changed']], 2);
    expect(await exceptions()).toEqual([]);
    expect(await recordIndexPages(world.store).count({})).toBe(0);
  });

  test('a record without an outcome: nobody can tell whether its copy is void, so nothing is written', async () => {
    await writeRosterPage(world.store, OF, 0, [record('a'), record('b')]);
    await expect(shrink([['changed']], 2)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await exceptions()).toEqual([]);
    expect(await recordIndexPages(world.store).count({})).toBe(0);
  });

  test('exceptions are read in the order of their pages, however they were written', async () => {
    await writeRosterPage(world.store, OF, 1, [record('b')]);
    await writeRosterPage(world.store, OF, 0, [record('a')]);
    await shrink([['gone'], ['held']], 2);
    const pages = world.store.collection('rosterExceptions');
    const [first] = await world.all('rosterExceptions');
    if (first === undefined) throw new Error('There are none.');
    await pages.remove(first._id, first.rev);
    await pages.insert(first);
    expect((await exceptions()).map(({ ordinal }) => ordinal)).toEqual([0, 1]);
  });

  test('fewer or more records than the archive has: a bug, and no index is written', async () => {
    await writeRosterPage(world.store, OF, 0, [record('a'), record('b')]);
    await expect(shrink([['deleted', 'deleted']], 3)).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(shrink([['deleted', 'deleted']], 1)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await recordIndexPages(world.store).count({})).toBe(0);
  });
});

describe('the index', () => {
  test.each([
    [1, 0],
    [1_000, 0],
    [1_001, 1],
    [2_000, 1],
    [2_001, 2],
    [200_000, 8],
    [100_000_000, 12],
  ])('of %i records is named by %i bits', (records, bits) => {
    expect(prefixBits(records)).toBe(bits);
  });

  test('of many pages finds every record in its one page, two of one HMAC too, and reads no other page', async () => {
    const records = 5_000;
    const index = new RecordIndexBuilder(records);
    for (let n = 0; n < records - 1; n++) index.add(hmac(`r${n}`), n);
    index.add(hmac('r0'), 77_777);
    await index.write(world.store, A1);
    expect(await recordIndexPages(world.store).count({ archive: A1 })).toBe(8);
    for (const n of [1, 2, 500, 4_998]) expect(await segmentsOf(world.store, A1, records, hmac(`r${n}`))).toEqual([n]);
    expect([...(await segmentsOf(world.store, A1, records, hmac('r0')))].sort((a, b) => a - b)).toEqual([0, 77_777]);
    const missing = await Promise.all(
      Array.from({ length: 50 }, (_, n) => segmentsOf(world.store, A1, records, hmac(`other${n}`))),
    );
    expect(missing.flat()).toEqual([]);
    expect(await segmentsOf(world.store, id.archive('a2'), records, hmac('r1'))).toEqual([]);
  });
});
