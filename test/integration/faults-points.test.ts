/** A real process is killed at every named point, on real servers; what it left is carried on, and nothing is lost. */
import { expect, test } from 'vitest';
import { campaign } from '../faults/campaign.ts';
import { NAMED_POINTS } from '../faults/points.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const WITHIN_MS = 240_000;
const SETTLE_WITHIN_MS = 120_000;

test('killed at every named point, one process after the other: all work ends, and every promise holds', {
  timeout: WITHIN_MS,
}, async () => {
  const figures = await campaign(stackUrls(), {
    ...{ names, seed: 1, everyPoint: true, chaosMs: 0 },
    settleWithinMs: SETTLE_WITHIN_MS,
    say: console.log,
  });
  expect(figures.problems).toEqual([]);
  expect(figures.kills.atPoints).toBe(NAMED_POINTS.length);
  expect(Object.keys(figures.points).sort()).toEqual(NAMED_POINTS.map(({ name }) => name).sort());
  // Each kind of end was come to.
  expect(figures.archives['confirmed']).toBeGreaterThan(0);
  expect(figures.records['expired']).toBeGreaterThan(0);
  expect(figures.attempts['abandoned']).toBeGreaterThan(0);
  expect(figures.unwitnessed).toBe(0);
});
