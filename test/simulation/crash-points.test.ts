/**
 * Fixed lives with every kind of act, cut after every call, and before some (`npm run simulate -- --crash-points`: before
 * each); and a sample of the pairs that `--pairs` runs all of.
 */
import { expect, test } from 'vitest';
import { crashPoints, ENUMERATED, somePairs } from './enumerated.ts';
import { Figures, nameOf, runLives, type Task } from './lives.ts';
import { live } from './simulate.ts';
import { COMMANDS } from './world/commands.ts';

/** A crash before a call says little that one after the call before it does not. */
const BEFORE_EVERY = 10;
const PAIRS = 300;
const PAIRS_SEED = 1;
/** A person's command for what a daemon's job does in these lives: the same act. */
const LIKE_A_JOB: readonly string[] = ['purge', 'reconcile'];

async function brokenBy(tasks: readonly Task[]): Promise<readonly string[]> {
  const figures = new Figures();
  const broken: string[] = [];
  await runLives(tasks, {
    processes: 1,
    onResult: (task, result) => {
      figures.add(task, result);
      for (const { property, text } of result.violations) broken.push(`${nameOf(task)}: ${property}: ${text}`);
      return true;
    },
  });
  expect(figures.lives).toBe(tasks.length);
  return broken;
}

/** On two idle cores a minute; a busy machine may take longer. */
const TIME_LIMIT_MS = 900_000;

test(`a crash after every call of every enumerated life, and before every ${BEFORE_EVERY}th, breaks no promise, and all work finishes`, {
  timeout: TIME_LIMIT_MS,
}, async () => {
  expect(await brokenBy(await crashPoints(BEFORE_EVERY))).toEqual([]);
});

test(`so do ${PAIRS} pairs of crashes, chosen by a seed`, { timeout: TIME_LIMIT_MS }, async () => {
  expect(await brokenBy(await somePairs(PAIRS, PAIRS_SEED))).toEqual([]);
});

test('the enumerated lives have every kind of act of people, and what they are to do comes to pass', async () => {
  const reports = await Promise.all(Object.values(ENUMERATED).map((scenario) => live(scenario)));
  expect(reports.map(({ violations }) => violations)).toEqual(reports.map(() => []));
  const acts = new Set(Object.values(ENUMERATED).flatMap(({ script }) => script.map(({ act }) => act.what)));
  expect([...acts]).toEqual(expect.arrayContaining([...COMMANDS.filter((what) => !LIKE_A_JOB.includes(what))]));
  expect(reports.map(({ deleted, confirmed }) => ({ deleted, confirmed }))).toEqual([
    { deleted: 1, confirmed: 1 },
    { deleted: 2, confirmed: 0 },
    { deleted: 1, confirmed: 1 },
    { deleted: 3, confirmed: 1 },
    // A record, and a child that came late, in an addendum.
    { deleted: 2, confirmed: 0 },
    { deleted: 0, confirmed: 0 },
    { deleted: 1, confirmed: 1 },
  ]);
  const { moved, reviewed, waited, left } = reports.at(-1) ?? {};
  expect({ moved, reviewed, waited, left }).toEqual({ moved: 1, reviewed: 1, waited: 1, left: 1 });
});
