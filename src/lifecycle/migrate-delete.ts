/**
 * The old copies of archives that were moved: deleted only when other people approved exactly this set, and proven gone by
 * an inventory of the old vault; or together with the archive, by its purge.
 *
 * Deleting an old copy destroys nothing, for the archive has a verified copy elsewhere. It is stopped by what stops a purge
 * all the same (a hold, a pause, an open retrieval, clocks, alarms): a copy too many costs a little, and the day on which
 * a hold is placed is no day to delete anything that it covers.
 */
import type { Json } from '../canonical-json.ts';
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import { approvalHash, approvals } from '../ledger/approvals.ts';
import { type ArchiveLease, claimArchive, settleAudit } from '../ledger/archives.ts';
import type { AuditEntryBody } from '../ledger/audit.ts';
import { scopeOf } from '../ledger/clearing.ts';
import { type Announcement, announceAndLook, withdraw } from '../ledger/in-flight.ts';
import { needInventory } from '../ledger/inventories.ts';
import {
  changeMigration,
  claimOldCopy,
  findMigrations,
  getMigration,
  type MigrationDocument,
  noteMigration,
  oldCopiesOf,
  pagedMigrations,
} from '../ledger/migrations.ts';
import { isBeingRead } from '../ledger/restoring.ts';
import { liveRetrievals } from '../ledger/retrievals.ts';
import type { Filter } from '../ledger/store.ts';
import { type ApprovalRequest, requireApproval } from './approval.ts';
import { assertNotStopped, type Context, vaultOf } from './context.ts';
import { ensureSafeToDestroy } from './preflight.ts';

/** A person can look through this many, and a request stays one document. The next set is another request. */
export const MOST_OLD_COPIES_AT_ONCE = 1_000;
/** Used-up approvals that are looked at for a set that was cut: the newest are enough. */
const APPROVALS_LOOKED_AT = 5;

/** What would be asked for: the old copies that are there, the oldest move first. Null: there is none. */
export async function oldCopiesRequest(context: Context, filter: Filter): Promise<ApprovalRequest | null> {
  const found: MigrationDocument[] = [];
  const options = { sort: { _id: 1 }, limit: MOST_OLD_COPIES_AT_ONCE } as const;
  for await (const one of findMigrations(context.store, { ...filter, state: 'moved' }, options)) found.push(one);
  const [first] = found;
  if (first === undefined) return null;
  const request = {
    kind: 'migrate' as const,
    subject: { from: first.from.key, to: first.to.key, copies: String(found.length) },
    shown: { deleteOldCopies: found.map(shownOf), bytes: found.reduce((sum, { bytes }) => sum + bytes, 0) },
    items: found.map(({ _id }) => _id),
  };
  return { ...request, spendFor: `old copies ${approvalHash(request).slice(0, 16)}` };
}

function shownOf({
  archive,
  owner,
  customer,
  from,
  fromArchiveId,
  to,
  stored,
  bytes,
  treeHash,
}: MigrationDocument): Json {
  const old = { vault: from.name, vaultArchiveId: fromArchiveId };
  const kept = { vault: to.name, vaultArchiveId: stored?.vaultArchiveId ?? null };
  return { archive, owner, customer, old, kept, bytes, treeHash };
}

/** Asks for the approval, or uses it, and marks the set: from then on the daemon deletes it too. Throws APPROVAL_NEEDED. */
export async function orderOldCopiesGone(context: Context, filter: Filter, by: string): Promise<number> {
  await finishCutOrders(context);
  const request = await oldCopiesRequest(context, filter);
  if (request === null) return 0;
  const { approval } = await requireApproval(context, request, by);
  return await markSet(context, request.items ?? [], approval);
}

/** An order whose worker was cut between using the approval up and marking the last of its set. */
async function finishCutOrders(context: Context): Promise<void> {
  const options = { sort: { requestedAt: -1 }, limit: APPROVALS_LOOKED_AT } as const;
  const used: { readonly _id: string; readonly items: readonly string[] }[] = [];
  for await (const one of approvals(context.store).find({ kind: 'migrate', state: 'spent' }, options)) used.push(one);
  for (const { _id, items } of used) await markSet(context, items, _id);
}

async function markSet(context: Context, items: readonly string[], approval: string): Promise<number> {
  let marked = 0;
  const nothing = { askedAt: null, acceptedAt: null, requestId: null, listedAt: null, goneAt: null };
  for (const migration of items) {
    await noteMigration(context.store, migration, (document) => {
      if (document.state !== 'moved') return null;
      marked += 1;
      return { ...document, state: 'deleting', deletion: { approval, ...nothing } };
    });
  }
  return marked;
}

export interface OldCopiesProgress {
  readonly deleted: number;
  readonly waiting: number;
  readonly problems: readonly { readonly archive: string; readonly code: string; readonly text: string }[];
}

/** Deletes what was approved. What is held, read or worked on by others waits. One that fails never stops the others. */
export async function carryOnOldCopies(context: Context, filter: Filter = {}): Promise<OldCopiesProgress> {
  const progress = { deleted: 0, waiting: 0, problems: [] as { archive: string; code: string; text: string }[] };
  const asked = { ...filter, state: 'deleting', 'deletion.acceptedAt': null };
  for await (const { _id, archive } of pagedMigrations(context.store, asked)) {
    assertNotStopped(context);
    try {
      if (await deleteOldCopy(context, _id)) progress.deleted += 1;
      else progress.waiting += 1;
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED')) throw error;
      progress.waiting += 1;
      if (isMoraineError(error, 'LEASE_HELD') || isMoraineError(error, 'PAUSED') || errorClass(error) === 'later')
        continue;
      const code = error instanceof MoraineError ? error.code : 'INTERNAL';
      context.log.warn({ archive, code }, `An old copy is not deleted: ${String(error)}`);
      progress.problems.push({ archive, code, text: String(error) });
    }
  }
  return progress;
}

/** False: something keeps it there for now. */
async function deleteOldCopy(context: Context, id: string): Promise<boolean> {
  await ensureSafeToDestroy(context);
  const { archive } = await getMigration(context.store, id);
  const lease = await claimArchive(context.store, context.audit, archive, context);
  try {
    const migration = await getMigration(context.store, id);
    const { state, attempt } = lease.document;
    // Purged meanwhile: its purge sees to every copy. In quarantine: nothing of it goes.
    if (migration.state !== 'deleting' || migration.deletion?.acceptedAt != null || state !== 'cleared') return false;
    if ((await liveRetrievals(context.store, archive)).length > 0 || (await isBeingRead(context.store, archive)))
      return false;
    if (attempt !== null) await context.keys.readBack(attempt);
    const { store, clock, worker } = context;
    const look = await announceAndLook(store, clock, worker, 'purge', scopeOf(lease.document));
    if (look.held) return false;
    try {
      await askOldVault(context, lease, look.announcement, migration);
    } finally {
      await withdraw(store, look.announcement);
    }
    return true;
  } finally {
    await lease.giveUp();
  }
}

/** Asks the old vault to delete its copy, and remembers the answer; the caller has announced and looked. Idempotent. */
async function askOldVault(
  context: Context,
  lease: ArchiveLease,
  announcement: Announcement,
  migration: MigrationDocument,
): Promise<void> {
  const { store, clock } = context;
  const { _id, from } = migration;
  const claim = claimOldCopy(clock, lease, announcement, migration);
  const deletion = { ...NOT_ASKED, ...migration.deletion, askedAt: migration.deletion?.askedAt ?? clock.now() };
  const approval = deletion.approval;
  await settleAudit(context.audit, lease, [entryOf(lease, migration, 'intent', { vault: from.name, approval })]);
  await changeMigration(store, lease, _id, { state: 'deleting', deletion });
  await lease.keep();
  const vault = vaultOf(context, from.key);
  // No hold was found: one that the old vault still shows has no reason any more.
  if (vault.guards.holds) await vault.mirrorHold(from, migration.fromArchiveId, false);
  const { at, requestId = null } = await vault.deleteArchive(from, claim);
  await changeMigration(store, lease, _id, { deletion: { ...deletion, acceptedAt: at, requestId } });
  await needInventory(store, from, at);
  const details = { vault: from.name, acceptedAt: at.toISOString(), requestId };
  await settleAudit(context.audit, lease, [entryOf(lease, migration, 'outcome', details)]);
}

const NOT_ASKED = { approval: null, acceptedAt: null, requestId: null, listedAt: null, goneAt: null };

/**
 * Of a purge that has announced, looked and written that it asks: the old copies first. A veto of the old vault then finds
 * the archive itself untouched, and the purge can step back.
 */
export async function deleteCopiesForPurge(
  context: Context,
  lease: ArchiveLease,
  announcement: Announcement,
): Promise<void> {
  for (const migration of await oldCopiesOf(context.store, lease.document._id)) {
    if (migration.deletion?.acceptedAt != null) continue;
    await askOldVault(context, lease, announcement, migration);
  }
}

function entryOf(
  { document }: ArchiveLease,
  { _id }: MigrationDocument,
  phase: AuditEntryBody['phase'],
  details: AuditEntryBody['details'],
): AuditEntryBody {
  const { _id: archive, owner, customer, policy } = document;
  const subject = { archive, owner, customer, policy, migration: _id };
  return { key: `${_id}:old copy:${phase}`, act: 'old copy deleted', phase, subject, details };
}
