/**
 * A long inventory, put in the order of its ids by the database: an inventory comes in no order, the ledger can be read
 * in the order of the vault's ids, and two lists in one order are compared with one entry of each in hand.
 *
 * Each reading has a spool of its own, so that of two workers who read the same inventory none takes away what the other
 * still reads. A spool that a cut worker left is removed a week later, its head first; a reader looks for the head at
 * every page. So a list that was cut short throws, and never looks like archives that are not there.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { InventoryEntry } from '../vault/port.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION } from './versions.ts';

interface SpooledEntry extends LedgerDocument {
  readonly entry: InventoryEntry;
}

interface SpoolHead extends LedgerDocument {
  readonly begunAt: Date;
}

const ENTRIES = 'inventorySpool';
const HEADS = 'inventorySpools';
/** Entries read at once. */
const PAGE = 1_000;
/** Race: a reader that is still at work. None takes days. */
const LEFT_AFTER_MS = 7 * 24 * 3_600_000;

export const INVENTORY_SPOOL_INDEXES: readonly LedgerIndex[] = [{ collection: HEADS, keys: { begunAt: 1 } }];

export class InventorySpool {
  readonly #store: Store;
  readonly #name: string;
  #added = 0;

  private constructor(store: Store, name: string) {
    this.#store = store;
    this.#name = name;
  }

  /** `name`: that nobody else has. */
  static async begin(store: Store, clock: Clock, name: string): Promise<InventorySpool> {
    await heads(store).insert({ _id: name, v: LEDGER_VERSION, begunAt: clock.now() });
    return new InventorySpool(store, name);
  }

  /** One that is there already is left out: a vault has one file under an id. */
  async add(entries: readonly InventoryEntry[]): Promise<void> {
    const documents = entries.map((entry) => ({ _id: this.#idOf(entry.vaultArchiveId), v: LEDGER_VERSION, entry }));
    this.#added += await spooled(this.#store).insertMany(documents);
  }

  /** By the bytes of their ids. Throws VAULT_UNAVAILABLE when somebody removed what was not read yet. */
  async *entries(): AsyncGenerator<InventoryEntry> {
    let read = 0;
    for (let after = `${this.#name}:`; ; ) {
      const page: SpooledEntry[] = [];
      const range = { _id: { $gt: after, $lt: `${this.#name};` } };
      for await (const one of spooled(this.#store).find(range, { sort: { _id: 1 }, limit: PAGE })) page.push(one);
      if ((await heads(this.#store).get(this.#name)) === null) throw cutShort();
      for (const { _id, entry } of page) {
        after = _id;
        read += 1;
        yield entry;
      }
      if (page.length < PAGE) break;
    }
    if (read !== this.#added) throw cutShort();
  }

  async remove(): Promise<void> {
    await removeSpool(this.#store, this.#name);
  }

  /** Ids of a vault have up to 1,024 bytes, more than the server's index takes beside a name. */
  #idOf(vaultArchiveId: string): string {
    return `${this.#name}:${vaultArchiveId.length > MOST_ID ? hashed(vaultArchiveId) : vaultArchiveId}`;
  }
}

/** What cut workers left behind. */
export async function removeLeftSpools(store: Store, clock: Clock): Promise<void> {
  const before = new Date(clock.now().getTime() - LEFT_AFTER_MS);
  const left: string[] = [];
  for await (const { _id } of heads(store).find({ begunAt: { $lt: before } }, { limit: PAGE })) left.push(_id);
  for (const name of left) await removeSpool(store, name);
}

async function removeSpool(store: Store, name: string): Promise<void> {
  await heads(store).removeMany({ _id: name });
  await spooled(store).removeMany({ _id: { $gt: `${name}:`, $lt: `${name};` } });
}

/** Never an id of ours: those have a few hundred characters at most, and only what is ours is compared. */
const MOST_ID = 800;

/** Sorts behind the ids that begin alike, and is told apart from all of them. */
function hashed(vaultArchiveId: string): string {
  return `${vaultArchiveId.slice(0, MOST_ID)}${createHash('sha256').update(vaultArchiveId).digest('hex')}`;
}

function cutShort(): MoraineError {
  return new MoraineError('VAULT_UNAVAILABLE', 'The inventory that was being compared is not whole any more.', {
    changed: 'What was compared before is settled; the inventory is read again from its beginning.',
  });
}

function spooled(store: Store): StoreCollection<SpooledEntry> {
  return store.collection<SpooledEntry>(ENTRIES);
}

function heads(store: Store): StoreCollection<SpoolHead> {
  return store.collection<SpoolHead>(HEADS);
}
