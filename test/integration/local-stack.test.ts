/** The stack's own behaviour, on a small stack of its own (Redis and the emulator): the shared one is never touched. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ensureServices, registerDashboard, stackStatus, stopStack } from '../../infra/local-stack/index.ts';
import { stackFiles } from '../../infra/local-stack/places.ts';
import { end, isAlive, refOf } from '../../infra/local-stack/processes.ts';
import { readState, type StackState } from '../../infra/local-stack/state.ts';

const SERVICES = ['redis', 'glacier'] as const;
const IDLE_MS = 3000;
const LOOK_MS = 100;

let stackDir: string;
let told: string[];

beforeEach(async () => {
  for (const name of ['MORAINE_REDIS_URL', 'MORAINE_GLACIER_ENDPOINT']) vi.stubEnv(name, '');
  stackDir = await mkdtemp(join(tmpdir(), 'moraine-stack-'));
  told = [];
});

afterEach(async () => {
  await stopStack({ stackDir });
  await rm(stackDir, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

const ensure = (options: { idleMs?: number } = {}) =>
  ensureServices({ progress: (line) => told.push(line), services: SERVICES, stackDir, ...options });

function running(): StackState {
  const state = readState(stackDir);
  if (!state) throw new Error('no stack runs');
  return state;
}

const pids = (state: StackState) => state.servers.map((server) => server.process.pid);

test('ensure: twice: the same servers at the same URLs, which answer', async () => {
  const urls = await ensure();
  const before = running();
  expect(await ensure()).toEqual(urls);
  expect(pids(running())).toEqual(pids(before));
  const status = await stackStatus({ stackDir });
  expect(status.up).toBe(true);
  expect(status.services.map(({ service, answers, from }) => [service, answers, from])).toEqual([
    ['redis', true, 'native'],
    ['glacier', true, 'native'],
  ]);
  expect(urls.redis).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/);
  expect(await redisSays(urls.redis, 'CONFIG GET maxmemory-policy')).toContain('noeviction');
});

test('ensure: two processes and this one at once: one stack, no server twice', async () => {
  const script = `
    import { ensureServices } from ${JSON.stringify(join(import.meta.dirname, '../../infra/local-stack/index.ts'))};
    const options = { progress: () => {}, services: ['redis', 'glacier'], stackDir: process.argv[1] };
    console.log(JSON.stringify(await ensureServices(options)));`;
  const other = async () => {
    const args = ['--input-type=module-typescript', '--eval', script, stackDir];
    return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
  };
  const [mine, first, second] = await Promise.all([ensure(), other(), other()]);
  expect(first).toEqual(mine);
  expect(second).toEqual(mine);
  const starts = (await readFile(join(stackFiles(stackDir).logs, 'redis.log'), 'utf8')).match(/redis: starting/g);
  expect(starts).toHaveLength(1);
});

test('ensure: supervisor killed: its orphans are ended, a new stack has the same URLs', async () => {
  const urls = await ensure();
  const before = running();
  await end(before.supervisor, { signal: 'SIGKILL', graceMs: 1000, group: false });
  expect(before.servers.every((server) => isAlive(server.process))).toBe(true);
  expect(await ensure()).toEqual(urls);
  expect(told.join('\n')).toContain('its supervisor is gone');
  expect(before.servers.some((server) => isAlive(server.process))).toBe(false);
  expect((await stackStatus({ stackDir })).up).toBe(true);
});

test('ensure: Redis killed: status says that it is down, nothing restarts it silently, ensure does and says so', async () => {
  await ensure();
  const redis = running().servers.find((server) => server.name === 'redis');
  process.kill(redis?.process.pid ?? 0, 'SIGKILL');
  await until(() => running().servers.some((server) => server.status === 'ended'));
  const status = await stackStatus({ stackDir });
  expect(status.up).toBe(false);
  expect(status.services.find((entry) => entry.service === 'redis')?.answers).toBe(false);
  await ensure();
  expect(told.join('\n')).toContain('redis ended by itself');
  expect((await stackStatus({ stackDir })).up).toBe(true);
});

test('ensure: emulator killed: the emulator alone is started again', async () => {
  const urls = await ensure();
  const before = running();
  const emulator = before.servers.find((server) => server.name === 'glacier');
  process.kill(emulator?.process.pid ?? 0, 'SIGKILL');
  await until(() => !isAlive(emulator?.process ?? refOf(process.pid)));
  expect(await ensure()).toEqual(urls);
  const redisPid = (state: StackState) => state.servers.find((server) => server.name === 'redis')?.process.pid;
  expect(redisPid(running())).toBe(redisPid(before));
  expect((await stackStatus({ stackDir })).up).toBe(true);
});

test('ensure: another checkout with the same code of the emulator: the emulator goes on, uncut', async () => {
  const urls = await ensure();
  const before = running();
  const elsewhere = { ...before, emulator: before.emulator && { ...before.emulator, checkout: '/elsewhere' } };
  await writeFile(stackFiles(stackDir).state, JSON.stringify(elsewhere));
  expect(await ensure()).toEqual(urls);
  const emulatorPid = (state: StackState) => state.servers.find((server) => server.name === 'glacier')?.process.pid;
  expect(emulatorPid(running())).toBe(emulatorPid(before));
});

test('ensure: a service that the environment names: its URL is taken and no server of ours started', async () => {
  vi.stubEnv('MORAINE_REDIS_URL', 'redis://127.0.0.1:1');
  const urls = await ensure();
  expect(urls.redis).toBe('redis://127.0.0.1:1');
  expect(running().servers.map((server) => server.name)).toEqual(['glacier']);
  const status = await stackStatus({ stackDir });
  expect(status.services.map(({ service, answers, from }) => [service, answers, from])).toEqual([
    ['redis', false, 'environment'],
    ['glacier', true, 'native'],
  ]);
});

test('stop: all servers and the registered console end, their ports are closed', async () => {
  const urls = await ensure();
  const before = running();
  const console = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  const dashboard = refOf(console.pid ?? 0);
  registerDashboard('http://127.0.0.1:1', dashboard.pid, { stackDir });
  expect((await stackStatus({ stackDir })).dashboard).toBe('http://127.0.0.1:1');
  expect(await stopStack({ stackDir })).toBe(true);
  expect([...before.servers.map((server) => server.process), before.supervisor, dashboard].some(isAlive)).toBe(false);
  await expect(redisSays(urls.redis, 'PING')).rejects.toThrow();
  expect(await stackStatus({ stackDir })).toMatchObject({ up: false, services: [], dashboard: null });
  expect(await stopStack({ stackDir })).toBe(false);
});

test('idle: a connection keeps the stack up past its time, and it stops when the last has left', async () => {
  const urls = await ensure({ idleMs: IDLE_MS });
  const { supervisor, servers } = running();
  const client = await open(urls.redis);
  await sleep(IDLE_MS * 2);
  expect(isAlive(supervisor)).toBe(true);
  client.destroy();
  await until(() => !isAlive(supervisor));
  expect(servers.some((server) => isAlive(server.process))).toBe(false);
  expect(readState(stackDir)).toBeNull();
});

async function redisSays(url: string | undefined, command: string): Promise<string> {
  const socket = await open(url);
  try {
    socket.write(`${command}\r\n`);
    return await new Promise((resolve) => socket.once('data', (data) => resolve(data.toString())));
  } finally {
    socket.destroy();
  }
}

function open(url: string | undefined): Promise<Socket> {
  const { hostname, port } = new URL(url ?? '');
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: hostname, port: Number(port) }, () => resolve(socket));
    socket.once('error', reject);
  });
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(LOOK_MS);
}
