/** Seeds that the tests run: each file of them its share, in a process of its own. */
import { expect, test } from 'vitest';
import { FAULT_KINDS, type FaultKind } from './engine/calls.ts';
import { Figures, nameOf, runLives } from './lives.ts';
import { COMMANDS } from './world/commands.ts';

/** Of `npm test`, over all files. */
const SEEDS = 2_000;
const FILES = 2;
/** On two idle cores each half takes about a minute and a half; a busy machine may take longer, a life that hangs may not. */
const TIME_LIMIT_MS = 900_000;

/** Of a few calls that most lives do not make. */
const RARE: readonly FaultKind[] = ['wrong bytes', 'truncated', 'stays'];

export function testSeeds(file: number): void {
  const each = SEEDS / FILES;
  const first = 1 + file * each;
  test(`lives of the seeds ${first} to ${first + each - 1} keep every promise`, {
    timeout: TIME_LIMIT_MS,
  }, async () => {
    const figures = new Figures();
    const broken: string[] = [];
    const tasks = Array.from({ length: each }, (_, at) => ({ seed: first + at }));
    await runLives(tasks, {
      processes: 1,
      onResult: (task, result) => {
        figures.add(task, result);
        for (const { property, text } of result.violations)
          broken.push(`${nameOf(task)}: ${property}: ${text} (npm run simulate -- --seeds 1 --${nameOf(task)})`);
        return true;
      },
    });
    expect(broken).toEqual([]);
    expect(figures.lives).toBe(each);
    // Lives in which nothing is done, or nothing goes wrong, would prove nothing.
    expect(figures.tally.deleted).toBeGreaterThan(each);
    expect(figures.tally.treated).toBeGreaterThan(each / 4);
    expect(figures.tally.disposed).toBeGreaterThan(each / 8);
    expect(figures.tally.confirmed).toBeGreaterThan(each);
    expect(figures.tally.granted).toBeGreaterThan(each / 2);
    // In a third of them.
    expect(figures.tally.children).toBeGreaterThan(each / 4);
    expect(figures.tally.files).toBeGreaterThan(each / 10);
    expect(figures.tally.addenda).toBeGreaterThan(each / 100);
    for (const rare of ['moved', 'reviewed', 'waited', 'left'] as const)
      expect(figures.tally[rare], rare).toBeGreaterThan(each / 20);
    expect(Object.keys(figures.acts)).toEqual(expect.arrayContaining([...COMMANDS]));
    expect(Object.keys(figures.faults)).toEqual(
      expect.arrayContaining(FAULT_KINDS.filter((kind) => !RARE.includes(kind))),
    );
  });
}
