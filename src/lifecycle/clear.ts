/** Clear: delete from the source the records that a verified archive holds, or treat them there, a roster page at a time. */
import pMap from 'p-map';
import { MoraineError } from '../errors.ts';
import {
  type ArchiveDocument,
  collectionOfArchive,
  type Outcomes,
  type RecordOutcome,
  withoutLateRoots,
} from '../ledger/archive-document.ts';
import { type ArchiveLease, moveArchive, settleAudit } from '../ledger/archives.ts';
import { recordName } from '../ledger/child-index.ts';
import {
  ClearingPermit,
  countOutcomes,
  proveVerified,
  readPageState,
  removeClearingPages,
  scopeOf,
  settlePage,
  writePageIntent,
} from '../ledger/clearing.ts';
import { removePlannedRecords } from '../ledger/planned-records.ts';
import { type RosterRecord, readRosterPage, removeRostersOf, shrinkRoster } from '../ledger/rosters.ts';
import { childrenSubject } from '../ledger/unit-pages.ts';
import type { DatasetShape, Treatment } from '../source/port.ts';
import { changedAttachments } from './changed-attachments.ts';
import { clearUnits } from './clear-children.ts';
import { type ClearingSubject, clearPage } from './clear-page.ts';
import type { Context } from './context.ts';
import { unitScopeOf } from './late-children.ts';
import { leaveUnits } from './leave-units.ts';
import { markOutcomes } from './mark-outcomes.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { writeUnitIndex } from './unit-index.ts';
import { childOutcomes, writeVoidUnits } from './void-units.ts';

/** Takes a `verified` archive to `cleared`; `treatment`: what is done to its records instead of deleting them. May be called again after a crash: settled pages stay as they are. */
export async function clearArchive(
  context: Context,
  lease: ArchiveLease,
  shape: DatasetShape,
  treatment: Treatment | null = null,
): Promise<ArchiveDocument> {
  const { audit, clock, store } = context;
  await ensureSafeToDestroy(context);
  const verified = proveVerified(lease);
  const archive = lease.document;
  const stored = storedFacts(archive);
  const permit = new ClearingPermit(
    { store, clock, worker: context.worker, sourceTime: () => context.source.serverTime() },
    lease,
    scopeOf(archive),
  );
  const subject: ClearingSubject = {
    shape,
    treatment,
    askWarrant: () => permit.ask(verified),
    writeIntent: (page, present, treated) => writePageIntent(store, lease, page, present, treated),
    settle: async (page, roster, outcomes) => {
      const of = { ...archive, archive: archive._id, namespace: collectionOfArchive(archive) };
      const marked = await markOutcomes(context, of, roster, outcomes);
      await settlePage(store, lease, page, marked);
      return marked;
    },
  };
  await settleAudit(audit, lease, [intentEntry(archive, stored.records)]);
  await eachPage(stored.rosterPages, (page) => clearOnePage(context, lease, subject, page));
  const unit = { ...unitScopeOf(archive, shape), lease, askWarrant: subject.askWarrant, late: 'addendum' } as const;
  const units = await clearUnits(context, unit);
  // Not after a failure: a delete whose reply was lost may still be on its way, and a hold must wait for it.
  await permit.end();
  // It stays `verified`: what hangs on deleted roots is taken up again, by whoever comes next.
  if (units.kind !== 'settled') return await leaveUnits(context, lease, shape, units);
  const outcomes = await countOutcomes(store, archive._id, stored.records);
  assertSettled(archive, outcomes);
  const children = await childOutcomes(context, archive);
  await moveArchive(audit, clock, lease, {
    to: 'cleared',
    set: { outcomes, plan: withoutLateRoots(archive.plan), ...(children === null ? {} : { childOutcomes: children }) },
    details: { ...outcomes, ...(children === null ? {} : { childrenDeleted: children.deleted }) },
  });
  context.progress.moved?.(archive._id, 'cleared');
  return await shrinkClearedRoster(context, lease);
}

/** While one page waits for the server another is hashed and quoted: measured, three keep both busy. */
const PAGES_AT_ONCE = 3;

/** Ends only when no page is under way any more, also when one fails: what was announced is withdrawn after it. */
async function eachPage(pages: number, work: (page: number) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  await pMap(
    Array.from({ length: pages }, (_, page) => page),
    async (page) => {
      if (failures.length > 0) return;
      try {
        await work(page);
      } catch (error) {
        failures.push(error);
      }
    },
    { concurrency: PAGES_AT_ONCE },
  );
  if (failures.length > 0) throw failures[0];
}

async function clearOnePage(
  context: Context,
  lease: ArchiveLease,
  subject: ClearingSubject,
  page: number,
): Promise<void> {
  const archive = lease.document;
  const state = await readPageState(context.store, archive._id, page);
  if (state.outcomes !== null) return;
  const roster = await rosterOf(context, archive, page);
  const { attempt, stored } = archive;
  const hasFiles = attempt !== null && (stored?.attachments ?? 0) > 0;
  const looking = hasFiles
    ? { ...subject, changedUnits: (of: number) => changedAttachments(context, attempt, subject.shape, of) }
    : subject;
  countProgress(context, await clearPage(context, looking, page, roster, state));
}

async function rosterOf(context: Context, archive: ArchiveDocument, page: number): Promise<readonly RosterRecord[]> {
  const roster = archive.attempt === null ? null : await readRosterPage(context.store, archive.attempt, page);
  if (roster !== null) return roster.records;
  throw new MoraineError(
    'INTERNAL',
    `Roster page ${page} of archive ${archive._id} is not in the ledger; nothing was deleted for it.`,
    {
      ids: { archive: archive._id, page },
    },
  );
}

/** Shrinks the roster of a cleared archive to exceptions and HMAC pages; also taken up by whoever finds one that was not. */
export async function shrinkClearedRoster(context: Context, lease: ArchiveLease): Promise<ArchiveDocument> {
  const archive = lease.document;
  if (archive.rosterShrunk || archive.attempt === null) return archive;
  const stored = storedFacts(archive);
  const { store, keys, source } = context;
  await shrinkRoster(store, {
    archive: archive._id,
    attempt: archive.attempt,
    owner: archive.owner,
    customer: archive.customer,
    namespace: collectionOfArchive(archive),
    records: stored.records,
    pages: stored.rosterPages,
    hmac: await keys.hmacFor(archive.owner),
    keyOf: (idBytes) => recordName(archive, source.keyOf(idBytes)),
    outcomes: async (page) => (await readPageState(store, archive._id, page)).outcomes ?? noOutcomes(archive, page),
  });
  await writeUnitIndex(context, archive);
  await writeVoidUnits(context, archive);
  await removeRostersOf(store, archive._id);
  if (archive.plan.pass !== undefined) await removePlannedRecords(store, archive._id);
  await removeClearingPages(store, archive._id);
  await removeClearingPages(store, childrenSubject(archive._id));
  // Written when the lease is given up. Where that fails, the next worker finds nothing left to shrink and says so.
  lease.remember({ ...lease.document, rosterShrunk: true });
  return lease.document;
}

/** Without them it cannot be told which copies are void. */
function noOutcomes(archive: ArchiveDocument, page: number): never {
  throw new MoraineError('INTERNAL', `The outcomes of page ${page} of archive ${archive._id} are not in the ledger.`, {
    ids: { archive: archive._id, page },
  });
}

function storedFacts(archive: ArchiveDocument) {
  if (archive.stored === null) throw new MoraineError('INTERNAL', `Archive ${archive._id} was never stored.`);
  return archive.stored;
}

/** Promise 5. */
function assertSettled(archive: ArchiveDocument, outcomes: Outcomes): void {
  const { archived, deleted, treated, changed, held, gone, quarantined, pending } = outcomes;
  if (pending === 0 && archived === deleted + treated + changed + held + gone + quarantined) return;
  throw new MoraineError(
    'INTERNAL',
    `The outcomes of archive ${archive._id} do not add up: ${JSON.stringify(outcomes)}.`,
    {
      changed: 'Records were deleted as the settled pages say; the archive stays verified.',
      ids: { archive: archive._id },
    },
  );
}

function intentEntry(archive: ArchiveDocument, records: number) {
  return {
    key: `${archive._id}:clear:${archive.epoch}`,
    act: 'archive clear',
    phase: 'intent' as const,
    subject: { archive: archive._id, owner: archive.owner, customer: archive.customer, policy: archive.policy },
    details: { records, policyVersion: archive.policyVersion },
  };
}

function countProgress(context: Context, outcomes: readonly RecordOutcome[]): void {
  const counts = new Map<RecordOutcome, number>();
  for (const outcome of outcomes) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  for (const [outcome, count] of counts) context.progress.cleared?.(outcome, count);
}
