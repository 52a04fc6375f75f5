/** A scenario from a seed: some records, some work, some people and some weather, all at once and close together. */
import type { FaultKind } from '../engine/calls.ts';
import { FAULT_KINDS } from '../engine/calls.ts';
import { Random } from '../engine/random.ts';
import { NO_ARCHIVE } from '../judge/ledger-changes.ts';
import type { PolicyFacts, Scope } from '../judge/observations.ts';
import {
  type Act,
  DAY_MS,
  HOUR_MS,
  QUIET_DAYS,
  type RecordPlan,
  type Scenario,
  type ScriptedAct,
  START_MS,
} from './scenario.ts';

const OWNERS = ['acme', 'zenith'] as const;
const CUSTOMERS = ['north', 'south'] as const;
/** Who is not here has no account. */
const ACCOUNT_PLANS = { north: 'long' };
/** Who asks for what takes a second person; the second of them also decides, and now and then about what they asked for. */
const ASKERS = ['ann', 'ann', 'bob'] as const;
const MAILS = ['jo@example.org', 'kim@example.org', null] as const;
const CHATS = 'data.chats';
const CALLS = 'data.calls';
const DAYS = 6;
const ROUND_MS = 12 * HOUR_MS;
/** Days before the end of a life: two rounds and some come after that. */
const LATE_DAYS = 2.75;
/** What a round of work takes: whatever is to meet it happens within this. */
const BUSY_MS = 20_000;
/** More than one part of an upload. */
const LARGE_BYTES = 9_000_000;

export function randomLife(seed: number): Scenario {
  const random = new Random(seed);
  const policies = somePolicies(random.branch('policies'));
  const records = [...someRecords(random.branch('records'), policies), ...policies.flatMap(latecomer)];
  const script = [
    ...rounds(random.branch('rounds'), policies),
    ...application(random.branch('application'), records, policies),
    ...people(random.branch('people'), records, policies),
    ...world(random.branch('world')),
    ...quarantine(random.branch('quarantine')),
    ...schedules(random.branch('schedules'), records, policies),
  ].sort((a, b) => a.at - b.at);
  const weather = random.branch('weather');
  const isSlow = weather.chance(0.15);
  return {
    seed,
    days: DAYS,
    policies,
    ...(policies.some(({ facts }) => facts.longDays !== undefined) ? { accounts: ACCOUNT_PLANS } : {}),
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
}

/** Most lives have a few kinds of faults only: with all at once, none goes deep. */
function withoutSome(random: Random): readonly FaultKind[] {
  // A file that stays for ever can never be confirmed; few lives are about that.
  const rare: readonly FaultKind[] = random.chance(0.1) ? [] : ['stays'];
  if (random.chance(0.3)) return rare;
  return [...rare, ...FAULT_KINDS.filter(() => random.chance(0.6))];
}

function somePolicies(random: Random): Scenario['policies'] {
  const of = (name: string, namespace: string): PolicyFacts => ({
    name,
    namespace,
    activeDays: 2,
    archiveDays: random.int(2, 3),
    dueWindowDays: random.int(1, 2),
    maxWaitDays: 1,
    graceDays: 2,
    verify: random.chance(0.35) ? 'inventory' : 'checksum',
    limits: { records: 1_000, share: 1 },
  });
  const chats = { facts: of('chats', CHATS), version: random.chance(0.25) };
  const policies = random.chance(0.3) ? [chats, { facts: of('calls', CALLS), version: false }] : [chats];
  const dispositions = random.branch('dispositions');
  const times = random.branch('times');
  return policies.map(({ facts, version }) => ({ facts: timed(disposing(facts, dispositions), times), version }));
}

/** Some policies wait for an event, some look the period up, and some let a run take two records only. */
function timed(facts: PolicyFacts, random: Random): PolicyFacts {
  return {
    ...facts,
    ...(random.chance(0.25) ? { latestDays: random.int(2, 4) } : {}),
    ...(random.chance(0.2) ? { longDays: facts.activeDays + random.int(1, 3) } : {}),
    ...(random.chance(0.08) ? { limits: { records: 2, share: 1 } } : {}),
  };
}

/** Some policies delete, treat, or archive and then treat. */
function disposing(facts: PolicyFacts, random: Random): PolicyFacts {
  const treat = [
    { field: 'mail', how: random.pick(['pseudonymise', 'pseudonymise', 'anonymise', 'redact'] as const) },
    { field: 'text', how: 'redact' as const },
  ];
  const does = random.pick([null, null, null, null, 'delete', 'treat', 'treat', 'archive and treat'] as const);
  if (does === null) return facts;
  if (does === 'archive and treat') return { ...facts, does, treat };
  const without = { ...facts, ...NO_ARCHIVE, verify: 'checksum' as const, does };
  return does === 'treat' ? { ...without, treat } : without;
}

function someRecords(random: Random, policies: Scenario['policies']): RecordPlan[] {
  return Array.from({ length: random.int(3, 10) }, (_, number) => someRecord(random, `r${number}`, policies));
}

/**
 * Falls due when all faults are over, so late that its archive period is not over in the end: whatever happened before,
 * and whatever hold is left on other records, it has to be archived.
 */
function latecomer({ facts }: Scenario['policies'][number]): RecordPlan[] {
  // To verify by inventory may take longer than what is left.
  if (facts.verify === 'inventory') return [];
  const record: RecordPlan = {
    namespace: facts.namespace,
    id: 'late',
    owner: OWNERS[0],
    tenant: CUSTOMERS[0],
    at: DAYS + QUIET_DAYS - LATE_DAYS - facts.activeDays,
    closed: DAYS + QUIET_DAYS - LATE_DAYS - facts.activeDays,
    mail: null,
    size: 10,
  };
  return [record];
}

function someRecord(random: Random, name: string, policies: Scenario['policies']): RecordPlan {
  const { facts } = random.pick(policies);
  const isOdd = random.chance(0.08);
  const odd = random.int(0, 3);
  // Mostly due or about to be; some are past their archive period too.
  const at = random.int(-48, 12) / 10 - (random.chance(0.1) ? 6 : 0);
  const events = random.branch(`event of ${name}`);
  const isClosed = facts.latestDays !== undefined && events.chance(0.6);
  return {
    namespace: facts.namespace,
    id: name,
    owner: isOdd && odd === 0 ? 'ghost' : random.pick(OWNERS.slice(0, random.chance(0.7) ? 1 : 2)),
    tenant: isOdd && odd === 1 ? null : random.pick(CUSTOMERS.slice(0, random.chance(0.7) ? 1 : 2)),
    at: isOdd && odd === 2 ? null : at,
    ...(isClosed ? { closed: at + events.int(0, 20) / 10 } : {}),
    mail: random.pick(MAILS),
    ...(events.chance(0.3) ? { label: 'dispute' } : {}),
    // A large one makes a file that goes out in parts; few, for they cost a second.
    size: random.chance(0.001) ? LARGE_BYTES : random.pick([10, 200, 3_000]),
  };
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

/** During a round of work, or at any time. */
function someTime(random: Random): number {
  const round = HOUR_MS + ROUND_MS * random.int(0, (DAYS * DAY_MS) / ROUND_MS - 2);
  const isBusy = random.chance(0.75);
  if (!isBusy) return round + random.int(0, ROUND_MS);
  return round + random.pick([0, 0, 2 * HOUR_MS, HOUR_MS]) + random.int(0, BUSY_MS);
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

function people(random: Random, records: readonly RecordPlan[], policies: Scenario['policies']): ScriptedAct[] {
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
  for (let left = random.pick([0, 0, 0, 1, 1, 2]); left > 0; left--) {
    const { facts, version } = random.pick(policies);
    // Shorter or longer than what is in force, and the longest is over within a life.
    const changed = {
      ...facts,
      activeDays: random.int(1, 3),
      archiveDays: random.int(2, 4),
      dueWindowDays: random.int(1, 2),
      ...(facts.latestDays === undefined ? {} : { latestDays: random.int(2, 4) }),
      ...(facts.does === 'delete' || facts.does === 'treat' ? NO_ARCHIVE : {}),
    };
    script.push({ at: someTime(random), act: { what: 'publish', policy: changed, version } });
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

function quarantine(random: Random): ScriptedAct[] {
  return Array.from({ length: random.pick([0, 0, 1, 1, 2, 3]) }, () => ({
    at: someTime(random),
    act: { what: 'settle quarantine', pick: random.int(0, 20), how: random.chance(0.6) ? 'retry' : 'dispose' },
  }));
}

/** What moves the date of records: events that come late, accounts that change, exceptions; and what takes a second person. */
function schedules(random: Random, records: readonly RecordPlan[], policies: Scenario['policies']): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  const events = random.branch('events');
  for (const { namespace, id } of records) {
    const waits = policies.some(({ facts }) => facts.namespace === namespace && facts.latestDays !== undefined);
    if (waits && events.chance(0.3)) script.push({ at: someTime(events), act: { what: 'close', namespace, id } });
  }
  if (policies.some(({ facts }) => facts.longDays !== undefined) && events.chance(0.5)) {
    const act = {
      what: 'change account',
      customer: events.pick(CUSTOMERS),
      plan: events.pick(['long', 'short']),
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

/** Somebody looks at what waits, a while after it was asked for; mostly one who may. */
function decisions(random: Random, after: number): ScriptedAct[] {
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
    owner: kind === 'owner' || kind === 'customer' ? (owner ?? OWNERS[0]) : null,
    customer: kind === 'customer' ? (tenant ?? CUSTOMERS[0]) : null,
    labels: kind === 'label' ? ['dispute'] : null,
    untilDays: random.chance(0.3) ? random.int(1, DAYS) : null,
  };
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
