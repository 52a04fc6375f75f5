/** Who asks for what takes a second person, and who decides about it. */
import type { Random } from '../engine/random.ts';
import { BUSY_MS } from './random-times.ts';
import { HOUR_MS, type ScriptedAct } from './scenario.ts';

/** Who asks for what takes a second person; the second of them also decides, and now and then about what they asked for. */
export const ASKERS = ['ann', 'ann', 'bob'] as const;

/** Somebody looks at what waits, a while after it was asked for; mostly one who may. */
export function decisions(random: Random, after: number): ScriptedAct[] {
  return Array.from({ length: random.pick([1, 1, 2]) }, () => ({
    at: after + random.pick([random.int(0, BUSY_MS), random.int(0, 6 * HOUR_MS)]),
    act: {
      what: 'decide',
      pick: random.pick(['all', 'all', 0, 1] as const),
      how: random.chance(0.9) ? 'grant' : 'refuse',
      as: random.pick(['bob', 'cleo', 'cleo', 'ann']),
    },
  }));
}
