/** Runs as the console shows them. */
import type { Json } from '../../canonical-json.ts';
import { latestRuns, type RunDocument } from '../../ledger/runs.ts';
import type { Store } from '../../ledger/store.ts';

export type RunView = Pick<
  RunDocument,
  'command' | 'by' | 'asOf' | 'policies' | 'state' | 'startedAt' | 'endedAt' | 'error'
> & {
  readonly id: string;
  /** What it came to: the counts of the run's totals that are not zero. */
  readonly counts: Readonly<Record<string, number>>;
};

export async function latestRunViews(store: Store, limit: number): Promise<readonly RunView[]> {
  const views: RunView[] = [];
  for await (const run of latestRuns(store, { limit })) views.push(toView(run));
  return views;
}

/** Far enough back for the daily runs of a month. */
const RUNS_LOOKED_AT = 500;

/** When a run that took in the policy last ended well, by policy name. */
export async function lastGoodRuns(store: Store): Promise<ReadonlyMap<string, Date>> {
  const last = new Map<string, Date>();
  for await (const { state, endedAt, policies } of latestRuns(store, { limit: RUNS_LOOKED_AT, command: 'run' })) {
    if (state !== 'done' || endedAt === null) continue;
    for (const policy of policies) if ((last.get(policy) ?? endedAt) <= endedAt) last.set(policy, endedAt);
  }
  return last;
}

function toView(run: RunDocument): RunView {
  const { _id, command, by, asOf, policies, state, startedAt, endedAt, error, totals } = run;
  return { id: _id, command, by, asOf, policies, state, startedAt, endedAt, error, counts: countsOf(totals) };
}

function countsOf(totals: Json): Readonly<Record<string, number>> {
  if (typeof totals !== 'object' || totals === null || Array.isArray(totals)) return {};
  const counts: Record<string, number> = {};
  for (const [name, value] of Object.entries(totals)) {
    const amount = Array.isArray(value) ? value.length : value;
    if (typeof amount === 'number' && amount > 0) counts[name] = amount;
  }
  return counts;
}
