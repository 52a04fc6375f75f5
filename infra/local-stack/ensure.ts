import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MoraineError } from '../../src/errors.ts';
import { composeUp, dockerAnswers } from './docker.ts';
import { emulatorCodeHash } from './emulator-code.ts';
import { endStack } from './end-stack.ts';
import { serviceAnswersInTime } from './health.ts';
import { IDLE_MS } from './idle.ts';
import { installNative, nativeObstacle } from './install/native.ts';
import { writeJsonFile } from './json-file.ts';
import { withLock } from './lock.ts';
import { CHECKOUT, logFile, sharedStackDir, stackFiles } from './places.ts';
import { isAlive, type ProcessRef, refOf } from './processes.ts';
import { tail } from './run.ts';
import { type Progress, type ServiceName, type ServiceUrls, urlsFromEnvironment } from './services.ts';
import { readState, type StackState, type WantedEmulator } from './state.ts';
import type { SupervisorOptions } from './supervisor-options.ts';

const POLL_MS = 100;

/** Longer than every server's own limit, which gives the better message. */
const START_MS = 240_000;

export interface EnsureOptions {
  readonly progress: Progress;
  readonly services: readonly ServiceName[];
  /** Another directory is another stack. Default: the shared one. */
  readonly stackDir?: string;
  /** How long without a connection until it stops by itself. */
  readonly idleMs?: number;
}

/**
 * Makes sure that these services run and returns their URLs: those of the environment, and for the rest containers or,
 * without Docker, native servers. May be called by several processes at once; the first starts, the others wait.
 * Throws STACK_FAILED, with the log's end, when there is no way or a server does not come up.
 */
export async function ensureServices(options: EnsureOptions): Promise<ServiceUrls> {
  const given = urlsFromEnvironment(options.services);
  const missing = options.services.filter((service) => given[service] === undefined);
  if (missing.length === 0) return given;
  const stackDir = options.stackDir ?? sharedStackDir();
  mkdirSync(stackFiles(stackDir).logs, { recursive: true });
  const onWait = () => options.progress('Another process is starting the local stack: waiting for it');
  const own = await withLock(stackFiles(stackDir).lock, onWait, async () => {
    touch(stackFiles(stackDir).heartbeat);
    return bringUp({ ...options, stackDir, services: missing });
  });
  const urls = { ...given };
  for (const service of missing) urls[service] = own[service] ?? '';
  return urls;
}

type BringUp = EnsureOptions & { readonly stackDir: string };

async function bringUp(options: BringUp): Promise<ServiceUrls> {
  const { stackDir, services, progress } = options;
  const wanted = services.includes('glacier') ? wantedEmulator() : null;
  const state = readState(stackDir);
  if (state) {
    const problem = await problemWith(state, services);
    if (problem === null) return (await withEmulator(options, state, wanted)).urls;
    progress(`The local stack has to be started again: ${problem}`);
  }
  await endStack(stackDir);
  // A larger stack than this call needs is kept as large as it was.
  const all = [...new Set([...(state?.services ?? []), ...services])];
  // The emulator alone needs nothing but Node.
  const docker = all.some((service) => service !== 'glacier') && (await dockerAnswers());
  if (!docker) await requireNative(all, progress);
  const urls = docker ? await composeUp(stackDir, all, {}, progress) : {};
  if (wanted) writeJsonFile(stackFiles(stackDir).wantedEmulator, wanted);
  progress('Starting the local stack (usually ten seconds)');
  const supervisor = startSupervisor({
    stackDir,
    way: docker ? 'docker' : 'native',
    services: all,
    checkout: CHECKOUT,
    idleMs: options.idleMs ?? IDLE_MS,
    urls,
  });
  return (await started(stackDir, supervisor, docker ? null : wanted, progress)).urls;
}

/** Why the stack that the state file tells of is of no use to a caller that needs these services, or null. */
async function problemWith(state: StackState, services: readonly ServiceName[]): Promise<string | null> {
  if (!isAlive(state.supervisor)) return 'its supervisor is gone';
  if (!state.ready) return state.failure ?? 'its start was cut';
  // The emulator is looked at by itself: it can be added and replaced without the others.
  const looked = services.filter((service) => service !== 'glacier' || state.way === 'docker');
  const absent = looked.filter((service) => !state.services.includes(service));
  if (absent.length > 0) return `${absent.join(', ')} not in it`;
  const ended = state.servers.find((server) => server.status === 'ended' && server.name !== 'glacier');
  if (ended) return `${ended.name} ended by itself; log: ${ended.log}`;
  const answers = await Promise.all(looked.map((service) => serviceAnswersInTime(service, state.urls[service])));
  const silent = looked.filter((_, index) => !answers[index]);
  return silent.length > 0 ? `${silent.join(', ')} did not answer` : null;
}

async function withEmulator(options: BringUp, state: StackState, wanted: WantedEmulator | null): Promise<StackState> {
  const { stackDir, progress } = options;
  if (!wanted) return state;
  if (state.way === 'docker') {
    // Compose builds the image again when the code has changed, and leaves the rest as it is.
    await composeUp(stackDir, state.services, state.urls, progress);
    return state;
  }
  const current = state.emulator;
  // Another checkout with the same code uses this one: starting it again would cut whoever is in the middle of something.
  const isSameCode = current?.hash === wanted.hash;
  const hasEnded = state.servers.every((server) => server.name !== 'glacier' || server.status === 'ended');
  if (isSameCode && !hasEnded && (await serviceAnswersInTime('glacier', state.urls.glacier))) return state;
  progress(
    current === null ? 'Starting the Glacier emulator' : 'Starting the Glacier emulator again: its code changed',
  );
  writeJsonFile(stackFiles(stackDir).wantedEmulator, wanted);
  process.kill(state.supervisor.pid, 'SIGHUP');
  return waitForState(stackDir, state.supervisor, (now) => hasEmulator(now, wanted));
}

/** True when the request was granted; throws when it was tried and failed. */
function hasEmulator(state: StackState, wanted: WantedEmulator | null): boolean {
  if (wanted === null) return true;
  if (state.emulator?.request !== wanted.request) return false;
  if (state.emulator.failure !== null) throw new MoraineError('STACK_FAILED', state.emulator.failure);
  return true;
}

function wantedEmulator(): WantedEmulator {
  return { checkout: CHECKOUT, hash: emulatorCodeHash(CHECKOUT), request: randomUUID() };
}

async function requireNative(services: readonly ServiceName[], progress: Progress): Promise<void> {
  const obstacle = nativeObstacle(services);
  if (obstacle !== null) {
    throw new MoraineError('STACK_FAILED', `No Docker daemon answers, and ${obstacle}.`, {
      hint: 'Start Docker, or run as root on Debian, or set the MORAINE_… URLs (docs/local-stack.md).',
    });
  }
  await installNative(services, progress);
}

function startSupervisor(options: SupervisorOptions): ProcessRef {
  const log = openSync(logFile(options.stackDir, 'supervisor'), 'a');
  const program = join(import.meta.dirname, 'supervisor.ts');
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
  });
  closeSync(log);
  child.unref();
  if (child.pid === undefined) throw new MoraineError('STACK_FAILED', 'The supervisor cannot be started.');
  return refOf(child.pid);
}

async function started(
  stackDir: string,
  supervisor: ProcessRef,
  emulator: WantedEmulator | null,
  progress: Progress,
): Promise<StackState> {
  const told = new Set<string>();
  return waitForState(stackDir, supervisor, (state) => {
    if (state.supervisor.pid !== supervisor.pid) return false;
    if (state.failure !== null) throw new MoraineError('STACK_FAILED', state.failure);
    for (const server of state.servers) {
      if (server.status !== 'ready' || told.has(server.name)) continue;
      told.add(server.name);
      progress(`  ${server.name} is up on 127.0.0.1:${server.port}`);
    }
    return state.ready && hasEmulator(state, emulator);
  });
}

async function waitForState(
  stackDir: string,
  supervisor: ProcessRef,
  isReached: (state: StackState) => boolean,
): Promise<StackState> {
  const deadline = performance.now() + START_MS;
  const log = logFile(stackDir, 'supervisor');
  while (performance.now() < deadline) {
    const alive = isAlive(supervisor);
    const state = readState(stackDir);
    if (state && isReached(state)) return state;
    if (!alive) throw new MoraineError('STACK_FAILED', `The supervisor ended; log: ${log}\n${tail(log)}`);
    await sleep(POLL_MS);
  }
  throw new MoraineError('STACK_FAILED', `The local stack was not up within ${START_MS} ms; log: ${log}`);
}

function touch(file: string): void {
  if (!existsSync(file)) writeFileSync(file, '');
  utimesSync(file, new Date(), new Date());
}
