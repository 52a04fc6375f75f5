#!/usr/bin/env node
/** `npm run simulate`: lives by the seed, crash points in pairs, and the shortest trace of what fails. */
import { scriptArguments } from '../harness/script-arguments.ts';
import { crashPairs, crashPoints, somePairs } from './enumerated.ts';
import { Figures, nameOf, runLives, type Task } from './lives.ts';
import { shrinkLife, shrunkText } from './shrink.ts';
import { live } from './simulate.ts';
import { randomLife } from './world/random-life.ts';

const USAGE = `usage: npm run simulate -- [--seeds N] [--seed S] [--crash-points | --pairs [--sample N]] [--processes P] [--json] [--trace]

  --seeds N      how many lives; default 1000, and 1 with --trace
  --seed S       the first of them; default 1
  --crash-points instead: a crash before and after every call of every enumerated life
  --pairs        instead: a crash at every pair of calls of every enumerated life
  --sample N     only N of those pairs, chosen by --seed
  --processes P  how many lives run at the same time; default 2
  --json         the figures as one JSON document on stdout; the rest goes to stderr
  --trace        every call of the life of --seed

Exit code 1 when a property broke. Of the first life that broke each of them it prints the smallest that it finds.`;

/** How long somebody waits to be shown a shorter life, for each property. */
const SHRINK = { lives: 600, ms: 120_000 };
/** So many properties of a run are made short. */
const MOST_SHRUNK = 3;
const PROGRESS_EVERY_MS = 10_000;

const values = scriptArguments(
  {
    seeds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    'crash-points': { type: 'boolean', default: false },
    pairs: { type: 'boolean', default: false },
    sample: { type: 'string' },
    processes: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
  USAGE,
);
const seed = Number(values.seed);
const seeds = Number(values.seeds ?? (values.trace ? 1 : 1_000));
const sample = values.sample === undefined ? null : Number(values.sample);
const processes = Number(values.processes);
const say = (line: string) => console.error(line);

if (values.help) console.log(USAGE);
else if (![seed, seeds, sample ?? 1, processes].every((number) => Number.isInteger(number) && number > 0)) {
  console.error(USAGE);
  process.exitCode = 2;
} else if (values.trace) await showTraces();
else await runAll();

async function showTraces(): Promise<void> {
  for (let each = seed; each < seed + seeds; each++) {
    const { trace, violations } = await live(randomLife(each), { trace: true });
    for (const line of trace) console.log(line);
    for (const { property, text } of violations) console.log(`${property}: ${text}`);
    if (violations.length > 0) process.exitCode = 1;
  }
}

async function runAll(): Promise<void> {
  const isCut = values.pairs || values['crash-points'];
  const tasks = isCut ? await cuts() : Array.from({ length: seeds }, (_, at) => ({ seed: seed + at }));
  const figures = new Figures();
  const failed = new Map<string, Task>();
  const start = performance.now();
  let saidAt = start;
  const perMinute = () => Math.round((figures.lives * 60_000) / (performance.now() - start));
  await runLives(tasks, {
    processes,
    onResult: (task, result) => {
      figures.add(task, result);
      for (const { property, text } of result.violations) {
        if (failed.has(property)) continue;
        failed.set(property, task);
        say(`${nameOf(task)}: ${property}: ${text}`);
      }
      if (performance.now() - saidAt > PROGRESS_EVERY_MS) {
        saidAt = performance.now();
        say(`${figures.lives} of ${tasks.length} lives, ${perMinute()} a minute`);
      }
      return true;
    },
  });
  const { lives, steps, calls, tally, acts, faults, broken } = figures;
  if (values.json) {
    const of = isCut ? { [values.pairs ? 'pairs' : 'crashPoints']: lives } : { firstSeed: seed };
    const seconds = (performance.now() - start) / 1_000;
    console.log(
      JSON.stringify({
        ...of,
        lives,
        seconds,
        steps,
        calls,
        ...tally,
        acts,
        faults,
        broken,
      }),
    );
  } else {
    console.log(figures.text());
    console.log(`${perMinute()} lives a minute`);
  }
  for (const [property, task] of [...failed].slice(0, MOST_SHRUNK)) {
    say(`\nmaking ${nameOf(task)} short ...`);
    const shrunk = await shrinkLife('seed' in task ? randomLife(task.seed) : task.scenario, property, SHRINK);
    say(shrunk === null ? 'It did not fail again: something in it is left to chance.' : shrunkText(shrunk));
  }
  if (!figures.isClean) process.exitCode = 1;
}

async function cuts(): Promise<readonly Task[]> {
  if (!values.pairs) {
    const points = await crashPoints();
    say(`${points.length} crash points`);
    return points;
  }
  const chosen = sample === null ? await crashPairs() : await somePairs(sample, seed);
  say(`${chosen.length} pairs of crash points`);
  return chosen;
}
