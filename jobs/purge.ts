/** The repeated purge: what `moraine purge` does for all policies, under the same caps. */
import { MoraineError } from '../src/errors.ts';
import { endRun, startRun } from '../src/ledger/runs.ts';
import { assertSafeToDestroy } from '../src/lifecycle/preflight.ts';
import { purgeArchives } from '../src/lifecycle/purge.ts';
import { type PurgePlan, planPurge } from '../src/lifecycle/purge-caps.ts';
import type { Act } from './act.ts';

export const purge: Act<'purge'> = async ({ context }, { by }) => {
  const { clock, log, store } = context;
  await assertSafeToDestroy(context);
  const plan = await planPurge(context, null, by);
  for (const { policy, text } of plan.capped) {
    log.warn({ policy, code: 'BLAST_CAP' }, `Policy ${policy} purges nothing: ${text}.`);
  }
  for (const [approval, archives] of waitingReviews(plan)) {
    log.warn({ approval, archives, code: 'APPROVAL_NEEDED' }, 'Archives are due and wait for their review.');
  }
  // An hour without anything due leaves no trace among the runs.
  if (plan.due.length === 0 && plan.capped.length === 0) return { purged: 0 };
  const run = context.newId();
  const policies = plan.capped.map(({ policy }) => policy);
  await startRun(store, clock, { id: run, command: 'purge', by, asOf: null, policies });
  try {
    const { purged, held, waiting, failed } = await purgeArchives(context, plan.due);
    const totals = { purged: purged.length, held: held.length, waiting: waiting.length, failed: failed.length };
    await endRun(store, clock, run, { totals, error: plan.capped.length > 0 ? 'BLAST_CAP' : null });
    return { run, ...totals };
  } catch (error) {
    const code = error instanceof MoraineError ? error.code : 'INTERNAL';
    // The first error is the one that counts: with the ledger away its run stays `running`, as after a crash.
    await endRun(store, clock, run, { totals: null, error: code }).catch(() => undefined);
    throw error;
  }
};

/** How many archives each review keeps waiting. */
function waitingReviews({ review }: PurgePlan): ReadonlyMap<string, number> {
  const waiting = new Map<string, number>();
  for (const { approval, state } of review)
    if (approval !== null && state === 'requested') waiting.set(approval, (waiting.get(approval) ?? 0) + 1);
  return waiting;
}
