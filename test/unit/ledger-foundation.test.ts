import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { MongoBulkWriteError, MongoNetworkError, MongoServerError } from 'mongodb';
import { describe, expect, it } from 'vitest';
import { canonicalJson, hashCanonicalJson } from '../../src/canonical-json.ts';
import { MoraineError } from '../../src/errors.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import { insertedBesideDuplicates, translateStoreError } from '../../src/ledger/mongo-errors.ts';
import { type LedgerDocument, MAX_CLASHES, type StoreCollection } from '../../src/ledger/store.ts';
import { update } from '../../src/ledger/update.ts';
import { assertReadable, readableCollection } from '../../src/ledger/versions.ts';

describe('canonical JSON', () => {
  it('is the published example of RFC 8785, section 3.2.3', () => {
    const value = {
      // biome-ignore lint/correctness/noPrecisionLoss: the example is about just that.
      numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('depends on values alone: the order of keys and undefined members change nothing, and it parses back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const reversed = reverseKeys(value);
        expect(canonicalJson(reversed)).toBe(canonicalJson(value));
        expect(canonicalJson(JSON.parse(canonicalJson(value)))).toBe(canonicalJson(value));
      }),
    );
    expect(canonicalJson({ b: undefined, a: 1 })).toBe('{"a":1}');
    expect(hashCanonicalJson({ a: 1 })).toBe(createHash('sha256').update('{"a":1}').digest('hex'));
  });

  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  it.each([
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [new Date(0)],
    [[undefined]],
    [1n],
    ['\ud800'],
    [new Map()],
    [cycle],
  ])('throws for what JSON cannot hold: %s', (value) =>
    expect(() => canonicalJson(value)).toThrow(expect.objectContaining({ code: 'INTERNAL' })),
  );
});

/** Keys that are numbers keep their order in any JavaScript object; all others are turned round. */
function reverseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toReversed();
  return Object.fromEntries(entries.map(([key, member]) => [key, reverseKeys(member)]));
}

describe('update', () => {
  const items = () => new MemoryStore().collection<LedgerDocument & { n: number }>('items');

  it('gives up after MAX_CLASHES lost races with LEDGER_CONTENTION', async () => {
    const collection = items();
    await collection.insert({ _id: 'a', v: 1, n: 0 });
    let reads = 0;
    const racing = {
      ...bind(collection),
      get: async (id: string) => {
        const read = await collection.get(id);
        // Somebody else is faster after each of our reads.
        if (read !== null) await collection.replace({ ...read, n: ++reads });
        return read;
      },
    };
    await expect(update(racing, 'a', (item) => ({ ...item, n: -1 }))).rejects.toMatchObject({
      code: 'LEDGER_CONTENTION',
    });
    expect(reads).toBe(MAX_CLASHES + 1);
    expect((await collection.get('a'))?.n).toBe(reads);
  });

  it('null or the same document writes nothing; a missing one, or a change that throws, neither', async () => {
    const collection = items();
    await collection.insert({ _id: 'a', v: 1, n: 0 });
    expect((await update(collection, 'a', () => null)).rev).toBe(0);
    expect((await update(collection, 'a', (item) => item)).rev).toBe(0);
    await expect(update(collection, 'b', (item) => item)).rejects.toMatchObject({ code: 'INTERNAL' });
    const stop = () => {
      throw new MoraineError('LEASE_LOST', 'gone');
    };
    await expect(update(collection, 'a', stop)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(await collection.get('a')).toEqual({ _id: 'a', v: 1, rev: 0, n: 0 });
  });

  it('a change that sets another revision still is a compare-and-set on the one that was read', async () => {
    const collection = items();
    await collection.insert({ _id: 'a', v: 1, n: 0 });
    expect(await update(collection, 'a', (item) => ({ ...item, _id: 'b', rev: 77, n: 1 }))).toMatchObject({
      _id: 'a',
      rev: 1,
    });
  });
});

describe('versions', () => {
  it('accepts N and N-1, stops at anything newer or older', () => {
    for (const v of [4, 5]) expect(() => assertReadable({ _id: 'a', v }, 5)).not.toThrow();
    expect(() => assertReadable({ _id: 'a', v: 6 }, 5)).toThrow(
      expect.objectContaining({ code: 'LEDGER_NEWER', class: 'person' }),
    );
    expect(() => assertReadable({ _id: 'a', v: 3 }, 5)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  it('one newer document in a listing stops the reader there', async () => {
    const store = new MemoryStore();
    const collection = readableCollection(store, 'items');
    await collection.insertMany([1, 1, 2].map((v, n) => ({ _id: `d${n}`, v })));
    const read: string[] = [];
    const reading = async () => {
      for await (const { _id } of collection.find({}, { sort: { _id: 1 } })) read.push(_id);
    };
    await expect(reading()).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    expect(read).toEqual(['d0', 'd1']);
    await expect(collection.get('d2')).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
  });
});

describe('errors of the driver', () => {
  const serverError = (code: number, codeName: string) =>
    new MongoServerError({ message: 'record content', code, codeName });

  it.each([
    [new MongoNetworkError('record content'), 'MONGODB_UNAVAILABLE'],
    [serverError(10107, 'NotWritablePrimary'), 'MONGODB_UNAVAILABLE'],
    [serverError(64, 'WriteConcernFailed'), 'MONGODB_UNAVAILABLE'],
    [serverError(13, 'Unauthorized'), 'MONGODB_REFUSED'],
    [serverError(18, 'AuthenticationFailed'), 'MONGODB_REFUSED'],
    [new TypeError('record content'), 'INTERNAL'],
  ])('%s is %s, and its message is not passed on', (error, code) => {
    const translated = translateStoreError(error, 'read');
    expect(translated.code).toBe(code);
    expect(translated.message).not.toContain('record content');
    expect(translated.cause).toBe(error);
  });

  it('a bulk write: duplicates alone are a count; beside a lost connection or another error they are not', () => {
    const bulk = (writeErrors: { code: number; index?: number }[], wrapped?: Error, writeConcern?: object) => {
      const result = { insertedCount: 3, getWriteConcernError: () => writeConcern };
      // The driver makes these from the server's replies; only these parts are looked at.
      const error = new MongoBulkWriteError({ message: 'bulk', code: 11000, writeErrors: [] }, result as never);
      return Object.assign(error, { writeErrors, ...(wrapped ? { errorResponse: wrapped } : {}) });
    };
    expect(insertedBesideDuplicates(bulk([{ code: 11000 }, { code: 11000 }]))).toEqual({ inserted: 3, rolledBack: [] });
    const taken = bulk([
      { code: 11000, index: 0 },
      { code: 16_908_292, index: 4 },
    ]);
    expect(insertedBesideDuplicates(taken)).toEqual({ inserted: 3, rolledBack: [4] });
    expect(insertedBesideDuplicates(bulk([{ code: 11000 }, { code: 121 }]))).toBeNull();
    expect(insertedBesideDuplicates(bulk([{ code: 11000 }], undefined, {}))).toBeNull();
    const cut = bulk([{ code: 11000 }], new MongoNetworkError('cut'));
    expect(insertedBesideDuplicates(cut)).toBeNull();
    expect(translateStoreError(cut, 'insert').code).toBe('MONGODB_UNAVAILABLE');
    expect(insertedBesideDuplicates(new Error('x'))).toBeNull();
  });
});

function bind<T extends LedgerDocument>(inner: StoreCollection<T>): StoreCollection<T> {
  return {
    insert: inner.insert.bind(inner),
    insertMany: inner.insertMany.bind(inner),
    get: inner.get.bind(inner),
    find: inner.find.bind(inner),
    count: inner.count.bind(inner),
    replace: inner.replace.bind(inner),
    remove: inner.remove.bind(inner),
    removeMany: inner.removeMany.bind(inner),
  };
}
