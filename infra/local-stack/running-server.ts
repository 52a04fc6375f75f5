import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MoraineError } from '../../src/errors.ts';
import { end, refOf } from './processes.ts';
import { tail } from './run.ts';
import type { Server } from './servers/server.ts';
import type { ServerState } from './state.ts';

const POLL_MS = 100;
const STOP_GRACE_MS = 10_000;

/** A server and its process. `onChange` is called whenever what `state` returns has changed. */
export class RunningServer {
  readonly server: Server;
  readonly #onChange: () => void;
  #child: ChildProcess | null = null;
  #state: ServerState | null = null;
  #stopAsked = false;

  constructor(server: Server, onChange: () => void) {
    this.server = server;
    this.#onChange = onChange;
  }

  get state(): ServerState | null {
    return this.#state;
  }

  /** Starts it and waits until it is ready; a server that can be repaired is given one more try. */
  async start(): Promise<void> {
    await this.server.prepare();
    try {
      await this.#startOnce();
    } catch (error) {
      await this.#endProcess();
      if (!this.server.repair || this.#stopAsked) throw error;
      this.#note(`did not start (${String(error)}): its data is made anew`);
      await this.server.repair();
      await this.#startOnce();
    }
  }

  async stop(): Promise<void> {
    this.#stopAsked = true;
    await this.#endProcess();
  }

  async #endProcess(): Promise<void> {
    if (!this.#state) return;
    await end(this.#state.process, { signal: this.server.stopSignal, graceMs: STOP_GRACE_MS, group: true });
    this.#child = null;
    this.#state = null;
    this.#onChange();
  }

  async #startOnce(): Promise<void> {
    if (this.#stopAsked) throw this.#failure('was asked to stop');
    const child = this.#spawn();
    const deadline = performance.now() + this.server.readyWithinMs;
    while (!(await this.server.isReady())) {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
        throw this.#failure('ended before it was ready');
      }
      if (performance.now() > deadline) throw this.#failure(`was not ready within ${this.server.readyWithinMs} ms`);
      await sleep(POLL_MS);
    }
    await this.server.complete?.();
    this.#setStatus('ready');
  }

  #spawn(): ChildProcess {
    const { command, name, port, log } = this.server;
    mkdirSync(dirname(log), { recursive: true });
    this.#note('starting');
    const output = openSync(log, 'a');
    const child = spawn(command.file, command.args, {
      // A group of its own: it is ended with all that it started.
      detached: true,
      stdio: ['ignore', output, output],
      env: { ...process.env, ...command.env },
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    });
    closeSync(output);
    this.#child = child;
    if (child.pid !== undefined) {
      this.#state = { name, process: refOf(child.pid), port, log, status: 'starting' };
      this.#onChange();
    }
    child.on('error', (error) => this.#note(`cannot be started: ${error.message}`));
    child.on('exit', (code, signal) => {
      this.#note(`ended with ${signal ?? code}`);
      if (this.#child === child) this.#setStatus('ended');
    });
    return child;
  }

  #setStatus(status: ServerState['status']): void {
    if (!this.#state) return;
    this.#state = { ...this.#state, status };
    this.#onChange();
  }

  #note(text: string): void {
    appendFileSync(this.server.log, `--- ${new Date().toISOString()} ${this.server.name}: ${text}\n`);
  }

  #failure(what: string): MoraineError {
    const { name, log } = this.server;
    return new MoraineError('STACK_FAILED', `${name} ${what}; log: ${log}\n${tail(log)}`);
  }
}
