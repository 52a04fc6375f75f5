/** Follows the inventory of a vault: asks for one where it is needed, waits for nothing, and gives the finished one. */
import { claimInventoryRequest, dropInventoryJob, getInventory, rememberInventoryJob } from '../ledger/inventories.ts';
import type { Inventory, VaultLocation } from '../vault/port.ts';
import { type Context, vaultOf } from './context.ts';

export type InventoryAnswer =
  | { readonly state: 'ready'; readonly jobId: string; readonly inventory: Inventory }
  | { readonly state: 'pending'; readonly expectedAt: Date | null }
  | { readonly state: 'not-needed' };

/** At most one job is asked for in one call: one that is gone, or still in the works, is looked at again next time. */
export async function followInventory(context: Context, location: VaultLocation): Promise<InventoryAnswer> {
  const { clock, store } = context;
  const vault = vaultOf(context, location.key);
  let known = await getInventory(store, location);
  if (known === null || (known.neededSince === null && known.state !== 'requested')) return { state: 'not-needed' };
  if (known.state !== 'requested' && (await claimInventoryRequest(store, clock, location))) {
    await rememberInventoryJob(store, clock, location, await vault.requestInventory(location));
    known = await getInventory(store, location);
  }
  if (known?.jobId == null) return { state: 'pending', expectedAt: null };
  const { jobId } = known;
  const state = await vault.inventoryState(location, jobId);
  if (state.state === 'gone') {
    await dropInventoryJob(store, location, jobId);
    return { state: 'pending', expectedAt: null };
  }
  if (state.state === 'pending') return { state: 'pending', expectedAt: state.expectedAt };
  return { state: 'ready', jobId, inventory: await vault.readInventory(location, jobId) };
}
