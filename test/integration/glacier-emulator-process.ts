import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GlacierClient } from '@aws-sdk/client-glacier';

const MAIN = new URL('../../infra/glacier-emulator/main.ts', import.meta.url).pathname;
export const CREDENTIALS = { accessKeyId: 'moraine', secretAccessKey: 'moraine-local' };

/** An emulator in a process of its own, with a state folder of its own that outlives a kill. */
export class EmulatorProcess {
  readonly #state: string;
  readonly #options: string[];
  #process: ChildProcess | null = null;
  #port = 0;

  private constructor(state: string, options: string[]) {
    this.#state = state;
    this.#options = options;
  }

  static async start(...options: string[]): Promise<EmulatorProcess> {
    const emulator = new EmulatorProcess(await mkdtemp(join(tmpdir(), 'glacier-emulator-')), options);
    await emulator.#run().catch(async (error) => {
      await emulator.stop();
      throw error;
    });
    return emulator;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get state(): string {
    return this.#state;
  }

  /** A client of the real SDK. It tries once only, so that tests see every error. */
  client(options: { region?: string; maxAttempts?: number; secretAccessKey?: string; accessKeyId?: string } = {}) {
    const { region = 'eu-west-1', maxAttempts = 1, ...credentials } = options;
    return new GlacierClient({
      endpoint: this.endpoint,
      region,
      maxAttempts,
      credentials: { ...CREDENTIALS, ...credentials },
    });
  }

  async control(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const reply = await fetch(`${this.endpoint}/_emulator/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    return { status: reply.status, body: text === '' ? null : JSON.parse(text) };
  }

  async advance(duration: string): Promise<void> {
    const { status, body } = await this.control('POST', 'clock', { advance: duration });
    if (status !== 200) throw new Error(JSON.stringify(body));
  }

  async fault(fault: string, operation: string, times = 1): Promise<void> {
    const { status, body } = await this.control('POST', 'faults', { match: { operation }, times, fault });
    if (status !== 201) throw new Error(JSON.stringify(body));
  }

  /** SIGKILL, then a new process on the same state and port. */
  async killAndRestart(): Promise<void> {
    await this.#end('SIGKILL');
    await this.#run();
  }

  async stop(): Promise<number | null> {
    const code = await this.#end('SIGTERM');
    await rm(this.#state, { recursive: true, force: true });
    return code;
  }

  async #run(): Promise<void> {
    const args = [MAIN, '--port', String(this.#port), '--state', this.#state, ...this.#options];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = child;
    const lines = createInterface({ input: child.stdout });
    const [line]: unknown[] = await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`the emulator ended with ${code}`))),
    ]);
    const match = /listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(String(line));
    if (match === null) throw new Error(`unexpected first line: ${line}`);
    this.#port = Number(match[1]);
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (child === null) return null;
    this.#process = null;
    if (child.exitCode === null) {
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    }
    return child.exitCode;
  }
}
