/**
 * `reconcile` of one vault, in a process of its own: so many archives, made directly in the ledger, against an inventory
 * of as many, made by a stub of the vault's port as it is read (a real one would be a file of gigabytes); everything else
 * is the product and the local MongoDB. Rate and peak memory, against fewer.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { id } from '../src/ids.ts';
import { ARCHIVE_VERSION, type ArchiveDocument, NO_OUTCOMES, notBegun } from '../src/ledger/archive-document.ts';
import { archives } from '../src/ledger/archives.ts';
import { needInventory } from '../src/ledger/inventories.ts';
import { partitionId } from '../src/ledger/partitions.ts';
import type { Context } from '../src/lifecycle/context.ts';
import { reconcile } from '../src/lifecycle/reconcile.ts';
import type { InventoryEntry, VaultLocation, VaultPort } from '../src/vault/port.ts';
import { openSetting, type Setting } from './setting.ts';

const SIZES = [20_000, 1_000_000] as const;
const BATCH = 5_000;
const STORED_AT = new Date('2024-06-01T00:00:00Z');
const INVENTORY_DATE = new Date('2024-06-03T00:00:00Z');
/** One in so many is not listed, and one in so many is a stray: finding them is part of the work. */
const ODD_ONE = 100_000;
/** Spreads numbers over ids, so that the inventory comes in another order than the ledger has. */
const STEP = 7_919n;

export async function measureReconcile(setting: Setting): Promise<readonly string[]> {
  const lines = ['reconcile of one vault, ledger against inventory both ways, each in its own process'];
  const peaks: number[] = [];
  for (const size of SIZES) {
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...['--max-old-space-size=160', '--max-semi-space-size=2'],
      import.meta.filename,
      `${setting.database}_r${size}`,
      String(size),
    ]);
    const { taken, peakKiB, compared, missing, strays } = resultOf(stdout);
    await setting.client.db(`${setting.database}_r${size}_ledger`).dropDatabase();
    peaks.push(peakKiB);
    const found = `${missing} missing, ${strays} strays found`;
    lines.push(
      `  ${size} archives: ${(compared / taken).toFixed(0)} archives/s, peak ${(peakKiB / 1024).toFixed(0)} MiB (${found})`,
    );
  }
  const [few = Number.NaN, many = Number.NaN] = peaks;
  return [
    ...lines,
    `  peak memory of ${SIZES[1]} against ${SIZES[0]}: ratio ${(many / few).toFixed(2)} (goal 0.90-1.10)`,
  ];
}

function resultOf(stdout: string): Record<'taken' | 'peakKiB' | 'compared' | 'missing' | 'strays', number> {
  const [taken = 0, peakKiB = 0, compared = 0, missing = 0, strays = 0] = stdout.trim().split(' ').map(Number);
  return { taken, peakKiB, compared, missing, strays };
}

/** The child: makes the archives, compares, and prints what it took. */
async function compare(database: string, size: number): Promise<void> {
  const setting = await openSetting(database);
  const context = setting.app.context();
  const [[key, vault] = fail()] = context.vaults;
  const location = vault.locate(context.installation.id, id.owner('bench'), id.customer('one'));
  await insertArchives(context, location, size);
  await needInventory(context.store, location, STORED_AT);
  const stub = stubOf(vault, location, context.installation.id, size);
  const stubbed: Context = { ...context, vaults: new Map([[key, stub]]) };
  const start = performance.now();
  const { compared, counts, vaults } = await reconcile(stubbed, { all: false, source: false });
  const taken = (performance.now() - start) / 1000;
  if (vaults.some(({ state }) => state === 'failed')) throw new Error(vaults[0]?.text ?? 'It failed.');
  await setting.close();
  console.log([taken, process.resourceUsage().maxRSS, compared, counts.missing, counts.strays].join(' '));
}

async function insertArchives(context: Context, vault: VaultLocation, size: number): Promise<void> {
  const { owner, customer } = vault;
  const namespace = id.namespace('bench.records');
  const partition = partitionId(namespace, owner, customer);
  for (let start = 0; start < size; start += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, size - start) }, (_, n): Omit<ArchiveDocument, 'rev'> => {
      const at = start + n;
      return {
        ...notBegun(STORED_AT),
        ...{ _id: id.archive(`a${at}`), v: ARCHIVE_VERSION, state: 'cleared', quarantinedFrom: null },
        ...{ quarantineReason: null, policy: 'bench', policyVersion: id.policyVersion('f'.repeat(64)), namespace },
        ...{ owner, customer, partition, sequence: at, verifyLevel: 'checksum', vault, rosterShrunk: true },
        plan: {
          ...{ after: null, bound: null, before: STORED_AT.getTime(), asOf: STORED_AT, records: 1, bytes: 1 },
          ...{ reachedEnd: true, latestPurgeAt: STORED_AT },
        },
        ...{ attempt: id.attempt(`t${at}`), attemptCount: 1, verifiedAt: STORED_AT, dueAt: new Date('2034-06-01') },
        stored: {
          ...{ vaultArchiveId: vaultIdOf(at, size), bytes: 1_000 + at, treeHash: hashOf(at), at: STORED_AT },
          ...{ records: 1, recordBytes: 1, merkleRoot: hashOf(at), manifestSha256: hashOf(at), rosterPages: 1 },
          ...{ oldestDueAt: STORED_AT, triggerFrom: STORED_AT, triggerTo: STORED_AT },
        },
        outcomes: { ...NO_OUTCOMES, archived: 1, deleted: 1 },
        unaudited: [],
      };
    });
    await archives(context.store).insertMany(batch);
  }
}

/** As long as those of the service: 138 characters. */
function vaultIdOf(at: number, size: number): string {
  const spread = (BigInt(at) * STEP) % BigInt(size);
  return `${String(spread).padStart(10, '0')}${'x'.repeat(128)}`;
}

function hashOf(at: number): string {
  return at.toString(16).padStart(64, '0');
}

function stubOf(vault: VaultPort, location: VaultLocation, installation: string, size: number): VaultPort {
  const { owner, customer } = location;
  const intentOf = (at: number) => ({
    ...{ installation, archive: id.archive(`a${at}`), attempt: id.attempt(`t${at}`), owner, customer },
    ...{ dataset: 'bench.records', dueAt: '2034-06-01T00:00:00Z', policyVersion: id.policyVersion('f'.repeat(64)) },
  });
  async function* entries(): AsyncGenerator<InventoryEntry> {
    for (let at = 0; at < size; at += 1) {
      if (at % ODD_ONE === 1) continue;
      const intent = intentOf(at);
      const vaultArchiveId = vaultIdOf(at, size);
      const entry = { intent, description: JSON.stringify(intent), bytes: 1_000 + at, treeHash: hashOf(at) };
      yield { vaultArchiveId, createdAt: STORED_AT, ...entry };
      if (at % ODD_ONE === 3)
        yield { vaultArchiveId: `stray${at}`, createdAt: STORED_AT, ...entry, intent: intentOf(size + at) };
    }
  }
  return new Proxy(vault, {
    get: (port, name) => {
      if (name === 'listUploads') return async function* () {};
      if (name === 'requestInventory') return async () => 'job';
      if (name === 'inventoryState') return async () => ({ state: 'ready', readyAt: STORED_AT, expiresAt: null });
      if (name === 'readInventory') return async () => ({ inventoryDate: INVENTORY_DATE, entries });
      const value: unknown = Reflect.get(port, name);
      return typeof value === 'function' ? value.bind(port) : value;
    },
  });
}

function fail(): never {
  throw new Error('There is nothing to measure.');
}

if (process.argv[1] === import.meta.filename) {
  const [, , database, size] = process.argv;
  if (database === undefined || size === undefined) throw new Error('reconcile.ts is started by bench.ts.');
  await compare(database, Number(size));
}
