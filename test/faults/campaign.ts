/** A whole campaign: chaos, then quiet, then the verdict of the independent checker. */
import type { StackUrls } from '../../infra/local-stack/index.ts';
import { chaos } from './chaos.ts';
import { check, type Problem } from './checker/check.ts';
import { everyPoint } from './every-point.ts';
import { Deeds, type Figures, figuresOf } from './figures.ts';
import { settle } from './settle.ts';
import { type FaultyWorld, openFaultyWorld, type WorldNames } from './world.ts';

export interface CampaignOptions {
  readonly names: WorldNames;
  readonly seed: number;
  /** A process dies at every named point, one after the other, before the chaos. */
  readonly everyPoint: boolean;
  /** 0: none. */
  readonly chaosMs: number;
  readonly settleWithinMs: number;
  readonly say: (line: string) => void;
}

/** What it came to. Where there are problems the world is kept for a look, and where it is gets said. */
export async function campaign(shared: StackUrls, options: CampaignOptions): Promise<Figures> {
  const { seed, say } = options;
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 100) / 10;
  const world = await openFaultyWorld(shared, options.names, seed);
  say(`seed ${seed}, in ${world.folder}`);
  let isGood = false;
  try {
    const deeds = new Deeds();
    if (options.everyPoint) await everyPoint(world, deeds);
    if (options.everyPoint) say(`${seconds()} s: a process was killed at every named point`);
    if (options.chaosMs > 0) await chaos(world, deeds, options.chaosMs);
    say(`${seconds()} s: the faults are over`);
    const settled = await settle(world, options.settleWithinMs);
    say(`${seconds()} s: ${settled.seconds === null ? 'not all work has ended' : 'all work has ended'}`);
    const problems = [...(await verdict(world)), ...late(settled)];
    isGood = problems.length === 0;
    const of = {
      seed,
      seconds: seconds(),
      servers: world.servers.kind,
      settledAfterSeconds: settled.seconds,
      problems,
    };
    const figures = figuresOf(await world.endState(), deeds, of);
    if (!isGood) say(`Kept for a look: ${world.folder}, databases ${world.database} and ${world.ledgerDatabase}`);
    return figures;
  } finally {
    await world.close({ keep: !isGood });
  }
}

async function verdict(world: FaultyWorld): Promise<readonly Problem[]> {
  return check(await world.endState());
}

function late({ seconds, left }: Awaited<ReturnType<typeof settle>>): readonly Problem[] {
  return seconds === null ? left.map((text) => ({ promise: 7, text: `not ended in time: ${text}` })) : [];
}
