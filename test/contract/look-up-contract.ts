/** What every source must do with look-ups: find documents by a key and no others, and say what speaks against it. */
import { Binary, Double, Int32, Long, ObjectId, UUID } from 'bson';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { id, type Namespace } from '../../src/ids.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { bytes } from './source-documents.ts';

export interface LookUpWorld {
  readonly source: SourcePort;
  /** A new empty collection with a plain index on these fields. */
  collection(fields: readonly string[]): Promise<Namespace>;
  dropIndexes(namespace: Namespace): Promise<void>;
  close(): Promise<void>;
}

export function lookUpContract(name: string, makeWorld: () => Promise<LookUpWorld>): void {
  describe(`look-up contract: ${name}`, () => {
    let world: LookUpWorld;
    let source: SourcePort;
    beforeAll(async () => {
      world = await makeWorld();
      source = world.source;
    });
    afterAll(() => world.close());

    const keyBytes = (value: unknown) => {
      const found = source.valueBytes(bytes({ value }), 'value');
      if (found === null) throw new Error('The value names nothing.');
      return found;
    };
    async function lookUp(collection: Namespace, key: string, wanted: readonly unknown[]): Promise<string[]> {
      const values = wanted.map(keyBytes);
      const found = await source.readByKey(collection, key, values);
      return values.flatMap((value) => {
        const record = found.get(source.keyOf(value));
        return record === undefined ? [] : [String(source.values(record.raw, ['name'])['name'])];
      });
    }

    it.each([
      ['text', 'a', 'a'],
      ['an ObjectId', new ObjectId('65f0c1d2e3f405162738495a'), new ObjectId('65f0c1d2e3f405162738495a')],
      ['a UUID', new UUID('01234567-89ab-4def-8123-456789abcdef'), new UUID('01234567-89ab-4def-8123-456789abcdef')],
      ['numbers of another type', new Int32(7), new Double(7)],
      ['large numbers', Long.fromString('9007199254740993'), Long.fromString('9007199254740993')],
      ['bytes', new Binary(Uint8Array.of(1, 2)), new Binary(Uint8Array.of(1, 2))],
    ])('by %s, and by no other value', async (_case, stored, asked) => {
      const collection = await world.collection(['number']);
      await source.insertMissing(collection, [
        bytes({ _id: stored, number: stored, name: 'it' }),
        bytes({ _id: 'x', number: 'x', name: 'another' }),
        bytes({ _id: 'none', name: 'without' }),
      ]);
      for (const key of ['_id', 'number']) {
        expect(await lookUp(collection, key, [asked])).toEqual(['it']);
        expect(await lookUp(collection, key, ['y'])).toEqual([]);
      }
      expect(await lookUp(collection, '_id', [asked, 'x', 'y'])).toEqual(['it', 'another']);
      expect(await lookUp(collection, '_id', [])).toEqual([]);
    });

    it('a document with a list for a key is found for none of its elements', async () => {
      const collection = await world.collection(['number']);
      await source.insertMissing(collection, [bytes({ _id: 1, number: ['a', 'b'], name: 'many' })]);
      expect(await lookUp(collection, 'number', ['a'])).toEqual([]);
    });

    it('two documents with one key: refused, for it is not known which counts', async () => {
      const collection = await world.collection(['number']);
      await source.insertMissing(
        collection,
        [1, 2].map((_id) => bytes({ _id, number: 'n', name: `d${_id}` })),
      );
      await expect(lookUp(collection, 'number', ['n'])).rejects.toMatchObject({ code: 'DATASET_UNFIT' });
    });

    it('a key with dots leads into documents', async () => {
      const collection = await world.collection(['ids.crm']);
      await source.insertMissing(collection, [bytes({ _id: 1, ids: { crm: 'c' }, name: 'it' })]);
      expect(await lookUp(collection, 'ids.crm', ['c'])).toEqual(['it']);
    });

    it('says that the collection is away, or has no index on the key', async () => {
      const collection = await world.collection(['number']);
      await source.insertMissing(collection, [bytes({ _id: 1, number: 1 })]);
      expect(await source.inspectLookUp(collection, '_id')).toEqual([]);
      expect(await source.inspectLookUp(collection, 'number')).toEqual([]);
      await world.dropIndexes(collection);
      expect(await source.inspectLookUp(collection, '_id')).toEqual([]);
      expect(await source.inspectLookUp(collection, 'number')).toMatchObject([
        { level: 'error', code: 'INDEX_MISSING', remedy: expect.stringContaining('createIndex({ "number": 1 }') },
      ]);
      const away = id.namespace(`${collection}_away`);
      expect(await source.inspectLookUp(away, '_id')).toMatchObject([{ level: 'error', code: 'COLLECTION_MISSING' }]);
    });

    it('reads values by their types', () => {
      const instant = Date.parse('2026-01-02T03:04:05.678Z');
      const values = source.values(
        bytes({
          text: 'a',
          empty: '',
          int: new Int32(-3),
          double: new Double(1.5),
          long: Long.fromString('1234567890123'),
          huge: Long.fromString('9007199254740993'),
          yes: true,
          date: new Date(instant),
          id: new ObjectId('65f0c1d2e3f405162738495a'),
          nothing: null,
          list: ['a', 1],
          mixed: ['a', { b: 1 }],
          inner: { value: 'b', list: [{ value: 'c' }] },
        }),
        [
          'text',
          'empty',
          'int',
          'double',
          'long',
          'huge',
          'yes',
          'date',
          'nothing',
          'missing',
          'list',
          'mixed',
          'inner',
          'inner.value',
          'inner.list.value',
        ],
      );
      expect(values).toEqual({
        text: 'a',
        empty: '',
        int: -3,
        double: 1.5,
        long: 1_234_567_890_123,
        huge: { unusable: 'a value of BSON type 18' },
        yes: 'true',
        date: { instant },
        nothing: null,
        missing: null,
        list: ['a', 1],
        mixed: { unusable: 'a list that holds more than texts, numbers and dates' },
        inner: { unusable: 'a value of BSON type 3' },
        'inner.value': 'b',
        'inner.list.value': { unusable: 'a list that holds more than texts, numbers and dates' },
      });
    });
  });
}
