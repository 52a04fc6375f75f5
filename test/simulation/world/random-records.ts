/** Records of a life of chance, and whose they are. */
import type { Random } from '../engine/random.ts';
import { DAYS } from './random-times.ts';
import { QUIET_DAYS, type RecordPlan, type Scenario } from './scenario.ts';

export const OWNERS = ['acme', 'zenith'] as const;
export const CUSTOMERS = ['north', 'south'] as const;
const MAILS = ['jo@example.org', 'kim@example.org', null] as const;
/** Days before the end of a life: two rounds and some come after that. */
const LATE_DAYS = 2.75;
/** More than one part of an upload. */
const LARGE_BYTES = 9_000_000;

export function someRecords(random: Random, policies: Scenario['policies']): RecordPlan[] {
  return Array.from({ length: random.int(3, 10) }, (_, number) => someRecord(random, `r${number}`, policies));
}

/**
 * Falls due when all faults are over, so late that its archive period is not over in the end: whatever happened before,
 * and whatever hold is left on other records, it has to be archived.
 */
export function latecomer({ facts }: Scenario['policies'][number]): RecordPlan[] {
  // To verify by inventory may take longer than what is left.
  if (facts.verify === 'inventory') return [];
  const record: RecordPlan = {
    namespace: facts.namespace,
    id: 'late',
    owner: OWNERS[0],
    tenant: CUSTOMERS[0],
    at: DAYS + QUIET_DAYS - LATE_DAYS - facts.activeDays,
    closed: DAYS + QUIET_DAYS - LATE_DAYS - facts.activeDays,
    ...(facts.events === undefined ? {} : { solved: DAYS + QUIET_DAYS - LATE_DAYS - facts.activeDays }),
    mail: null,
    size: 10,
  };
  return [record];
}

export function someRecord(random: Random, name: string, policies: Scenario['policies']): RecordPlan {
  const { facts } = random.pick(policies);
  const isOdd = random.chance(0.08);
  const odd = random.int(0, 3);
  // Mostly due or about to be; some are past their archive period too.
  const at = random.int(-48, 12) / 10 - (random.chance(0.1) ? 6 : 0);
  const events = random.branch(`event of ${name}`);
  const isClosed = facts.latestDays !== undefined && events.chance(0.6);
  const isSolved = facts.events !== undefined && random.branch(`solution of ${name}`).chance(0.6);
  return {
    namespace: facts.namespace,
    id: name,
    owner: isOdd && odd === 0 ? 'ghost' : random.pick(OWNERS.slice(0, random.chance(0.7) ? 1 : 2)),
    tenant: isOdd && odd === 1 ? null : random.pick(CUSTOMERS.slice(0, random.chance(0.7) ? 1 : 2)),
    at: isOdd && odd === 2 ? null : at,
    ...(isClosed ? { closed: at + events.int(0, 20) / 10 } : {}),
    ...(isSolved ? { solved: at + random.branch(`instant of ${name}`).int(0, 25) / 10 } : {}),
    mail: random.pick(MAILS),
    ...(events.chance(0.3) ? { label: 'dispute' } : events.chance(0.5) ? { label: 'vip' } : {}),
    ...(random.branch(`topic of ${name}`).chance(0.3) ? { topic: 'safety' } : {}),
    // A large one makes a file that goes out in parts; few, for they cost a second.
    size: random.chance(0.001) ? LARGE_BYTES : random.pick([10, 200, 3_000]),
  };
}
