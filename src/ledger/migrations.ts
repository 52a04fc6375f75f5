/**
 * An archive's move from one vault to another: the same file, byte for byte, under the same key. One document for each
 * move, changed only under the lease of its archive, so that it and a purge never work on the archive at once.
 *
 * What each state means in the outside world, and what a cut in it leaves behind:
 * - `wanted`: chosen and paid for in dollars by a person; nothing was asked of any vault.
 * - `retrieving`: the old vault is asked for the file. A cut leaves a job that is found by this document's id.
 * - `copying`: bytes may be on their way to the new vault. A cut leaves an open upload, which the next worker aborts, or the
 *   whole object, which it finds again: the name of the object is made of archive and attempt, and is written once.
 * - `copied`: the new vault acknowledged the file with the tree hash of the ledger. Where the archive's policy verifies by
 *   inventory, it waits here until the new vault lists it.
 * - `moved`: the ledger's archive names the new place. The old copy is still there, and this document remembers it.
 * - `deleting`: the old copy is to go, by an approval of exactly this set, or by the purge of its archive.
 * - `gone`: a later inventory of the old vault lists it no more. Final.
 * - `ended`: given up before anything was sent to the new vault: the archive is purged, or not to be read. Final.
 *
 * From `copying` to `copied` a purge waits: it would not know all places that hold the file. In `wanted` and `retrieving`
 * it goes first, for there is one copy; from `moved` on it destroys every copy that this document names.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, CustomerId, OwnerId } from '../ids.ts';
import type { Tier, VaultLocation } from '../vault/port.ts';
import type { ArchiveLease } from './archives.ts';
import type { Announcement } from './in-flight.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Filter, FindOptions, LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';
import { PurgeClaim } from './warrants.ts';

export const MIGRATION_STATES = [
  'wanted',
  'retrieving',
  'copying',
  'copied',
  'moved',
  'deleting',
  'gone',
  'ended',
] as const;
export type MigrationState = (typeof MIGRATION_STATES)[number];

/** In these somebody still has to move the file. */
export const MOVING_STATES = ['wanted', 'retrieving', 'copying', 'copied'] as const satisfies readonly MigrationState[];
/** In these the vaults work on it, or bytes flow: what a throttle counts. */
export const BUSY_STATES = ['retrieving', 'copying', 'copied'] as const satisfies readonly MigrationState[];

export interface OldCopyDeletion {
  /** Null: by the purge of the archive. */
  readonly approval: string | null;
  /** Written before the old vault is asked. */
  readonly askedAt: Date | null;
  /** Of the old vault's reply. */
  readonly acceptedAt: Date | null;
  readonly requestId: string | null;
  /** The date of an inventory that still listed it. */
  readonly listedAt: Date | null;
  /** The date of the inventory that no longer did. */
  readonly goneAt: Date | null;
}

export interface MigrationDocument extends LedgerDocument {
  readonly archive: ArchiveId;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly policy: string;
  readonly state: MigrationState;
  readonly from: VaultLocation;
  readonly fromArchiveId: string;
  /** The old vault's time of the acknowledgement. */
  readonly fromAt: Date;
  readonly to: VaultLocation;
  readonly bytes: number;
  readonly treeHash: string;
  readonly tier: Tier;
  /** How many of these two vaults may be on their way at once. */
  readonly throttle: number;
  readonly by: string;
  readonly wantedAt: Date;
  /** Of the archive's lease under which it was last written. */
  readonly epoch: number;
  readonly jobId: string | null;
  readonly expectedAt: Date | null;
  readonly uploadId: string | null;
  /** What the new vault acknowledged. */
  readonly stored: { readonly vaultArchiveId: string; readonly at: Date } | null;
  /** The new vault's inventory that listed it; null: none was asked for. */
  readonly listedAt: Date | null;
  readonly movedAt: Date | null;
  readonly deletion: OldCopyDeletion | null;
  /** What keeps it from going on, or ended it; null: nothing does. */
  readonly problem: { readonly code: string; readonly text: string } | null;
}

const MIGRATIONS = 'migrations';

export const MIGRATIONS_INDEXES: readonly LedgerIndex[] = [
  { collection: MIGRATIONS, keys: { archive: 1 } },
  { collection: MIGRATIONS, keys: { state: 1, _id: 1 } },
  { collection: MIGRATIONS, keys: { 'from.name': 1, state: 1 } },
];

function migrations(store: Store): StoreCollection<MigrationDocument> {
  return readableCollection<MigrationDocument>(store, MIGRATIONS);
}

export function findMigrations(store: Store, filter: Filter, options?: FindOptions): AsyncIterable<MigrationDocument> {
  return migrations(store).find(filter, options);
}

export async function countMigrations(store: Store, filter: Filter): Promise<number> {
  return await migrations(store).count(filter);
}

export async function getMigration(store: Store, migration: string): Promise<MigrationDocument> {
  const document = await migrations(store).get(migration);
  if (document === null) throw new MoraineError('INTERNAL', `The ledger has no migration ${migration}.`);
  return document;
}

const PAGE = 500;

/** Page by page: what is done for one may take longer than a cursor lives. */
export async function* pagedMigrations(store: Store, filter: Filter): AsyncIterable<MigrationDocument> {
  for (let after = ''; ; ) {
    const page: MigrationDocument[] = [];
    const options = { sort: { _id: 1 }, limit: PAGE } as const;
    for await (const one of findMigrations(store, { ...filter, _id: { $gt: after } }, options)) page.push(one);
    for (const migration of page) {
      after = migration._id;
      yield migration;
    }
    if (page.length < PAGE) return;
  }
}

/** All moves of one archive, the first one first. */
export async function migrationsOf(store: Store, archive: ArchiveId): Promise<readonly MigrationDocument[]> {
  const found: MigrationDocument[] = [];
  for await (const one of findMigrations(store, { archive }, { sort: { wantedAt: 1 } })) found.push(one);
  return found;
}

export type WantedMigration = Pick<
  MigrationDocument,
  | 'archive'
  | 'owner'
  | 'customer'
  | 'policy'
  | 'from'
  | 'fromArchiveId'
  | 'fromAt'
  | 'to'
  | 'bytes'
  | 'treeHash'
  | 'tier'
  | 'throttle'
  | 'by'
>;

/** Idempotent: false where the archive has a move that is under way, or whose old copy is not gone. */
export async function wantMigration(store: Store, clock: Clock, wanted: WantedMigration): Promise<boolean> {
  const earlier = await migrationsOf(store, wanted.archive);
  if (earlier.some(({ state }) => state !== 'gone' && state !== 'ended')) return false;
  const document = {
    ...wanted,
    _id: `${wanted.archive}.${earlier.length + 1}`,
    v: LEDGER_VERSION,
    state: 'wanted' as const,
    wantedAt: clock.now(),
    ...{ epoch: 0, jobId: null, expectedAt: null, uploadId: null, stored: null, listedAt: null, movedAt: null },
    ...{ deletion: null, problem: null },
  };
  // Two who want it at once make one of the same name.
  return (await migrations(store).insert(document)) === 'inserted';
}

/** Changes it under the lease of its archive. Throws LEASE_LOST where a later worker has written it. */
export async function changeMigration(
  store: Store,
  lease: Pick<ArchiveLease, 'epoch' | 'assertHeld'>,
  migration: string,
  change: Partial<Omit<MigrationDocument, '_id' | 'v' | 'rev' | 'archive' | 'epoch'>>,
): Promise<MigrationDocument> {
  return await update(migrations(store), migration, (document) => {
    lease.assertHeld();
    if (document.epoch > lease.epoch) {
      throw new MoraineError('LEASE_LOST', `Another worker goes on with migration ${migration}.`);
    }
    return { ...document, ...change, epoch: lease.epoch };
  });
}

/** What an inventory said of a copy; by whoever read it, without a lease. */
export async function noteMigration(
  store: Store,
  migration: string,
  change: (document: MigrationDocument) => MigrationDocument | null,
): Promise<MigrationDocument> {
  return await update(migrations(store), migration, change);
}

/** The move that a purge must wait for, since it does not know yet where the copies are; null: there is none. */
export async function migrationInTheWay(store: Store, archive: ArchiveId): Promise<MigrationDocument | null> {
  for await (const one of findMigrations(store, { archive, state: { $in: ['copying', 'copied'] } })) return one;
  return null;
}

/** The old copies of an archive that an inventory has not shown to be gone. */
export async function oldCopiesOf(store: Store, archive: ArchiveId): Promise<readonly MigrationDocument[]> {
  return (await migrationsOf(store, archive)).filter(({ state }) => state === 'moved' || state === 'deleting');
}

/**
 * The proof for the leaf that deletes an old copy. Either the archive itself is being purged and the vaults are asked, or
 * the copy is `deleting` by an approval and the archive is somewhere else. Throws INTERNAL otherwise.
 */
export function claimOldCopy(
  clock: Clock,
  lease: ArchiveLease,
  announcement: Announcement,
  migration: MigrationDocument,
): PurgeClaim {
  const archive = lease.document;
  const isPurge = archive.state === 'purging' && archive.purge?.askedAt != null;
  const isElsewhere = archive.stored !== null && archive.stored.vaultArchiveId === migration.stored?.vaultArchiveId;
  const isApproved = migration.state === 'deleting' && migration.deletion?.approval != null;
  const isOld = archive.stored?.vaultArchiveId !== migration.fromArchiveId;
  if (migration.archive !== archive._id || !isElsewhere || !isOld || !(isPurge || isApproved)) {
    throw new MoraineError('INTERNAL', `The old copy of archive ${archive._id} is not to be deleted.`);
  }
  return PurgeClaim.issue(archive._id, migration.fromArchiveId, lease, announcement.endsAtMs, clock);
}
