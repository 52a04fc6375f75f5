/**
 * The archives that the ledger has in a vault, and what an inventory lists, side by side in the order of the vault's ids:
 * one entry of each in hand, however many there are. A short inventory is put in order here, a long one by the ledger.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { archivesInVault } from '../ledger/archives.ts';
import { InventorySpool } from '../ledger/inventory-spool.ts';
import type { Inventory, InventoryEntry, VaultLocation } from '../vault/port.ts';
import { assertNotStopped, type Context, locationKey } from './context.ts';

/** Entries that are held at once; more go into the ledger. A few megabytes. */
export const MOST_IN_HAND = 10_000;

const LONGEST_OF_OURS = 800;

/** One of the two is there, or both are, and then they have the same id. */
export type Pair =
  | { readonly archive: ArchiveDocument; readonly entry: InventoryEntry | null }
  | { readonly archive: null; readonly entry: InventoryEntry };

/** The inventory is read to its end before the first pair is given: one that breaks off gives none. */
export async function* joinInventory(
  context: Context,
  location: VaultLocation,
  inventory: Inventory,
): AsyncGenerator<Pair> {
  const { entries, remove } = await inOrder(context, inventory);
  try {
    yield* merge(archivesOf(context, location), entries);
  } finally {
    await remove();
  }
}

async function inOrder(
  context: Context,
  inventory: Inventory,
): Promise<{ readonly entries: AsyncIterable<InventoryEntry>; remove(): Promise<void> }> {
  const { store, clock } = context;
  let spool: InventorySpool | null = null;
  const hand: InventoryEntry[] = [];
  try {
    for await (const entry of inventory.entries()) {
      hand.push(entry);
      if (hand.length <= MOST_IN_HAND) continue;
      assertNotStopped(context);
      spool ??= await InventorySpool.begin(store, clock, context.newId());
      await spool.add(hand.splice(0));
    }
    await spool?.add(hand.splice(0));
  } catch (error) {
    await spool?.remove();
    throw error;
  }
  if (spool !== null) {
    const filled = spool;
    return { entries: filled.entries(), remove: () => filled.remove() };
  }
  hand.sort((a, b) => compareIds(a.vaultArchiveId, b.vaultArchiveId));
  return { entries: iterate(hand), remove: async () => undefined };
}

async function* iterate(entries: readonly InventoryEntry[]): AsyncGenerator<InventoryEntry> {
  yield* entries;
}

/** Vaults of one name may be in two accounts or regions. */
async function* archivesOf(context: Context, location: VaultLocation): AsyncGenerator<ArchiveDocument> {
  for await (const archive of archivesInVault(context.store, context.clock, location))
    if (locationKey(archive.vault) === locationKey(location)) yield archive;
}

async function* merge(
  archives: AsyncGenerator<ArchiveDocument>,
  entries: AsyncIterable<InventoryEntry>,
): AsyncGenerator<Pair> {
  const known = new Ahead(archives, (archive) => archive.stored?.vaultArchiveId ?? '');
  const listed = new Ahead(entries, (entry) => entry.vaultArchiveId);
  try {
    let archive = await known.next();
    let entry = await listed.next();
    while (archive !== null || entry !== null) {
      const order = archive === null ? 1 : entry === null ? -1 : compareIds(known.id, listed.id);
      if (archive !== null && order < 0) {
        yield { archive, entry: null };
        archive = await known.next();
      } else if (archive !== null && order === 0) {
        yield { archive, entry };
        // Two archives under one id of the vault: what it lists is said of both.
        const previous = known.id;
        archive = await known.next();
        if (archive === null || known.id !== previous) entry = await listed.next();
      } else if (entry !== null) {
        yield { archive: null, entry };
        entry = await listed.next();
      }
    }
  } finally {
    await known.end();
    await listed.end();
  }
}

/** One item of a list that must be in order. What is out of order would look like an archive that is not there. */
class Ahead<T> {
  readonly #items: AsyncIterator<T>;
  readonly #idOf: (item: T) => string;
  id = '';

  constructor(items: AsyncIterable<T>, idOf: (item: T) => string) {
    this.#items = items[Symbol.asyncIterator]();
    this.#idOf = idOf;
  }

  async next(): Promise<T | null> {
    const { done, value } = await this.#items.next();
    if (done === true) return null;
    const id = this.#idOf(value);
    // Longer ids than any of ours are put in order by their beginning only.
    if (id.length <= LONGEST_OF_OURS && compareIds(id, this.id) < 0)
      throw new MoraineError('INTERNAL', 'The archives of a vault do not come in the order of their ids.');
    this.id = id;
    return value;
  }

  async end(): Promise<void> {
    await this.#items.return?.();
  }
}

/** By their bytes, as the database has it. */
function compareIds(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
