/**
 * Reconcile: the ledger against the vaults' inventories and against the source, both ways. Starts the inventory jobs
 * that are needed, takes finished ones, and carries on what waited for them. Removes nothing but uploads of attempts
 * that the ledger itself names abandoned.
 */
import { isMoraineError } from '../errors.ts';
import { raiseAlarm } from '../ledger/alarms.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { archivesById, findArchives, settleUnaudited } from '../ledger/archives.ts';
import { attempts, attemptsToCleanUp, proveAbandoned } from '../ledger/attempts.ts';
import { auditHead } from '../ledger/audit.ts';
import { removeEndedAnnouncements } from '../ledger/in-flight.ts';
import { getInventory, needInventory, pagedVaults } from '../ledger/inventories.ts';
import { removeLeftSpools } from '../ledger/inventory-spool.ts';
import { segmentsOf } from '../ledger/record-index.ts';
import { removeSpentMarks } from '../ledger/record-marks.ts';
import type { FindOptions } from '../ledger/store.ts';
import { toShape } from '../policy/policy.ts';
import type { VaultLocation } from '../vault/port.ts';
import { carryOn } from './carry-on.ts';
import { assertNotStopped, type Context, dueNow, locationKey, vaultOf } from './context.ts';
import { followInventory } from './follow-inventory.ts';
import { bringGuards } from './guard-archives.ts';
import { closeReappeared, noteReappeared } from './note-finding.ts';
import { pinnedPolicy } from './published.ts';
import { marksOf } from './read-marks.ts';
import {
  addFindings,
  addNamed,
  addReappeared,
  newReport,
  type ReconcileReport,
  type Report,
} from './reconcile-report.ts';
import { removeLeftPages } from './remove-left-pages.ts';
import { refreshRetrievals } from './retrieve.ts';
import { settleAttempts } from './settle-attempts.ts';
import { settleVault } from './settle-vault.ts';
import { unansweredSince } from './unanswered-purge.ts';

export type { ReconcileReport } from './reconcile-report.ts';

export interface ReconcileOptions {
  /** Ask for the inventory of every vault, not only of those with something to verify or confirm. */
  readonly all: boolean;
  /** Compare cleared archives with the source too. */
  readonly source: boolean;
}

export async function reconcile(context: Context, options: ReconcileOptions): Promise<ReconcileReport> {
  const report = newReport();
  await settleAttempts(context);
  await removeLeftSpools(context.store, context.clock);
  await needInventories(context, options);
  for await (const location of vaultsToLookAt(context)) {
    assertNotStopped(context);
    try {
      await lookAt(context, location, report);
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED')) throw error;
      const text = error instanceof Error ? error.message : String(error);
      context.log.error({ vault: location.name }, text);
      report.vaults.push({ vault: location.name, state: 'failed', until: null, text });
    }
  }
  await clearVerified(context, report);
  await bringGuards(context);
  await settleUnaudited(context.store, context.audit);
  await refreshRetrievals(context);
  await removeEndedAnnouncements(context.store);
  await removeLeftPages(context);
  await removeSpentMarks(context.store, dueNow(context));
  if (options.source) await findReappeared(context, report);
  return report;
}

async function lookAt(context: Context, location: VaultLocation, report: Report): Promise<void> {
  report.removedUploads += await abortAbandonedUploads(context, location);
  const answer = await followInventory(context, location);
  if (answer.state !== 'ready') {
    const until = answer.state === 'pending' ? answer.expectedAt : null;
    const state = answer.state === 'pending' ? 'waiting' : 'not-needed';
    report.vaults.push({ vault: location.name, state, until, text: null });
    return;
  }
  const findings = await settleVault(context, location, answer.jobId, answer.inventory);
  // One that was not late enough for everything that waits is followed by the next at once.
  const next = await followInventory(context, location);
  report.vaults.push({
    vault: location.name,
    state: next.state === 'not-needed' ? 'compared' : 'waiting',
    until: next.state === 'pending' ? next.expectedAt : null,
    text: null,
  });
  addFindings(report, findings);
  await watchForRestoredLedger(context, findings.newestAt);
}

/** What waited for an inventory goes on. One that fails, or that another worker is busy with, is carried on by the next run. */
async function clearVerified(context: Context, report: Report): Promise<void> {
  for await (const archive of archivesById(context.store, context.clock, {
    state: 'verified',
    verifyLevel: 'inventory',
  })) {
    const { _id, policyVersion } = archive;
    assertNotStopped(context);
    try {
      const { state } = await carryOn(context, _id, await pinnedPolicy(context.store, policyVersion));
      if (state === 'cleared') addNamed(report, 'cleared', [_id], 1);
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED')) throw error;
      context.log.warn({ archive: _id }, `It could not be cleared now: ${String(error)}`);
    }
  }
}

/** Vaults of which is remembered that their need is written, so that ten million archives in turn do not write it ten million times. */
const VAULTS_IN_HAND = 1_000;

/** Says of vaults with something to verify, to confirm or to clean up that they need an inventory; with `all` of every vault that holds an archive. */
async function needInventories(context: Context, options: ReconcileOptions): Promise<void> {
  const hand = new Map<string, { readonly location: VaultLocation; since: Date }>();
  const write = async (key: string) => {
    const need = hand.get(key);
    if (need !== undefined) await needInventory(context.store, need.location, need.since);
    hand.delete(key);
  };
  const need = async (location: VaultLocation, since: Date) => {
    const key = locationKey(location);
    const known = hand.get(key);
    if (known !== undefined && known.since < since) known.since = since;
    if (known !== undefined) return;
    const [oldest] = hand.keys();
    if (hand.size >= VAULTS_IN_HAND && oldest !== undefined) await write(oldest);
    hand.set(key, { location, since });
  };
  const states = options.all ? ['stored', 'verified', 'cleared', 'purging', 'purged'] : ['stored', 'purging', 'purged'];
  // All of them vault by vault: then each vault is in hand once.
  const order: FindOptions = options.all ? { sort: { 'vault.name': 1, 'vault.prefix': 1 } } : {};
  for await (const archive of findArchives(context.store, { state: { $in: states } }, order)) {
    const since = neededSince(archive, options, context.clock.now());
    if (since !== null) await need(archive.vault, since);
  }
  for await (const { location, endedAt } of attemptsToCleanUp(context.store, context.clock))
    if (endedAt !== null) await need(location, endedAt);
  for (const key of [...hand.keys()]) await write(key);
  if (options.all) await needUnknown(context);
}

/** Vaults of this installation of which the ledger knows nothing: one that was restored from a backup has lost them. */
async function needUnknown({ store, vaults, installation, log }: Context): Promise<void> {
  for (const [key, vault] of vaults) {
    try {
      for await (const { installation: of, location } of vault.foundVaults()) {
        if (of !== installation.id || location === null) continue;
        if ((await getInventory(store, location)) === null) await needInventory(store, location, new Date(0));
      }
    } catch (error) {
      log.warn({ vault: key }, `Its vaults could not be listed; those of the ledger are looked at: ${String(error)}`);
    }
  }
}

/** Those that need an inventory now, and what an earlier look asked for: that is followed to its end, whatever this one asks for. */
async function* vaultsToLookAt(context: Context): AsyncGenerator<VaultLocation> {
  yield* pagedVaults(context.store, { neededSince: { $ne: null } });
  yield* pagedVaults(context.store, { neededSince: null, state: 'requested' });
}

function neededSince(archive: ArchiveDocument, options: ReconcileOptions, now: Date): Date | null {
  const unanswered = unansweredSince(archive, now);
  if (unanswered !== null) return unanswered;
  if (archive.state === 'purged') return archive.purge?.acceptedAt ?? null;
  if (archive.state === 'stored' && archive.verifyLevel === 'inventory') return archive.stored?.at ?? null;
  return options.all ? (archive.stored?.at ?? null) : null;
}

async function abortAbandonedUploads(context: Context, location: VaultLocation): Promise<number> {
  const vault = vaultOf(context, location.key);
  let aborted = 0;
  for await (const upload of vault.listUploads(location)) {
    if (upload.intent === null) continue;
    const attempt = await attempts(context.store).get(upload.intent.attempt);
    if (attempt === null || (await proveAbandoned(context.store, context.clock, attempt._id)) === null) continue;
    await vault.abortUpload(location, upload.uploadId);
    aborted += 1;
  }
  return aborted;
}

/** The audit chain may lie behind the vault by the time between an acknowledgement and its entry. */
const LEDGER_LAG_MS = 15 * 60_000;

/** A ledger that is older than what it stored in the vault is a restored backup. In a sandbox the vault has a time of its own. */
async function watchForRestoredLedger(context: Context, newestAt: Date | null): Promise<void> {
  if (newestAt === null || context.installation.environment === 'sandbox') return;
  const head = await auditHead(context.store);
  if (head !== null && newestAt.getTime() <= head.at.getTime() + LEDGER_LAG_MS) return;
  const text = `The vault holds an archive of this installation from ${newestAt.toISOString()}, and the newest audit entry is from ${head?.at.toISOString() ?? 'never'}: the ledger seems to be a restored backup.`;
  context.log.error({ code: 'LEDGER_BEHIND_VAULT' }, text);
  await raiseAlarm(context.store, context.clock, 'LEDGER_BEHIND_VAULT', text);
}

/** Looks in the source, by index, in the range of each cleared archive, for records that it holds as deleted. Restored ones are known and left out. */
async function findReappeared(context: Context, report: Report): Promise<void> {
  for await (const archive of archivesById(context.store, context.clock, { state: 'cleared', rosterShrunk: true })) {
    assertNotStopped(context);
    const records = await countReappeared(context, archive);
    const { _id, namespace, policy, vault: location, stored } = archive;
    if (records === 0) {
      await closeReappeared(context, _id);
      continue;
    }
    const subject = { location, archive: _id, vaultArchiveId: stored?.vaultArchiveId ?? '', policy, records };
    addReappeared(report, { archive: _id, namespace, records }, await noteReappeared(context, subject));
    context.log.warn({ archive: _id, records }, 'Records that the archive holds are in the source again.');
  }
}

async function countReappeared(context: Context, archive: ArchiveDocument): Promise<number> {
  const { stored, outcomes } = archive;
  // Of an addendum the ledger knows keys of children, which say nothing about records of the dataset.
  if (stored === null || outcomes.deleted === 0 || archive.addendumTo !== undefined) return 0;
  const { source, store } = context;
  const shape = toShape(await pinnedPolicy(store, archive.policyVersion));
  const partition = { dataset: shape, owner: archive.owner, customer: archive.customer };
  const hmac = await context.keys.hmacFor(archive.owner);
  const marks = await marksOf(context, partition);
  const stayed = outcomes.archived - outcomes.deleted;
  let listed = 0;
  for await (const batch of source.scan(
    partition,
    { after: archive.plan.after, upTo: archive.plan.bound, before: archive.plan.before },
    context.signal,
  )) {
    const markOf = await marks.lookUp(batch);
    for (const record of batch) {
      const mark = markOf(record);
      if (mark.exemptUntil !== null || mark.quarantined) continue;
      if ((await segmentsOf(store, archive._id, stored.records, hmac(record.key))).length > 0) listed += 1;
    }
  }
  return Math.max(0, listed - stayed);
}
