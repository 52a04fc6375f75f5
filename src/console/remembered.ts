/** A value that is dear to compute: computed by one caller for all that ask meanwhile, and remembered for a while. */
import type { Clock } from '../clock.ts';

export interface Freshness {
  /** Remembered at least so long. */
  readonly minMs: number;
  /** And so many times as long as it took to compute: with 10, at most a tenth of the time goes into computing. */
  readonly timesCost: number;
}

export class Remembered<T> {
  readonly #compute: () => Promise<T>;
  readonly #clock: Clock;
  readonly #freshness: Freshness;
  #value: { readonly value: T; readonly untilMs: number } | null = null;
  #computing: Promise<T> | null = null;

  constructor(clock: Clock, freshness: Freshness, compute: () => Promise<T>) {
    this.#clock = clock;
    this.#freshness = freshness;
    this.#compute = compute;
  }

  /** A fresh value. What `compute` throws goes through, and is not remembered. */
  async get(): Promise<T> {
    if (this.#value !== null && this.#clock.monotonicMs() < this.#value.untilMs) return this.#value.value;
    this.#computing ??= this.#computeOnce();
    return await this.#computing;
  }

  /** A fresh value if it can be had within `ms`, else the last one, else null. The computing goes on behind. */
  async within(ms: number): Promise<T | null> {
    const waiting = new AbortController();
    const fresh = this.get();
    // Whoever asks next learns of the failure; the loser of this race must not be an unhandled rejection.
    fresh.catch(() => undefined);
    const timeout = this.#clock.sleep(ms, waiting.signal).then(
      () => this.#value?.value ?? null,
      () => null,
    );
    try {
      return await Promise.race([fresh, timeout]);
    } finally {
      waiting.abort();
    }
  }

  async #computeOnce(): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    try {
      const value = await this.#compute();
      const endedMs = this.#clock.monotonicMs();
      const { minMs, timesCost } = this.#freshness;
      this.#value = { value, untilMs: endedMs + Math.max(minMs, (endedMs - startedMs) * timesCost) };
      return value;
    } finally {
      this.#computing = null;
    }
  }
}
