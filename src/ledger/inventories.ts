/**
 * Inventories of vaults: one document per vault, so that two workers do not ask for two jobs that each take hours.
 *
 * - `none`: no job is open.
 * - `asking`: a worker is about to ask the vault. A crash here leaves either no job or one whose id nobody knows; after
 *   a margin the next worker asks again, and a job too many does no harm.
 * - `requested`: the vault has the job `jobId`.
 *
 * Who needs an inventory says since when: an inventory proves something about an event only when its date is after the
 * event, by the vault's time (design 3). One that is not late enough is followed by another.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { VaultLocation } from '../vault/port.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Filter, LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface InventoryDocument extends LedgerDocument {
  readonly location: VaultLocation;
  readonly state: 'none' | 'asking' | 'requested';
  /** Only in `requested`. */
  readonly jobId: string | null;
  /** When `asking` or `requested` began, by our clock. */
  readonly since: Date | null;
  /** The vault's time of the newest event that waits for an inventory later than itself; null: none does. */
  readonly neededSince: Date | null;
  /** The date of the newest inventory that was taken. */
  readonly inventoryDate: Date | null;
}

const INVENTORIES = 'inventories';

export const INVENTORIES_INDEXES: readonly LedgerIndex[] = [{ collection: INVENTORIES, keys: { state: 1 } }];

/** Race: the worker that asks is slow and a second one asks as well. Longer than any call to the vault with its retries. */
export const ASKING_MARGIN_MS = 10 * 60_000;

/** Says that an inventory later than `since` (the vault's time of an event) is needed. Idempotent. */
export async function needInventory(store: Store, location: VaultLocation, since: Date): Promise<void> {
  const empty = { state: 'none', jobId: null, since: null, inventoryDate: null } as const;
  const _id = inventoryId(location);
  if (
    (await inventories(store).insert({ _id, v: LEDGER_VERSION, location, ...empty, neededSince: since })) === 'inserted'
  ) {
    return;
  }
  await update(inventories(store), _id, (inventory) =>
    inventory.neededSince !== null && inventory.neededSince >= since ? null : { ...inventory, neededSince: since },
  );
}

/**
 * Takes the right to ask the vault for an inventory: true for one worker, who asks and calls
 * {@link rememberInventoryJob}. False while a job is open or another worker asks.
 */
export async function claimInventoryRequest(store: Store, clock: Clock, location: VaultLocation): Promise<boolean> {
  let claimed = false;
  await update(inventories(store), inventoryId(location), (inventory) => {
    claimed = mayAsk(inventory, clock.now());
    return claimed ? { ...inventory, state: 'asking' as const, jobId: null, since: clock.now() } : null;
  });
  return claimed;
}

/** The vault accepted the job. */
export async function rememberInventoryJob(
  store: Store,
  clock: Clock,
  location: VaultLocation,
  jobId: string,
): Promise<void> {
  await update(inventories(store), inventoryId(location), (inventory) => {
    // Another worker took over after the margin, and its job is open: one of the two is enough.
    if (inventory.state === 'requested') return null;
    return { ...inventory, state: 'requested' as const, jobId, since: clock.now() };
  });
}

/**
 * The inventory was read to its end and everything that waited was compared with it. Frees the vault for the next job,
 * and ends the need if it is later than every event that waited. Does nothing when the job was taken by another worker.
 */
export async function takeInventory(
  store: Store,
  location: VaultLocation,
  taken: {
    readonly jobId: string;
    readonly inventoryDate: Date;
    /** All that waited was settled by it, although its date may be earlier than what was needed. */
    readonly isEnough?: boolean;
  },
): Promise<void> {
  const { jobId, inventoryDate, isEnough = false } = taken;
  if (Number.isNaN(inventoryDate.getTime())) throw new MoraineError('INTERNAL', 'An inventory needs a date.');
  await endJob(store, location, jobId, (inventory) => ({
    ...inventory,
    inventoryDate:
      inventory.inventoryDate !== null && inventory.inventoryDate > inventoryDate
        ? inventory.inventoryDate
        : inventoryDate,
    neededSince:
      isEnough || (inventory.neededSince !== null && inventory.neededSince < inventoryDate)
        ? null
        : inventory.neededSince,
  }));
}

/** The vault does not know the job any more, or it failed: what was needed still is. */
export async function dropInventoryJob(store: Store, location: VaultLocation, jobId: string): Promise<void> {
  await endJob(store, location, jobId, (inventory) => inventory);
}

export async function getInventory(store: Store, location: VaultLocation): Promise<InventoryDocument | null> {
  return await inventories(store).get(inventoryId(location));
}

/** Vaults read at once: what is done for one may take longer than a cursor lives. */
const PAGE = 100;

/** The vaults of which this holds, in the order of their ids. What changes meanwhile may come or not, nothing twice. */
export async function* pagedVaults(store: Store, filter: Filter): AsyncIterable<VaultLocation> {
  for (let after = ''; ; ) {
    const page: InventoryDocument[] = [];
    const options = { sort: { _id: 1 }, limit: PAGE } as const;
    for await (const one of inventories(store).find({ ...filter, _id: { $gt: after } }, options)) page.push(one);
    for (const { _id, location } of page) {
      after = _id;
      yield location;
    }
    if (page.length < PAGE) return;
  }
}

function mayAsk(inventory: InventoryDocument, now: Date): boolean {
  if (inventory.state === 'none') return true;
  if (inventory.state === 'requested') return false;
  // One that begins far in the future was written by a wrong clock: nobody is asking, and a job too many does no harm.
  return inventory.since === null || Math.abs(now.getTime() - inventory.since.getTime()) >= ASKING_MARGIN_MS;
}

async function endJob(
  store: Store,
  location: VaultLocation,
  jobId: string,
  change: (inventory: InventoryDocument) => InventoryDocument,
): Promise<void> {
  await update(inventories(store), inventoryId(location), (inventory) =>
    inventory.state === 'requested' && inventory.jobId === jobId
      ? { ...change(inventory), state: 'none' as const, jobId: null, since: null }
      : null,
  );
}

/** One per vault at the service; for S3 one per customer's prefix in the bucket. */
function inventoryId(location: VaultLocation): string {
  const { backend, account, region, name, prefix } = location;
  return [backend, account, region, name, prefix].map(encodeURIComponent).join(' ');
}

function inventories(store: Store): StoreCollection<InventoryDocument> {
  return readableCollection<InventoryDocument>(store, INVENTORIES);
}
