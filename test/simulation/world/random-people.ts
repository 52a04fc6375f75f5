/** What people do by hand in a life of chance: holds, pauses, restores, quarantine. */
import type { Random } from '../engine/random.ts';
import type { Scope } from '../judge/observations.ts';
import { ASKERS, decisions } from './random-decisions.ts';
import { CUSTOMERS, OWNERS } from './random-records.ts';
import { someTime } from './random-times.ts';
import { type Act, DAY_MS, HOUR_MS, type RecordPlan, type Scenario, type ScriptedAct, START_MS } from './scenario.ts';

export function people(random: Random, records: readonly RecordPlan[], policies: Scenario['policies']): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  for (let left = random.pick([0, 0, 1, 1, 2, 3]); left > 0; left--) {
    const name = `case-${left}`;
    const at = someTime(random);
    script.push({ at, act: { what: 'place hold', name, scope: someScope(random, records) } });
    // A person asks again where the first answer never came.
    if (random.chance(0.3))
      script.push({
        at: at + random.int(0, HOUR_MS),
        act: {
          what: 'place hold',
          name,
          scope: script.at(-1)?.act.what === 'place hold' ? scopeOf(script.at(-1)) : someScope(random, records),
        },
      });
    if (random.chance(0.7)) {
      const releaseAt = at + random.int(0, 2 * DAY_MS);
      const release: Act = { what: 'release hold', name, as: random.pick(ASKERS) };
      script.push({ at: releaseAt, act: release });
      // It takes a second person: they ask, somebody decides, and they come again.
      if (random.chance(0.8))
        script.push(...decisions(random, releaseAt), { at: releaseAt + random.int(0, 8 * HOUR_MS), act: release });
    }
  }
  for (let left = random.pick([0, 0, 0, 1, 2]); left > 0; left--) {
    const target = random.pick(['policy', 'owner', 'all'] as const);
    const of = target === 'policy' ? random.pick(policies).facts.name : target === 'owner' ? random.pick(OWNERS) : null;
    const name = `pause-${left}`;
    const at = someTime(random);
    script.push({ at, act: { what: 'pause', name, target, of } });
    const resumeAt = at + random.int(0, DAY_MS);
    // Whoever has lost the connection asks again.
    for (const wait of [0, HOUR_MS]) script.push({ at: resumeAt + wait, act: { what: 'resume', name, target, of } });
  }
  for (let left = random.pick([0, 0, 1, 1, 2]); left > 0; left--) {
    const intoSource = random.chance(0.6);
    const pick = random.int(0, 1_000);
    script.push({
      at: someTime(random),
      act: { what: 'retrieve and restore', pick, intoSource, exemptDays: random.int(0, 2) },
    });
  }
  if (random.chance(0.5)) script.push({ at: someTime(random), act: { what: 'check' } });
  return script;
}

export function quarantine(random: Random): ScriptedAct[] {
  return Array.from({ length: random.pick([0, 0, 1, 1, 2, 3]) }, () => ({
    at: someTime(random),
    act: { what: 'settle quarantine', pick: random.int(0, 20), how: random.chance(0.6) ? 'retry' : 'dispose' },
  }));
}

function scopeOf(entry: ScriptedAct | undefined): Scope {
  if (entry?.act.what !== 'place hold') throw new Error('That is no hold.');
  return entry.act.scope;
}

function someScope(random: Random, records: readonly RecordPlan[]): Scope {
  const any = {
    owner: null,
    customer: null,
    namespace: null,
    policy: null,
    recordIds: null,
    mails: null,
    triggerFrom: null,
    triggerBefore: null,
  };
  const { namespace, id, mail } = random.pick(records);
  const owner = random.chance(0.8) ? 'acme' : 'zenith';
  switch (random.int(0, 6)) {
    case 0:
      return any;
    case 1:
      return { ...any, owner };
    case 2:
      return { ...any, owner, customer: random.pick(CUSTOMERS) };
    case 3:
      return { ...any, namespace };
    case 4:
      return { ...any, owner, namespace, recordIds: [id] };
    case 5:
      return { ...any, owner, mails: [mail ?? 'jo@example.org'] };
    default:
      return {
        ...any,
        owner,
        triggerFrom: START_MS + random.int(-4, -1) * DAY_MS,
        triggerBefore: START_MS + random.int(0, 2) * DAY_MS,
      };
  }
}
