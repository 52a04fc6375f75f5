/**
 * A process of the simulated world: its calls to servers go through the timeline, where they may meet a fault, and its
 * memory is gone when it crashes: what it waits for then never comes. Its clock may be wrong; the timeline's never is.
 */
import type { Clock } from '../../../src/clock.ts';
import type { Call, Fault, FaultPlan, Server } from './calls.ts';
import type { Random } from './random.ts';
import type { Timeline } from './timeline.ts';

/** One way to do what was asked for: the server's part, with what a fault makes of it. */
export interface Effects {
  /** All of it. Its result, or its error, is the reply. */
  readonly whole: () => Promise<unknown>;
  /** What a fault of the named kind makes of it, where that is not simply the whole or nothing. */
  readonly broken?: (fault: Fault) => Promise<unknown>;
}

export interface Answers {
  /** What the caller gets when its connection broke. `mayHaveHappened`: bytes had left. */
  broken(call: Call, mayHaveHappened: boolean): Error;
  throttled(call: Call): Error;
  denied(call: Call): Error;
}

/** The client gives up on a call after this: the adapters' timeouts, and the reason for LONGEST_CALL_MS in src/ledger/leases.ts. */
const TIMEOUT_MS = 80_000;

export interface ProcessOptions {
  readonly name: string;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly faults: FaultPlan;
  readonly answers: Answers;
  /** Told of every call, for the trace. */
  readonly onCall: (call: Call, fault: Fault | null) => void;
  /** Called once when the process is gone. */
  readonly onCrash: () => void;
  /** Latency of an ordinary call, in ms. */
  readonly latencyMs: readonly [number, number];
}

export class SimulatedProcess {
  readonly name: string;
  readonly #options: ProcessOptions;
  readonly #startedAt: number;
  #calls = 0;
  #isGone = false;
  /** Nothing of it runs before this instant. */
  #frozenUntil = 0;
  #skewMs = 0;

  constructor(options: ProcessOptions) {
    this.name = options.name;
    this.#options = options;
    this.#startedAt = options.timeline.now;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  get isFrozen(): boolean {
    return this.#options.timeline.now < this.#frozenUntil;
  }

  get calls(): number {
    return this.#calls;
  }

  readonly clock: Clock = {
    now: () => new Date(this.#options.timeline.now + this.#skewMs),
    // A monotonic clock does not jump when somebody sets the calendar.
    monotonicMs: () => this.#options.timeline.now - this.#startedAt,
    sleep: (ms, signal) => this.#sleep(ms, signal),
  };

  /** Sets its calendar wrong, or right again with 0. */
  setSkew(ms: number): void {
    this.#skewMs = ms;
  }

  /** It stands still: no reply and no timer reaches it before that. */
  freeze(ms: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#options.timeline.now + ms);
  }

  /** Its memory is gone. What it sent is still on its way. */
  crash(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#options.onCrash();
  }

  /** A call to a server. The promise never settles once the process is gone. */
  call(server: Server, name: string, effects: Effects): Promise<unknown> {
    if (this.#isGone) return new Promise(() => undefined);
    this.#calls += 1;
    const call: Call = { process: this.name, server, name, number: this.#calls };
    const fault = this.#options.faults.decide(call);
    this.#options.onCall(call, fault);
    return new Promise((resolve, reject) => this.#begin(call, fault, effects, resolve, reject));
  }

  #begin(
    call: Call,
    fault: Fault | null,
    effects: Effects,
    resolve: (result: unknown) => void,
    reject: (error: unknown) => void,
  ): void {
    const { answers, timeline } = this.#options;
    const reply = (outcome: () => void, ms = this.#latency()) => this.#deliver(ms, outcome);
    /** The effect, then whatever the server made of it. */
    const whole = async (replyMs?: number) => {
      const outcome = await settled(effects.whole);
      reply(() => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)), replyMs);
    };
    const broken = (mayHaveHappened: boolean, ms?: number) =>
      reply(() => reject(answers.broken(call, mayHaveHappened)), ms);
    const effectOnly = async () => {
      await settled(effects.whole);
    };
    const ms = fault?.ms ?? 0;
    switch (fault?.kind) {
      case undefined:
        timeline.after(this.#latency(), () => whole());
        break;
      case 'error':
        broken(false);
        break;
      case 'throttled':
        reply(() => reject(answers.throttled(call)));
        break;
      case 'denied':
        reply(() => reject(answers.denied(call)));
        break;
      case 'lost reply':
        timeline.after(this.#latency(), async () => {
          await effectOnly();
          broken(true);
        });
        break;
      case 'delay': {
        const isLateThere = this.#options.random.chance(0.5);
        timeline.after(isLateThere ? ms : this.#latency(), () => whole(isLateThere ? undefined : ms));
        break;
      }
      case 'hang':
        broken(true, TIMEOUT_MS);
        break;
      case 'late':
        timeline.after(ms, effectOnly);
        broken(true, TIMEOUT_MS);
        break;
      case 'crash before':
        this.crash();
        break;
      case 'crash after':
        // It is gone at once; what it sent arrives.
        timeline.after(this.#latency(), effectOnly);
        this.crash();
        break;
      case 'freeze before':
        // The call leaves only when the process wakes.
        this.freeze(ms);
        timeline.after(ms + this.#latency(), async () => {
          if (!this.#isGone) await whole();
        });
        break;
      case 'freeze after':
        this.freeze(ms);
        timeline.after(this.#latency(), () => whole());
        break;
      default:
        timeline.after(this.#latency(), async () => {
          const make = effects.broken;
          const outcome = await settled(() => (make === undefined || fault === null ? effects.whole() : make(fault)));
          reply(() => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)));
        });
    }
  }

  /** Hands something to the process: never before it wakes, never when it is gone. */
  #deliver(ms: number, outcome: () => void): void {
    const { timeline } = this.#options;
    timeline.after(ms, () => {
      if (this.#isGone) return;
      if (timeline.now < this.#frozenUntil) return this.#deliver(this.#frozenUntil - timeline.now, outcome);
      outcome();
    });
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      let isOver = false;
      const end = (outcome: () => void) => {
        if (isOver) return;
        isOver = true;
        outcome();
      };
      signal?.addEventListener('abort', () => end(() => reject(signal.reason)), { once: true });
      this.#deliver(ms, () => end(resolve));
    });
  }

  #latency(): number {
    const [least, most] = this.#options.latencyMs;
    return this.#options.random.int(least, most);
  }
}

type Settled = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

async function settled(act: () => Promise<unknown>): Promise<Settled> {
  try {
    return { ok: true, value: await act() };
  } catch (error) {
    return { ok: false, error };
  }
}
