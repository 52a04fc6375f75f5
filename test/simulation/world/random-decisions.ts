/** Who asks for what takes a second person, and who decides about it. */
import type { Random } from '../engine/random.ts';
import type { ApprovalFacts } from '../judge/observations.ts';
import { BUSY_MS, DAYS } from './random-times.ts';
import { DAY_MS, HOUR_MS, type ScriptedAct } from './scenario.ts';

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

/** Null: anybody but who asked decides, and nobody looks at a purge before. */
export function someApprovals(random: Random): ApprovalFacts | null {
  if (random.chance(0.8)) return null;
  return {
    people: random.chance(0.7) ? [] : ['bob', 'cleo'],
    purgeStages: random.chance(0.25) ? null : random.pick([[[]], [[], []], [['bob'], ['cleo']], [['bob', 'cleo'], []]]),
  };
}

/** Twice a day those who are asked look at what is to be purged; now and then one of them says no, or never comes. */
export function reviews(random: Random, { purgeStages }: ApprovalFacts): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  for (let at = 5 * HOUR_MS; purgeStages !== null && at < DAYS * DAY_MS; at += 12 * HOUR_MS) {
    for (const people of purgeStages) {
      const as = random.pick(people.length === 0 ? ['bob', 'cleo', 'dora'] : [...people, 'ann']);
      const how = random.chance(0.96) ? 'grant' : 'refuse';
      const pick = random.chance(0.8) ? 'all' : random.int(0, 2);
      if (random.chance(0.85))
        script.push({ at: at + random.int(0, 4 * HOUR_MS), act: { what: 'decide', pick, how, as, kind: 'purge' } });
    }
  }
  return script;
}
