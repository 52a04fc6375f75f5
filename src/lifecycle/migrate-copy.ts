/**
 * One archive's move, a step at a time and always under the archive's lease: ask the old vault, stream to the new one,
 * verify, name the new place (migrate.ts has the order, src/ledger/migrations.ts the states). At most two parts of the
 * file are in memory.
 */
import { MIB } from '../archive/tree-hash.ts';
import { isMoraineError, MoraineError } from '../errors.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { type ArchiveLease, amendArchive, claimArchive, settleAudit } from '../ledger/archives.ts';
import type { AuditEntryBody } from '../ledger/audit.ts';
import { needInventory } from '../ledger/inventories.ts';
import { changeMigration, getMigration, type MigrationDocument } from '../ledger/migrations.ts';
import { isBeingRead } from '../ledger/restoring.ts';
import { liveRetrievals } from '../ledger/retrievals.ts';
import type { StoredArchive, UploadIntent, VaultPort } from '../vault/port.ts';
import { assertNotStopped, type Context, vaultOf } from './context.ts';
import { guardArchive } from './guard-archives.ts';
import { PartSender } from './part-sender.ts';
import { assertPlaced } from './placement.ts';

/** One read of the old vault's output. */
const READ_BYTES = 8 * MIB;
const PART_BYTES = 8 * MIB;
const MAX_PARTS = 10_000;

/** Takes one move as far as it comes now. Throws LEASE_HELD while another worker has the archive, and what the vaults throw. */
export async function stepMigration(context: Context, { _id, archive }: MigrationDocument): Promise<MigrationDocument> {
  const lease = await claimArchive(context.store, context.audit, archive, context);
  try {
    let migration = await getMigration(context.store, _id);
    for (;;) {
      assertNotStopped(context);
      const before = migration.state;
      migration = await stepOnce(context, lease, migration);
      if (migration.state === before || migration.state === 'moved') return migration;
    }
  } finally {
    await lease.giveUp();
  }
}

async function stepOnce(context: Context, lease: ArchiveLease, migration: MigrationDocument) {
  const archive = lease.document;
  if (migration.state === 'copied') return await nameNewPlace(context, lease, migration);
  if (!['wanted', 'retrieving', 'copying'].includes(migration.state)) return migration;
  if (archive.state === 'purged' || archive.state === 'confirmed' || archive.state === 'abandoned')
    return await end(context, lease, migration, `The archive is ${archive.state}.`);
  // In quarantine, or being purged: whoever looks after it decides first.
  if (archive.state !== 'cleared') return migration;
  if (!isInOldPlace(archive, migration)) return await end(context, lease, migration, 'The archive is somewhere else.');
  if (migration.state === 'wanted') return await change(context, lease, migration, { state: 'retrieving' });
  if (migration.jobId === null) return await ask(context, lease, migration);
  const job = await vaultOf(context, migration.from.key).retrievalState(migration.from, migration.jobId);
  // The output has expired, also half way through a copy: it is asked for again.
  if (job.state === 'gone') return await ask(context, lease, migration);
  if (job.state === 'pending') return await noteExpected(context, lease, migration, job.expectedAt);
  return await copy(context, lease, migration, migration.jobId);
}

/** Asks the old vault, or finds the job of a request whose reply was lost. What comes of it is seen by the next look. */
async function ask(context: Context, lease: ArchiveLease, migration: MigrationDocument): Promise<MigrationDocument> {
  const { _id, from, fromArchiveId, tier, jobId } = migration;
  const vault = vaultOf(context, from.key);
  await lease.keep();
  const mark = `migration ${_id}`;
  const lost = jobId === null ? await vault.findRetrieval(from, fromArchiveId, null, mark) : null;
  const found = lost ?? (await vault.requestRetrieval(from, fromArchiveId, tier, null, mark));
  const asked = await change(context, lease, migration, { jobId: found, expectedAt: null });
  const job = await vault.retrievalState(from, found);
  return job.state === 'pending' ? await noteExpected(context, lease, asked, job.expectedAt) : asked;
}

async function noteExpected(context: Context, lease: ArchiveLease, migration: MigrationDocument, at: Date | null) {
  if (migration.expectedAt?.getTime() === at?.getTime()) return migration;
  return await change(context, lease, migration, { expectedAt: at });
}

async function copy(
  context: Context,
  lease: ArchiveLease,
  before: MigrationDocument,
  jobId: string,
): Promise<MigrationDocument> {
  const { from, to, bytes, treeHash } = before;
  const vault = vaultOf(context, to.key);
  assertPlaced(context.placement, before.owner, { attachments: new Set(), vaults: new Set([to.key]) });
  await lease.keep();
  await vault.ensure(to);
  const intent = intentOf(context, lease.document);
  if (before.state === 'copying') await abortEarlier(context, lease, before, intent);
  await settleAudit(context.audit, lease, [entry(lease.document, before, 'intent', { to: to.name })]);
  let migration = await change(context, lease, before, { state: 'copying', uploadId: null, problem: null });
  const sender = new PartSender({ vault, store: context.store }, lease, {
    location: to,
    intent,
    partBytes: partBytesFor(vault, bytes),
    remember: async ({ uploadId }) => {
      migration = await change(context, lease, migration, { uploadId });
    },
  });
  let stored: StoredArchive;
  try {
    for (let start = 0; start < bytes; start += READ_BYTES) {
      await lease.keep();
      const end = Math.min(bytes, start + READ_BYTES);
      await sender.take(await vaultOf(context, from.key).readRetrieval(from, jobId, { start, end }));
    }
    stored = await sender.finish({ bytes, treeHash });
  } catch (error) {
    await sender.settled();
    if (!isMoraineError(error, 'VAULT_CHECKSUM')) throw error;
    // What came out of the old vault is not what the ledger says: nothing was stored, and the old copy is in doubt.
    return await change(context, lease, migration, { problem: { code: error.code, text: error.message } });
  }
  if (stored.treeHash !== treeHash || stored.bytes !== bytes) {
    throw new MoraineError('VAULT_CHECKSUM', `The new vault acknowledged other bytes for archive ${before.archive}.`, {
      changed: 'The old copy is the one that counts; nothing was deleted.',
      ids: { archive: before.archive },
    });
  }
  return await change(context, lease, migration, {
    state: 'copied',
    uploadId: null,
    stored: { vaultArchiveId: stored.vaultArchiveId, at: stored.at },
  });
}

/** A cut worker's upload, also one that was begun and not written down. Whole objects are found again by their name. */
async function abortEarlier(context: Context, lease: ArchiveLease, migration: MigrationDocument, intent: UploadIntent) {
  const vault = vaultOf(context, migration.to.key);
  const open = new Set(migration.uploadId === null ? [] : [migration.uploadId]);
  for await (const { uploadId, intent: of } of vault.listUploads(migration.to))
    if (of?.archive === intent.archive && of.attempt === intent.attempt) open.add(uploadId);
  for (const uploadId of open) {
    await lease.keep();
    await vault.abortUpload(migration.to, uploadId);
  }
}

/** Step 3: from here on the new copy is the archive. */
async function nameNewPlace(
  context: Context,
  lease: ArchiveLease,
  migration: MigrationDocument,
): Promise<MigrationDocument> {
  const { store } = context;
  const { archive: id, to, stored: copied, listedAt } = migration;
  const archive = lease.document;
  if (copied === null || archive.stored === null || archive.attempt === null)
    throw new MoraineError('INTERNAL', `Migration ${migration._id} has nothing to name.`);
  // Named before, and its worker was cut: what is left is to say so.
  const isNamed = archive.stored.vaultArchiveId === copied.vaultArchiveId;
  if (!isNamed) {
    if (archive.state !== 'cleared' || !isInOldPlace(archive, migration)) return migration;
    if (archive.verifyLevel === 'inventory' && listedAt === null) {
      await needInventory(store, to, copied.at);
      return migration;
    }
    // A retrieval has its job at the old vault: it is read there first.
    if ((await liveRetrievals(store, id)).length > 0 || (await isBeingRead(store, id))) return migration;
    await context.keys.readBack(archive.attempt);
    await lease.keep();
    const { vaultArchiveId, at } = copied;
    await amendArchive(lease, { vault: to, stored: { ...archive.stored, vaultArchiveId, at }, guard: {} });
  }
  // Lock and legal hold are those of the place where the archive is. Until they are on, no purge comes near it.
  await guardArchive(context, lease);
  const details = { to: to.name, from: migration.from.name, treeHash: migration.treeHash };
  await settleAudit(context.audit, lease, [entry(archive, migration, 'outcome', details)]);
  return await change(context, lease, migration, { state: 'moved', movedAt: context.clock.now(), problem: null });
}

async function end(
  context: Context,
  lease: ArchiveLease,
  migration: MigrationDocument,
  text: string,
): Promise<MigrationDocument> {
  // Bytes may be there under the key of an archive that is not purged: the copy is finished first.
  if (migration.state === 'copying') return migration;
  return await change(context, lease, migration, {
    state: 'ended',
    problem: { code: 'ARCHIVE_NOT_RETRIEVABLE', text },
  });
}

async function change(
  context: Context,
  lease: ArchiveLease,
  { _id }: MigrationDocument,
  set: Parameters<typeof changeMigration>[3],
): Promise<MigrationDocument> {
  return await changeMigration(context.store, lease, _id, set);
}

export function isInOldPlace({ vault, stored }: ArchiveDocument, migration: MigrationDocument): boolean {
  return vault.key === migration.from.key && stored?.vaultArchiveId === migration.fromArchiveId;
}

/** The same as the first upload had, but for a purge date that people have moved: the file is the same, and so is its key. */
function intentOf(context: Context, archive: ArchiveDocument): UploadIntent {
  const { _id, attempt, owner, customer, namespace, policyVersion, plan, rescheduled = [], dueAt } = archive;
  if (attempt === null) throw new MoraineError('INTERNAL', `Archive ${_id} has no attempt.`);
  const due = rescheduled.length > 0 && dueAt !== null ? dueAt : plan.latestPurgeAt;
  return {
    installation: context.installation.id,
    archive: _id,
    ...{ attempt, owner, customer, policyVersion },
    dataset: namespace,
    dueAt: due.toISOString(),
  };
}

function partBytesFor(vault: VaultPort, bytes: number): number {
  let partBytes = Math.max(PART_BYTES, vault.smallestPartBytes);
  while (partBytes * MAX_PARTS < bytes) partBytes *= 2;
  return partBytes;
}

function entry(
  { _id, owner, customer, policy }: ArchiveDocument,
  migration: MigrationDocument,
  phase: AuditEntryBody['phase'],
  details: AuditEntryBody['details'],
): AuditEntryBody {
  const subject = { archive: _id, owner, customer, policy, migration: migration._id };
  return { key: `${migration._id}:migrate:${phase}`, act: 'archive migrate', phase, subject, details };
}
