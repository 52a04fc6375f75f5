/** What changes the rules of the game in a life of chance: other versions of a policy, other purge dates, customers who leave. */
import type { Random } from '../engine/random.ts';
import type { PolicyFacts, RuleFacts } from '../judge/observations.ts';
import { NO_ARCHIVE } from '../judge/policy-versions.ts';
import { ASKERS, decisions } from './random-decisions.ts';
import { CUSTOMERS, OWNERS } from './random-records.ts';
import { DAYS, someTime } from './random-times.ts';
import { type Act, DAY_MS, HOUR_MS, type RecordPlan, type Scenario, type ScriptedAct } from './scenario.ts';

/** Shorter or longer than what is in force, and the longest is over within a life. */
export function publications(random: Random, policies: Scenario['policies']): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  for (let left = random.pick([0, 0, 0, 1, 1, 2]); left > 0; left--) {
    const { facts, version } = random.pick(policies);
    const act: Act = { what: 'publish', policy: changed(facts, random), version, as: random.pick(ASKERS) };
    script.push(...asked(random, act, someTime(random)));
    // Another one takes its place, or the one before comes back.
    if (random.chance(0.15)) {
      const policy = random.chance(0.5) ? facts : changed(facts, random);
      script.push(...asked(random, { what: 'publish', policy, version, as: random.pick(ASKERS) }, someTime(random)));
    }
  }
  return inLife(script);
}

function changed(facts: PolicyFacts, random: Random): PolicyFacts {
  const rule = (one: RuleFacts): RuleFacts => ({
    ...one,
    retainDays: one.retainDays === null ? null : random.int(2, 6),
    deleteDays: one.deleteDays === null ? null : random.int(1, 4),
  });
  return {
    ...facts,
    activeDays: facts.expires === true ? 0 : random.int(1, 3),
    archiveDays: random.int(2, 4),
    dueWindowDays: random.int(1, 2),
    ...(facts.latestDays === undefined ? {} : { latestDays: random.int(2, 4) }),
    ...(facts.rules === undefined || random.chance(0.5) ? {} : { rules: facts.rules.map(rule) }),
    ...(facts.does === 'delete' || facts.does === 'treat' ? NO_ARCHIVE : {}),
  };
}

/** To a date before or after the one that they have; some while the same archives are sealed, cleared or purged. */
export function movedDates(random: Random, policies: Scenario['policies']): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  for (let left = random.pick([0, 0, 0, 0, 0, 1, 1, 2]); left > 0; left--) {
    const at = someTime(random);
    const owner = random.chance(0.5) ? random.pick(OWNERS) : null;
    const act: Act = {
      what: 'reschedule',
      policy: random.pick(policies).facts.name,
      owner,
      customer: owner !== null && random.chance(0.5) ? random.pick(CUSTOMERS) : null,
      toDays: at / DAY_MS + random.pick([-1, 0, 1, 2, 5, 7]),
      as: random.pick(ASKERS),
    };
    script.push(...asked(random, act, at));
  }
  return inLife(script);
}

/** Everything is handed over, with or without what the vault holds; then, once another person let it go, it is destroyed. */
export function leaving(random: Random, records: readonly RecordPlan[]): ScriptedAct[] {
  if (!random.chance(0.12)) return [];
  const { owner, tenant } = random.pick(records);
  const of = { name: 'leaving', owner: owner ?? OWNERS[0], customer: tenant ?? CUSTOMERS[0] };
  const wait = random.chance(0.5);
  const at = HOUR_MS + random.int(0, 3 * DAY_MS);
  const act: Act = { what: 'offboard', name: of.name, withoutArchives: random.chance(0.6), as: random.pick(ASKERS) };
  const script: ScriptedAct[] = [{ at, act: { what: 'export', ...of, wait } }];
  const from = at + (wait ? 9 * HOUR_MS : 0) + random.int(0, 2 * HOUR_MS);
  script.push({ at: from, act }, ...decisions(random, from));
  for (let again = 1; again <= 4; again++)
    script.push({ at: from + again * 9 * HOUR_MS + random.int(0, HOUR_MS), act });
  // What came since is in a second export, and its offboarding goes on instead.
  if (random.chance(0.2)) script.push({ at: from + 20 * HOUR_MS, act: { what: 'export', ...of, wait: false } });
  return inLife(script);
}

/** It is asked for, somebody decides, and the same is done again once or twice. */
function asked(random: Random, act: Act, at: number): ScriptedAct[] {
  const script: ScriptedAct[] = [{ at, act }];
  if (random.chance(0.85)) script.push(...decisions(random, at));
  for (let again = random.int(1, 2); again > 0; again--) script.push({ at: at + random.int(0, 8 * HOUR_MS), act });
  return script;
}

function inLife(script: readonly ScriptedAct[]): ScriptedAct[] {
  return script.filter(({ at }) => at < DAYS * DAY_MS);
}
