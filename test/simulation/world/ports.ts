/**
 * The ports of one process: every call goes through the process, takes its time, may meet a fault, and tells the judge
 * what it changed. What a client checks before it sends is checked when it is called; what the server does, it does when
 * the call arrives, which may be much later.
 */
import { MoraineError } from '../../../src/errors.ts';
import type { MemoryStore } from '../../../src/ledger/memory-store.ts';
import type { LedgerDocument, Store, StoreCollection } from '../../../src/ledger/store.ts';
import { ClearingWarrant, PurgeClaim } from '../../../src/ledger/warrants.ts';
import type { DatasetShape, RawRecord, Replacement, SourcePort } from '../../../src/source/port.ts';
import { UNKNOWN_WHEN_LOST } from '../../../src/vault/memory-faults.ts';
import type { VaultLocation, VaultPort } from '../../../src/vault/port.ts';
import type { Fault, Server } from '../engine/calls.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import { fileOf, raw, type Servers } from './servers.ts';

/** As the adapters tell it. */
export const ANSWERS = {
  broken: ({ server, name }: { server: Server; name: string }, mayHaveHappened: boolean) => {
    if (server !== 'vault') return new MoraineError('MONGODB_UNAVAILABLE', 'The connection was cut.');
    const isUnknown = mayHaveHappened && UNKNOWN_WHEN_LOST.has(name);
    return new MoraineError(isUnknown ? 'VAULT_OUTCOME_UNKNOWN' : 'VAULT_UNAVAILABLE', 'The connection was cut.');
  },
  throttled: () => new MoraineError('VAULT_THROTTLED', 'Slow down.'),
  denied: () => new MoraineError('VAULT_REFUSED', 'ExpiredTokenException: the credentials have expired.'),
};

/** The connection breaks in the middle of a batch. */
function cut(server: Server, name: string): never {
  throw ANSWERS.broken({ server, name }, true);
}

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

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** The lease was looked at when the command was sent; a server knows nothing of it. */
const SENT = { epoch: 0, assertHeld: () => undefined };

export function sourcePort(process: SimulatedProcess, servers: Servers): SourcePort {
  const real = servers.source;
  const call = async <R>(name: string, whole: () => Promise<R>, broken?: (fault: Fault) => Promise<R>): Promise<R> =>
    (await process.call('source', name, broken === undefined ? { whole } : { whole, broken })) as R;
  /** A read that may be stale, or come with a bit flipped. */
  const reading = <R>(
    name: string,
    read: (source: SourcePort) => Promise<R>,
    flip: (result: R, fault: Fault) => R = (same) => same,
  ) =>
    call(
      name,
      () => read(real),
      async (fault) =>
        fault.kind === 'stale' ? await read(servers.pastSource(fault.ms)) : flip(await read(real), fault),
    );
  const flipBatches = (batches: (readonly RawRecord[])[], { ms }: Fault) =>
    batches.map((batch) => batch.map((record) => flippedRecord(record, ms)));
  return {
    facts: (dataset, bytes) => real.facts(dataset, bytes),
    fitness: (dataset, bytes) => real.fitness(dataset, bytes),
    facets: (dataset, bytes) => real.facets(dataset, bytes),
    position: (dataset, bytes) => real.position(dataset, bytes),
    keyOf: (bytes) => real.keyOf(bytes),
    parentOf: (child, root) => real.parentOf(child, root),
    isOfParty: (child, bytes, party) => real.isOfParty(child, bytes, party),
    weighChildren: (child, parents) => reading('weighChildren', (source) => source.weighChildren(child, parents)),
    async *children(child, parents) {
      for (const batch of await reading('children', () => all(real.children(child, parents)))) yield batch;
    },
    treated: (dataset, bytes, treatment) => real.treated(dataset, bytes, treatment),
    isMarkedBy: (bytes, treatment) => real.isMarkedBy(bytes, treatment),
    serverTime: () => call('serverTime', () => real.serverTime()),
    inspect: (dataset) => call('inspect', () => real.inspect(dataset)),
    async *partitions(dataset, before) {
      yield* await reading('partitions', (source) => all(source.partitions(dataset, before)));
    },
    summarise: (partition, range) => reading('summarise', (source) => source.summarise(partition, range)),
    async *scan(partition, range, signal) {
      for (const batch of await reading('scan', (source) => all(source.scan(partition, range)), flipBatches)) {
        signal?.throwIfAborted();
        yield batch;
      }
    },
    async *unfit(dataset, of) {
      yield* await reading('unfit', (source) => all(source.unfit(dataset, of)));
    },
    readByIds: (namespace, ids) =>
      reading(
        'readByIds',
        () => real.readByIds(namespace, ids),
        (found, { ms }) => new Map([...found].map(([key, record]) => [key, flippedRecord(record, ms)] as const)),
      ),
    deleteGuarded: (dataset: DatasetShape, records, warrant) => {
      warrant.assertGood('delete');
      const sent = ClearingWarrant.issue(warrant.basis, SENT, warrant.until);
      const of = async (batch: readonly RawRecord[]) => {
        const result = await real.deleteGuarded(dataset, batch, sent);
        await servers.compareSource(process.name, dataset.namespace);
        return result;
      };
      return call(
        'deleteGuarded',
        () => of(records),
        async (fault) => {
          if (fault.kind === 'duplicate') {
            await of(records);
            return await of(records);
          }
          await of(records.slice(0, Math.ceil(records.length / 2)));
          return cut('source', 'deleteGuarded');
        },
      );
    },
    replaceGuarded: (dataset, replacements, warrant) => {
      warrant.assertGood('replace');
      const sent = ClearingWarrant.issue(warrant.basis, SENT, warrant.until);
      const of = async (batch: readonly Replacement[]) => {
        const result = await real.replaceGuarded(dataset, batch, sent);
        await servers.compareSource(process.name, dataset.namespace);
        return result;
      };
      return call(
        'replaceGuarded',
        () => of(replacements),
        async (fault) => {
          if (fault.kind === 'duplicate') {
            await of(replacements);
            return await of(replacements);
          }
          await of(replacements.slice(0, Math.ceil(replacements.length / 2)));
          return cut('source', 'replaceGuarded');
        },
      );
    },
    insertMissing: (namespace, records) => {
      const of = async (batch: readonly Uint8Array[]) => {
        const result = await real.insertMissing(namespace, batch);
        await servers.compareSource(process.name, namespace);
        return result;
      };
      return call(
        'insertMissing',
        () => of(records),
        async () => {
          await of(records.slice(0, Math.ceil(records.length / 2)));
          return cut('source', 'insertMissing');
        },
      );
    },
    values: (bytes, fields) => real.values(bytes, fields),
    valueBytes: (bytes, field) => real.valueBytes(bytes, field),
    inspectLookUp: (collection, key) => call('inspectLookUp', () => real.inspectLookUp(collection, key)),
    readByKey: (collection, key, values) => call('readByKey', () => real.readByKey(collection, key, values)),
    findOne: (namespace, text) => call('findOne', () => real.findOne(namespace, text)),
  };
}

/**
 * One bit of the last bytes of a record, which are its text: it stays BSON and is another document. Which bit differs from
 * fault to fault: that two flips make the same mistake, so that one hides the other, is no fault that happens.
 */
function flippedRecord(record: RawRecord, chance: number): RawRecord {
  // Of a record that was treated the last bytes are the instant in its marker.
  const last = Buffer.from(record.raw).includes('_moraine') ? 7 : 20;
  return { ...record, raw: flipped(record.raw, record.raw.length - 4 - (chance % last), (chance >> 5) % 7) };
}

export function flipped(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

export function vaultPort(process: SimulatedProcess, servers: Servers): VaultPort {
  const real = servers.vault;
  const call = async <R>(name: string, whole: () => Promise<R>, broken?: (fault: Fault) => Promise<R>): Promise<R> =>
    (await process.call('vault', name, broken === undefined ? { whole } : { whole, broken })) as R;
  const fileIn = (location: VaultLocation, vaultArchiveId: string) => {
    const found = real.archivesIn(location).find((archive) => archive.vaultArchiveId === vaultArchiveId);
    return found === undefined ? null : fileOf(location.name, found);
  };
  /** Stores, and tells the judge of a file that was not there. */
  const storing = async <R extends { readonly vaultArchiveId: string }>(
    location: VaultLocation,
    act: () => Promise<R>,
  ) => {
    const before = new Set(real.archivesIn(location).map(({ vaultArchiveId }) => vaultArchiveId));
    const result = await act();
    const file = before.has(result.vaultArchiveId) ? null : fileIn(location, result.vaultArchiveId);
    if (file !== null) await servers.tell({ what: 'vault stored', by: process.name, file });
    return result;
  };
  const removing = async <R>(
    location: VaultLocation,
    vaultArchiveId: string,
    method: 'deleteArchive' | 'deleteAbandoned',
    act: () => Promise<R>,
  ) => {
    const file = fileIn(location, vaultArchiveId);
    const result = await act();
    if (file !== null && fileIn(location, vaultArchiveId) === null)
      await servers.tell({ what: 'vault removed', by: process.name, file, method });
    return result;
  };
  return {
    backend: real.backend,
    smallestPartBytes: real.smallestPartBytes,
    locate: (installation, owner, customer) => real.locate(installation, owner, customer),
    estimateRetrieval: (bytes, tier) => real.estimateRetrieval(bytes, tier),
    serverTime: () => call('serverTime', () => real.serverTime()),
    ensure: (location) => call('ensure', () => real.ensure(location)),
    vaultCount: () => call('vaultCount', () => real.vaultCount()),
    storeWhole: (location, intent, bytes, treeHash) => {
      const sent = Uint8Array.from(bytes);
      const store = (file: Uint8Array) => storing(location, () => real.storeWhole(location, intent, file, treeHash));
      return call(
        'storeWhole',
        () => store(sent),
        async (fault) => {
          if (fault.kind === 'flipped') return await store(flipped(sent, sent.length >> 1));
          if (fault.kind === 'truncated') return await store(sent.subarray(0, sent.length >> 1));
          await store(sent);
          return await store(sent);
        },
      );
    },
    beginUpload: (location, intent, partBytes) =>
      call(
        'beginUpload',
        () => real.beginUpload(location, intent, partBytes),
        async () => {
          await real.beginUpload(location, intent, partBytes);
          return await real.beginUpload(location, intent, partBytes);
        },
      ),
    sendPart: (location, upload, index, bytes) => {
      const sent = Uint8Array.from(bytes);
      return call(
        'sendPart',
        () => real.sendPart(location, upload, index, sent),
        (fault) =>
          fault.kind === 'duplicate'
            ? real.sendPart(location, upload, index, sent)
            : Promise.reject(new MoraineError('VAULT_CHECKSUM', `Part ${index} arrived with other bytes.`)),
      );
    },
    completeUpload: (location, upload, total) =>
      call(
        'completeUpload',
        () => storing(location, () => real.completeUpload(location, upload, total)),
        async () => {
          await storing(location, () => real.completeUpload(location, upload, total));
          return await storing(location, () => real.completeUpload(location, upload, total));
        },
      ),
    abortUpload: (location, uploadId) => call('abortUpload', () => real.abortUpload(location, uploadId)),
    async *listUploads(location) {
      yield* await call('listUploads', () => all(real.listUploads(location)));
    },
    requestInventory: (location) => call('requestInventory', () => real.requestInventory(location)),
    inventoryState: (location, jobId) => call('inventoryState', () => real.inventoryState(location, jobId)),
    readInventory: (location, jobId) =>
      call('readInventory', async () => {
        const inventory = await real.readInventory(location, jobId);
        const entries = await all(inventory.entries());
        await servers.tell({
          what: 'inventory read',
          by: process.name,
          vault: location.name,
          inventoryAt: inventory.inventoryDate.getTime(),
          vaultArchiveIds: entries.map(({ vaultArchiveId }) => vaultArchiveId),
        });
        return inventory;
      }),
    requestRetrieval: (location, vaultArchiveId, tier, range) =>
      call('requestRetrieval', () => real.requestRetrieval(location, vaultArchiveId, tier, range)),
    retrievalState: (location, jobId) => call('retrievalState', () => real.retrievalState(location, jobId)),
    readRetrieval: (location, jobId, range) =>
      call(
        'readRetrieval',
        () => real.readRetrieval(location, jobId, range),
        async (fault) => {
          const output = await real.readRetrieval(location, jobId, range);
          if (fault.kind === 'truncated') return output.subarray(0, output.length >> 1);
          if (fault.kind === 'flipped') return flipped(output, fault.ms % output.length);
          const other = [...real.files()].find(({ archive }) => archive.bytes.length >= range.end);
          return other === undefined ? output : other.archive.bytes.slice(range.start, range.end);
        },
      ),
    deleteArchive: (location, claim) => {
      claim.assertGood();
      const sent = PurgeClaim.issue(claim.archive, claim.vaultArchiveId, SENT, Number.POSITIVE_INFINITY, process.clock);
      const remove = () =>
        removing(location, claim.vaultArchiveId, 'deleteArchive', () => real.deleteArchive(location, sent));
      return call('deleteArchive', remove, async (fault) => {
        if (fault.kind === 'duplicate') {
          await remove();
          return await remove();
        }
        await servers.tell({ what: 'damage', kind: 'file stays after delete', id: claim.vaultArchiveId });
        return { at: real.now() };
      });
    },
    deleteAbandoned: (location, vaultArchiveId, proof) =>
      call('deleteAbandoned', () =>
        removing(location, vaultArchiveId, 'deleteAbandoned', () =>
          real.deleteAbandoned(location, vaultArchiveId, proof),
        ),
      ),
  };
}
