/** What a store of the ledger makes of values, sizes, filters and races at their edges. Run on the one in memory and on a real server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PreparedStore } from '../../src/ledger/indexes.ts';
import type { Filter, LedgerDocument, StoreCollection } from '../../src/ledger/store.ts';

interface Thing extends LedgerDocument {
  readonly n?: unknown;
  readonly place?: { readonly list: readonly unknown[] };
  readonly bytes?: Uint8Array;
  readonly undef?: undefined;
}

const AT_ONCE = 50;
const MIB = 1024 * 1024;

export function storeValuesContract(
  name: string,
  open: () => Promise<{ store: PreparedStore; close: () => Promise<void> }>,
) {
  describe(`store contract, edges: ${name}`, () => {
    let store: PreparedStore;
    let close: () => Promise<void>;
    let collections = 0;
    const fresh = (): StoreCollection<Thing> => store.collection<Thing>(`things${collections++}`);

    beforeAll(async () => {
      ({ store, close } = await open());
    });
    afterAll(async () => close?.());

    const filled = async (values: Readonly<Record<string, unknown>>) => {
      const things = fresh();
      for (const [_id, n] of Object.entries(values)) {
        expect(await things.insert(n === undefined ? { _id, v: 1 } : { _id, v: 1, n })).toBe('inserted');
      }
      return things;
    };
    const ids = async (things: StoreCollection<Thing>, filter: Filter, sort: Record<string, 1 | -1> = { _id: 1 }) => {
      const found = [];
      for await (const { _id } of things.find(filter, { sort })) found.push(_id);
      return found;
    };

    it('numbers and text at their edges come back as they were', async () => {
      const values = [
        -0,
        0,
        2 ** 31,
        -(2 ** 31) - 1,
        2 ** 53,
        Number.MAX_VALUE,
        Number.MIN_VALUE,
        0.1,
        '',
        'a\0b',
        '\u{10ffff}',
      ];
      const things = fresh();
      await things.insert({ _id: 'a', v: 1, place: { list: values } });
      const found = (await things.get('a'))?.place?.list ?? [];
      expect(found).toHaveLength(values.length);
      for (const [at, value] of values.entries()) expect([at, Object.is(found[at], value)]).toEqual([at, true]);
    });

    it('dates to the millisecond, before 1970 and far away; an undefined field is left out', async () => {
      const list = [new Date(-1), new Date(0), new Date('9999-12-31T23:59:59.999Z'), new Date(-8.64e15)];
      const things = fresh();
      const document = { _id: 'a', v: 1, place: { list }, undef: undefined };
      await things.insert(document);
      const found = await things.get('a');
      expect(found?.place?.list).toEqual(list);
      expect(Object.keys(found ?? {})).toEqual(['_id', 'v', 'rev', 'place']);
      expect(await ids(things, { undef: null })).toEqual(['a']);
    });

    it('a document of 16 MiB goes in by no way, and what is there stays', async () => {
      const things = fresh();
      const refused = { name: 'MoraineError', code: 'MONGODB_REFUSED', class: 'failed' };
      const larger = new Uint8Array(16 * MIB);
      await things.insert({ _id: 'b', v: 1 });
      await expect(things.insert({ _id: 'a', v: 1, bytes: larger })).rejects.toMatchObject(refused);
      await expect(things.insertMany([{ _id: 'a', v: 1, bytes: larger }])).rejects.toMatchObject(refused);
      await expect(things.replace({ _id: 'b', v: 1, rev: 0, bytes: larger })).rejects.toMatchObject(refused);
      expect(await things.count({})).toBe(1);
      expect(await things.get('b')).toEqual({ _id: 'b', v: 1, rev: 0 });
    });

    it('sorts by type first: missing and null, numbers, text by its bytes, booleans, dates; and back', async () => {
      const things = await filled({
        date: new Date(5),
        'a date before': new Date(-5),
        yes: true,
        no: false,
        'text z': 'z',
        'text A': 'A',
        'text é': 'é',
        'text fox': '\u{1f98a}',
        'text last of two bytes': '\uffee',
        'text empty': '',
        one: 1,
        'minus one and a half': -1.5,
        million: 1e6,
      });
      const order = [
        'minus one and a half',
        'one',
        'million',
        'text empty',
        'text A',
        'text z',
        'text é',
        'text last of two bytes',
        'text fox',
        'no',
        'yes',
        'a date before',
        'date',
      ];
      expect(await ids(things, {}, { n: 1 })).toEqual(order);
      expect(await ids(things, {}, { n: -1 })).toEqual(order.toReversed());
      await things.insert({ _id: 'missing', v: 1 });
      await things.insert({ _id: 'null', v: 1, n: null });
      expect(await ids(things, {}, { n: 1, _id: 1 })).toEqual(['missing', 'null', ...order]);
    });

    it('filters hold within one type, null equals missing, and 0 equals -0', async () => {
      const things = await filled({
        text: '1',
        one: 1,
        date: new Date(1),
        zero: 0,
        minus: -0,
        no: false,
        null: null,
        none: undefined,
      });
      expect(await ids(things, { n: 1 })).toEqual(['one']);
      expect(await ids(things, { n: '1' })).toEqual(['text']);
      expect(await ids(things, { n: 0 })).toEqual(['minus', 'zero']);
      expect(await ids(things, { n: -0 })).toEqual(['minus', 'zero']);
      expect(await ids(things, { n: false })).toEqual(['no']);
      expect(await ids(things, { n: null })).toEqual(['none', 'null']);
      expect(await ids(things, { n: { $lte: null } })).toEqual(['none', 'null']);
      expect(await ids(things, { n: { $in: [null, '1', new Date(1)] } })).toEqual(['date', 'none', 'null', 'text']);
      expect(await ids(things, { n: { $gte: 0 } })).toEqual(['minus', 'one', 'zero']);
      expect(await ids(things, { n: { $lt: 'z' } })).toEqual(['text']);
      expect(await ids(things, { n: { $ne: null, $in: ['1', null] } })).toEqual(['text']);
      expect(await ids(things, { 'n.deeper': null })).toHaveLength(8);
    });

    it('a condition without a value is refused: it would match everything', async () => {
      const things = await filled({ a: 1, b: 2 });
      // As it comes from a variable that should have had a value.
      const [nothing]: (string | undefined)[] = [];
      const wrong: unknown[] = [{ n: nothing }, { n: { $ne: nothing } }, { n: {} }];
      for (const filter of wrong) {
        if (!isFilter(filter)) throw new Error('unreachable');
        await expect(things.removeMany(filter)).rejects.toMatchObject({ code: 'INTERNAL' });
        await expect(things.count(filter)).rejects.toMatchObject({ code: 'INTERNAL' });
        await expect(ids(things, filter)).rejects.toMatchObject({ code: 'INTERNAL' });
      }
      expect(await things.count({})).toBe(2);
    });

    it('unique index: a missing value and null are one value, numbers and text are two', async () => {
      const things = fresh();
      await store.ensureIndexes([{ collection: `things${collections - 1}`, keys: { n: 1 }, unique: true }]);
      expect(await things.insert({ _id: 'a', v: 1 })).toBe('inserted');
      expect(await things.insert({ _id: 'b', v: 1, n: null })).toBe('duplicate');
      expect(await things.insert({ _id: 'c', v: 1, n: 1 })).toBe('inserted');
      expect(await things.insert({ _id: 'd', v: 1, n: '1' })).toBe('inserted');
      expect(await things.insert({ _id: 'e', v: 1, n: new Date(0) })).toBe('inserted');
      expect(await things.insert({ _id: 'f', v: 1, n: new Date(0).toISOString() })).toBe('inserted');
      expect(await things.insertMany([{ _id: 'g', v: 1, n: 1 }])).toBe(0);
      expect(await things.remove('c', 0)).toBe(true);
      expect(await things.insert({ _id: 'g', v: 1, n: 1 })).toBe('inserted');
    });

    it('fifty racing inserts of one id: one inserted, the others duplicate; and so with one value of a unique index', async () => {
      const things = fresh();
      await store.ensureIndexes([{ collection: `things${collections - 1}`, keys: { n: 1 }, unique: true }]);
      const race = async (document: (at: number) => Omit<Thing, 'rev'>) => {
        const outcomes = await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => things.insert(document(at))));
        expect(outcomes.filter((outcome) => outcome === 'inserted')).toHaveLength(1);
        expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(AT_ONCE - 1);
      };
      await race((at) => ({ _id: 'a', v: 1, n: at }));
      await race((at) => ({ _id: `b${at}`, v: 1, n: 'one value' }));
      expect(await things.count({})).toBe(2);
    });

    it('five that replace their document with one unique value, ten times: one wins, the others hear null', async () => {
      const things = fresh();
      await store.ensureIndexes([{ collection: `things${collections - 1}`, keys: { n: 1 }, unique: true }]);
      for (let round = 0; round < 10; round += 1) {
        const own = [0, 1, 2, 3, 4].map((at) => ({ _id: `r${round}-${at}`, v: 1, n: `own ${round} ${at}` }));
        await things.insertMany(own);
        const outcomes = await Promise.all(
          own.map((thing) => things.replace({ ...thing, rev: 0, n: `same ${round}` })),
        );
        expect(outcomes.filter((outcome) => outcome !== null)).toHaveLength(1);
        expect(await things.count({ n: `same ${round}` })).toBe(1);
      }
    });

    it('fifty racing insertMany that overlap: each document goes in once, and the counts add up', async () => {
      const things = fresh();
      const counts = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, at) =>
          things.insertMany([at, at + 1, at + 2].map((n) => ({ _id: `d${n}`, v: 1, n }))),
        ),
      );
      expect(counts.reduce((sum, count) => sum + count)).toBe(AT_ONCE + 2);
      expect(await things.count({})).toBe(AT_ONCE + 2);
    });

    it('twenty-five replaces and twenty-five removes of one revision: one of all wins', async () => {
      for (let round = 0; round < 5; round += 1) {
        const things = await filled({ a: 0 });
        const outcomes = await Promise.all(
          Array.from({ length: AT_ONCE }, async (_, at) =>
            at % 2 === 0
              ? await things.remove('a', 0)
              : (await things.replace({ _id: 'a', v: 1, rev: 0, n: at })) !== null,
          ),
        );
        expect(outcomes.filter(Boolean)).toHaveLength(1);
        const left = await things.get('a');
        expect(left === null).toBe(outcomes.indexOf(true) % 2 === 0);
        if (left !== null) expect(left).toMatchObject({ rev: 1, n: outcomes.indexOf(true) });
      }
    });

    it('a reader while others write: each document at most once, none that was there before and after is left out', async () => {
      const things = fresh();
      await things.insertMany(
        Array.from({ length: 2_500 }, (_, n) => ({ _id: `k${String(n).padStart(4, '0')}`, v: 1, n })),
      );
      const seen: string[] = [];
      for await (const { _id, rev } of things.find({}, { sort: { _id: 1 } })) {
        seen.push(_id);
        if (seen.length % 500 === 0) {
          await things.replace({ _id, v: 1, rev, n: -1 });
          await things.insert({ _id: `a${seen.length}`, v: 1 });
        }
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((_id) => _id.startsWith('k'))).toHaveLength(2_500);
    });

    it('what replace and find give is not what is stored', async () => {
      const things = fresh();
      const list = [{ x: 1 }];
      await things.insert({ _id: 'a', v: 1, place: { list }, bytes: new Uint8Array([1]) });
      const [first] = list;
      if (first !== undefined) first.x = 2;
      for await (const thing of things.find({})) thing.bytes?.fill(9);
      const before = await things.get('a');
      if (before === null) throw new Error('not there');
      (await things.replace(before))?.bytes?.fill(8);
      expect(await things.get('a')).toMatchObject({ rev: 1, place: { list: [{ x: 1 }] } });
      expect([...((await things.get('a'))?.bytes ?? [])]).toEqual([1]);
    });

    it('server time: whole milliseconds, a Date of its own each time, never back while nobody moves the clock', async () => {
      let last = 0;
      for (let asked = 0; asked < 20; asked += 1) {
        const time = await store.serverTime();
        expect(time).toBeInstanceOf(Date);
        expect(Number.isInteger(time.getTime())).toBe(true);
        expect(time.getTime()).toBeGreaterThanOrEqual(last);
        last = time.getTime();
        time.setTime(0);
      }
    });
  });
}

function isFilter(value: unknown): value is Filter {
  return typeof value === 'object' && value !== null;
}
