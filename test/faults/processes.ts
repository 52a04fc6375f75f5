/** The real command line as child processes that can be killed and stopped: at a named point, or from outside at any time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type ArmedPoint, PLAN_VARIABLE, type ProcessPlan } from './points.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const NODE = join(CHECKOUT, 'node_modules/.bin/node');
const PRELOAD = join(import.meta.dirname, 'preload.ts');
const ENTRY = join(CHECKOUT, 'src/cli/moraine.ts');
const POLL_MS = 20;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Process {
  readonly pid: number;
  readonly args: readonly string[];
  readonly armed: ArmedPoint | null;
  readonly ended: Promise<Ended>;
  isRunning(): boolean;
  signal(signal: NodeJS.Signals): void;
}

/** A point that a process came past, and what became of it there. */
export interface MetPoint {
  readonly pid: number;
  readonly signal: string;
  readonly at: string;
}

export class Processes {
  readonly #folder: string;
  readonly #running = new Set<Process>();

  /** @param folder With moraine.yaml; logs and the file of met points go there too. */
  constructor(folder: string) {
    this.#folder = folder;
    // A test that runs into its time limit closes nothing.
    process.once('exit', () => {
      for (const each of this.#running) each.signal('SIGKILL');
    });
  }

  start(args: readonly string[], armed: ArmedPoint | null = null): Process {
    const plan: ProcessPlan = { log: this.#metFile, armed };
    const child = spawn(NODE, ['--import', PRELOAD, ENTRY, ...args], {
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, [PLAN_VARIABLE]: JSON.stringify(plan) },
    });
    const started = watched(child, args, armed, (text) => appendFileSync(join(this.#folder, 'moraine.log'), text));
    this.#running.add(started);
    void started.ended.then(() => this.#running.delete(started));
    return started;
  }

  async run(args: readonly string[], armed: ArmedPoint | null = null): Promise<Ended> {
    return await this.start(args, armed).ended;
  }

  /** Points that were met so far, in order. */
  met(): readonly MetPoint[] {
    if (!existsSync(this.#metFile)) return [];
    return readFileSync(this.#metFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [pid = '', signal = '', ...at] = line.split(' ');
        return { pid: Number(pid), signal, at: at.join(' ') };
      });
  }

  async killAll(): Promise<void> {
    const running = [...this.#running];
    for (const each of running) each.signal('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
  }

  get #metFile(): string {
    return join(this.#folder, 'points-met.log');
  }
}

/** Waits until a process is stopped (state T), as one that froze itself at a point is. */
export async function untilStopped(pid: number, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    if (processState(pid) === 'T') return true;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  return false;
}

function processState(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).charAt(0);
  } catch {
    // No such process any more.
    return null;
  }
}

function watched(
  child: ChildProcess,
  args: readonly string[],
  armed: ArmedPoint | null,
  log: (text: string) => void,
): Process {
  let stdout = '';
  let stderr = '';
  let isRunning = true;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_STDERR_CHARACTERS);
    log(text);
  });
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    isRunning = false;
    log(`--- ${new Date().toISOString()} ${args.join(' ')}: ${signal ?? code}\n`);
    return { code, signal, stdout, stderr };
  });
  if (child.pid === undefined) throw new Error(`cannot start ${NODE}`);
  return {
    pid: child.pid,
    args,
    armed,
    ended,
    isRunning: () => isRunning,
    signal: (signal) => void child.kill(signal),
  };
}

/** Enough for the last error; the whole of it is in the log. */
const KEPT_STDERR_CHARACTERS = 20_000;
