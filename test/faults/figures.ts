/** What a campaign came to, in numbers. */
import { type Problem, unwitnessed } from './checker/check.ts';
import type { EndState } from './checker/end-state.ts';

/** Counted by those who do it. */
export class Deeds {
  readonly #counts = new Map<string, number>();

  add(deed: string, times = 1): void {
    this.#counts.set(deed, (this.#counts.get(deed) ?? 0) + times);
  }

  of(deed: string): number {
    return this.#counts.get(deed) ?? 0;
  }

  /** Those that begin so, without the beginning. */
  under(prefix: string): Readonly<Record<string, number>> {
    const found = [...this.#counts].filter(([deed]) => deed.startsWith(prefix));
    return Object.fromEntries(found.map(([deed, count]) => [deed.slice(prefix.length), count]).sort());
  }
}

export interface Figures {
  readonly seed: number;
  readonly seconds: number;
  /** `process` or `proxy`: how Redis and MongoDB were taken away. */
  readonly servers: string;
  readonly kills: { readonly random: number; readonly atPoints: number };
  readonly stops: { readonly random: number; readonly atPoints: number };
  /** Times that a process died or froze at each named point. */
  readonly points: Readonly<Record<string, number>>;
  readonly restarts: Readonly<Record<string, number>>;
  readonly redisFlushes: number;
  readonly emulatorFaults: Readonly<Record<string, number>>;
  readonly commands: Readonly<Record<string, number>>;
  readonly writes: Readonly<Record<string, number>>;
  readonly records: Readonly<Record<string, number>>;
  readonly archives: Readonly<Record<string, number>>;
  readonly attempts: Readonly<Record<string, number>>;
  readonly holds: { readonly placed: number; readonly tooLateFor: number };
  readonly certificates: number;
  readonly auditEntries: number;
  /** Purged files that nobody had seen before: not compared record by record. */
  readonly unwitnessed: number;
  readonly settledAfterSeconds: number | null;
  readonly problems: readonly Problem[];
}

export function figuresOf(
  state: EndState,
  deeds: Deeds,
  of: Pick<Figures, 'seed' | 'seconds' | 'servers' | 'settledAfterSeconds' | 'problems'>,
): Figures {
  const { ledger, journal } = state;
  const sum = (outcome: keyof EndState['ledger']['archives'][number]['outcomes']) =>
    ledger.archives.reduce((total, { outcomes }) => total + outcomes[outcome], 0);
  const holds = journal.filter((entry) => entry.kind === 'hold');
  const writes = journal.filter((entry) => entry.kind === 'write');
  return {
    ...of,
    kills: { random: deeds.of('random kill'), atPoints: deeds.of('SIGKILL at a point') },
    stops: { random: deeds.of('random stop'), atPoints: deeds.of('SIGSTOP at a point') },
    points: deeds.under('point: '),
    restarts: deeds.under('restart: '),
    redisFlushes: deeds.of('redis flush'),
    emulatorFaults: deeds.under('fault: '),
    commands: deeds.under('command: '),
    writes: countBy(writes, ({ act, outcome }) => `${act} ${outcome}`),
    records: {
      leftInSource: state.source.length,
      archived: sum('archived'),
      deleted: sum('deleted'),
      changed: sum('changed'),
      held: sum('held'),
      gone: sum('gone'),
      quarantined: sum('quarantined'),
      expired: ledger.expirations.reduce((total, { outcomes }) => total + (outcomes?.deleted ?? 0), 0),
    },
    archives: countBy(ledger.archives, ({ state: is }) => is),
    attempts: countBy(ledger.attempts, ({ state: is }) => is),
    holds: { placed: holds.length, tooLateFor: holds.reduce((total, { tooLate }) => total + tooLate.length, 0) },
    certificates: ledger.certificates.length,
    auditEntries: ledger.audit.reduce((total, { entries }) => total + entries.length, 0),
    unwitnessed: unwitnessed(state),
  };
}

function countBy<T>(items: readonly T[], nameOf: (item: T) => string): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort());
}

/** For people. */
export function figuresText(figures: Figures): string {
  const { problems, ...facts } = figures;
  const lines = Object.entries(facts).map(([name, value]) => {
    const text =
      typeof value === 'object' && value !== null
        ? Object.entries(value)
            .map(([key, count]) => `${key} ${count}`)
            .join(', ')
        : String(value);
    return `${name.padEnd(NAME_WIDTH)}${text}`;
  });
  const found = problems.map(({ promise, text }) => `  promise ${promise}: ${text}`);
  const more = found.length > SHOWN ? [`  ... and ${found.length - SHOWN} more`] : [];
  return [...lines, `${'problems'.padEnd(NAME_WIDTH)}${problems.length}`, ...found.slice(0, SHOWN), ...more].join('\n');
}

const NAME_WIDTH = 22;
const SHOWN = 30;
