/** Daemons, commands, servers, an application and a person with holds, all at once and all cut; see test/faults/chaos.ts. */
import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { campaign } from '../faults/campaign.ts';
import { figuresText } from '../faults/figures.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
const CHAOS_MS = 20_000;
const SETTLE_WITHIN_MS = 120_000;
const WITHIN_MS = 240_000;
const LARGEST_SEED = 2 ** 32;

test('killed, frozen and cut at random: nothing is lost, held or early, and all work ends', {
  timeout: WITHIN_MS,
}, async () => {
  const figures = await campaign(stackUrls(), {
    // Another seed each time; `npm run soak -- --seed S` makes the same choices.
    ...{ names, seed: randomInt(LARGEST_SEED), everyPoint: false, chaosMs: CHAOS_MS },
    settleWithinMs: SETTLE_WITHIN_MS,
    say: console.log,
  });
  expect(figures.problems, figuresText(figures)).toEqual([]);
  expect(figures.kills.random + figures.kills.atPoints).toBeGreaterThan(0);
  expect(figures.records['archived']).toBeGreaterThan(0);
  expect(figures.writes['insert done']).toBeGreaterThan(0);
});
