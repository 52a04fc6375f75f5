/** Runs many lives in child processes, one each at a time, and adds up what they were made of. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PlannedFault } from './engine/calls.ts';
import type { Violation } from './judge/observations.ts';
import type { Scenario } from './world/scenario.ts';
import type { Tally } from './world/tally.ts';

/** A life to run: of a seed, or one that is written out. */
export type Task = { readonly seed: number } | { readonly name: string; readonly scenario: Scenario };

export interface LifeResult extends Tally {
  readonly violations: readonly Violation[];
  /** That came to pass: a replay by list takes them. */
  readonly faults: readonly PlannedFault[];
  readonly steps: number;
  readonly calls: number;
  readonly acts: Readonly<Record<string, number>>;
}

export interface RunOptions {
  /** Child processes that run lives at the same time. */
  readonly processes: number;
  /** Called as lives end, in no certain order. No further life begins once it answers false. */
  readonly onResult: (task: Task, result: LifeResult) => boolean;
}

/**
 * A young generation as large as a life's garbage: it is collected a few times a life instead of hundreds; and by the thread
 * that lives, for the other core has lives of its own.
 */
const NODE_ARGUMENTS = ['--max-semi-space-size=64', '--single-threaded-gc', '--disable-warning=ExperimentalWarning'];

/** @throws Error when a child process ends by itself. */
export async function runLives(tasks: Iterable<Task>, { processes, onResult }: RunOptions): Promise<void> {
  const queue = tasks[Symbol.iterator]();
  let goesOn = true;
  const next = () => {
    const { done, value } = goesOn ? queue.next() : { done: true, value: undefined };
    return done === true || value === undefined ? null : value;
  };
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(fileURLToPath(new URL('./life-process.ts', import.meta.url)), {
        execArgv: NODE_ARGUMENTS,
        serialization: 'advanced',
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      let task: Task | null = null;
      const give = () => {
        task = next();
        if (task === null) child.disconnect();
        else child.send(task);
      };
      child.on('message', (result: LifeResult) => {
        if (task !== null && !onResult(task, result)) goesOn = false;
        give();
      });
      child.on('error', reject);
      child.on('exit', (code) => {
        if (task === null) resolve();
        else reject(new Error(`The process that ran ${nameOf(task)} ended with ${code}.`));
      });
      give();
    });
  await Promise.all(Array.from({ length: processes }, one));
}

export function nameOf(task: Task): string {
  return 'seed' in task ? `seed ${task.seed}` : task.name;
}

/** What a number of lives was made of. */
export class Figures {
  lives = 0;
  steps = 0;
  calls = 0;
  readonly tally: Record<keyof Tally, number> = {
    deleted: 0,
    treated: 0,
    disposed: 0,
    confirmed: 0,
    granted: 0,
    moved: 0,
    reviewed: 0,
    waited: 0,
    left: 0,
    children: 0,
    files: 0,
    addenda: 0,
  };
  readonly acts: Record<string, number> = {};
  readonly faults: Record<string, number> = {};
  /** Names of the lives that broke a property, by property. */
  readonly broken: Record<string, string[]> = {};

  add(task: Task, { violations, faults, steps, calls, acts, ...came }: LifeResult): void {
    this.lives += 1;
    this.steps += steps;
    this.calls += calls;
    for (const name of TALLIED) this.tally[name] += came[name];
    for (const [what, count] of Object.entries(acts)) this.acts[what] = (this.acts[what] ?? 0) + count;
    for (const { kind } of faults) this.faults[kind] = (this.faults[kind] ?? 0) + 1;
    for (const property of new Set(violations.map((violation) => violation.property))) {
      this.broken[property] = [...(this.broken[property] ?? []), nameOf(task)];
    }
  }

  get isClean(): boolean {
    return Object.keys(this.broken).length === 0;
  }

  text(): string {
    const { tally } = this;
    const list = (counts: Readonly<Record<string, number>>) =>
      Object.entries(counts)
        .sort(([, a], [, b]) => b - a)
        .map(([what, count]) => `${what} ${count}`)
        .join(', ') || 'none';
    const broken = Object.entries(this.broken).map(
      ([property, names]) => `  ${property}: ${names.length} lives: ${names.slice(0, NAMES_SHOWN).join(', ')}`,
    );
    return [
      `${this.lives} lives, ${this.steps} steps, ${this.calls} calls`,
      `records deleted ${tally.deleted}, without an archive ${tally.disposed}, treated ${tally.treated}, gone with a customer ${tally.left}`,
      `children deleted ${tally.children}, files archived ${tally.files}, addenda ${tally.addenda}`,
      `archives confirmed ${tally.confirmed}, with another purge date ${tally.moved}; approvals granted ${tally.granted}, reviews ${tally.reviewed}; versions that waited ${tally.waited}`,
      `acts: ${list(this.acts)}`,
      `faults: ${list(this.faults)}`,
      broken.length === 0 ? 'no property broken' : ['properties broken:', ...broken].join('\n'),
    ].join('\n');
  }
}

const NAMES_SHOWN = 12;
const TALLIED = [
  'deleted',
  'treated',
  'disposed',
  'confirmed',
  'granted',
  'moved',
  'reviewed',
  'waited',
  'left',
  'children',
  'files',
  'addenda',
] as const;
