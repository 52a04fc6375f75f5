/** Where faults come from: chance, with a memory of what it did; or a list, for replays and enumerations. */
import type { Call, Fault, FaultKind, FaultPlan, PlannedFault, Server } from './calls.ts';
import type { Random } from './random.ts';
import type { Timeline } from './timeline.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** How long a fault lasts, in ms, both ends included. */
const DURATIONS: Partial<Record<FaultKind, readonly [number, number]>> = {
  delay: [SECOND_MS, 4 * MINUTE_MS],
  late: [SECOND_MS, 3 * HOUR_MS],
  stale: [SECOND_MS, HOUR_MS],
  flipped: [1, 100_000],
  'freeze before': [3 * SECOND_MS, 20 * MINUTE_MS],
  'freeze after': [3 * SECOND_MS, 20 * MINUTE_MS],
};

const ANY: readonly FaultKind[] = [
  'error',
  'delay',
  'hang',
  'crash before',
  'crash after',
  'freeze before',
  'freeze after',
];
const WRITE: readonly FaultKind[] = [...ANY, 'lost reply', 'late'];

/** What a method may meet besides {@link ANY}; methods that are not named only read. */
const OF_METHOD: Readonly<Record<string, readonly FaultKind[]>> = {
  insert: WRITE,
  insertMany: [...WRITE, 'partial'],
  replace: WRITE,
  remove: WRITE,
  removeMany: [...WRITE, 'partial'],
  deleteGuarded: [...WRITE, 'partial', 'duplicate'],
  replaceGuarded: [...WRITE, 'partial', 'duplicate'],
  insertMissing: [...WRITE, 'partial'],
  scan: [...ANY, 'stale', 'flipped'],
  partitions: [...ANY, 'stale'],
  summarise: [...ANY, 'stale'],
  readByIds: [...ANY, 'flipped'],
  children: [...ANY, 'flipped'],
  'files.remove': [...WRITE, 'partial', 'duplicate'],
  'files.putBack': WRITE,
  ensure: WRITE,
  storeWhole: [...WRITE, 'duplicate', 'flipped', 'truncated'],
  beginUpload: [...WRITE, 'duplicate'],
  sendPart: [...WRITE, 'duplicate', 'flipped'],
  completeUpload: [...WRITE, 'duplicate'],
  abortUpload: WRITE,
  requestInventory: WRITE,
  requestRetrieval: WRITE,
  readRetrieval: [...ANY, 'flipped', 'truncated', 'wrong bytes'],
  deleteArchive: [...WRITE, 'duplicate', 'stays'],
  deleteAbandoned: WRITE,
};

/** A queue that is away makes its callers wait; it tells no errors (the client sends again when it is back). */
const QUEUE: readonly FaultKind[] = ['delay', 'crash before', 'crash after', 'freeze before', 'freeze after'];

/** What a call can meet. */
export function faultsOf(server: Server, name: string): readonly FaultKind[] {
  if (server === 'queue') return QUEUE;
  const method = server === 'files' ? `files.${name}` : name.slice(name.indexOf('.') + 1);
  return OF_METHOD[method] ?? ANY;
}

export interface Weather {
  /** Calls in a million that meet a fault of their own. */
  readonly perMillion: number;
  /** Kinds that do not occur in this life. */
  readonly without: readonly FaultKind[];
  /** Calls in a million that begin hours in which the vault throttles, or minutes in which credentials are expired or a server is away. */
  readonly outagesPerMillion: number;
}

/** Most calls go to the ledger, and the few to the source and the vault are what it is all about. */
const OUTSIDE_WEIGHT = 5;

/** Until when something is out of order. */
interface Outage {
  readonly server: Server;
  readonly kind: FaultKind;
  readonly until: number;
}

/** Faults by chance. */
export class RandomFaults implements FaultPlan {
  /** What it did so far, in order. */
  readonly done: PlannedFault[] = [];
  readonly #random: Random;
  readonly #timeline: Timeline;
  readonly #weather: Weather;
  #outages: Outage[] = [];
  #isOver = false;

  constructor(random: Random, timeline: Timeline, weather: Weather) {
    this.#random = random;
    this.#timeline = timeline;
    this.#weather = weather;
  }

  /** No fault from now on. */
  end(): void {
    this.#isOver = true;
  }

  decide(call: Call): Fault | null {
    if (this.#isOver) return null;
    const fault = this.#outageOf(call) ?? this.#fresh(call);
    if (fault !== null) this.done.push({ ...fault, process: call.process, call: call.number });
    return fault;
  }

  #fresh({ server, name }: Call): Fault | null {
    if (this.#random.perMillion(this.#weather.outagesPerMillion)) this.#beginOutage(server);
    const weight = server === 'source' || server === 'files' || server === 'vault' ? OUTSIDE_WEIGHT : 1;
    if (!this.#random.perMillion(weight * this.#weather.perMillion)) return null;
    const kinds = faultsOf(server, name).filter((kind) => !this.#weather.without.includes(kind));
    if (kinds.length === 0) return null;
    const kind = this.#random.pick(kinds);
    const [least, most] = DURATIONS[kind] ?? [0, 0];
    return { kind, ms: this.#random.int(least, most) };
  }

  #beginOutage(server: Server): void {
    if (server === 'queue') return;
    const [kind, least, most] =
      server !== 'vault'
        ? (['error', SECOND_MS, 10 * MINUTE_MS] as const)
        : this.#random.chance(0.5)
          ? (['throttled', MINUTE_MS, 5 * HOUR_MS] as const)
          : (['denied', MINUTE_MS, 20 * MINUTE_MS] as const);
    this.#outages.push({ server, kind, until: this.#timeline.now + this.#random.int(least, most) });
  }

  #outageOf({ server }: Call): Fault | null {
    if (this.#outages.length === 0) return null;
    this.#outages = this.#outages.filter(({ until }) => until > this.#timeline.now);
    const outage = this.#outages.find((each) => each.server === server);
    return outage === undefined ? null : { kind: outage.kind, ms: 0 };
  }
}

/** Exactly these faults. */
export class ListedFaults implements FaultPlan {
  readonly #faults: ReadonlyMap<string, Fault>;
  /** Those that came to pass. */
  readonly done: PlannedFault[] = [];
  #isOver = false;

  constructor(list: readonly PlannedFault[]) {
    this.#faults = new Map(list.map((fault) => [placeOf(fault.process, fault.call), fault]));
  }

  /** No fault from now on. */
  end(): void {
    this.#isOver = true;
  }

  decide(call: Call): Fault | null {
    const fault = this.#faults.get(placeOf(call.process, call.number));
    if (fault === undefined || this.#isOver) return null;
    // A replay may have come another way: what this call cannot meet is left out.
    if (!canMeet(call, fault.kind)) return null;
    this.done.push({ ...fault, process: call.process, call: call.number });
    return fault;
  }
}

/** A crash at each of these calls, counted over all processes from 1, whoever makes them. */
export class CrashesAt implements FaultPlan {
  readonly done: PlannedFault[] = [];
  readonly #calls: ReadonlySet<number>;
  readonly #kind: 'crash before' | 'crash after';
  #count = 0;
  #isOver = false;

  constructor(calls: readonly number[], kind: 'crash before' | 'crash after') {
    this.#calls = new Set(calls);
    this.#kind = kind;
  }

  /** No crash from now on. */
  end(): void {
    this.#isOver = true;
  }

  decide(call: Call): Fault | null {
    if (this.#isOver) return null;
    this.#count += 1;
    if (!this.#calls.has(this.#count)) return null;
    const fault: Fault = { kind: this.#kind, ms: 0 };
    this.done.push({ ...fault, process: call.process, call: call.number });
    return fault;
  }
}

function canMeet({ server, name }: Call, kind: FaultKind): boolean {
  if (kind === 'throttled' || kind === 'denied') return server === 'vault';
  return faultsOf(server, name).includes(kind);
}

function placeOf(process: string, call: number): string {
  return `${process} ${call}`;
}
