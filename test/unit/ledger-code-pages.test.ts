/** Pages of keyed codes: one page finds one code, however many there are, and writing again changes nothing. */
import { createHmac } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { childIndexPages, childName, rootsOfChild, writeChildIndex } from '../../src/ledger/child-index.ts';
import { prefixBits } from '../../src/ledger/code-pages.ts';
import {
  amongDeletedRoots,
  findDeletedRoots,
  removeDeletedRoots,
  rootName,
  writeDeletedRoots,
} from '../../src/ledger/deleted-roots.ts';
import { LedgerWorld } from '../harness/ledger-world.ts';

const hmac = (text: string) => createHmac('sha256', 'key of the owner').update(text).digest();
const COMMENTS = id.namespace('data.comments');
const A1 = id.archive('a1');
let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

async function all<T>(found: AsyncIterable<T>): Promise<readonly T[]> {
  const kept: T[] = [];
  for await (const each of found) kept.push(each);
  return kept;
}

async function* children(count: number) {
  for (let n = 0; n < count; n++) {
    yield { code: hmac(childName(COMMENTS, `c${n}`)), value: hmac(`r${n % 7}`) };
  }
}

test.each([1, 999, 2_500])('each of %i children is found with its root, and no other', async (count) => {
  await writeChildIndex(world.store, A1, count, () => children(count));
  for (const n of [0, count >> 1, count - 1]) {
    const roots = await rootsOfChild(world.store, A1, count, hmac(childName(COMMENTS, `c${n}`)));
    expect(roots.map((root) => Buffer.from(root).toString('hex'))).toEqual([
      hmac(`r${n % 7}`)
        .subarray(0, 8)
        .toString('hex'),
    ]);
  }
  expect(await rootsOfChild(world.store, A1, count, hmac(childName(COMMENTS, `c${count}`)))).toEqual([]);
  // A record's key is none of a child, nor is that of a child elsewhere.
  expect(await rootsOfChild(world.store, A1, count, hmac('c0'))).toEqual([]);
  expect(await rootsOfChild(world.store, A1, count, hmac(childName(id.namespace('data.calls'), 'c0')))).toEqual([]);
  expect(await rootsOfChild(world.store, id.archive('a2'), count, hmac(childName(COMMENTS, 'c0')))).toEqual([]);
});

test('one child of two roots is found with both', async () => {
  async function* twice() {
    for (const root of ['r1', 'r2']) yield { code: hmac(childName(COMMENTS, 'c')), value: hmac(root) };
  }
  await writeChildIndex(world.store, A1, 2, twice);
  expect(await rootsOfChild(world.store, A1, 2, hmac(childName(COMMENTS, 'c')))).toHaveLength(2);
});

test('more than one pass holds: all are found, in pages of the same names', async () => {
  const count = 210_000;
  let passes = 0;
  const entries = () => {
    passes += 1;
    return children(count);
  };
  await writeChildIndex(world.store, A1, count, entries);
  expect(passes).toBe(2);
  expect(await childIndexPages(world.store).count({ subject: A1 })).toBe(2 ** prefixBits(count));
  for (let n = 0; n < count; n += 20_011) {
    expect(await rootsOfChild(world.store, A1, count, hmac(childName(COMMENTS, `c${n}`)))).toHaveLength(1);
  }
});

test('roots that were deleted are known by what their children name them by, until their customer leaves', async () => {
  const of = {
    _id: 'a1',
    kind: 'archive',
    namespace: id.namespace('data.tickets'),
    owner: id.owner('acme'),
    customer: id.customer('north'),
    count: 2,
  } as const;
  async function* codes() {
    yield { code: hmac(rootName('_id', 'a')) };
    yield { code: hmac(rootName('number', '17')) };
  }
  await writeDeletedRoots(world.store, of, codes);
  // The second time nothing is read: what it would be read from is gone.
  await writeDeletedRoots(world.store, of, () => {
    throw new Error('asked again');
  });
  const [known] = await all(findDeletedRoots(world.store, of.namespace));
  const wanted = [rootName('_id', 'b'), rootName('number', '17'), rootName('_id', '17'), rootName('_id', 'a')].map(
    hmac,
  );
  expect([...(await amongDeletedRoots(world.store, known!, wanted))].sort()).toEqual([1, 3]);
  expect(await all(findDeletedRoots(world.store, COMMENTS))).toEqual([]);
  await removeDeletedRoots(world.store, { owner: of.owner, customer: id.customer('south') });
  expect(await all(findDeletedRoots(world.store, of.namespace))).toHaveLength(1);
  await removeDeletedRoots(world.store, of);
  expect(await all(findDeletedRoots(world.store, of.namespace))).toEqual([]);
});
