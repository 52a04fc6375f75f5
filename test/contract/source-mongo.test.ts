import { connect, createServer, type Socket } from 'node:net';
import type { Document } from 'mongodb';
import { makeDocumentSequence } from 'mongodb/lib/cmap/commands.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { id, type Namespace } from '../../src/ids.ts';
import { BsonWriter } from '../../src/source/bson-writer.ts';
import { connectMongo } from '../../src/source/mongo-connect.ts';
import { MongoSource } from '../../src/source/mongo-source.ts';
import type { DatasetShape } from '../../src/source/port.ts';
import { idBytesOf, idValue } from '../../src/source/raw-document.ts';
import { mongoAddress } from '../../src/without-credentials.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { SHAPE, sourceContract } from './source-contract.ts';
import { ordered } from './source-documents.ts';

const names = testNames(import.meta.filename);
const { mongodb: url } = stackUrls();

sourceContract('mongodb', async () => {
  const client = await connectMongo({ url });
  const db = client.db(names.database);
  let collections = 0;
  return {
    source: new MongoSource(client),
    collection: async (dataset) => {
      const name = `c${++collections}`;
      await db.createCollection(name);
      await db.collection(name).createIndex(indexOf(dataset));
      return id.namespace(`${names.database}.${name}`);
    },
    // The bytes go as they are, so that a change is no more than the test wants.
    replace: async (namespace, raw) => {
      const idBytes = idBytesOf(raw);
      const statement = new BsonWriter()
        .beginObject('q')
        .value('_id', idBytes[0]!, idBytes.subarray(1))
        .end()
        .value('u', 0x03, raw)
        .finish();
      const updates = makeDocumentSequence('updates', [{}], [statement]);
      const reply = await db.command({ update: collectionName(namespace), updates, writeConcern: { w: 'majority' } });
      return reply['n'] === 1;
    },
    // Every field of what was read must still be there: a client that looks before it writes.
    change: async (namespace, from, to) => {
      const statement = new BsonWriter().value('q', 0x03, from).value('u', 0x03, to).finish();
      const updates = makeDocumentSequence('updates', [{}], [statement]);
      const reply = await db.command({ update: collectionName(namespace), updates, writeConcern: { w: 'majority' } });
      return reply['n'] === 1;
    },
    remove: async (namespace, raw) => {
      const filter: Document = { _id: { $in: [idValue(idBytesOf(raw))] } };
      await db.collection(collectionName(namespace)).deleteOne(filter);
    },
    close: () => client.close(),
  };
});

describe('mongodb: inspect', () => {
  let client: Awaited<ReturnType<typeof connectMongo>>;
  let source: MongoSource;
  beforeAll(async () => {
    client = await connectMongo({ url });
    source = new MongoSource(client);
  });
  afterAll(() => client.close());

  async function codes(name: string, change: Partial<DatasetShape> = {}): Promise<string[]> {
    const report = await source.inspect({ ...SHAPE, ...change, namespace: id.namespace(`${names.database}.${name}`) });
    return report.findings.map((finding) => finding.code);
  }

  it('no index: INDEX_MISSING with a command that mends it', async () => {
    const db = client.db(names.database);
    await db.createCollection('bare');
    const report = await source.inspect({ ...SHAPE, namespace: id.namespace(`${names.database}.bare`) });
    expect(report.findings).toMatchObject([{ level: 'error', code: 'INDEX_MISSING' }]);
    expect(report.findings[0]?.remedy).toBe(
      `db.getSiblingDB("${names.database}").getCollection("bare").createIndex({ "owner": 1, "tenant": 1, "at": 1, "_id": 1 })`,
    );
    await db.collection('bare').createIndex({ owner: 1, tenant: 1, at: 1 });
    expect(await codes('bare')).toEqual(['INDEX_WITHOUT_ID']);
    await db.collection('bare').createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
    expect(await codes('bare')).toEqual([]);
  });

  it('the explain of the scan comes as the server gave it', async () => {
    const db = client.db(names.database);
    await db.createCollection('explained');
    await db.collection('explained').createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
    const report = await source.inspect({ ...SHAPE, namespace: id.namespace(`${names.database}.explained`) });
    expect(report.explain).toHaveProperty('queryPlanner');
  });
});

describe('mongodb: scan', () => {
  it('every connection breaks in the middle: it goes on right after the last record', async () => {
    const proxy = await breakableProxy(url);
    const client = await connectMongo({ url: proxy.url });
    try {
      const source = new MongoSource(client);
      const namespace = id.namespace(`${names.database}.broken`);
      await client.db(names.database).collection('broken').createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
      const raws = Array.from({ length: 5_000 }, (_, at) =>
        ordered(['_id', at], ['owner', 'acme'], ['tenant', 'north'], ['at', new Date(at % 3)]),
      );
      await source.insertMissing(namespace, raws);
      const partition = { dataset: { ...SHAPE, namespace }, owner: id.owner('acme'), customer: id.customer('north') };
      const found: string[] = [];
      for await (const batch of source.scan(partition, { after: null, upTo: null, before: 10 })) {
        found.push(...batch.map((record) => record.key));
        if (found.length === 1_000 || found.length === 3_000) proxy.breakAll();
      }
      expect(proxy.broken()).toBeGreaterThan(1);
      expect(found).toHaveLength(raws.length);
      expect(new Set(found).size).toBe(raws.length);
    } finally {
      await client.close();
      await proxy.close();
    }
  });

  it('the server is gone for good in the middle: an error of ours, after the records that came', async () => {
    const proxy = await breakableProxy(url);
    const client = await connectMongo({ url: proxy.url });
    try {
      const source = new MongoSource(client);
      const namespace = id.namespace(`${names.database}.broken`);
      const partition = { dataset: { ...SHAPE, namespace }, owner: id.owner('acme'), customer: id.customer('north') };
      let found = 0;
      const walk = async () => {
        for await (const batch of source.scan(partition, { after: null, upTo: null, before: 10 })) {
          found += batch.length;
          await proxy.close();
        }
      };
      await expect(walk()).rejects.toMatchObject({ code: 'MONGODB_UNAVAILABLE' });
      expect(found).toBeGreaterThanOrEqual(1_000);
    } finally {
      await client.close();
      await proxy.close();
    }
  });

  it('a bound that is no instant: refused, nothing is asked', async () => {
    const client = await connectMongo({ url });
    try {
      const dataset = { ...SHAPE, namespace: id.namespace(`${names.database}.broken`) };
      const partition = { dataset, owner: id.owner('acme'), customer: id.customer('north') };
      const summary = new MongoSource(client).summarise(partition, { before: Number.NaN });
      await expect(summary).rejects.toMatchObject({ code: 'INTERNAL' });
    } finally {
      await client.close();
    }
  });
});

describe('mongodb: connection', () => {
  it('no server: MONGODB_UNAVAILABLE within seconds, the text holds no credentials', async () => {
    const port = await freePort();
    const begun = performance.now();
    const failure = await connectMongo({ url: `mongodb://user:secret@127.0.0.1:${port}/?directConnection=true` }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'MONGODB_UNAVAILABLE' });
    expect(String(failure)).toContain(`127.0.0.1:${port}`);
    expect(String(failure)).not.toMatch(/secret|user/);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it('an address that is none: CONFIG_INVALID', async () => {
    await expect(connectMongo({ url: 'nothing://secret@host' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(mongoAddress('mongodb://u:p@ss@a:1,b:2/db?x=y')).toBe('mongodb://a:1,b:2/db');
    expect(mongoAddress('nothing://secret@host')).not.toContain('secret');
  });

  it('a closed connection: an error of ours, not of the driver', async () => {
    const client = await connectMongo({ url });
    await client.close();
    const closed = new MongoSource(client);
    const record = { ...SHAPE, namespace: id.namespace(`${names.database}.none`) };
    const partition = { dataset: record, owner: id.owner('a'), customer: id.customer('b') };
    await expect(closed.summarise(partition, { before: 1 })).rejects.toMatchObject({ name: 'MoraineError' });
  });
});

function indexOf(dataset: Omit<DatasetShape, 'namespace'>): Record<string, 1> {
  const fields = [dataset.owner, dataset.customer].flatMap((party) => ('field' in party ? [party.field] : []));
  return Object.fromEntries([...fields, dataset.trigger.field, '_id'].map((field) => [field, 1]));
}

/** Stands between driver and server, and breaks the driver's side only: the server must not lose what others do. */
async function breakableProxy(target: string) {
  const { hostname, port } = new URL(target);
  const pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  let broken = 0;
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    const pair = { near, far };
    pairs.add(pair);
    near.pipe(far, { end: false });
    far.pipe(near);
    near.on('error', () => undefined).on('close', () => far.resume());
    far.on('error', () => near.destroy()).on('close', () => pairs.delete(pair));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const breakAll = () => {
    for (const { near } of pairs) {
      if (near.destroyed) continue;
      near.destroy();
      broken++;
    }
  };
  return {
    url: `mongodb://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/?directConnection=true`,
    breakAll,
    broken: () => broken,
    close: async () => {
      server.close();
      breakAll();
      for (const { far } of pairs) far.end();
    },
  };
}

function collectionName(namespace: Namespace): string {
  return namespace.slice(namespace.indexOf('.') + 1);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 1;
}
