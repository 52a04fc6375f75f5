/**
 * Lives with one planted bug until the judge catches it; or, for `none`, the same lives without any. Prints a Hunt as
 * JSON. `hunt.ts BUG [MOST_LIVES]`, `hunt.ts none SEEDS PART PARTS`: the designed lives of every PARTS-th bug.
 */
import type { Violation } from '../judge/observations.ts';
import { randomLife } from '../world/random-life.ts';
import { liveAimed } from './aimed.ts';
import type { PlantedBug } from './bug.ts';
import { BUGS, bugNamed } from './index.ts';

export interface Hunt {
  readonly bug: string | null;
  readonly lives: number;
  readonly ms: number;
  /** The life in which something was found, as the seed and whether it was a designed one; null: nothing was. */
  readonly found: { readonly life: string; readonly violations: readonly Violation[] } | null;
}

/** Designed lives before chance is asked. */
const DESIGNED_LIVES = 40;
const MOST_LIVES = 60;
/** What is found without a bug too says nothing about one, unless that is about finishing. */
const ABOUT_FINISHING: readonly string[] = ['work-not-finished', 'goes-round-in-circles'];

async function hunt(bug: PlantedBug, mostLives: number): Promise<Hunt> {
  const begun = performance.now();
  const ms = () => Math.round(performance.now() - begun);
  const isCatch = ({ property }: Violation) =>
    bug.caughtBy.some((name) => name === property) || !ABOUT_FINISHING.includes(property);
  let lives = 0;
  for (let seed = 1; lives < mostLives; seed++) {
    const isDesigned = seed <= DESIGNED_LIVES;
    const designed = isDesigned ? bug.life(seed) : { scenario: randomLife(seed), aims: [] };
    for (const { violations } of await liveAimed(designed)) {
      lives += 1;
      if (violations.some(isCatch)) {
        const life = `${isDesigned ? 'designed' : 'random'} life, seed ${seed}`;
        return { bug: bug.name, lives, ms: ms(), found: { life, violations } };
      }
    }
  }
  return { bug: bug.name, lives, ms: ms(), found: null };
}

async function control(seeds: number, part: number, parts: number): Promise<Hunt> {
  const begun = performance.now();
  let lives = 0;
  for (const [number, bug] of BUGS.entries()) {
    if (number % parts !== part) continue;
    for (let seed = 1; seed <= seeds; seed++) {
      for (const { violations } of await liveAimed(bug.life(seed))) {
        lives += 1;
        if (violations.length > 0) {
          const life = `life designed for ${bug.name}, seed ${seed}`;
          return { bug: null, lives, ms: Math.round(performance.now() - begun), found: { life, violations } };
        }
      }
    }
  }
  return { bug: null, lives, ms: Math.round(performance.now() - begun), found: null };
}

const [name = 'none', ...numbers] = process.argv.slice(2);
const [first, part = 0, parts = 1] = numbers.map(Number);
const bug = bugNamed(name);
const result = bug === null ? await control(first ?? 1, part, parts) : await hunt(bug, first ?? MOST_LIVES);
process.stdout.write(`${JSON.stringify(result)}\n`);
