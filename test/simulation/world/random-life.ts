/** A scenario from a seed: some records, some work, some people and some weather, all at once and close together. */
import type { FaultKind } from '../engine/calls.ts';
import { FAULT_KINDS } from '../engine/calls.ts';
import { Random } from '../engine/random.ts';
import { leaving, movedDates, publications } from './random-changes.ts';
import { reviews, someApprovals } from './random-decisions.ts';
import { withFamilies } from './random-families.ts';
import { people, quarantine } from './random-people.ts';
import { somePolicies } from './random-policies.ts';
import { latecomer, OWNERS, someRecord, someRecords } from './random-records.ts';
import { schedules } from './random-schedules.ts';
import { BUSY_MS, DAYS, ROUND_MS, someTime } from './random-times.ts';
import { type Act, DAY_MS, HOUR_MS, type RecordPlan, type Scenario, type ScriptedAct } from './scenario.ts';

/** Who is not here has no account. */
const ACCOUNT_PLANS = { north: 'long' };

export function randomLife(seed: number): Scenario {
  const random = new Random(seed);
  const policies = somePolicies(random.branch('policies'));
  const approvals = someApprovals(random.branch('approvals'));
  const until = random.branch('until');
  const records = [...someRecords(random.branch('records'), policies), ...policies.flatMap(latecomer)];
  const script = [
    ...rounds(random.branch('rounds'), policies),
    ...application(random.branch('application'), records, policies),
    ...people(random.branch('people'), records, policies),
    ...world(random.branch('world')),
    ...quarantine(random.branch('quarantine')),
    ...schedules(random.branch('schedules'), records, policies),
    ...publications(random.branch('publications'), policies),
    ...movedDates(random.branch('moved dates'), policies),
    ...leaving(random.branch('leaving'), records),
    ...(approvals === null ? [] : reviews(random.branch('reviews'), approvals)),
  ].sort((a, b) => a.at - b.at);
  const weather = random.branch('weather');
  const isSlow = weather.chance(0.15);
  const life: Scenario = {
    seed,
    days: DAYS,
    policies,
    ...(policies.some(({ facts }) => facts.longDays !== undefined || facts.expires === true)
      ? { accounts: ACCOUNT_PLANS, until: until.chance(0.7) ? { north: until.int(-30, 30) / 10 } : {} }
      : {}),
    ...(approvals === null ? {} : { approvals }),
    owners: OWNERS,
    workers: weather.int(1, 3),
    records,
    script,
    latencyMs: isSlow ? [5, 300] : [1, 40],
    faults: {
      by: 'chance',
      weather: {
        perMillion: weather.pick([0, 300, 1_000, 3_000, 8_000, 20_000]),
        outagesPerMillion: weather.pick([0, 0, 100, 400]),
        without: withoutSome(weather),
      },
    },
  };
  return withFamilies(life, random.branch('families'));
}

/** Most lives have a few kinds of faults only: with all at once, none goes deep. */
function withoutSome(random: Random): readonly FaultKind[] {
  // A file that stays for ever can never be confirmed; few lives are about that.
  const rare: readonly FaultKind[] = random.chance(0.1) ? [] : ['stays'];
  if (random.chance(0.3)) return rare;
  return [...rare, ...FAULT_KINDS.filter(() => random.chance(0.6))];
}

/** The daemons' calendar, and now and then a person who runs the same by hand at the same time. */
function rounds(random: Random, policies: Scenario['policies']): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  for (let at = HOUR_MS; at < DAYS * DAY_MS; at += ROUND_MS) {
    for (const { facts } of policies) {
      script.push({ at, act: { what: 'sweep', policy: facts.name, flush: random.chance(0.6) } });
      if (random.chance(0.2)) {
        const expired = random.chance(0.5);
        const act: Act = { what: 'run', policy: facts.name, flush: random.chance(0.5), expired };
        script.push({ at: at + random.int(0, BUSY_MS), act });
      }
    }
    const purgeAt = at + (random.chance(0.5) ? random.int(0, BUSY_MS) : HOUR_MS);
    script.push({ at: purgeAt, act: { what: 'queue', queue: 'purge' } });
    if (random.chance(0.15)) script.push({ at: purgeAt + random.int(0, BUSY_MS), act: { what: 'purge' } });
    script.push({ at: at + 2 * HOUR_MS, act: { what: 'queue', queue: 'reconcile' } });
    if (random.chance(0.1)) script.push({ at: at + 2 * HOUR_MS + random.int(0, BUSY_MS), act: { what: 'reconcile' } });
    script.push({ at: at + 3 * HOUR_MS, act: { what: 'queue', queue: 'retrieve' } });
    script.push({ at: at + random.int(0, 6 * HOUR_MS), act: { what: 'watchdog' } });
  }
  return script;
}

function application(random: Random, records: readonly RecordPlan[], policies: Scenario['policies']): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  for (let left = random.int(0, 10); left > 0; left--) {
    const at = someTime(random);
    if (random.chance(0.3)) {
      script.push({ at, act: { what: 'insert', record: someRecord(random, `new${left}`, policies) } });
      continue;
    }
    const { namespace, id } = random.pick(records);
    const what = random.pick(['update', 'update', 'delete'] as const);
    script.push({ at, act: { what, namespace, id } });
    if (what === 'delete' && random.chance(0.6))
      script.push({ at: at + random.int(0, BUSY_MS), act: { what: 'reinsert', namespace, id } });
  }
  return script;
}

function world(random: Random): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  const add = (most: number, make: () => Act) => {
    for (let left = random.int(0, most); left > 0; left--) script.push({ at: someTime(random), act: make() });
  };
  const worker = () => random.int(0, 2);
  add(3, () => ({ what: 'kill', worker: worker(), downMs: 0 }));
  add(1, () => ({ what: 'stop', worker: worker(), downMs: random.int(1_000, 30_000) }));
  add(2, () => ({ what: 'freeze', worker: worker(), ms: random.int(5_000, 15 * 60_000) }));
  add(1, () => ({ what: 'deliver twice' }));
  if (random.chance(0.3)) add(2, () => ({ what: random.pick(['flush queue', 'set queue back'] as const) }));
  if (random.chance(0.2))
    add(2, () => {
      const minutes = random.pick([-20, -2, 3, 30, 5_256_000]);
      return { what: 'set clock', worker: worker(), skewMs: minutes * 60_000, forMs: random.int(60_000, 2 * HOUR_MS) };
    });
  if (random.chance(0.06))
    add(1, () => ({ what: random.pick(['damage file', 'lose file'] as const), pick: random.int(0, 50) }));
  if (random.chance(0.04)) add(1, () => ({ what: 'set ledger back', hours: random.int(6, 40) }));
  // What stops until a person looks rings a bell, and somebody comes on the same day.
  const rings = script.filter(({ act }) => act.what === 'set clock' || act.what === 'set ledger back');
  for (const { at } of rings) script.push({ at: at + random.int(HOUR_MS, 12 * HOUR_MS), act: { what: 'check' } });
  return script;
}
