/** The repeated looks at the vaults: inventories, with what waited for them, and retrievals. */
import { endRun, startRun } from '../src/ledger/runs.ts';
import { reconcile as reconcileVaults } from '../src/lifecycle/reconcile.ts';
import { tellProofs } from '../src/lifecycle/proofs.ts';
import { refreshRetrievals } from '../src/lifecycle/retrieve.ts';
import type { Act } from './act.ts';

export const reconcile: Act<'reconcile'> = async ({ context, put }, { by }) => {
  const { clock, store } = context;
  await tellProofs(context);
  // The whole comparison with every vault and the source is a person's: `moraine reconcile`.
  const report = await reconcileVaults(context, { all: false, source: false });
  // What is not named here (there may be millions) the sweep after this one finds, as it finds what was lost.
  for (const archive of report.verified) await put('clear', { archive });
  const { verified, confirmed, missing, quarantined, strays, findings } = report.counts;
  const totals = {
    vaults: report.vaults.length,
    ...{ verified, confirmed, missing, quarantined, strays, findings },
    removedUploads: report.removedUploads,
  };
  if (report.vaults.some(({ state }) => state === 'compared' || state === 'failed')) {
    const run = context.newId();
    await startRun(store, clock, { id: run, command: 'reconcile', by, asOf: null, policies: [] });
    const hasFailed = report.vaults.some(({ state }) => state === 'failed');
    await endRun(store, clock, run, { totals, error: hasFailed ? 'VAULT_UNAVAILABLE' : null });
  }
  return totals;
};

export const retrieve: Act<'retrieve'> = async ({ context }) => {
  const retrievals = await refreshRetrievals(context);
  return { retrievals: retrievals.length, ready: retrievals.filter(({ state }) => state === 'ready').length };
};
