/** Runs: a small record of each command that acted (run, purge, reconcile), for `status` and the dashboard. The audit chain is the proof. */
import type { Json } from '../canonical-json.ts';
import type { Clock } from '../clock.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface RunDocument extends LedgerDocument {
  readonly command: 'run' | 'purge' | 'reconcile';
  /** Person or worker. */
  readonly by: string;
  readonly asOf: Date | null;
  readonly policies: readonly string[];
  /** `running` without an end may also be a process that was killed. */
  readonly state: 'running' | 'done' | 'failed';
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  /** What it came to: counts and ids. */
  readonly totals: Json;
  /** Code of the error that ended it, else null. */
  readonly error: string | null;
}

const RUNS = 'runs';

export const RUNS_INDEXES: readonly LedgerIndex[] = [
  { collection: RUNS, keys: { startedAt: -1, _id: 1 } },
  { collection: RUNS, keys: { command: 1, startedAt: -1 } },
];

export async function startRun(
  store: Store,
  clock: Clock,
  run: Pick<RunDocument, 'command' | 'by' | 'asOf' | 'policies'> & { readonly id: string },
): Promise<void> {
  const { id, ...facts } = run;
  const open = { state: 'running', startedAt: clock.now(), endedAt: null, totals: null, error: null } as const;
  await runs(store).insert({ _id: id, v: LEDGER_VERSION, ...facts, ...open });
}

/** Idempotent: the first end stands. */
export async function endRun(
  store: Store,
  clock: Clock,
  id: string,
  end: { readonly totals: Json; readonly error?: string | null },
): Promise<void> {
  const error = end.error ?? null;
  await update(runs(store), id, (run) =>
    run.state === 'running'
      ? {
          ...run,
          state: error === null ? ('done' as const) : ('failed' as const),
          endedAt: clock.now(),
          totals: end.totals,
          error,
        }
      : null,
  );
}

/** Newest first. */
export function latestRuns(
  store: Store,
  query: { readonly limit: number; readonly command?: RunDocument['command'] },
): AsyncIterable<RunDocument> {
  const filter = query.command === undefined ? {} : { command: query.command };
  return runs(store).find(filter, { sort: { startedAt: -1, _id: 1 }, limit: query.limit });
}

function runs(store: Store): StoreCollection<RunDocument> {
  return readableCollection<RunDocument>(store, RUNS);
}
