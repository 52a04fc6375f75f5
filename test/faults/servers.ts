/**
 * Servers that may be killed: a Redis, a Glacier emulator and a MongoDB gateway of our own on free ports. The gateway
 * (FerretDB) keeps its data in the PostgreSQL of the shared stack, which is never touched: what a kill takes away is
 * the server that clients talk to, with every connection and every command that was under way.
 *
 * Where there is no native stack (Docker, or servers named in the environment) Redis and MongoDB stand behind a proxy
 * instead: a kill cuts every connection, and Redis loses its keys by a FLUSHDB.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import type { StackUrls } from '../../infra/local-stack/index.ts';
import { CHECKOUT, sharedStackDir } from '../../infra/local-stack/places.ts';
import { RunningServer } from '../../infra/local-stack/running-server.ts';
import { ferretdb } from '../../infra/local-stack/servers/ferretdb.ts';
import { glacierEmulator } from '../../infra/local-stack/servers/glacier-emulator.ts';
import { redis } from '../../infra/local-stack/servers/redis.ts';
import type { Server } from '../../infra/local-stack/servers/server.ts';
import { readState } from '../../infra/local-stack/state.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';

export interface FaultyServer {
  readonly url: string;
  /** A process is killed with SIGKILL; a proxy cuts every connection. */
  kill(): Promise<void>;
  /** After a kill: on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface FaultyServers {
  readonly mongodb: FaultyServer;
  readonly redis: FaultyServer & { flush(): Promise<void> };
  readonly glacier: FaultyServer;
  /** `process`: killed for real. `proxy`: only its connections are cut. */
  readonly kind: 'process' | 'proxy';
}

/** @param directory A new folder for what they keep and log. */
export async function startServers(directory: string, shared: StackUrls): Promise<FaultyServers> {
  const state = readState(sharedStackDir());
  const postgres = state?.servers.find(({ name }) => name === 'postgres');
  const isNative = state?.urls.mongodb === shared.mongodb && postgres !== undefined;
  const glacierPort = await freePort();
  const glacier = await started(glacierEmulator(directory, glacierPort, CHECKOUT), `http://127.0.0.1:${glacierPort}`);
  if (!isNative) {
    const [mongodb, queues] = [await proxied(shared.mongodb), await proxied(shared.redis)];
    return { glacier, mongodb, redis: { ...queues, flush: () => flush(shared.redis) }, kind: 'proxy' };
  }
  const [redisPort, mongodbPort] = [await freePort(), await freePort()];
  const [queues, mongodb] = await Promise.all([
    started(redis(directory, redisPort), `redis://127.0.0.1:${redisPort}`),
    started(
      ferretdb(directory, mongodbPort, postgres.port),
      `mongodb://127.0.0.1:${mongodbPort}/?directConnection=true`,
    ),
  ]);
  return { glacier, mongodb, redis: { ...queues, flush: () => flush(queues.url) }, kind: 'process' };
}

async function started(server: Server, url: string): Promise<FaultyServer> {
  const running = new RunningServer(server, () => undefined);
  // A test that runs into its time limit closes nothing.
  process.once('exit', () => {
    if (running.state !== null && !hasEnded(running)) process.kill(running.state.process.pid, 'SIGKILL');
  });
  await running.start();
  return {
    url,
    kill: async () => {
      const pid = running.state?.process.pid;
      if (pid === undefined || hasEnded(running)) return;
      process.kill(pid, 'SIGKILL');
      while (!hasEnded(running)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    },
    restart: () => running.start(),
    stop: () => running.stop(),
  };
}

const POLL_MS = 20;

function hasEnded({ state }: RunningServer): boolean {
  return state?.status === 'ended';
}

async function proxied(target: string): Promise<FaultyServer> {
  const proxy = await TcpProxy.start(target);
  return {
    url: proxy.url,
    kill: async () => proxy.cut(),
    restart: async () => proxy.restore(),
    stop: () => proxy.close(),
  };
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    await client.flushdb();
  } finally {
    client.disconnect();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
