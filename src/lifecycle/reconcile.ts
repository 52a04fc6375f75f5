/**
 * Reconcile: the ledger against the vaults' inventories and against the source, both ways. Starts the inventory jobs
 * that are needed, takes finished ones, and carries on what waited for them. Removes nothing but uploads of attempts
 * that the ledger itself names abandoned.
 */
import { isMoraineError } from '../errors.ts';
import type { ArchiveId, Namespace } from '../ids.ts';
import { raiseAlarm } from '../ledger/alarms.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives, settleUnaudited } from '../ledger/archives.ts';
import { attempts, attemptsToCleanUp, proveAbandoned } from '../ledger/attempts.ts';
import { auditHead } from '../ledger/audit.ts';
import { removeEndedAnnouncements } from '../ledger/in-flight.ts';
import { needInventory, openInventories, wantedInventories } from '../ledger/inventories.ts';
import { segmentsOf } from '../ledger/record-index.ts';
import { removeSpentMarks } from '../ledger/record-marks.ts';
import { toShape } from '../policy/policy.ts';
import type { VaultLocation } from '../vault/port.ts';
import { carryOn } from './carry-on.ts';
import { assertNotStopped, type Context, dueNow, locationKey, vaultOf } from './context.ts';
import { followInventory } from './follow-inventory.ts';
import { pinnedPolicy } from './published.ts';
import { marksOf } from './read-marks.ts';
import { removeLeftPages } from './remove-left-pages.ts';
import { refreshRetrievals } from './retrieve.ts';
import { settleAttempts } from './settle-attempts.ts';
import { settleVault, type VaultFindings } from './settle-vault.ts';
import { unansweredSince } from './unanswered-purge.ts';

export interface ReconcileReport {
  readonly vaults: readonly {
    readonly vault: string;
    /** `waiting`: an inventory was asked for, also where an earlier one was compared just now and was not late enough. */
    readonly state: 'compared' | 'waiting' | 'not-needed' | 'failed';
    readonly until: Date | null;
    readonly text: string | null;
  }[];
  readonly verified: readonly ArchiveId[];
  /** Verified by an inventory, by this or an earlier look, and cleared now. */
  readonly cleared: readonly ArchiveId[];
  readonly confirmed: readonly ArchiveId[];
  readonly missing: readonly ArchiveId[];
  readonly quarantined: readonly ArchiveId[];
  readonly strays: VaultFindings['strays'];
  readonly foreign: number;
  readonly removedUploads: number;
  /** Records that a cleared archive holds as deleted and that are in the source again. */
  readonly reappeared: readonly {
    readonly archive: ArchiveId;
    readonly namespace: Namespace;
    readonly records: number;
  }[];
}

export interface ReconcileOptions {
  /** Ask for the inventory of every vault, not only of those with something to verify or confirm. */
  readonly all: boolean;
  /** Compare cleared archives with the source too. */
  readonly source: boolean;
}

export async function reconcile(context: Context, options: ReconcileOptions): Promise<ReconcileReport> {
  const report = {
    vaults: [] as {
      vault: string;
      state: 'compared' | 'waiting' | 'not-needed' | 'failed';
      until: Date | null;
      text: string | null;
    }[],
    verified: [] as ArchiveId[],
    cleared: [] as ArchiveId[],
    confirmed: [] as ArchiveId[],
    missing: [] as ArchiveId[],
    quarantined: [] as ArchiveId[],
    strays: [] as { vault: string; vaultArchiveId: string; archive: string }[],
    foreign: 0,
    removedUploads: 0,
    reappeared: [] as { archive: ArchiveId; namespace: Namespace; records: number }[],
  };
  await settleAttempts(context);
  for (const location of await knownVaults(context, options)) {
    assertNotStopped(context);
    try {
      report.removedUploads += await abortAbandonedUploads(context, location);
      const answer = await followInventory(context, location);
      if (answer.state !== 'ready') {
        const until = answer.state === 'pending' ? answer.expectedAt : null;
        report.vaults.push({
          vault: location.name,
          state: answer.state === 'pending' ? 'waiting' : 'not-needed',
          until,
          text: null,
        });
        continue;
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
      report.verified.push(...findings.verified);
      report.confirmed.push(...findings.confirmed);
      report.missing.push(...findings.missing);
      report.quarantined.push(...findings.quarantined);
      report.strays.push(...findings.strays);
      report.foreign += findings.foreign;
      report.removedUploads += findings.removed;
      await watchForRestoredLedger(context, findings.newestAt);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      context.log.error({ vault: location.name }, text);
      report.vaults.push({ vault: location.name, state: 'failed', until: null, text });
    }
  }
  report.cleared.push(...(await clearVerified(context)));
  await settleUnaudited(context.store, context.audit);
  await refreshRetrievals(context);
  await removeEndedAnnouncements(context.store);
  await removeLeftPages(context);
  await removeSpentMarks(context.store, dueNow(context));
  if (options.source) report.reappeared.push(...(await findReappeared(context)));
  return report;
}

/** What waited for an inventory goes on. One that fails, or that another worker is busy with, is carried on by the next run. */
async function clearVerified(context: Context): Promise<ArchiveId[]> {
  const cleared: ArchiveId[] = [];
  const waiting: ArchiveDocument[] = [];
  for await (const archive of findArchives(context.store, { state: 'verified', verifyLevel: 'inventory' }))
    waiting.push(archive);
  for (const { _id, policyVersion } of waiting) {
    assertNotStopped(context);
    try {
      const { state } = await carryOn(context, _id, await pinnedPolicy(context.store, policyVersion));
      if (state === 'cleared') cleared.push(_id);
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED')) throw error;
      context.log.warn({ archive: _id }, `It could not be cleared now: ${String(error)}`);
    }
  }
  return cleared;
}

/** Vaults with something to verify, to confirm or to clean up; with `all` every vault that holds an archive. Says what each needs. */
async function knownVaults(context: Context, options: ReconcileOptions): Promise<readonly VaultLocation[]> {
  const needed = new Map<string, { readonly location: VaultLocation; since: Date }>();
  const need = (location: VaultLocation, since: Date) => {
    const known = needed.get(locationKey(location));
    if (known === undefined) needed.set(locationKey(location), { location, since });
    else if (known.since < since) known.since = since;
  };
  const states = options.all ? ['stored', 'verified', 'cleared', 'purging', 'purged'] : ['stored', 'purging', 'purged'];
  for await (const archive of findArchives(context.store, { state: { $in: states } })) {
    const since = neededSince(archive, options, context.clock.now());
    if (since !== null) need(archive.vault, since);
  }
  for await (const { location, endedAt } of attemptsToCleanUp(context.store, context.clock))
    if (endedAt !== null) need(location, endedAt);
  for (const { location, since } of needed.values()) await needInventory(context.store, location, since);
  const vaults = new Map([...needed].map(([key, { location }]) => [key, location]));
  // What an earlier look asked for is followed to its end, whatever this one asks for.
  for await (const { location } of openInventories(context.store)) vaults.set(locationKey(location), location);
  for await (const { location } of wantedInventories(context.store, context.clock))
    vaults.set(locationKey(location), location);
  return [...vaults.values()];
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
async function findReappeared(
  context: Context,
): Promise<{ archive: ArchiveId; namespace: Namespace; records: number }[]> {
  const found: { archive: ArchiveId; namespace: Namespace; records: number }[] = [];
  for await (const archive of findArchives(context.store, { state: 'cleared', rosterShrunk: true })) {
    assertNotStopped(context);
    const records = await countReappeared(context, archive);
    if (records === 0) continue;
    found.push({ archive: archive._id, namespace: archive.namespace, records });
    context.log.warn({ archive: archive._id, records }, 'Records that the archive holds are in the source again.');
  }
  return found;
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
