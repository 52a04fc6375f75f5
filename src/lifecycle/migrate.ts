/**
 * Migrate: move archives from one vault to another, byte for byte, under the key that they have. The daemon moves
 * ciphertext; no identity is needed.
 *
 * The order, and why (src/ledger/migrations.ts has the states):
 *  1. The old vault makes the file readable.
 *  2. It streams to the new vault, which must acknowledge the ledger's own tree hash. Where the policy verifies by
 *     inventory, the new vault must list it too.
 *  3. The ledger's archive names the new place: one compare-and-set. Until then everything reads, and would purge, the old
 *     copy; from then on the new one.
 *  4. The old copy stays, remembered, until people approve that exactly this set goes (migrate-delete.ts), or until the
 *     archive is purged, which destroys both.
 * A cut leaves a file too many, never one too few. Every step runs under the archive's lease.
 */
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId, VaultKey } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import {
  BUSY_STATES,
  countMigrations,
  type MigrationDocument,
  MOVING_STATES,
  migrationsOf,
  pagedMigrations,
  wantMigration,
} from '../ledger/migrations.ts';
import type { Filter } from '../ledger/store.ts';
import type { Tier } from '../vault/port.ts';
import { assertNotStopped, type Context, dueNow, vaultOf } from './context.ts';
import { stepMigration } from './migrate-copy.ts';
import { carryOnOldCopies } from './migrate-delete.ts';
import { assertPlaced } from './placement.ts';

/** What is purged within this is not moved: the copy would cost more than it saves, and its purge would wait for it. */
export const NOT_MOVED_BEFORE_PURGE_MS = 30 * 24 * 60 * 60 * 1_000;

export interface MigrationSelection {
  readonly from: VaultKey;
  readonly to: VaultKey;
  readonly owner?: OwnerId;
  readonly customer?: CustomerId;
  /** The most archives; null: all. */
  readonly limit: number | null;
  readonly tier: Tier;
}

export interface MigrationPlan {
  readonly archives: number;
  readonly bytes: number;
  /** Of the retrievals from the old vault, by its list prices. */
  readonly dollars: number;
  readonly hours: number;
  readonly priceSource: string;
  /** Due for purge soon, so they stay where they are. */
  readonly dueSoon: number;
  /** Not cleared yet, or being purged, or in quarantine: a later run takes them. */
  readonly notReady: number;
  /** Their move is under way already, or their old copy is not gone. */
  readonly underWay: number;
}

/** Reads only. Throws USAGE for vaults between which nothing can be moved. */
export async function planMigration(context: Context, selection: MigrationSelection): Promise<MigrationPlan> {
  assertCanMove(context, selection);
  const plan = { archives: 0, bytes: 0, dollars: 0, hours: 0, priceSource: '', dueSoon: 0, notReady: 0, underWay: 0 };
  const vault = vaultOf(context, selection.from);
  for await (const archive of inVault(context, selection)) {
    assertNotStopped(context);
    const why = await whyNotMoved(context, archive);
    if (why !== null) {
      plan[why] += 1;
      continue;
    }
    const { bytes } = storedOf(archive);
    const estimate = vault.estimateRetrieval(bytes, selection.tier, archive.vault);
    plan.archives += 1;
    plan.bytes += bytes;
    plan.dollars += estimate.dollars;
    plan.hours = Math.max(plan.hours, estimate.hours);
    plan.priceSource = estimate.priceSource;
    if (plan.archives === selection.limit) break;
  }
  return plan;
}

/** Writes down what is to be moved; nothing is asked of a vault yet. Idempotent. Returns how many were written. */
export async function wantMigrations(
  context: Context,
  selection: MigrationSelection,
  { by, throttle }: { readonly by: string; readonly throttle: number },
): Promise<number> {
  assertCanMove(context, selection);
  const to = vaultOf(context, selection.to);
  let written = 0;
  for await (const archive of inVault(context, selection)) {
    assertNotStopped(context);
    if (written === selection.limit) break;
    if ((await whyNotMoved(context, archive)) !== null) continue;
    const stored = storedOf(archive);
    assertPlaced(context.placement, archive.owner, { attachments: new Set(), vaults: new Set([selection.to]) });
    const { _id, owner, customer, policy, vault: from } = archive;
    const wanted = {
      archive: _id,
      ...{ owner, customer, policy, from, by, throttle },
      fromArchiveId: stored.vaultArchiveId,
      fromAt: stored.at,
      to: to.locate(context.installation.id, owner, customer),
      bytes: stored.bytes,
      treeHash: stored.treeHash,
      tier: selection.tier,
    };
    if (await wantMigration(context.store, context.clock, wanted)) written += 1;
  }
  return written;
}

export interface MigrationProgress {
  readonly moved: number;
  readonly waiting: number;
  /** The first of them, for people. */
  readonly problems: readonly { readonly archive: string; readonly code: string; readonly text: string }[];
}

const PROBLEMS_NAMED = 20;

/**
 * Takes every move as far as it comes now: asks the old vaults within the throttle, copies what is readable, names the new
 * places; deletes old copies that were approved. One that fails never stops the others. By the daemon, and by the command.
 */
export async function carryOnMigrations(context: Context, filter: Filter = {}): Promise<MigrationProgress> {
  let moved = 0;
  let waiting = 0;
  const problems: { archive: string; code: string; text: string }[] = [];
  // What is under way first: it makes room for what is wanted.
  for (const state of [...BUSY_STATES].reverse()) {
    for await (const migration of pagedMigrations(context.store, { ...filter, state })) await step(migration);
  }
  for await (const migration of pagedMigrations(context.store, { ...filter, state: 'wanted' })) {
    if (await isThrottled(context, migration)) waiting += 1;
    else await step(migration);
  }
  const old = await carryOnOldCopies(context, filter);
  problems.push(...old.problems.slice(0, PROBLEMS_NAMED - problems.length));
  return { moved, waiting, problems };

  async function step(migration: MigrationDocument): Promise<void> {
    assertNotStopped(context);
    try {
      const after = await stepMigration(context, migration);
      if (after.state === 'moved') moved += 1;
      else if (MOVING_STATES.some((state) => state === after.state)) waiting += 1;
      if (after.problem !== null) tell(after.archive, after.problem.code, after.problem.text);
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED')) throw error;
      waiting += 1;
      // Another worker is at it, or the vault says when to come again: nothing that a person has to see.
      if (isMoraineError(error, 'LEASE_HELD') || errorClass(error) === 'later') return;
      tell(migration.archive, error instanceof MoraineError ? error.code : 'INTERNAL', String(error));
    }
  }

  function tell(archive: string, code: string, text: string): void {
    context.log.warn({ archive, code }, `A migration does not go on: ${text}`);
    if (problems.length < PROBLEMS_NAMED) problems.push({ archive, code, text });
  }
}

async function isThrottled(context: Context, { from, to, throttle }: MigrationDocument): Promise<boolean> {
  const busy = { 'from.key': from.key, 'to.key': to.key, state: { $in: BUSY_STATES } };
  return (await countMigrations(context.store, busy)) >= throttle;
}

/** Archives read at once: a cursor would end while what it gave is worked on. */
const PAGE = 500;

async function* inVault(
  context: Context,
  { from, owner, customer }: MigrationSelection,
): AsyncGenerator<ArchiveDocument> {
  const filter = {
    'vault.key': from,
    state: { $in: ['stored', 'verified', 'cleared', 'quarantined'] },
    ...(owner === undefined ? {} : { owner }),
    ...(customer === undefined ? {} : { customer }),
  };
  for (let after = ''; ; ) {
    const page: ArchiveDocument[] = [];
    const options = { sort: { _id: 1 }, limit: PAGE } as const;
    for await (const archive of findArchives(context.store, { ...filter, _id: { $gt: after } }, options))
      page.push(archive);
    for (const archive of page) {
      after = archive._id;
      yield archive;
    }
    if (page.length < PAGE) return;
  }
}

async function whyNotMoved(
  context: Context,
  archive: ArchiveDocument,
): Promise<'dueSoon' | 'notReady' | 'underWay' | null> {
  if (archive.state !== 'cleared' || archive.stored === null || archive.dueAt === null) return 'notReady';
  if (archive.dueAt.getTime() - dueNow(context).getTime() < NOT_MOVED_BEFORE_PURGE_MS) return 'dueSoon';
  const earlier = await migrationsOf(context.store, archive._id);
  return earlier.some(({ state }) => state !== 'gone' && state !== 'ended') ? 'underWay' : null;
}

function storedOf({ _id, stored }: ArchiveDocument) {
  if (stored === null) throw new MoraineError('INTERNAL', `Archive ${_id} is in no vault.`);
  return stored;
}

/** Only where an upload that is sent twice is one object: what a cut left is found again and never there twice. */
function assertCanMove(context: Context, { from, to }: MigrationSelection): void {
  vaultOf(context, from);
  if (from === to) throw new MoraineError('USAGE', 'From and to are the same vault.');
  if (vaultOf(context, to).backend === 'glacier') {
    throw new MoraineError('USAGE', `Archives are moved into a vault of backend s3; ${to} is of backend glacier.`);
  }
}
