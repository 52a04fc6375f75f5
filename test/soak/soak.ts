#!/usr/bin/env node
/** `npm run soak`: real processes and servers, killed and cut for as long as you like, and an independent verdict. */
import { randomInt } from 'node:crypto';
import { ensureStack } from '../../infra/local-stack/index.ts';
import { campaign } from '../faults/campaign.ts';
import { figuresText } from '../faults/figures.ts';
import { scriptArguments } from '../harness/script-arguments.ts';

const USAGE = `usage: npm run soak -- [--minutes N] [--seed S] [--json]

  --minutes N   how long things are broken; default 5. Before that a process is killed at every named point, and after it
                all work must end within four minutes
  --seed S      the choices of an earlier run (not its timing); default: a random one, which is printed
  --json        the figures as one JSON document on stdout; the rest goes to stderr`;

const MINUTE_MS = 60_000;
const SETTLE_WITHIN_MS = 4 * MINUTE_MS;
const LARGEST_SEED = 2 ** 32;
const INTERRUPTED = 130;

const values = scriptArguments(
  {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
  USAGE,
);
const minutes = Number(values.minutes);
const seed = values.seed === undefined ? randomInt(LARGEST_SEED) : Number(values.seed);
if (values.help) {
  console.log(USAGE);
} else if (!(minutes >= 0) || !Number.isInteger(seed)) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  // `exit` ends what was started; a signal alone would not.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(INTERRUPTED));
  const say = (line: string) => console.error(line);
  const run = `soak_${seed}_${process.pid}`;
  const figures = await campaign(await ensureStack({ progress: say }), {
    names: { database: run, vaultPrefix: run.replaceAll('_', '-') },
    seed,
    everyPoint: true,
    chaosMs: minutes * MINUTE_MS,
    settleWithinMs: SETTLE_WITHIN_MS,
    say,
  });
  console.log(values.json ? JSON.stringify(figures) : figuresText(figures));
  process.exitCode = figures.problems.length === 0 ? 0 : 1;
}
