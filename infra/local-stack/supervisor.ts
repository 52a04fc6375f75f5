/**
 * Owns the servers of one stack directory, in a process of its own: starts them, writes what runs into the state file,
 * ends all of them on SIGTERM or when nobody has used them for a while. It restarts nothing by itself, except the
 * emulator when `ensureStack` asks for another version of its code (SIGHUP).
 *
 *     node supervisor.ts '{"stackDir": …, "way": "native", "services": […], …}'
 */
import { mkdirSync } from 'node:fs';
import { composeDown } from './docker.ts';
import { IdleWatch } from './idle.ts';
import { removeFile, writeJsonFile } from './json-file.ts';
import { stackFiles } from './places.ts';
import { pickPorts } from './ports.ts';
import { end, refOf } from './processes.ts';
import { RunningServer } from './running-server.ts';
import { ferretdb } from './servers/ferretdb.ts';
import { glacierEmulator } from './servers/glacier-emulator.ts';
import { localstack } from './servers/localstack.ts';
import { postgres } from './servers/postgres.ts';
import { redis } from './servers/redis.ts';
import type { Server } from './servers/server.ts';
import { loopbackUrl, type ServiceName, type ServiceUrls } from './services.ts';
import { readDashboard, readWantedEmulator, removeState, type StackState } from './state.ts';
import { type SupervisorOptions, supervisorOptions } from './supervisor-options.ts';

const LOOK_MS = 2000;
const CONSOLE_GRACE_MS = 5000;

/** What stands on something else is stopped first. */
const STOP_ORDER = [['glacier', 'ferretdb', 'redis', 'localstack'], ['postgres']];

class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #servers = new Map<string, RunningServer>();
  readonly #idle: IdleWatch;
  readonly #startedAt = new Date().toISOString();
  #urls: ServiceUrls;
  #emulator: StackState['emulator'] = null;
  #ready = false;
  #failure: string | null = null;
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#urls = options.urls;
    this.#idle = new IdleWatch(options.stackDir);
  }

  async start(): Promise<void> {
    this.#write();
    try {
      if (this.#options.way === 'native') await this.#startServers();
      this.#ready = true;
      this.#write();
    } catch (error) {
      if (this.#stopping) return;
      this.#failure = error instanceof Error ? error.message : String(error);
      this.#write();
      console.error(error);
      await this.#stopServers();
      // The state stays: it tells whoever waits why nothing runs.
      process.exit(1);
    }
    setInterval(() => this.#stopWhenIdle(), LOOK_MS);
  }

  async stop(reason: string): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    console.error(`stopping: ${reason}`);
    const dashboard = readDashboard(this.#options.stackDir);
    if (dashboard) await end(dashboard.process, { signal: 'SIGTERM', graceMs: CONSOLE_GRACE_MS, group: false });
    removeFile(stackFiles(this.#options.stackDir).dashboard);
    await this.#stopServers();
    if (this.#options.way === 'docker') await composeDown(this.#options.checkout, this.#options.stackDir);
    removeState(this.#options.stackDir);
    process.exit(0);
  }

  /** Starts the emulator's wanted version in place of the one that runs. */
  async replaceEmulator(): Promise<void> {
    await this.#servers.get('glacier')?.stop();
    await this.#startEmulator();
    this.#write();
  }

  async #startServers(): Promise<void> {
    const { stackDir, services } = this.#options;
    const others = services.filter((service) => service !== 'glacier');
    const names = others.flatMap((service) => (service === 'mongodb' ? ['postgres', 'mongodb'] : [service]));
    const ports = await pickPorts(stackFiles(stackDir).ports, names);
    const port = (name: string) => ports.get(name) ?? 0;
    this.#urls = Object.fromEntries(others.map((service) => [service, loopbackUrl(service, port(service))]));
    const starts: Record<ServiceName, () => Promise<void>> = {
      mongodb: async () => {
        await this.#startServer(postgres(stackDir, port('postgres')));
        await this.#startServer(ferretdb(stackDir, port('mongodb'), port('postgres')));
      },
      redis: () => this.#startServer(redis(stackDir, port('redis'))),
      s3: () => this.#startServer(localstack(stackDir, port('s3'))),
      glacier: () => this.#startEmulator(),
    };
    const results = await Promise.allSettled(services.map((service) => starts[service]()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #startServer(server: Server): Promise<void> {
    const running = new RunningServer(server, () => this.#write());
    this.#servers.set(server.name, running);
    await running.start();
  }

  /** Its code is the checkout's and may be broken: that is told to who asked, and leaves the other servers alone. */
  async #startEmulator(): Promise<void> {
    const { stackDir } = this.#options;
    const wanted = readWantedEmulator(stackDir);
    if (!wanted) throw new Error('nobody said which emulator is wanted');
    const port = (await pickPorts(stackFiles(stackDir).ports, ['glacier'])).get('glacier') ?? 0;
    this.#urls = { ...this.#urls, glacier: loopbackUrl('glacier', port) };
    try {
      await this.#startServer(glacierEmulator(stackDir, port, wanted.checkout));
      this.#emulator = { ...wanted, failure: null };
    } catch (error) {
      console.error(error);
      this.#emulator = { ...wanted, failure: error instanceof Error ? error.message : String(error) };
    }
  }

  async #stopServers(): Promise<void> {
    for (const names of STOP_ORDER) await Promise.all(names.map((name) => this.#servers.get(name)?.stop()));
  }

  #stopWhenIdle(): void {
    const servers = [...this.#servers.values()].flatMap((running) => running.state ?? []);
    const ports = Object.values(this.#urls).map((url) => Number(new URL(url).port));
    const own = [process.pid, ...servers.map((server) => server.process.pid)];
    if (this.#idle.idleMs(ports, own) < this.#options.idleMs) return;
    void this.stop(`nobody was connected for ${this.#options.idleMs} ms`);
  }

  #write(): void {
    if (this.#stopping) return;
    const state: StackState = {
      version: 1,
      way: this.#options.way,
      supervisor: refOf(process.pid),
      services: [...new Set([...this.#options.services, ...(this.#emulator ? (['glacier'] as const) : [])])],
      urls: this.#urls,
      servers: [...this.#servers.values()].flatMap((running) => running.state ?? []),
      ready: this.#ready,
      failure: this.#failure,
      emulator: this.#emulator,
      startedAt: this.#startedAt,
    };
    writeJsonFile(stackFiles(this.#options.stackDir).state, state);
  }
}

const options = supervisorOptions.parse(JSON.parse(process.argv[2] ?? ''));
mkdirSync(stackFiles(options.stackDir).logs, { recursive: true });
const supervisor = new Supervisor(options);
let replacing: Promise<void> = Promise.resolve();
process.on('SIGTERM', () => void supervisor.stop('asked to'));
process.on('SIGINT', () => void supervisor.stop('asked to'));
process.on('SIGHUP', () => {
  replacing = replacing.then(() => supervisor.replaceEmulator());
});
await supervisor.start();
