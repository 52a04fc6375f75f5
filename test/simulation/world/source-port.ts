/** The source of one process: reads may be stale or flipped, writes may be cut in the middle. */
import { ClearingWarrant } from '../../../src/ledger/warrants.ts';
import type { ChildRecord, DatasetShape, RawRecord, Replacement, SourcePort } from '../../../src/source/port.ts';
import type { Fault } from '../engine/calls.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import { all, cut, flipped } from './answers.ts';
import type { Servers } from './servers.ts';

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
      const look = async () => {
        const batches = await all(real.children(child, parents));
        const roots = parents.map((parent) => Buffer.from(parent.subarray(5, -1)).toString('utf8'));
        await servers.tell({ what: 'children looked for', by: process.name, collection: child.collection, roots });
        return batches;
      };
      const flip = (batches: (readonly ChildRecord[])[], { ms }: Fault) =>
        batches.map((batch) => batch.map((record) => ({ ...flippedRecord(record, ms), parent: record.parent })));
      for (const batch of await reading('children', look, flip)) yield batch;
    },
    async *childNames(child, after, limit) {
      yield* await reading('childNames', (source) => all(source.childNames(child, after, limit)));
    },
    rootsThere: (namespace, field, values) => call('rootsThere', () => real.rootsThere(namespace, field, values)),
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
