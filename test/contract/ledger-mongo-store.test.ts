import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { connectMongoStore, type MongoStore } from '../../src/ledger/mongo-store.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { ledgerDocumentsContract } from './ledger-documents-contract.ts';
import { storeContract } from './store-contract.ts';
import { storeValuesContract } from './store-values-contract.ts';

const names = testNames(import.meta.filename);
const url = stackUrls().mongodb;

storeContract('mongodb', async () => {
  const store = await connectMongoStore({ url, database: names.database });
  return { store, close: () => store.close() };
});

storeValuesContract('mongodb', async () => {
  const store = await connectMongoStore({ url, database: `${names.database}_values` });
  return { store, close: () => store.close() };
});

let documents: MongoStore | undefined;
afterAll(async () => documents?.close());
ledgerDocumentsContract('mongodb', async () => {
  documents ??= await connectMongoStore({ url, database: `${names.database}_documents` });
  await documents.drop();
  return documents;
});

describe('mongo store: the server is away', () => {
  it('connect: an address where nothing listens fails within seconds, and no text shows the password', async () => {
    const started = performance.now();
    const error = await connectMongoStore({
      url: 'mongodb://alice:s3cr3t@127.0.0.1:1/?directConnection=true&authSource=admin',
      database: 'none',
    }).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'MONGODB_UNAVAILABLE' });
    expect(error.message).toContain('127.0.0.1:1');
    expect(JSON.stringify(error) + error.stack + String(error.cause)).not.toContain('s3cr3t');
    expect(performance.now() - started).toBeLessThan(8_000);
  });

  it.each(['nonsense', 'mongodb://alice:s3cr3t@/', 'mongodb://alice:s3c:r3t@h:x/', 'mongodb://h/?w=none&bad=1'])(
    'connect: %s is no address: CONFIG_INVALID without the password',
    async (wrong) => {
      const error = await connectMongoStore({ url: wrong, database: 'none' }).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      expect(error.stack + String(error.cause)).not.toMatch(/s3c:?r3t/);
    },
  );

  it('a server that goes away between two calls: MONGODB_UNAVAILABLE for a read, a write and a cursor; back again, all goes on', async () => {
    const proxy = await startProxy(Number(new URL(url).port));
    const store = await connectMongoStore({
      url: `mongodb://127.0.0.1:${proxy.port}/?directConnection=true`,
      database: names.database,
    });
    const items = store.collection('away');
    await items.insert({ _id: 'a', v: 1 });
    proxy.cut();
    const away = { code: 'MONGODB_UNAVAILABLE', class: 'retry' };
    const calls = [
      items.get('a'),
      items.insert({ _id: 'b', v: 1 }),
      items.insertMany([{ _id: 'c', v: 1 }]),
      store.serverTime(),
      (async () => {
        for await (const _ of items.find({}));
      })(),
    ];
    for (const call of calls.map((promise) => promise.catch((error) => error))) expect(await call).toMatchObject(away);
    proxy.mend();
    expect((await items.get('a'))?._id).toBe('a');
    expect(await items.count({})).toBe(1);
    await store.close();
    await expect(items.get('a')).rejects.toMatchObject({ code: 'MONGODB_UNAVAILABLE' });
    await proxy.close();
  });

  it('a command that the server refuses: MONGODB_REFUSED with the name of the code and no content', async () => {
    const store = await connectMongoStore({ url, database: names.database });
    const index = (unique: boolean) => [{ collection: 'refused', keys: { secret: 1 }, unique }] as const;
    await store.collection('refused').insertMany(['a', 'b'].map((_id) => ({ _id, v: 1, secret: 'record content' })));
    const error = await store.ensureIndexes(index(true)).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'MONGODB_REFUSED', class: 'failed' });
    expect(error.message).not.toContain('record content');
    await store.close();
  });
});

/** Passes bytes on to the server until it is cut. */
async function startProxy(target: number) {
  let isCut = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (isCut) return client.destroy();
    const upstream = connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      // Cutting a connection is what this is for.
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      isCut = false;
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
