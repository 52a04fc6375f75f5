/** The same seed gives the same life, call by call; and the faults that came to pass, asked for by name, give it again. */
import { expect, test } from 'vitest';
import { asListed } from './shrink.ts';
import { live } from './simulate.ts';
import { randomLife } from './world/random-life.ts';

const SEEDS = Array.from({ length: 20 }, (_, at) => 1_000 + at);

test.each(SEEDS)('seed %d lives twice the same life', async (seed) => {
  const first = await live(randomLife(seed), { trace: true });
  const second = await live(randomLife(seed), { trace: true });
  expect(first.trace.length).toBeGreaterThan(100);
  // Line by line: the first that differs says more than two long texts.
  const differsAt = first.trace.findIndex((line, at) => line !== second.trace[at]);
  expect(differsAt === -1 ? null : [first.trace[differsAt], second.trace[differsAt]]).toBeNull();
  expect({ ...second, trace: [] }).toEqual({ ...first, trace: [] });
});

test.each(SEEDS.slice(0, 8))('seed %d lives the same life by the list of its faults', async (seed) => {
  const scenario = randomLife(seed);
  const first = await live(scenario, { trace: true });
  const second = await live(asListed(scenario, first.faults), { trace: true });
  const differsAt = first.trace.findIndex((line, at) => line !== second.trace[at]);
  expect(differsAt === -1 ? null : [first.trace[differsAt], second.trace[differsAt]]).toBeNull();
});
