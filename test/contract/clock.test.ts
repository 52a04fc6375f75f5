/** What every clock must do that code is handed: the system's, and those of tests and simulations. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import { MovableClock } from '../simulation/memory-world.ts';

const SHORT_MS = 20;
const ENDLESS_MS = 3_600_000;
/** `setTimeout` may be early by part of a millisecond, as `now` counts it. */
const ROUNDING_MS = 2;

const CLOCKS: Readonly<Record<string, () => Clock>> = {
  system: () => systemClock,
  movable: () => new MovableClock('2024-06-01T00:00:00Z'),
};

describe.each(Object.entries(CLOCKS))('clock contract: %s', (_name, make) => {
  test('now: a Date of its own each time', () => {
    const clock = make();
    const before = clock.now().getTime();
    clock.now().setTime(0);
    expect(clock.now().getTime()).toBeGreaterThanOrEqual(before);
  });

  test('monotonicMs: finite, and never back', async () => {
    const clock = make();
    let last = Number.NEGATIVE_INFINITY;
    for (let asked = 0; asked < 1_000; asked += 1) {
      const ms = clock.monotonicMs();
      expect(Number.isFinite(ms)).toBe(true);
      expect(ms).toBeGreaterThanOrEqual(last);
      last = ms;
    }
    await clock.sleep(SHORT_MS);
    expect(clock.monotonicMs()).toBeGreaterThan(last);
  });

  test('sleep: both readings have moved by that much, and not within the caller’s own turn', async () => {
    const clock = make();
    const [at, monotonic] = [clock.now().getTime(), clock.monotonicMs()];
    let isOver = false;
    const sleeping = clock.sleep(SHORT_MS).then(() => {
      isOver = true;
    });
    expect(isOver).toBe(false);
    await sleeping;
    expect(clock.now().getTime() - at).toBeGreaterThanOrEqual(SHORT_MS - ROUNDING_MS);
    expect(clock.monotonicMs() - monotonic).toBeGreaterThanOrEqual(SHORT_MS - ROUNDING_MS);
  });

  test('sleep: with a signal that is aborted already, it rejects with its reason and no time passes', async () => {
    const clock = make();
    const reason = new Error('stop');
    const before = clock.now().getTime();
    await expect(clock.sleep(ENDLESS_MS, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(clock.now().getTime() - before).toBeLessThan(ENDLESS_MS);
  });

  test('sleep: with a signal that is never aborted, it ends', async () => {
    await make().sleep(SHORT_MS, new AbortController().signal);
  });
});

test('a movable clock that is set back: the time that has passed stays', () => {
  const clock = new MovableClock('2024-06-01T00:00:00Z');
  clock.advance(1_000);
  clock.advance(-5_000);
  expect(clock.now()).toEqual(new Date('2024-05-31T23:59:56Z'));
  expect(clock.monotonicMs()).toBe(1_000);
});

describe('system clock', () => {
  afterEach(() => vi.restoreAllMocks());

  test('sleep: aborted in the middle, it rejects at once and leaves no timer and no listener', async () => {
    const cleared = vi.spyOn(globalThis, 'clearTimeout');
    const controller = new AbortController();
    const removed = vi.spyOn(controller.signal, 'removeEventListener');
    const sleeping = systemClock.sleep(ENDLESS_MS, controller.signal);
    const reason = new Error('stop');
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    expect(cleared).toHaveBeenCalledOnce();
    await systemClock.sleep(1, new AbortController().signal);
    const other = new AbortController();
    const removedThere = vi.spyOn(other.signal, 'removeEventListener');
    await systemClock.sleep(1, other.signal);
    expect(removedThere).toHaveBeenCalledOnce();
    // `once` took it off by itself.
    expect(removed).not.toHaveBeenCalled();
  });
});
