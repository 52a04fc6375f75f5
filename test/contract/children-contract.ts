/** What every source must do with children: find them by their key and no others, weigh them, guard each by itself. */
import { Binary, Double, Int32, Long, ObjectId } from 'bson';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Namespace } from '../../src/ids.ts';
import { id } from '../../src/ids.ts';
import type { DatasetShape, SourcePort } from '../../src/source/port.ts';
import type { ChildName, ChildRecord, ChildShape } from '../../src/source/unit-shape.ts';
import { SHAPE } from './source-contract.ts';
import { bytes } from './source-documents.ts';

export interface ChildrenWorld {
  readonly source: SourcePort;
  /** A new empty collection with a plain index on these fields. */
  collection(fields: readonly string[]): Promise<Namespace>;
  dropIndexes(namespace: Namespace): Promise<void>;
  close(): Promise<void>;
}

export function childrenContract(name: string, makeWorld: () => Promise<ChildrenWorld>): void {
  describe(`children contract: ${name}`, () => {
    let world: ChildrenWorld;
    let source: SourcePort;
    beforeAll(async () => {
      world = await makeWorld();
      source = world.source;
    });
    afterAll(() => world.close());

    async function comments(change: Partial<ChildShape> = {}): Promise<ChildShape> {
      return { collection: await world.collection(['ticket']), key: 'ticket', parent: '_id', ...change };
    }
    async function found(child: ChildShape, roots: readonly Uint8Array[]): Promise<ChildRecord[]> {
      const parents = roots.flatMap((root) => source.parentOf(child, root) ?? []);
      const children: ChildRecord[] = [];
      for await (const batch of source.children(child, parents)) children.push(...batch);
      return children;
    }
    const hex = (raws: readonly { readonly raw: Uint8Array }[]) =>
      raws.map(({ raw }) => Buffer.from(raw).toString('hex')).sort();

    it('finds the children of a batch of roots, byte for byte, each with the root that it names', async () => {
      const child = await comments();
      const ids = [new ObjectId(), 'text', new Int32(7), new Binary(Buffer.from([1, 2]))];
      const roots = ids.map((_id) => bytes({ _id }));
      const raws = ids.flatMap((ticket, root) =>
        [0, 1, 2].map((n) => bytes({ _id: `c${root}-${n}`, ticket, n: new Double(n) })),
      );
      const others = [bytes({ _id: 'other', ticket: 'another' }), bytes({ _id: 'none' })];
      await source.insertMissing(child.collection, [...raws, ...others]);
      const children = await found(child, roots);
      expect(hex(children)).toEqual(hex(raws.map((raw) => ({ raw }))));
      const byRoot = new Map(roots.map((root) => [source.keyOf(source.parentOf(child, root)!), 0]));
      for (const { parent } of children) byRoot.set(parent, byRoot.get(parent)! + 1);
      expect([...byRoot.values()]).toEqual([3, 3, 3, 3]);
    });

    it('weighs them: count and bytes, roots without children left out', async () => {
      const child = await comments();
      const raws = [1, 2, 3].map((n) => bytes({ _id: n, ticket: 'r', text: 'x'.repeat(n * 100) }));
      await source.insertMissing(child.collection, raws);
      const parents = ['r', 'empty'].map((_id) => source.parentOf(child, bytes({ _id }))!);
      const weights = await source.weighChildren(child, parents);
      const total = raws.reduce((sum, raw) => sum + raw.length, 0);
      expect([...weights]).toEqual([[source.keyOf(parents[0]!), { records: 3, bytes: total }]]);
    });

    it('a number names its root whatever its type', async () => {
      const child = await comments();
      const raws = [new Int32(5), new Double(5), Long.fromNumber(5)].map((ticket, n) => bytes({ _id: n, ticket }));
      await source.insertMissing(child.collection, raws);
      expect(await found(child, [bytes({ _id: new Double(5) })])).toHaveLength(3);
      const weights = await source.weighChildren(child, [source.parentOf(child, bytes({ _id: 5 }))!]);
      expect([...weights.values()].map(({ records }) => records)).toEqual([3]);
    });

    it('a child that names several roots, null or nothing belongs to none; a root without the field has none', async () => {
      const child = await comments({ parent: 'number' });
      await source.insertMissing(child.collection, [
        bytes({ _id: 1, ticket: ['r', 's'] }),
        bytes({ _id: 2, ticket: null }),
        bytes({ _id: 3 }),
      ]);
      expect(await found(child, [bytes({ _id: 0, number: 'r' })])).toEqual([]);
      for (const root of [{ _id: 0 }, { _id: 0, number: null }, { _id: 0, number: ['r'] }]) {
        expect(source.parentOf(child, bytes(root))).toBeNull();
      }
    });

    it('tells whose a child is, where the rule says how', async () => {
      const party = { owner: id.owner('acme'), customer: id.customer('t1') };
      const child = await comments({ owner: { field: 'owner' }, customer: { field: 'tenant' } });
      const of = (more: object) => source.isOfParty(child, bytes({ _id: 1, ...more }), party);
      expect(of({ owner: 'acme', tenant: 't1' })).toBe(true);
      expect(of({ owner: 'acme', tenant: 't2' })).toBe(false);
      expect(of({ owner: 'other', tenant: 't1' })).toBe(false);
      expect(of({ owner: 'acme' })).toBe(false);
      const { owner: _, customer: __, ...plain } = child;
      expect(source.isOfParty(plain, bytes({ _id: 1 }), party)).toBe(true);
    });

    it('more children than one reply holds all come', async () => {
      const child = await comments();
      const raws = Array.from({ length: 2_500 }, (_, n) => bytes({ _id: n, ticket: 'many' }));
      await source.insertMissing(child.collection, raws);
      expect(await found(child, [bytes({ _id: 'many' })])).toHaveLength(2_500);
    });

    it('names of children come in the order of _id whatever its type, after one and no more than asked for', async () => {
      const child = await comments({ owner: { field: 'owner' }, customer: { field: 'of.tenant' } });
      const ids = [new Double(1.5), new Int32(3), 'a', 'b', new ObjectId('65f0c1d2e3f405162738495a')];
      await source.insertMissing(
        child.collection,
        ids
          .map((_id) =>
            bytes({ _id, ticket: _id === 'b' ? null : 'r', owner: 'acme', of: { tenant: 't1' }, text: 'x' }),
          )
          .reverse(),
      );
      const names = async (after: Uint8Array | null, limit: number) => {
        const all: ChildName[] = [];
        for await (const batch of source.childNames(child, after, limit)) all.push(...batch);
        return all;
      };
      const keys = ids.map((_id) => source.keyOf(source.parentOf({ ...child, parent: '_id' }, bytes({ _id }))!));
      const whole = await names(null, 100);
      expect(whole.map(({ idBytes }) => source.keyOf(idBytes))).toEqual(keys);
      expect(whole.map(({ parent }) => parent !== null)).toEqual([true, true, true, false, true]);
      const party = { owner: id.owner('acme'), customer: id.customer('t1') };
      expect(whole.every(({ raw }) => source.isOfParty(child, raw, party))).toBe(true);
      expect(source.isOfParty(child, whole[0]!.raw, { ...party, customer: id.customer('t2') })).toBe(false);
      // One after the other, as a look that is cut again and again.
      const one: string[] = [];
      let after: Uint8Array | null = null;
      for (;;) {
        const [next]: readonly ChildName[] = await names(after, 1);
        if (next === undefined) break;
        one.push(source.keyOf(next.idBytes));
        after = next.idBytes;
      }
      expect(one).toEqual(keys);
      expect(await names(null, 0)).toEqual([]);
    });

    it('which roots are there, by _id and by another field; a list names nobody', async () => {
      const child = await comments({ parent: 'number' });
      const roots = await world.collection(['number']);
      await source.insertMissing(roots, [
        bytes({ _id: 'a', number: new Int32(1) }),
        bytes({ _id: 'b', number: new Int32(2) }),
        bytes({ _id: 'c', number: ['x'] }),
      ]);
      const at = (field: string, value: unknown) =>
        source.parentOf({ ...child, parent: field }, bytes({ [field]: value }))!;
      const ids = [at('_id', 'a'), at('_id', 'z')];
      expect([...(await source.rootsThere(roots, '_id', ids))]).toEqual([source.keyOf(ids[0]!)]);
      const numbers = [at('number', new Double(2)), at('number', new Int32(9)), at('number', 'x')];
      expect([...(await source.rootsThere(roots, 'number', numbers))]).toEqual([source.keyOf(numbers[0]!)]);
      expect([...(await source.rootsThere(roots, '_id', []))]).toEqual([]);
    });

    it('inspect asks for an index that begins with the key of the children', async () => {
      const dataset = async (child: ChildShape): Promise<DatasetShape> => ({
        ...SHAPE,
        namespace: await world.collection(['owner', 'tenant', 'at', '_id']),
        children: [child],
      });
      const child = await comments();
      await source.insertMissing(child.collection, [bytes({ _id: 1, ticket: 1 })]);
      expect((await source.inspect(await dataset(child))).findings).toEqual([]);
      await world.dropIndexes(child.collection);
      const { findings } = await source.inspect(await dataset(child));
      expect(findings).toMatchObject([{ level: 'error', code: 'INDEX_MISSING' }]);
    });
  });
}
