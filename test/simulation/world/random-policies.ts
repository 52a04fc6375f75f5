/** Policies of a life of chance. */
import type { Random } from '../engine/random.ts';
import type { PolicyFacts, RuleFacts, RuleScope } from '../judge/observations.ts';
import { NO_ARCHIVE } from '../judge/policy-versions.ts';
import { CUSTOMERS, OWNERS } from './random-records.ts';
import type { Scenario } from './scenario.ts';

const CHATS = 'data.chats';
const CALLS = 'data.calls';

export function somePolicies(random: Random): Scenario['policies'] {
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
  const tiers = random.branch('tiers');
  const rules = random.branch('rules');
  return policies.map(({ facts, version }) => {
    return { facts: tiered(ruled(timed(disposing(facts, dispositions), times), rules), tiers), version };
  });
}

/** Some have tiers, so that records of several due windows lie next to each other; more of those whose clearing waits for an inventory. */
function tiered(facts: PolicyFacts, random: Random): PolicyFacts {
  const isTiered = random.chance(facts.verify === 'inventory' ? 0.5 : 0.15);
  const vipDays = facts.activeDays + random.int(1, 3);
  return isTiered && facts.longDays === undefined && facts.expires === undefined ? { ...facts, vipDays } : facts;
}

/** Some policies wait for two events, some look the due date itself up, and some have rules besides. */
function ruled(facts: PolicyFacts, random: Random): PolicyFacts {
  const several = { ...facts, events: ['closed', 'solved'] };
  const waiting = facts.latestDays !== undefined && random.chance(0.4) ? several : facts;
  const { longDays: _, events: __, ...plain } = waiting;
  const dated = { ...plain, activeDays: 0, expires: true as const, latestDays: random.int(2, 4) };
  const base = random.chance(0.12) ? dated : waiting;
  return random.chance(0.25) ? { ...base, rules: someRules(random) } : base;
}

/** Of each kind one at most: all of them may meet one record. */
function someRules(random: Random): readonly RuleFacts[] {
  const nobody = { owner: null, customer: null, topic: null };
  const of = (scope: RuleScope, about: Partial<Pick<RuleFacts, 'owner' | 'customer' | 'topic'>>): RuleFacts => {
    const says = random.pick(['retain', 'delete', 'both'] as const);
    return {
      ...{ ...nobody, ...about, name: `for-${scope}`, scope },
      retainDays: says === 'delete' ? null : random.int(2, 6),
      deleteDays: says === 'retain' ? null : random.int(1, 4),
    };
  };
  const all = [
    of('organisation', {}),
    of('owner', { owner: random.pick(OWNERS) }),
    of('customer', { customer: random.pick(CUSTOMERS) }),
    of('dataset', {}),
    of('label', { topic: 'safety' }),
  ];
  const some = all.filter(() => random.chance(0.4));
  return some.length > 0 ? some : all.slice(-1);
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
