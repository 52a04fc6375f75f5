/**
 * Fixed lives, each as small as its acts allow, with every kind of act in one of them; and a crash at each of their
 * calls, and at each pair. Nothing in them is left to chance: latencies are even, and the seed only shifts the servers'
 * clocks.
 *
 * What a process that dies before a call leaves behind, it also leaves when it dies after the one before, but for the
 * instant. So `npm test` cuts after every call and before every tenth, `--crash-points` before each of them, too; and for
 * pairs a crash after each call is enough.
 */
import { Random } from './engine/random.ts';
import type { FamilyFacts, PolicyFacts } from './judge/observations.ts';
import { NO_ARCHIVE } from './judge/policy-versions.ts';
import type { Task } from './lives.ts';
import { live } from './simulate.ts';
import type { ChildPlan } from './world/families.ts';
import { type Act, DAY_MS, HOUR_MS, type RecordPlan, type Scenario, type ScriptedAct } from './world/scenario.ts';

const CHATS = 'data.chats';
const SECOND_MS = 1_000;

const POLICY: PolicyFacts = {
  name: 'chats',
  namespace: CHATS,
  activeDays: 2,
  archiveDays: 1,
  dueWindowDays: 1,
  maxWaitDays: 1,
  graceDays: 2,
  verify: 'checksum',
  limits: { records: 1_000, share: 1 },
};

const NOBODY = {
  owner: null,
  customer: null,
  namespace: null,
  policy: null,
  recordIds: null,
  mails: null,
  triggerFrom: null,
  triggerBefore: null,
};

const SWEEP: Act = { what: 'sweep', policy: 'chats', flush: true };
const PURGE: Act = { what: 'queue', queue: 'purge' };
const RECONCILE: Act = { what: 'queue', queue: 'reconcile' };
const RETRIEVE: Act = { what: 'queue', queue: 'retrieve' };
const GRANT = { what: 'decide', pick: 'all', how: 'grant', as: 'bob' } as const;
const EXCEPTION: Act = {
  what: 'ask for an exception',
  name: 'case',
  policy: 'chats',
  effect: 'longer',
  activeDays: 4,
  owner: 'acme',
  customer: null,
  labels: ['dispute'],
  untilDays: null,
};
const END: Act = { what: 'end an exception', name: 'case' };
const PUBLISH: Act = { what: 'publish', policy: { ...POLICY, archiveDays: 9 }, version: false };
const RESCHEDULE: Act = { what: 'reschedule', policy: 'chats', owner: null, customer: null, toDays: 1 };
const OFFBOARD: Act = { what: 'offboard', name: 'south', withoutArchives: false };
const WATCHDOG: Act = { what: 'watchdog' };

/** After a sweep began: the archive is verified and no record was read again; they were read and none is deleted yet. */
const BEFORE_READ_MS = 30_440;
const BEFORE_DELETE_MS = 30_465;

const FAMILY: FamilyFacts = { children: { collection: `${CHATS}.notes`, parent: '_id' }, files: ['clips', 'logos'] };

/** Each with the kinds of acts that its name says. */
export const ENUMERATED: Readonly<Record<string, Scenario>> = {
  'archive and clear with every outcome, purge, confirm': life(
    POLICY,
    [record('deleted'), record('changed'), record('gone'), record('held', { mail: 'jo@example.org' })],
    [
      [0, { what: 'place hold', name: 'case', scope: { ...NOBODY, owner: 'acme', mails: ['jo@example.org'] } }],
      [HOUR_MS, SWEEP],
      [HOUR_MS + BEFORE_DELETE_MS, { what: 'update', namespace: CHATS, id: 'changed' }],
      [HOUR_MS + BEFORE_READ_MS, { what: 'delete', namespace: CHATS, id: 'gone' }],
      [2 * HOUR_MS, WATCHDOG],
      [DAY_MS, { what: 'release hold', name: 'case' }],
      [DAY_MS + HOUR_MS, GRANT],
      [DAY_MS + 2 * HOUR_MS, { what: 'release hold', name: 'case' }],
      [2 * DAY_MS, PURGE],
      [2 * DAY_MS + 2 * HOUR_MS, RECONCILE],
      [2 * DAY_MS + 8 * HOUR_MS, RECONCILE],
    ],
  ),
  'verify by inventory, retrieve, restore into the source': life(
    { ...POLICY, verify: 'inventory', archiveDays: 10 },
    [record('one'), record('two')],
    [
      [HOUR_MS, SWEEP],
      [DAY_MS + 2 * HOUR_MS, RECONCILE],
      [DAY_MS + 8 * HOUR_MS, RECONCILE],
      [DAY_MS + 12 * HOUR_MS, { what: 'retrieve and restore', pick: 0, intoSource: true, exemptDays: 10 }],
      [DAY_MS + 18 * HOUR_MS, RETRIEVE],
    ],
  ),
  'publish, pause, resume, expire by order, quarantine': life(
    POLICY,
    [
      record('due'),
      record('expired', { at: -5 }),
      record('without trigger', { at: null }),
      record('without customer', { tenant: null }),
    ],
    [
      [0, { what: 'publish', policy: { ...POLICY, graceDays: 3 }, version: false }],
      [HOUR_MS, { what: 'run', policy: 'chats', flush: true, expired: true }],
      [HOUR_MS + 30 * SECOND_MS, { what: 'pause', name: 'wait', target: 'policy', of: 'chats' }],
      [2 * HOUR_MS, { what: 'resume', name: 'wait', target: 'policy', of: 'chats' }],
      [2 * HOUR_MS + 60 * SECOND_MS, { what: 'run', policy: 'chats', flush: true, expired: true }],
      [2 * HOUR_MS + 120 * SECOND_MS, GRANT],
      [2 * HOUR_MS + 180 * SECOND_MS, { what: 'run', policy: 'chats', flush: true, expired: true }],
      [3 * HOUR_MS, { what: 'settle quarantine', pick: 0, how: 'retry' }],
      [4 * HOUR_MS, { what: 'settle quarantine', pick: 1, how: 'dispose' }],
      [5 * HOUR_MS, WATCHDOG],
    ],
  ),
  'an event, a look-up, exceptions that come and end, an early purge': {
    ...life(
      { ...POLICY, latestDays: 6, longDays: 3, archiveDays: 10 },
      [record('closed', { closed: -2.1, tenant: 'south' }), record('kept', { closed: -2.1, label: 'dispute' })],
      [
        [0, EXCEPTION],
        [60 * SECOND_MS, GRANT],
        [HOUR_MS, SWEEP],
        [2 * HOUR_MS, { what: 'insert', record: record('open', { at: -3, tenant: 'south' }) }],
        [3 * HOUR_MS, { what: 'close', namespace: CHATS, id: 'open' }],
        [4 * HOUR_MS, { what: 'change account', customer: 'north', plan: 'short' }],
        [5 * HOUR_MS, END],
        [6 * HOUR_MS, GRANT],
        [7 * HOUR_MS, END],
        [8 * HOUR_MS, { what: 'purge early', pick: 0 }],
        [9 * HOUR_MS, GRANT],
        [10 * HOUR_MS, { what: 'purge early', pick: 0 }],
        [11 * HOUR_MS, WATCHDOG],
      ],
    ),
    accounts: { north: 'long' },
  },
  'children, files, one that comes late and goes with an addendum': {
    ...life(
      { ...POLICY, archiveDays: 10, family: FAMILY },
      [record('root', { family: { ref: 'ref-root', clips: [{ key: 'clip' }], logos: ['logo'] } })],
      [
        [HOUR_MS, SWEEP],
        [HOUR_MS + 10 * SECOND_MS, { what: 'insert child', child: child('late', 'root') }],
        [2 * HOUR_MS, WATCHDOG],
        [3 * HOUR_MS, WATCHDOG],
      ],
    ),
    children: [child('note', 'root')],
    files: [
      { kind: 'clips', key: 'clip', size: 10 },
      { kind: 'logos', key: 'logo', size: 10 },
    ],
  },
  'delete records with their children and files': {
    ...life(
      { ...POLICY, ...NO_ARCHIVE, does: 'delete', family: { ...FAMILY, files: ['sheets'] } },
      [record('root', { family: { ref: 'ref-root', sheets: ['sheet'] } })],
      [
        [HOUR_MS, SWEEP],
        [2 * HOUR_MS, WATCHDOG],
      ],
    ),
    children: [child('note', 'root')],
    files: [{ kind: 'sheets', key: 'sheet', size: 10 }],
  },
  'a version that deletes more, an earlier purge date, a review in two stages, a customer who leaves': {
    ...life(
      { ...POLICY, archiveDays: 10 },
      [record('kept'), record('leaving', { at: -0.5, tenant: 'south' })],
      [
        [0, PUBLISH],
        [60 * SECOND_MS, GRANT],
        [120 * SECOND_MS, PUBLISH],
        [HOUR_MS, SWEEP],
        [2 * HOUR_MS, RESCHEDULE],
        [3 * HOUR_MS, GRANT],
        [4 * HOUR_MS, RESCHEDULE],
        [5 * HOUR_MS, { what: 'export', name: 'south', owner: 'acme', customer: 'south', wait: false }],
        [6 * HOUR_MS, OFFBOARD],
        [7 * HOUR_MS, GRANT],
        [8 * HOUR_MS, OFFBOARD],
        [DAY_MS + HOUR_MS, PURGE],
        [DAY_MS + 2 * HOUR_MS, { ...GRANT, kind: 'purge' }],
        [DAY_MS + 3 * HOUR_MS, { ...GRANT, as: 'cleo', kind: 'purge' }],
        [DAY_MS + 4 * HOUR_MS, PURGE],
        [DAY_MS + 8 * HOUR_MS, RECONCILE],
        [DAY_MS + 14 * HOUR_MS, RECONCILE],
      ],
    ),
    approvals: { people: [], purgeStages: [['bob'], ['cleo']] },
  },
};

function child(id: string, of: string): ChildPlan {
  return { namespace: `${CHATS}.notes`, id, of, owner: 'acme', tenant: 'north', size: 10 };
}

function record(id: string, change: Partial<RecordPlan> = {}): RecordPlan {
  return { namespace: CHATS, id, owner: 'acme', tenant: 'north', at: -2.1, mail: null, size: 10, ...change };
}

function life(facts: PolicyFacts, records: readonly RecordPlan[], acts: readonly (readonly [number, Act])[]): Scenario {
  const days = Math.ceil(Math.max(...acts.map(([at]) => at)) / DAY_MS);
  // The ledger stops after a day and a half in which nobody came by.
  const checks = Array.from({ length: days }, (_, day) => [day * DAY_MS + 20 * HOUR_MS, { what: 'check' }] as const);
  const script: ScriptedAct[] = [...acts, ...checks].map(([at, act]) => ({ at, act }));
  return {
    seed: 1,
    days,
    policies: [{ facts, version: false }],
    owners: ['acme'],
    workers: 1,
    records,
    script,
    latencyMs: [5, 5],
    faults: { by: 'list', list: [] },
    quiet: { days: 4, roundMs: DAY_MS },
  };
}

function crashing(name: string, scenario: Scenario, at: readonly number[], kind: 'crash before' | 'crash after'): Task {
  return {
    name: `${name}: ${kind} ${at.join(' and ')}`,
    scenario: { ...scenario, faults: { by: 'crashes', at, kind } },
  };
}

/** How many calls each life makes while it may crash. */
export async function callsOf(scenario: Scenario): Promise<number> {
  const { calls, violations } = await live(scenario);
  const [violation] = violations;
  if (violation !== undefined) throw new Error(`Without a crash: ${violation.property}: ${violation.text}`);
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}

/** Every crash point of every enumerated life alone: after each call, and before each call, or the first of every so many. */
export async function crashPoints(beforeEvery = 1): Promise<readonly Task[]> {
  const tasks: Task[] = [];
  for (const [name, scenario] of Object.entries(ENUMERATED)) {
    const calls = await callsOf(scenario);
    for (let at = 1; at <= calls; at++) {
      if ((at - 1) % beforeEvery === 0) tasks.push(crashing(name, scenario, [at], 'crash before'));
      tasks.push(crashing(name, scenario, [at], 'crash after'));
    }
  }
  return tasks;
}

/**
 * Every pair of crash points: after each call of an enumerated life, and then after each later call of what takes over,
 * for as many calls as the life makes when it is cut once.
 */
export async function crashPairs(): Promise<readonly Task[]> {
  const tasks: Task[] = [];
  for (const [name, scenario] of Object.entries(ENUMERATED)) {
    const calls = await callsOf(scenario);
    for (let first = 1; first <= calls; first++) {
      const once = await live({ ...scenario, faults: { by: 'crashes', at: [first], kind: 'crash after' } });
      const callsThen = Object.values(once.calls).reduce((sum, count) => sum + count, 0);
      for (let second = first + 1; second <= callsThen; second++)
        tasks.push(crashing(name, scenario, [first, second], 'crash after'));
    }
  }
  return tasks;
}

/** So many pairs by the seed, without looking at all: the second crash is at a later call of a life that is not cut. */
export async function somePairs(count: number, seed: number): Promise<readonly Task[]> {
  const random = new Random(seed).branch('pairs');
  const lives = await Promise.all(
    Object.entries(ENUMERATED).map(async ([name, scenario]) => ({ name, scenario, calls: await callsOf(scenario) })),
  );
  return Array.from({ length: count }, () => {
    const { name, scenario, calls } = random.pick(lives);
    const first = random.int(1, calls - 1);
    return crashing(name, scenario, [first, random.int(first + 1, calls)], 'crash after');
  });
}
