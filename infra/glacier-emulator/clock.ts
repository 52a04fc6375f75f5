import { join } from 'node:path';
import { Temporal } from 'temporal-polyfill';
import { z } from 'zod';
import { readJson, writeJson } from './files.ts';

/** Jumps older than the newest of these are forgotten: they are needed only while something lingers (see `realTimeOf`). */
const KEPT_JUMPS = 200;

const jumpSchema = z.object({ realAtMs: z.number(), fromMs: z.number(), toMs: z.number() });
const stateSchema = z.object({ offsetMs: z.number(), jumps: z.array(jumpSchema) });
type ClockState = z.output<typeof stateSchema>;

/** A request to move the clock that cannot be done: the text says why. */
export class ClockRefusal extends Error {}

/**
 * The emulator's own time: real time plus an offset that only grows and is kept on disk. Everything that the service
 * dates comes from here: Date headers, creation dates, jobs, inventories.
 */
export class EmulatorClock {
  readonly #path: string;
  #state: ClockState;
  #newestMs = 0;
  #moving: Promise<unknown> = Promise.resolve();

  private constructor(path: string, state: ClockState) {
    this.#path = path;
    this.#state = state;
  }

  static async open(folder: string): Promise<EmulatorClock> {
    const path = join(folder, 'clock.json');
    return new EmulatorClock(path, (await readJson(path, stateSchema)) ?? { offsetMs: 0, jumps: [] });
  }

  /** Milliseconds since the epoch. Never less than what was returned before, whatever the machine's clock does. */
  nowMs(): number {
    this.#newestMs = Math.max(this.#newestMs, Date.now() + this.#state.offsetMs);
    return this.#newestMs;
  }

  offsetMs(): number {
    return this.#state.offsetMs;
  }

  /** Moves forward by an ISO 8601 duration; years and months count in the UTC calendar. */
  advance(duration: string): Promise<void> {
    return this.#move((now) => {
      const length = readDuration(duration);
      if (length.sign < 0) throw new ClockRefusal(`the clock never runs backwards: advance by ${duration} refused`);
      return now.toZonedDateTimeISO('UTC').add(length).toInstant();
    });
  }

  /** Moves forward to an instant. */
  set(instant: string): Promise<void> {
    return this.#move((now) => {
      const target = readInstant(instant);
      if (Temporal.Instant.compare(target, now) < 0) {
        throw new ClockRefusal(`the clock never runs backwards: it is ${now.toString()}, set to ${instant} refused`);
      }
      return target;
    });
  }

  /**
   * The real time at which this clock first showed `atMs`. Several users may share one emulator: what expires by the
   * clock lingers for a while in real time too, so that one user's jump does not take away another's upload or output.
   */
  realTimeOf(atMs: number): number {
    const jumps = this.#state.jumps;
    let offsetAfterMs = this.#state.offsetMs;
    for (let i = jumps.length - 1; i >= 0; i -= 1) {
      const jump = jumps[i]!;
      if (atMs > jump.toMs) break;
      if (atMs > jump.fromMs) return jump.realAtMs;
      offsetAfterMs -= jump.toMs - jump.fromMs;
    }
    return atMs - offsetAfterMs;
  }

  /** One move at a time: each starts from where the one before ended, and counts only once it is on disk. */
  #move(targetFrom: (now: Temporal.Instant) => Temporal.Instant): Promise<void> {
    const move = this.#moving.then(async () => {
      const fromMs = this.nowMs();
      const toMs = resolveTarget(targetFrom, fromMs);
      const jump = { realAtMs: Date.now(), fromMs, toMs };
      const next: ClockState = {
        offsetMs: this.#state.offsetMs + (toMs - fromMs),
        jumps: [...this.#state.jumps, jump].slice(-KEPT_JUMPS),
      };
      await writeJson(this.#path, next);
      this.#state = next;
    });
    this.#moving = move.catch(() => {});
    return move;
  }
}

function resolveTarget(targetFrom: (now: Temporal.Instant) => Temporal.Instant, fromMs: number): number {
  try {
    const toMs = targetFrom(Temporal.Instant.fromEpochMilliseconds(fromMs)).epochMilliseconds;
    if (toMs > LATEST_MS) throw new ClockRefusal('the clock does not go past the year 9999');
    return toMs;
  } catch (error) {
    if (error instanceof RangeError) throw new ClockRefusal(error.message);
    throw error;
  }
}

/** The dates of the service have four digits for the year. */
const LATEST_MS = Date.UTC(9999, 0, 1);

function readDuration(text: string): Temporal.Duration {
  try {
    return Temporal.Duration.from(text);
  } catch {
    throw new ClockRefusal(`not an ISO 8601 duration: ${text}`);
  }
}

function readInstant(text: string): Temporal.Instant {
  try {
    return Temporal.Instant.from(text);
  } catch {
    throw new ClockRefusal(`not an instant: ${text}`);
  }
}
