/** Waiting for the inventories of vaults, politely. */
import { findArchives } from '../ledger/archives.ts';
import { type Context, locationKey } from '../lifecycle/context.ts';
import type { ReconcileReport } from '../lifecycle/reconcile.ts';

/** Vaults in which archives of these policies wait for an inventory. */
export async function vaultsWaitedFor(context: Context, policies: readonly string[]): Promise<ReadonlySet<string>> {
  const vaults = new Set<string>();
  const waiting = { policy: { $in: policies }, state: 'stored', verifyLevel: 'inventory' };
  for await (const { vault } of findArchives(context.store, waiting)) vaults.add(locationKey(vault));
  return vaults;
}

/** When the last of the inventories that are on their way is expected; null where the vault does not say. */
export function waitingUntil(report: ReconcileReport): Date | null {
  const dates = report.vaults.flatMap(({ state, until }) => (state === 'waiting' && until !== null ? [until] : []));
  return dates.length === 0 ? null : new Date(Math.max(...dates.map((date) => date.getTime())));
}

/** An inventory takes hours: a look a minute is enough, and the first ones are sooner for those that are nearly there. */
const FIRST_LOOK_MS = 2_000;
const LAST_LOOK_MS = 60_000;

/** Sleeps between two looks, a little longer each time. Throws when the command is told to stop. */
export async function waitForNextLook(context: Context, look: number): Promise<void> {
  await context.clock.sleep(Math.min(LAST_LOOK_MS, FIRST_LOOK_MS * 2 ** Math.min(look, 10)), context.signal);
}
