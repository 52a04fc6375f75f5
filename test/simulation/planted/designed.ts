/** Small scenarios for planted bugs: one daemon, a few due records, a round of work twice a day, and only the trouble that the bug needs. */
import { Random } from '../engine/random.ts';
import type { PolicyFacts, Scope } from '../judge/observations.ts';
import { type Act, DAY_MS, HOUR_MS, type RecordPlan, type Scenario, type ScriptedAct } from '../world/scenario.ts';
import type { Aim, DesignedLife } from './bug.ts';

export const CHATS = 'data.chats';
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
/** The first sweep; the purge and the comparison with the vaults follow, and all again every round. */
export const FIRST_SWEEP_MS = HOUR_MS;
export const ROUND_MS = 12 * HOUR_MS;

/** The write of the first daemon that moves the only archive of a life to `purging`; the next one says that the vault is asked. */
export const PURGE_CLAIMED = 8;

export interface Design {
  readonly policy?: Partial<PolicyFacts>;
  readonly version?: boolean;
  readonly records?: readonly RecordPlan[];
  readonly days?: number;
  readonly workers?: number;
  readonly script?: readonly ScriptedAct[];
  readonly latencyMs?: readonly [number, number];
  readonly faults?: Scenario['faults'];
  readonly aims?: readonly Aim[];
}

const POLICY: PolicyFacts = {
  name: 'chats',
  namespace: CHATS,
  activeDays: 2,
  archiveDays: 3,
  dueWindowDays: 1,
  maxWaitDays: 1,
  graceDays: 2,
  verify: 'checksum',
  limits: { records: 1_000, share: 1 },
};

export function life(seed: number, design: Design = {}): DesignedLife {
  const days = design.days ?? 5;
  const script = [...rounds(days), ...(design.script ?? [])].sort((a, b) => a.at - b.at);
  return {
    scenario: {
      seed,
      days,
      policies: [{ facts: { ...POLICY, ...design.policy }, version: design.version ?? false }],
      owners: ['acme', 'zenith'],
      workers: design.workers ?? 1,
      records: design.records ?? [record('r0', -3), record('r1', -2.9), record('r2', -2.8)],
      script,
      latencyMs: design.latencyMs ?? [1, 40],
      faults: design.faults ?? { by: 'list', list: [] },
    },
    aims: design.aims ?? [],
  };
}

/** `at`: days before (negative) or after the first instant. Active for two days, as the policy above has it. */
export function record(id: string, at: number | null, more: Partial<RecordPlan> = {}): RecordPlan {
  return { namespace: CHATS, id, owner: 'acme', tenant: 'north', at, mail: 'jo@example.org', size: 50, ...more };
}

export function scope(of: Partial<Scope> = {}): Scope {
  return {
    owner: null,
    customer: null,
    namespace: null,
    policy: null,
    recordIds: null,
    mails: null,
    triggerFrom: null,
    triggerBefore: null,
    ...of,
  };
}

export const hold = (of: Partial<Scope> = {}, name = 'case-1'): Act => ({ what: 'place hold', name, scope: scope(of) });
/** By another person than who asks. */
export const grantAll: Act = { what: 'decide', pick: 'all', how: 'grant', as: 'bob' };
export const pauseAll: Act = { what: 'pause', name: 'pause-1', target: 'all', of: null };
export const update = (id: string): Act => ({ what: 'update', namespace: CHATS, id });
export const remove = (id: string): Act => ({ what: 'delete', namespace: CHATS, id });
export const reinsert = (id: string): Act => ({ what: 'reinsert', namespace: CHATS, id });
export const reconcileNow: Act = { what: 'queue', queue: 'reconcile' };
export const purgeNow: Act = { what: 'queue', queue: 'purge' };
export const sweepNow: Act = { what: 'sweep', policy: 'chats', flush: true };

/** A draw that a life's design makes by its seed. */
export function draw(seed: number, from: number, to: number, name = 'design'): number {
  const random = new Random(Math.imul(seed, 0x9e3779b1)).branch(name);
  // The first number of seeds that differ in a few bits differs little.
  random.int(from, to);
  return random.int(from, to);
}

function rounds(days: number): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  for (let at = FIRST_SWEEP_MS; at < days * DAY_MS; at += ROUND_MS) {
    script.push({ at, act: sweepNow });
    script.push({ at: at + HOUR_MS, act: purgeNow });
    script.push({ at: at + 2 * HOUR_MS, act: reconcileNow });
    script.push({ at: at + 3 * HOUR_MS, act: { what: 'queue', queue: 'retrieve' } });
    script.push({ at: at + 4 * HOUR_MS, act: { what: 'watchdog' } });
  }
  return script;
}
