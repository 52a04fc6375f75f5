/**
 * What a caller is told when a server is away or a reply is lost: by the real adapters, through proxies that cut, and by
 * the faults that simulations inject in front of the fakes. Both must have one shape, or a simulation proves nothing.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import { connectMongoStore } from '../../src/ledger/mongo-store.ts';
import type { LedgerDocument, Store } from '../../src/ledger/store.ts';
import { ClearingWarrant, VerifiedArchive } from '../../src/ledger/warrants.ts';
import { MemorySource } from '../../src/source/memory-source.ts';
import { connectMongo } from '../../src/source/mongo-connect.ts';
import { MongoSource } from '../../src/source/mongo-source.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { rawRecord } from '../../src/source/raw-document.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { Process } from '../simulation/faults.ts';
import { MovableClock } from '../simulation/memory-world.ts';
import { SHAPE } from './source-contract.ts';
import { ordered, PARTIES } from './source-documents.ts';

const names = testNames(import.meta.filename);
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

const clock = new MovableClock(new Date().toISOString());
const AWAY = { code: 'MONGODB_UNAVAILABLE', class: 'retry', isOurs: true };
const namespace = id.namespace(`${names.database}.away`);
const record = rawRecord(ordered(['_id', 1], ...PARTIES));

interface World<Port> {
  readonly port: Port;
  /** The server does not answer any more. */
  goAway(): void;
}

async function proxied(): Promise<TcpProxy> {
  const proxy = await TcpProxy.start(stackUrls().mongodb);
  closing.push(() => proxy.close());
  return proxy;
}

const STORES: Readonly<Record<string, () => Promise<World<Store>>>> = {
  'mongodb, its connections cut': async () => {
    const proxy = await proxied();
    const port = await connectMongoStore({ url: proxy.url, database: names.database });
    closing.push(() => port.close());
    return { port, goAway: () => proxy.cut() };
  },
  'memory, behind the faults of simulations': async () => {
    const store = new MemoryStore(clock);
    let isAway = false;
    const dead = <T extends object>(port: T) => new Process('gets an error', 1).wrap(port, 'mongodb', []);
    const port: Store = {
      serverTime: () => (isAway ? dead(store) : store).serverTime(),
      collection: <T extends LedgerDocument>(name: string) => {
        const collection = store.collection<T>(name);
        return isAway ? dead(collection) : collection;
      },
    };
    const goAway = () => {
      isAway = true;
    };
    return { port, goAway };
  },
};

const SOURCES: Readonly<Record<string, () => Promise<World<SourcePort>>>> = {
  'mongodb, its connections cut': async () => {
    const proxy = await proxied();
    const client = await connectMongo({ url: proxy.url });
    closing.push(() => client.close());
    return { port: new MongoSource(client), goAway: () => proxy.cut() };
  },
  'memory, behind the faults of simulations': async () => {
    const source = new MemorySource({ clock });
    let current: SourcePort = source;
    const port = new Proxy(source, {
      get: (_target, name) => {
        const value: unknown = Reflect.get(current, name, current);
        return typeof value === 'function' ? value.bind(current) : value;
      },
    });
    const everyCallFails = () =>
      new Proxy(source, {
        get: (target, name) => {
          const wrapped = new Process('gets an error', 1).wrap(target, 'mongodb', []);
          const value: unknown = Reflect.get(wrapped, name, wrapped);
          return typeof value === 'function' ? value.bind(wrapped) : value;
        },
      });
    const goAway = () => {
      current = everyCallFails();
    };
    return { port, goAway };
  },
};

describe.each(Object.entries(STORES))('ledger: %s', (_name, open) => {
  test('every call says that MongoDB is away, in one shape', async () => {
    const { port, goAway } = await open();
    await port.collection('away').insert({ _id: 'there', v: 1 });
    goAway();
    // Asked for anew by each call, as each is made by a process of its own.
    const items = () => port.collection('away');
    const document = { _id: 'a', v: 1, rev: 0 };
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      serverTime: () => port.serverTime(),
      insert: () => items().insert(document),
      insertMany: () => items().insertMany([document]),
      get: () => items().get('a'),
      find: () => drain(items().find({})),
      count: () => items().count({}),
      replace: () => items().replace(document),
      remove: () => items().remove('a', 0),
      removeMany: () => items().removeMany({}),
    };
    await expectAway(calls);
  });
});

describe.each(Object.entries(SOURCES))('source: %s', (_name, open) => {
  test('every call says that MongoDB is away, in one shape', async () => {
    const { port, goAway } = await open();
    await port.insertMissing(namespace, [record.raw]);
    goAway();
    const dataset = { ...SHAPE, namespace };
    const partition = { dataset, owner: id.owner('acme'), customer: id.customer('north') };
    const verified = VerifiedArchive.issue(id.archive('a'), id.attempt('b'));
    const lease = { epoch: 1, assertHeld: () => undefined };
    const warrant = ClearingWarrant.issue(verified, lease, new Date(8e15));
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      serverTime: () => port.serverTime(),
      summarise: () => port.summarise(partition, { before: 1 }),
      partitions: () => drain(port.partitions(dataset, 1)),
      scan: () => drain(port.scan(partition, { after: null, upTo: null, before: 1 })),
      unfit: () => drain(port.unfit(dataset)),
      readByIds: () => port.readByIds(namespace, [record.idBytes]),
      findOne: () => port.findOne(namespace, '1'),
      insertMissing: () => port.insertMissing(namespace, [record.raw]),
      deleteGuarded: () => port.deleteGuarded(dataset, [record], warrant),
    };
    await expectAway(calls);
  });
});

/** All at once: each waits some seconds for a server. */
async function expectAway(calls: Readonly<Record<string, () => Promise<unknown>>>): Promise<void> {
  const shapes = await Promise.all(Object.entries(calls).map(async ([call, make]) => [call, await shapeOf(make)]));
  expect(shapes).toEqual(Object.keys(calls).map((call) => [call, AWAY]));
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

async function shapeOf(call: () => Promise<unknown>) {
  const thrown: unknown = await call().then(
    () => 'it answered',
    (error: unknown) => error,
  );
  if (!(thrown instanceof MoraineError)) return thrown;
  return { code: thrown.code, class: thrown.class, isOurs: true };
}
