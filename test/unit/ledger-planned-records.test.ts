/** Pages of ids of planned archives: what is read back, and which of them go. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { LEDGER_INDEXES } from '../../src/ledger/ledger-indexes.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import {
  plannedRecords,
  removePlannedFrom,
  removePlannedRecords,
  withPlannedRecords,
  writePlannedRecords,
} from '../../src/ledger/planned-records.ts';
import type { LedgerDocument } from '../../src/ledger/store.ts';
import { MovableClock } from '../simulation/memory-world.ts';

let store: MemoryStore;
beforeEach(async () => {
  store = new MemoryStore(new MovableClock('2024-06-01T00:00:00Z'));
  await store.ensureIndexes([...LEDGER_INDEXES]);
});

const of = (archive: string, sequence = 1, partition = 'p1', epoch = 3) => ({
  archive: id.archive(archive),
  partition: id.partition(partition),
  sequence,
  epoch,
});
const ids = (...all: number[]) => all.map((n) => Uint8Array.of(0x10, n, 0, 0, 0));

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of source) found.push(one);
  return found;
}

async function read(archive: string): Promise<number[][]> {
  const pages: number[][] = [];
  for await (const page of plannedRecords(store, id.archive(archive))) pages.push(page.map((one) => one[1] ?? -1));
  return pages;
}

async function whose() {
  return await all(withPlannedRecords(store));
}

test('pages come back in their order, each with its ids, and those of an archive only', async () => {
  await writePlannedRecords(store, of('a'), 0, ids(1, 2));
  for (let page = 1; page < 12; page++) await writePlannedRecords(store, of('a'), page, ids(page + 2));
  await writePlannedRecords(store, of('b', 2), 0, [Uint8Array.of(), Uint8Array.of(0x0a), ...ids(9)]);
  expect(await read('a')).toEqual([[1, 2], ...Array.from({ length: 11 }, (_, n) => [n + 3])]);
  const [page] = await all(plannedRecords(store, id.archive('b')));
  expect(page?.map((one) => [...one])).toEqual([[], [0x0a], [0x10, 9, 0, 0, 0]]);
  expect(await read('unknown')).toEqual([]);
});

test('a page that is written again by the driver stays as it was', async () => {
  await writePlannedRecords(store, of('a'), 0, ids(1));
  await writePlannedRecords(store, of('a'), 0, ids(1));
  expect(await read('a')).toEqual([[1]]);
});

test('a page that is cut short is not taken for a shorter one', async () => {
  await writePlannedRecords(store, of('a'), 0, ids(1, 2));
  const pages = store.collection<LedgerDocument & { packed: Uint8Array }>('plannedRecords');
  for (const packed of [Uint8Array.of(0, 0, 0, 5, 1), Uint8Array.of(0, 0)]) {
    const page = await pages.get('a:000000');
    if (page === null) throw new Error('It is gone.');
    await pages.replace({ ...page, packed });
    await expect(read('a')).rejects.toMatchObject({ code: 'INTERNAL' });
  }
});

test('those of an archive go, or those of a partition from a number on; the others stay', async () => {
  await writePlannedRecords(store, of('a', 1), 0, ids(1));
  await writePlannedRecords(store, of('b', 2), 0, ids(2));
  await writePlannedRecords(store, of('b', 2), 1, ids(3));
  await writePlannedRecords(store, of('c', 3), 0, ids(4));
  await writePlannedRecords(store, of('other', 3, 'p2', 7), 0, ids(5));
  expect(await whose()).toEqual([
    { archive: 'a', partition: 'p1', epoch: 3 },
    { archive: 'b', partition: 'p1', epoch: 3 },
    { archive: 'c', partition: 'p1', epoch: 3 },
    { archive: 'other', partition: 'p2', epoch: 7 },
  ]);
  await removePlannedFrom(store, id.partition('p1'), 3);
  expect((await whose()).length).toBe(3);
  await removePlannedRecords(store, id.archive('b'));
  expect(await whose()).toMatchObject([{ archive: 'a' }, { archive: 'other' }]);
});
