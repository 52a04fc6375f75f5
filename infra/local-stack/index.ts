/** The local stack: MongoDB, Redis, the Glacier emulator and S3 for the demo, the tests and a first look. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MoraineError } from '../../src/errors.ts';
import { endStack } from './end-stack.ts';
import { ensureServices } from './ensure.ts';
import { isListening, serviceAnswers } from './health.ts';
import { writeJsonFile } from './json-file.ts';
import { withLock } from './lock.ts';
import { sharedStackDir, stackFiles } from './places.ts';
import { end, isAlive, refOf } from './processes.ts';
import { type Progress, SERVICES, type ServiceName, type StackUrls, urlsFromEnvironment } from './services.ts';
import { readDashboard, readState } from './state.ts';

export { ensureServices } from './ensure.ts';
export type { Progress, StackUrls } from './services.ts';

export interface ServiceStatus {
  readonly service: ServiceName;
  readonly url: string;
  readonly answers: boolean;
  /** Whose server it is: given by the environment, a container, or a process of the native stack. */
  readonly from: 'environment' | 'docker' | 'native';
}

export interface StackStatus {
  /** Every service answers. */
  readonly up: boolean;
  readonly services: readonly ServiceStatus[];
  readonly dashboard: string | null;
  /** Where the logs of the servers are. */
  readonly logs: string;
}

/**
 * Starts what is missing of the whole stack and returns its URLs. Takes seconds, the first time minutes: `progress`
 * says what it does. Throws STACK_FAILED.
 */
export async function ensureStack(options: { progress: Progress }): Promise<StackUrls> {
  const urls = await ensureServices({ ...options, services: SERVICES });
  const url = (service: ServiceName): string => {
    const found = urls[service];
    if (!found) throw new MoraineError('STACK_FAILED', `The local stack has no ${service}.`);
    return found;
  };
  return {
    mongodb: url('mongodb'),
    redis: url('redis'),
    glacier: url('glacier'),
    s3: url('s3'),
    dashboard: runningDashboard(sharedStackDir()),
  };
}

/** What runs now, asked of each server. Starts nothing. */
export async function stackStatus(options: { stackDir?: string } = {}): Promise<StackStatus> {
  const stackDir = options.stackDir ?? sharedStackDir();
  const given = urlsFromEnvironment(SERVICES);
  const state = readState(stackDir);
  const known = SERVICES.flatMap((service) => {
    const url = given[service] ?? state?.urls[service];
    if (url === undefined) return [];
    return [{ service, url, from: given[service] === undefined && state ? state.way : ('environment' as const) }];
  });
  const services = await Promise.all(
    known.map(async (entry) => ({
      ...entry,
      answers: await (entry.from === 'environment' ? isListening(entry.url) : serviceAnswers(entry.service, entry.url)),
    })),
  );
  const expected = new Set([...(state?.services ?? SERVICES), ...Object.keys(given)]);
  return {
    up: services.length === expected.size && services.every((entry) => entry.answers),
    services,
    dashboard: runningDashboard(stackDir),
    logs: stackFiles(stackDir).logs,
  };
}

/** Stops the servers and the console that was registered; data and programs stay. False when nothing ran. */
export async function stopStack(options: { stackDir?: string; progress?: Progress } = {}): Promise<boolean> {
  const stackDir = options.stackDir ?? sharedStackDir();
  if (!existsSync(stackDir)) return false;
  const onWait = () => options.progress?.('Another process is starting the local stack: waiting for it');
  return withLock(stackFiles(stackDir).lock, onWait, async () => {
    const ran = readState(stackDir) !== null;
    await endStack(stackDir);
    return ran;
  });
}

/** Announces a console that runs on: `stackStatus` shows its URL, and it ends with the stack. */
export function registerDashboard(url: string, pid: number, options: { stackDir?: string } = {}): void {
  const stackDir = options.stackDir ?? sharedStackDir();
  mkdirSync(stackDir, { recursive: true });
  writeJsonFile(stackFiles(stackDir).dashboard, { url, process: refOf(pid) });
}

/** Runs `work` while nobody else on this stack runs work of that name; `onWait` is told when somebody does. */
export async function alone<T>(name: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  return withLock(join(sharedStackDir(), `${name}.lock`), onWait, work);
}

/** Ends the console that was registered, if it still runs: before another one takes its place. */
export async function endDashboard(options: { stackDir?: string } = {}): Promise<void> {
  const stackDir = options.stackDir ?? sharedStackDir();
  const dashboard = readDashboard(stackDir);
  if (dashboard) await end(dashboard.process, { signal: 'SIGTERM', graceMs: DASHBOARD_GRACE_MS, group: false });
}

const DASHBOARD_GRACE_MS = 5000;

function runningDashboard(stackDir: string): string | null {
  const entry = readDashboard(stackDir);
  return entry && isAlive(entry.process) ? entry.url : null;
}
