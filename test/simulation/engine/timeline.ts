/**
 * Virtual time and the order of everything in it. Whatever will happen is an event with an instant; the earliest is
 * next, and between equals the one that was put first. Nothing here waits: ten years are as quick as a second.
 */
import { untilQuiet } from './quiet.ts';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void | Promise<void>;
}

export class Timeline {
  #now: number;
  #order = 0;
  #heap: Event[] = [];
  #isStopped = false;
  steps = 0;

  constructor(start: number) {
    this.#now = start;
  }

  /** Milliseconds since 1970: the true time of the simulated world. */
  get now(): number {
    return this.#now;
  }

  at(instant: number, run: () => void | Promise<void>): void {
    this.#push({ at: Math.max(instant, this.#now), order: this.#order++, run });
  }

  after(ms: number, run: () => void | Promise<void>): void {
    this.at(this.#now + Math.max(0, ms), run);
  }

  /** No further event runs. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Runs events until `until` (their instants included), none is left, or it is stopped. */
  async run(until: number, mostSteps: number): Promise<'done' | 'stopped' | 'too many steps'> {
    await untilQuiet();
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      if (this.#isStopped) return 'stopped';
      if (this.steps >= mostSteps) return 'too many steps';
      this.#pop();
      this.steps += 1;
      this.#now = next.at;
      await next.run();
      await untilQuiet();
    }
    this.#now = Math.max(this.#now, until);
    return this.#isStopped ? 'stopped' : 'done';
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at], heap[parent])) return;
      swap(heap, at, parent);
      at = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const least = isBefore(heap[left + 1], heap[left]) ? left + 1 : left;
      if (!isBefore(heap[least], heap[at])) return;
      swap(heap, at, least);
      at = least;
    }
  }
}

function isBefore(a: Event | undefined, b: Event | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.at !== b.at ? a.at < b.at : a.order < b.order;
}

function swap(heap: Event[], a: number, b: number): void {
  const first = heap[a];
  const second = heap[b];
  if (first === undefined || second === undefined) return;
  heap[a] = second;
  heap[b] = first;
}
