import { describe, expect, it } from 'vitest';
import { id } from '../../src/ids.ts';
import { createIndexText, judgeCollection, judgeIndexes } from '../../src/source/mongo-inspect.ts';
import type { DatasetShape } from '../../src/source/port.ts';

const shape: DatasetShape = {
  namespace: id.namespace('support.chats'),
  owner: { field: 'owner' },
  customer: { field: 'tenant' },
  trigger: { field: 'at', kind: 'date' },
  facets: {},
};
const full = { owner: 1, tenant: 1, at: 1, _id: 1 };

function judge(indexes: readonly object[], change: Partial<DatasetShape> = {}) {
  const { index, findings } = judgeIndexes({ ...shape, ...change }, indexes);
  return [index, ...findings.map((finding) => finding.code)];
}

describe('which index serves a dataset', () => {
  it('one that begins with owner, customer, trigger; _id last is best', () => {
    expect(judge([{ name: '_id_', key: { _id: 1 } }])).toEqual([null, 'INDEX_MISSING']);
    expect(judge([{ name: 'i', key: full }])).toEqual(['i']);
    expect(judge([{ name: 'i', key: new Map(Object.entries(full)) }])).toEqual(['i']);
    expect(judge([{ name: 'i', key: { ...full, more: 1 } }])).toEqual(['i']);
    expect(judge([{ name: 'i', key: { owner: 1, tenant: 1, at: 1 } }])).toEqual(['i', 'INDEX_WITHOUT_ID']);
    expect(judge([{ name: 'i', key: { owner: 1, tenant: 1, at: 1, other: 1, _id: 1 } }])).toEqual([
      'i',
      'INDEX_WITHOUT_ID',
    ]);
    expect(judge([{ name: 'i', key: { owner: 1, tenant: 1, at: -1, _id: 1 } }])).toEqual(['i', 'INDEX_WITHOUT_ID']);
    expect(judge([{ name: 'i', key: { owner: -1, tenant: 1, at: -1, _id: -1 } }])).toEqual(['i']);
    expect(
      judge([
        { name: 'short', key: { owner: 1, tenant: 1, at: 1 } },
        { name: 'long', key: full },
      ]),
    ).toEqual(['long']);
  });

  it('not one in another order, or that leaves documents out, or orders them otherwise', () => {
    for (const index of [
      { key: { tenant: 1, owner: 1, at: 1, _id: 1 } },
      { key: { owner: 1, at: 1, tenant: 1, _id: 1 } },
      { key: { owner: 1, tenant: 1 } },
      { key: { owner: 'hashed', tenant: 1, at: 1 } },
      { key: { owner: 1, tenant: 1, at: 'text' } },
      { key: { '$**': 1 } },
      { key: full, sparse: true },
      { key: full, hidden: true },
      { key: full, partialFilterExpression: { at: { $exists: true } } },
      { key: full, collation: { locale: 'nl' } },
    ]) {
      expect([index, judge([{ name: 'i', ...index }])]).toEqual([index, [null, 'INDEX_MISSING']]);
    }
    expect(judge([{ name: 'i', key: full, collation: { locale: 'simple' }, unique: true }])).toEqual(['i']);
  });

  it('fixed values are left out; a trigger in _id needs no second _id', () => {
    const fixed: Partial<DatasetShape> = { owner: { value: 'acme' }, customer: { value: 'all' } };
    expect(judge([{ name: 'i', key: { at: 1, _id: 1 } }], fixed)).toEqual(['i']);
    expect(judge([{ name: 'i', key: { tenant: 1, at: 1, _id: 1 } }], { owner: { value: 'acme' } })).toEqual(['i']);
    const byId = { ...fixed, trigger: { field: '_id', kind: 'objectId' } } as const;
    expect(judge([{ name: '_id_', key: { _id: 1 } }], byId)).toEqual(['_id_']);
  });

  it('the command that makes it quotes every name', () => {
    expect(createIndexText({ ...shape, namespace: id.namespace('a.b.c"d'), owner: { field: 'x.y' } })).toBe(
      'db.getSiblingDB("a").getCollection("b.c\\"d").createIndex({ "x.y": 1, "tenant": 1, "at": 1, "_id": 1 })',
    );
  });
});

describe('which collections can be guarded', () => {
  const { namespace } = shape;
  it('a plain one, also with options that do not matter', () => {
    expect(judgeCollection(namespace, { type: 'collection', options: {} })).toBeNull();
    expect(judgeCollection(namespace, { type: 'collection' })).toBeNull();
    expect(judgeCollection(namespace, { type: 'collection', options: { collation: { locale: 'simple' } } })).toBeNull();
  });
  it('not a view, a capped one, a time series, or one under a collation', () => {
    for (const [kind, why] of [
      [{ type: 'view', options: { viewOn: 'a' } }, 'a view'],
      [{ type: 'timeseries', options: { timeseries: { timeField: 'at' } } }, 'a time series'],
      [{ type: 'collection', options: { capped: true, size: 1 } }, 'capped'],
      [{ type: 'collection', options: { collation: { locale: 'en', strength: 2 } } }, 'collation'],
    ] as const) {
      const finding = judgeCollection(namespace, kind);
      expect(finding).toMatchObject({ level: 'error', code: 'DATASET_UNFIT' });
      expect(finding?.text).toContain(why);
    }
  });
});
