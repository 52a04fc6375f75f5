/** What moves the date of records in a life of chance: events that come late, accounts that change, exceptions; and what takes a second person. */
import type { Random } from '../engine/random.ts';
import { ASKERS, decisions } from './random-decisions.ts';
import { CUSTOMERS, OWNERS } from './random-records.ts';
import { DAYS, someTime } from './random-times.ts';
import { type Act, DAY_MS, HOUR_MS, type RecordPlan, type Scenario, type ScriptedAct } from './scenario.ts';

/** What moves the date of records: events that come late, accounts that change, exceptions; and what takes a second person. */
export function schedules(
  random: Random,
  records: readonly RecordPlan[],
  policies: Scenario['policies'],
): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  const events = random.branch('events');
  for (const { namespace, id } of records) {
    const waits = policies.some(({ facts }) => facts.namespace === namespace && facts.latestDays !== undefined);
    if (waits && events.chance(0.3)) script.push({ at: someTime(events), act: { what: 'close', namespace, id } });
    const waitsForBoth = policies.some(({ facts }) => facts.namespace === namespace && facts.events !== undefined);
    if (waitsForBoth && events.chance(0.4))
      script.push({ at: someTime(events), act: { what: 'solve', namespace, id } });
  }
  const looksUp = policies.some(({ facts }) => facts.longDays !== undefined || facts.expires === true);
  if (looksUp && events.chance(0.5)) {
    const act = {
      what: 'change account',
      customer: events.pick(CUSTOMERS),
      plan: events.pick(['long', 'short']),
      ...(events.chance(0.7) ? { until: events.int(-20, 50) / 10 } : {}),
    } as const;
    script.push({ at: someTime(events), act });
  }
  const asked = random.branch('asked');
  for (let left = asked.pick([0, 0, 0, 1, 1, 2]); left > 0; left--) {
    const name = `exception-${left}`;
    const at = someTime(asked);
    const act = someException(asked, name, records, policies);
    script.push({ at, act });
    if (asked.chance(0.3)) script.push({ at: at + asked.int(0, HOUR_MS), act });
    if (asked.chance(0.85)) script.push(...decisions(asked, at));
    if (!asked.chance(0.4)) continue;
    const endAt = at + asked.int(0, 3 * DAY_MS);
    const end: Act = { what: 'end an exception', name, as: asked.pick(ASKERS) };
    script.push({ at: endAt, act: end }, ...decisions(asked, endAt), {
      at: endAt + asked.int(0, 8 * HOUR_MS),
      act: end,
    });
  }
  const acts = random.branch('acts');
  if (acts.chance(0.15)) {
    const at = someTime(acts);
    const act: Act = { what: 'purge early', pick: acts.int(0, 20), as: acts.pick(ASKERS) };
    script.push({ at, act }, ...decisions(acts, at), { at: at + acts.int(0, 8 * HOUR_MS), act });
  }
  for (let left = acts.pick([0, 1, 1, 2]); left > 0; left--) script.push(...decisions(acts, someTime(acts)));
  if (acts.chance(0.3)) {
    const at = someTime(acts);
    const { name } = acts.pick(policies).facts;
    const act: Act = { what: 'run', policy: name, flush: true, expired: acts.chance(0.7), as: acts.pick(ASKERS) };
    script.push({ at, act }, ...decisions(acts, at));
    for (let again = acts.int(1, 2); again > 0; again--) script.push({ at: at + acts.int(0, 8 * HOUR_MS), act });
  }
  return script.filter(({ at }) => at < DAYS * DAY_MS);
}

function someException(
  random: Random,
  name: string,
  records: readonly RecordPlan[],
  policies: Scenario['policies'],
): Act {
  const { owner, tenant } = random.pick(records);
  const kind = random.pick(['all', 'owner', 'customer', 'label'] as const);
  const isLonger = random.chance(0.6);
  return {
    what: 'ask for an exception',
    name,
    as: random.pick(ASKERS),
    policy: random.pick(policies).facts.name,
    effect: isLonger ? 'longer' : 'shorter',
    activeDays: isLonger ? random.int(3, 7) : 1,
    owner: kind === 'all' ? null : (owner ?? OWNERS[0]),
    customer: kind === 'customer' ? (tenant ?? CUSTOMERS[0]) : null,
    labels: kind === 'label' ? ['dispute'] : null,
    untilDays: random.chance(0.3) ? random.int(1, DAYS) : null,
  };
}
