import { vaultArn } from './identifiers.ts';
import type { ArchiveRecord, InventoryRetrieval, VaultRecord } from './records.ts';

/**
 * Inventories. A vault has a slot once a day, at the second of the day at which it was created, the first one a day
 * after that. When the clock passes a slot and archives came or went since the inventory before, a new inventory is
 * dated to that slot. It shows the vault as it was at that instant.
 *
 * An inventory is therefore a function of the archives' dates alone: nothing needs to run when a slot passes, and
 * there is nothing that a kill could interrupt. Slots are whole seconds, so that an inventory dated after the Date
 * header of a reply (which has whole seconds too) always shows what that reply acknowledged.
 */
const DAY_MS = 24 * 60 * 60 * 1000;

/** What an inventory is made for. */
export type Inventoried = Pick<VaultRecord, 'name' | 'region' | 'createdAtMs'>;

export type Inventory = { atMs: number; archives: ArchiveRecord[]; bytes: number };

/** The vault's last inventory; null until the first slot after its first upload. */
export function lastInventory(vault: Inventoried, archives: Iterable<ArchiveRecord>, nowMs: number): Inventory | null {
  const lastSlotMs = slotAtOrBefore(vault, nowMs);
  if (lastSlotMs === null) return null;
  const all = [...archives];
  const lastChangeMs = newestChange(all, lastSlotMs);
  return lastChangeMs === null ? null : inventoryAt(all, slotAtOrAfter(vault, lastChangeMs));
}

/** The inventory of a slot: what was in the vault at that instant, oldest first. */
function inventoryAt(archives: Iterable<ArchiveRecord>, atMs: number): Inventory {
  const present = [...archives]
    .filter((archive) => archive.createdAtMs <= atMs && (archive.deletedAtMs === null || archive.deletedAtMs > atMs))
    .sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
  return { atMs, archives: present, bytes: present.reduce((sum, archive) => sum + archive.bytes, 0) };
}

/** The vault may be deleted: empty at its last inventory, and not written to since (or never). */
export function isDeletable(vault: Inventoried, archives: Iterable<ArchiveRecord>, nowMs: number): boolean {
  const all = [...archives];
  if (all.length === 0) return true;
  const inventory = lastInventory(vault, all, nowMs);
  if (inventory === null || inventory.archives.length > 0) return false;
  const lastChangeMs = newestChange(all, nowMs);
  return lastChangeMs !== null && lastChangeMs <= inventory.atMs;
}

export type InventoryOutput = { body: Buffer; contentType: string; nextMarker: string | null };

/** The output of an inventory job: filtered by creation date, a page of `limit`, as JSON or CSV. */
export function renderInventory(
  vault: Inventoried,
  archives: Iterable<ArchiveRecord>,
  job: InventoryRetrieval,
): InventoryOutput {
  const inventory = inventoryAt(archives, job.inventoryAtMs);
  const matching = inventory.archives.filter(
    (archive) =>
      (job.startDateMs === null || archive.createdAtMs >= job.startDateMs) &&
      (job.endDateMs === null || archive.createdAtMs < job.endDateMs),
  );
  const first =
    job.marker === null
      ? 0
      : Math.max(
          0,
          matching.findIndex(({ id }) => id === job.marker),
        );
  const page = matching.slice(first, job.limit === null ? undefined : first + job.limit);
  const nextMarker = matching[first + page.length]?.id ?? null;
  if (job.format === 'CSV') return { body: csv(page), contentType: 'text/csv', nextMarker };
  const document = {
    VaultARN: vaultArn(vault.region, vault.name),
    InventoryDate: new Date(inventory.atMs).toISOString().replace('.000Z', 'Z'),
    ArchiveList: page.map((archive) => ({
      ArchiveId: archive.id,
      ArchiveDescription: archive.description,
      CreationDate: new Date(archive.createdAtMs).toISOString(),
      Size: archive.bytes,
      SHA256TreeHash: archive.treeHash,
    })),
  };
  return { body: Buffer.from(JSON.stringify(document)), contentType: 'application/json', nextMarker };
}

/** As documented: quotes are escaped with a backslash, backslashes are not, so that it cannot always be read back. */
function csv(page: ArchiveRecord[]): Buffer {
  const quoted = (text: string) => `"${text.replaceAll('"', '\\"')}"`;
  const lines = page.map((archive) =>
    [
      archive.id,
      quoted(archive.description),
      new Date(archive.createdAtMs).toISOString(),
      String(archive.bytes),
      archive.treeHash,
    ].join(','),
  );
  return Buffer.from(['ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash', ...lines, ''].join('\r\n'));
}

function newestChange(archives: ArchiveRecord[], notAfterMs: number): number | null {
  let newest: number | null = null;
  for (const { createdAtMs, deletedAtMs } of archives) {
    for (const atMs of [createdAtMs, deletedAtMs]) {
      if (atMs !== null && atMs <= notAfterMs && (newest === null || atMs > newest)) newest = atMs;
    }
  }
  return newest;
}

const firstSlot = (vault: Inventoried) => Math.floor(vault.createdAtMs / 1000) * 1000 + DAY_MS;

function slotAtOrBefore(vault: Inventoried, atMs: number): number | null {
  const days = Math.floor((atMs - firstSlot(vault)) / DAY_MS);
  return days < 0 ? null : firstSlot(vault) + days * DAY_MS;
}

function slotAtOrAfter(vault: Inventoried, atMs: number): number {
  return firstSlot(vault) + Math.max(0, Math.ceil((atMs - firstSlot(vault)) / DAY_MS)) * DAY_MS;
}
