/** The roster while records are sealed: every record in one page, in order, in pages that one look can hold. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { ROSTER_PAGE_BYTES, ROSTER_PAGE_RECORDS, readRosterPage } from '../../src/ledger/rosters.ts';
import type { LedgerDocument, Store } from '../../src/ledger/store.ts';
import { RosterWriter } from '../../src/lifecycle/roster-writer.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const T1 = id.attempt('t1');
const OF = { archive: id.archive('a1'), attempt: T1, epoch: 3 };

let world: MemoryWorld;
let made: number;
beforeEach(async () => {
  world = await MemoryWorld.open();
  made = 0;
});

/** Records of these sizes, in the order of their numbers. */
async function add(writer: RosterWriter, sizes: readonly number[]): Promise<void> {
  for (const bytes of sizes) {
    made += 1;
    await writer.add(
      { id: Uint8Array.of(16, made & 255, made >> 8, 0, 0), sha256: Buffer.alloc(32, made), segment: 0 },
      bytes,
    );
  }
}

/** How many records each page has; they are there in order, each once. */
async function pages(): Promise<number[]> {
  const counts: number[] = [];
  let next = 1;
  for (let page = 0; ; page++) {
    const roster = await readRosterPage(world.store, T1, page);
    if (roster === null) break;
    for (const record of roster.records) expect((record.id[1] ?? 0) + 256 * (record.id[2] ?? 0)).toBe(next++);
    counts.push(roster.records.length);
  }
  expect(await world.all('rosterPages')).toHaveLength(counts.length);
  return counts;
}

const small = (records: number) => Array.from({ length: records }, () => 1);

test.each<[string, number[], number[]]>([
  ['no record', [], []],
  ['one', [1], [1]],
  ['a page to the record', small(ROSTER_PAGE_RECORDS), [ROSTER_PAGE_RECORDS]],
  ['one more than a page', small(ROSTER_PAGE_RECORDS + 1), [ROSTER_PAGE_RECORDS, 1]],
  ['a page to the byte', [ROSTER_PAGE_BYTES - 1, 1], [2]],
  ['a byte more than a page', [ROSTER_PAGE_BYTES - 1, 2, 3], [1, 2]],
  ['a record that is larger than a page', [ROSTER_PAGE_BYTES + 1, 1], [1, 1]],
  ['large ones after a full page', [...small(ROSTER_PAGE_RECORDS), ROSTER_PAGE_BYTES], [ROSTER_PAGE_RECORDS, 1]],
])('%s', async (_, sizes, expected) => {
  const writer = new RosterWriter(world.store, OF);
  await add(writer, sizes);
  expect(await writer.finish()).toBe(expected.length);
  expect(await pages()).toEqual(expected);
});

/** A ledger that takes its time to write a page, or fails. */
function slow(write: () => Promise<void>): Store {
  return {
    serverTime: () => world.store.serverTime(),
    collection: <T extends LedgerDocument>(name: string) => {
      const collection = world.store.collection<T>(name);
      return overlay(collection, {
        insert: async (document) => {
          await write();
          return await collection.insert(document);
        },
      });
    },
  };
}

test('one page is on its way at a time; settled, and finished, only when it has arrived', async () => {
  let underWay = 0;
  const store = slow(async () => {
    underWay += 1;
    expect(underWay).toBe(1);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
  });
  const writer = new RosterWriter(store, OF);
  await add(writer, [ROSTER_PAGE_BYTES, ROSTER_PAGE_BYTES]);
  await writer.settled();
  expect(await pages()).toEqual([1]);
  await add(writer, [ROSTER_PAGE_BYTES, ROSTER_PAGE_BYTES]);
  expect(await writer.finish()).toBe(4);
  expect(await pages()).toEqual([1, 1, 1, 1]);
});

test('a page that could not be written: said with the next one and at the end, and settled all the same', async () => {
  const away = new Error('the ledger is away');
  const writer = new RosterWriter(
    slow(() => Promise.reject(away)),
    OF,
  );
  await add(writer, [ROSTER_PAGE_BYTES, 1]);
  await writer.settled();
  await expect(add(writer, small(ROSTER_PAGE_RECORDS))).rejects.toBe(away);
  await expect(writer.finish()).rejects.toBe(away);
});
