/** Follows the inventory of a vault: asks for one where it is needed, waits for nothing, and gives the finished one. */
import { claimInventoryRequest, dropInventoryJob, getInventory, rememberInventoryJob } from '../ledger/inventories.ts';
import type { Inventory, VaultLocation } from '../vault/port.ts';
import { type Context, vaultOf } from './context.ts';

export type InventoryAnswer =
  | { readonly state: 'ready'; readonly jobId: string; readonly inventory: Inventory }
  | { readonly state: 'pending'; readonly expectedAt: Date | null }
  | { readonly state: 'not-needed' };

/** Waits for nothing: a job that is not finished is looked at again next time. One that is gone is asked for anew. */
export async function followInventory(context: Context, location: VaultLocation): Promise<InventoryAnswer> {
  const { clock, store } = context;
  const vault = vaultOf(context, location.key);
  const known = await getInventory(store, location);
  if (known === null || (known.neededSince === null && known.state !== 'requested')) return { state: 'not-needed' };
  const jobId = known.jobId ?? (await askForInventory(context, location));
  if (jobId === null) return { state: 'pending', expectedAt: null };
  const state = await vault.inventoryState(location, jobId);
  if (state.state === 'pending') return { state: 'pending', expectedAt: state.expectedAt };
  if (state.state === 'ready') return { state: 'ready', jobId, inventory: await vault.readInventory(location, jobId) };
  await dropInventoryJob(store, location, jobId);
  const again = await askForInventory(context, location);
  const next = again === null ? null : await vault.inventoryState(location, again);
  return { state: 'pending', expectedAt: next?.state === 'pending' ? next.expectedAt : null };

  async function askForInventory({ log }: Context, of: VaultLocation): Promise<string | null> {
    if (!(await claimInventoryRequest(store, clock, of))) return null;
    const asked = await vault.requestInventory(of);
    await rememberInventoryJob(store, clock, of, asked);
    log.info({ vault: of.name }, 'An inventory was asked for.');
    return asked;
  }
}
