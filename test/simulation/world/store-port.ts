/** Ledger and key store of one process; every change is told to the judge. */
import type { MemoryStore } from '../../../src/ledger/memory-store.ts';
import type { LedgerDocument, Store, StoreCollection } from '../../../src/ledger/store.ts';
import type { Fault } from '../engine/calls.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import { all, cut } from './answers.ts';
import { raw, type Servers } from './servers.ts';

export function storePort(process: SimulatedProcess, servers: Servers, which: 'ledger' | 'key store'): Store {
  const store: MemoryStore = which === 'ledger' ? servers.ledger : servers.keyStore;
  const what = which === 'ledger' ? 'ledger written' : 'key written';
  const collection = <T extends LedgerDocument>(name: string): StoreCollection<T> => {
    const real = store.collection<T>(name);
    const see = (_id: string) => store.peek(name).get(_id) ?? null;
    /** Does it, and tells the judge what became of these documents. */
    const changing = async <R>(ids: readonly string[], act: () => Promise<R>): Promise<R> => {
      const before = ids.map(see);
      const result = await act();
      for (const [at, _id] of ids.entries()) {
        const was = before[at] ?? null;
        const is = see(_id);
        if (was === is) continue;
        await servers.tell({
          what,
          by: process.name,
          collection: name,
          id: _id,
          before: was === null ? null : raw(was),
          after: is === null ? null : raw(is),
        });
      }
      return result;
    };
    const call = async <R>(
      method: string,
      whole: () => Promise<R>,
      broken?: (fault: Fault) => Promise<R>,
    ): Promise<R> =>
      (await process.call(which, `${name}.${method}`, broken === undefined ? { whole } : { whole, broken })) as R;
    const idsMatching = async (filter: Parameters<typeof real.find>[0]) => {
      const ids: string[] = [];
      for await (const { _id } of real.find(filter)) ids.push(_id);
      return ids;
    };
    return {
      insert: (document) => call('insert', () => changing([document._id], () => real.insert(document))),
      insertMany: (documents) =>
        call(
          'insertMany',
          () =>
            changing(
              documents.map(({ _id }) => _id),
              () => real.insertMany(documents),
            ),
          async () => {
            const half = documents.slice(0, Math.floor(documents.length / 2));
            await changing(
              half.map(({ _id }) => _id),
              () => real.insertMany(half),
            );
            return cut(which, name);
          },
        ),
      get: (_id) => call('get', () => real.get(_id)),
      async *find(filter, options) {
        yield* await call('find', () => all(real.find(filter, options)));
      },
      count: (filter) => call('count', () => real.count(filter)),
      replace: (document) => call('replace', () => changing([document._id], () => real.replace(document))),
      remove: (_id, rev) => call('remove', () => changing([_id], () => real.remove(_id, rev))),
      removeMany: (filter) =>
        call(
          'removeMany',
          async () => changing(await idsMatching(filter), () => real.removeMany(filter)),
          async () => {
            const ids = await idsMatching(filter);
            const half = ids.slice(0, Math.ceil(ids.length / 2));
            await changing(half, () => real.removeMany({ ...filter, _id: { $in: half } }));
            return cut(which, name);
          },
        ),
    };
  };
  return {
    serverTime: async () => (await process.call(which, 'serverTime', { whole: () => store.serverTime() })) as Date,
    collection,
  };
}
