/** The repeated looks at the vaults: inventories, with what waited for them, and retrievals. */
import { endRun, startRun } from '../src/ledger/runs.ts';
import { lookAtDrills } from '../src/lifecycle/drill-due.ts';
import { followOrders } from '../src/lifecycle/follow-order.ts';
import { carryOnMigrations } from '../src/lifecycle/migrate.ts';
import { tellProofs } from '../src/lifecycle/proofs.ts';
import { reconcile as reconcileVaults } from '../src/lifecycle/reconcile.ts';
import { refreshRetrievals } from '../src/lifecycle/retrieve.ts';
import { watchKmsKeys } from '../src/lifecycle/watch-kms-keys.ts';
import type { Act } from './act.ts';

export const reconcile: Act<'reconcile'> = async ({ context, put }, { by }) => {
  const { clock, store } = context;
  await tellProofs(context);
  await watchKmsKeys(context);
  await lookAtDrills(context);
  await carryOnMigrations(context);
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

/** Follows the orders, and then looks after what was asked for outside one. What throttles is looked at again when the vault says. */
export const retrieve: Act<'retrieve'> = async ({ context }) => {
  const passes = await followOrders(context);
  const retrievals = await refreshRetrievals(context);
  const [obstacle] = passes.flatMap((pass) => (pass.obstacle === null ? [] : [pass.obstacle]));
  if (obstacle !== undefined) throw obstacle;
  const inState = (wanted: string) => retrievals.filter(({ state }) => state === wanted).length;
  return { orders: passes.length, retrievals: retrievals.length, ready: inState('ready'), fetched: inState('fetched') };
};
