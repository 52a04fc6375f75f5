/**
 * Dispose: delete records without an archive, or treat them in place, under the guard, the announcements, the page intents
 * and the outcomes of a clearing (clear-page.ts). Five kinds share this one machine, see
 * ledger/disposals.ts. The certificate carries the counts, the Merkle root of what there was before, and which fields were
 * treated how.
 */
import { MerkleTree } from '../archive/merkle.ts';
import { MoraineError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';
import { id, type OwnerId } from '../ids.ts';
import { holdsLooked, NO_OUTCOMES, type Outcomes } from '../ledger/archive-document.ts';
import { highestUncleared } from '../ledger/archives.ts';
import { getCertificate } from '../ledger/certificates.ts';
import {
  ClearingPermit,
  countOutcomes,
  readPageState,
  removeClearingPages,
  settlePage,
  writePageIntent,
} from '../ledger/clearing.ts';
import { addDecided, NOTHING_DECIDED } from '../ledger/decided.ts';
import {
  claimDisposal,
  type DisposalDocument,
  type DisposalKind,
  type DisposalLease,
  isOfExpired,
  isTreating,
  kindOf,
  newestDisposal,
  openDisposals,
  proveOrdered,
  startDisposal,
} from '../ledger/disposals.ts';
import { partitionId } from '../ledger/partitions.ts';
import { assertNotPaused } from '../ledger/pauses.ts';
import { readRosterPage, removeRoster, removeRosterFrom, writeRosterPage } from '../ledger/rosters.ts';
import { childrenSubject } from '../ledger/unit-pages.ts';
import { type Policy, policyVersion, toShape } from '../policy/policy.ts';
import type { DatasetShape, Position, Treatment } from '../source/port.ts';
import { certifyDisposal } from './certificate.ts';
import { changedAttachments } from './changed-attachments.ts';
import { clearUnits } from './clear-children.ts';
import { type ClearingSubject, clearPage } from './clear-page.ts';
import type { UnitScope } from './cleared-roots.ts';
import { compileInForce } from './compile-in-force.ts';
import { type Context, dueNow } from './context.ts';
import { markOutcomes } from './mark-outcomes.ts';
import { orderedPages } from './ordered-pages.ts';
import { writePageUnits } from './page-units.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { pinnedPolicy } from './published.ts';
import { partitionHolds } from './record-holds.ts';
import { onlyReturned } from './returned-units.ts';
import { branchOf, treatmentOf } from './treatment.ts';
import { rememberDeletedRoots } from './unit-index.ts';

export interface DisposalReport {
  readonly kind: DisposalKind;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly certificate: string | null;
  readonly outcomes: Outcomes;
  /** Quarantined instead of taken: their bytes cannot be guarded or treated. */
  readonly unfit: number;
}

/** A partition as the plan saw it. `records` is the most that is taken: the caps were looked at for this many. */
export interface DisposalOrder {
  readonly kind: DisposalKind;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  /** Which of the policy's dispositions it is about, where these records have several. */
  readonly branch?: string | undefined;
  readonly records: number;
  /** The person, or the policy, that orders it. */
  readonly saidBy: string;
  /** What another person approved before. */
  readonly approvals?: readonly string[] | undefined;
}

/** What is done, in the words of audit and certificate. */
const WORDS: Readonly<Record<DisposalKind, { readonly act: string; readonly what: string }>> = {
  expired: { act: 'expired records delete', what: 'expired records deleted' },
  'treat-expired': { act: 'expired records treat', what: 'expired records treated' },
  delete: { act: 'records delete', what: 'records deleted' },
  treat: { act: 'records treat', what: 'records treated' },
  offboard: { act: 'offboarded records delete', what: 'offboarded records deleted' },
};

/** Disposes of what is due (or expired) in one partition. One that was cut is carried on first, as it was ordered. Throws PAUSED, LEASE_HELD. */
export async function disposePartition(
  context: Context,
  policy: Policy,
  order: DisposalOrder,
): Promise<DisposalReport> {
  await assertNotPaused(context.store, { policy: policy.name, owner: order.owner });
  const partition = partitionId(policy.dataset.collection, order.owner, order.customer);
  const cut = (await openDisposals(context.store, policy.name)).find((open) => open.partition === partition);
  return await carryOnDisposal(context, cut?._id ?? (await beginDisposal(context, policy, order)));
}

/** Takes a disposal that was ordered to its end, under the policy version that it pinned. Throws PAUSED. */
export async function carryOnDisposal(context: Context, disposal: string): Promise<DisposalReport> {
  await ensureSafeToDestroy(context);
  const lease = await claimDisposal(context.store, disposal, context);
  try {
    const { document } = lease;
    await assertNotPaused(context.store, document);
    return await dispose(context, lease, await pinnedPolicy(context.store, document.policyVersion));
  } finally {
    await lease.giveUp();
  }
}

async function beginDisposal(
  context: Context,
  policy: Policy,
  { kind, owner, customer, branch, records, saidBy, approvals = [] }: DisposalOrder,
): Promise<string> {
  const namespace = policy.dataset.collection;
  const partition = partitionId(namespace, owner, customer);
  const previous = await newestDisposal(context.store, partition);
  // One that was begun since it was looked for is another worker's.
  const isUnderWay = previous !== null && previous.state !== 'done';
  const begun = isUnderWay
    ? null
    : await startDisposal(context.store, context.clock, previous, {
        kind,
        policy: policy.name,
        policyVersion: policyVersion(policy),
        namespace,
        owner,
        customer,
        partition,
        ...(branch === undefined ? {} : { branch }),
        saidBy,
        ...(approvals.length === 0 ? {} : { approvals }),
        asOf: dueNow(context),
        mostRecords: records,
        exceptions: (await compileInForce(context, policy)).given.exceptions.map(({ id: exception }) => exception),
        after: await aboveUncleared(context, partition, kind),
      });
  if (begun !== null) return begun;
  throw new MoraineError('LEASE_HELD', `Another worker disposes of records of ${owner}, ${customer} in ${namespace}.`, {
    ids: { owner, customer, dataset: namespace },
  });
}

/**
 * What lies in archives that are not cleared waits for them: to take it here would make their copies void. What is expired
 * is in no archive.
 */
async function aboveUncleared(
  context: Context,
  partition: DisposalDocument['partition'],
  kind: DisposalKind,
): Promise<Position | null> {
  const uncleared = isOfExpired(kind) ? null : await highestUncleared(context.store, partition);
  if (uncleared === null || uncleared.plan.bound !== null) return uncleared?.plan.bound ?? null;
  throw new MoraineError('LEASE_HELD', `Archive ${uncleared._id} of the same partition is not sealed yet.`, {
    ids: { archive: uncleared._id },
  });
}

async function dispose(context: Context, lease: DisposalLease, policy: Policy): Promise<DisposalReport> {
  const { store, clock } = context;
  const { _id, owner, customer, namespace, outcomes: certified, startedAt } = lease.document;
  // Its worker was cut when all that was left was to remove the pages.
  if (certified !== null) return await end(context, lease, certified);
  const kind = kindOf(lease.document);
  // What was ordered was never read to its end: nobody may act on a part of it.
  if (kind === 'offboard' && !lease.document.scanned) return await end(context, lease, NO_OUTCOMES);
  await context.audit.appendOnce([intentEntry(lease.document)]);
  const shape = toShape(policy);
  const order = proveOrdered(lease);
  const treatment = isTreating(kind) ? await treatmentFor(context, policy, lease.document, startedAt) : null;
  const leftOut = await holdsLeftOut(context, lease, policy);
  const scope = { policy: policy.name, owner, customer, namespace, archive: null, leftOut };
  const permit = new ClearingPermit(
    { store, clock, worker: context.worker, sourceTime: () => context.source.serverTime() },
    lease,
    scope,
  );
  const subject: ClearingSubject = {
    shape,
    treatment,
    askWarrant: () => permit.ask(order),
    // What is treated keeps its files.
    ...(treatment === null ? { changedUnits: (page: number) => changedAttachments(context, _id, shape, page) } : {}),
    writeIntent: (page, present, treated) => writePageIntent(store, lease, page, present, treated),
    settle: async (page, roster, outcomes) => {
      const of = { namespace, owner, customer, policy: policy.name, archive: id.archive(_id) };
      const marked = await markOutcomes(context, of, roster, outcomes);
      await settlePage(store, lease, page, marked);
      return marked;
    },
  };
  await removeRosterFrom(store, _id, lease.document.pages);
  for (let page = 0; page < lease.document.pages; page++) await clearOne(context, subject, _id, page);
  if (!lease.document.scanned) {
    for await (const { records, units, after, decided } of orderedPages(context, lease, policy, treatment)) {
      const { pages: page, records: first } = lease.document;
      await writePageUnits(store, { archive: _id, attempt: _id, epoch: lease.epoch }, { page, first }, units);
      await writeRosterPage(store, { archive: _id, attempt: _id, epoch: lease.epoch }, page, records);
      await lease.write((document) => ({
        ...document,
        pages: page + 1,
        records: document.records + records.length,
        after,
        decided: addDecided(document.decided ?? NOTHING_DECIDED, decided),
      }));
      await clearOne(context, subject, _id, page);
    }
    await lease.write((document) => ({ ...document, scanned: true }));
  }
  const units =
    treatment === null
      ? await clearUnits(context, {
          ...unitScope(lease.document, shape),
          lease,
          ...subject,
          late: 'delete',
          ...(kind === 'offboard'
            ? { mayGo: (child, late) => onlyReturned(context, lease.document, child, late) }
            : {}),
        })
      : null;
  // Not after a failure: a command whose reply was lost may still be on its way, and a hold must wait for it.
  await permit.end();
  // It stays open: what hangs on deleted records is taken up again, by whoever comes next.
  if (units?.kind === 'held') throw unitsHeld(_id, units.holds);
  // A customer who leaves leaves nothing to be known by.
  if (units !== null && kind !== 'offboard') {
    await rememberDeletedRoots(context, unitScope(lease.document, shape), 'disposal', lease.document.records);
  }
  return await finish(context, lease, treatment);
}

/** What hangs on the records of a disposal. Its pages belong to it as those of an archive do to an attempt. */
function unitScope({ _id, owner, customer, policy, pages }: DisposalDocument, shape: DatasetShape): UnitScope {
  return { shape, owner, customer, policy, subject: _id, attempt: _id, pages };
}

function unitsHeld(disposal: string, holds: readonly string[]): MoraineError {
  return new MoraineError('HELD', `What hangs on records that were deleted is held by ${holds.join(', ')}.`, {
    changed: 'The records are deleted; their children and attachments stay until the release.',
    ids: { disposal },
  });
}

async function treatmentFor(
  context: Context,
  policy: Policy,
  document: DisposalDocument,
  at: Date,
): Promise<Treatment> {
  const branch = branchOf(policy, context.installation.environment, document);
  const treatment = await treatmentOf(context, policy, branch, document.owner, at);
  if (treatment !== null) return treatment;
  throw new MoraineError('INTERNAL', `Policy ${policy.name} does not say what to treat.`, {
    ids: { policy: policy.name },
  });
}

/**
 * The holds that every record of every page was looked at for. They are written before the first page: what a later hold
 * covers may be in the pages that are there, so it stops all of them.
 */
async function holdsLeftOut(context: Context, lease: DisposalLease, policy: Policy): Promise<readonly string[]> {
  const { owner, customer, pages, leftOut: written } = lease.document;
  if (written !== undefined || pages > 0) return written ?? [];
  const { ids } = await partitionHolds(context, { dataset: toShape(policy), owner, customer });
  const looked = holdsLooked(
    await context.store.serverTime(),
    ids.map((_id) => ({ _id })),
  );
  await lease.write((document) => ({ ...document, leftOut: ids, looked }));
  return ids;
}

async function clearOne(context: Context, subject: ClearingSubject, disposal: string, page: number): Promise<void> {
  const roster = await readRosterPage(context.store, disposal, page);
  if (roster === null) return;
  const outcomes = await clearPage(
    context,
    subject,
    page,
    roster.records,
    await readPageState(context.store, disposal, page),
  );
  for (const outcome of outcomes) context.progress.cleared?.(outcome, 1);
}

async function finish(context: Context, lease: DisposalLease, treatment: Treatment | null): Promise<DisposalReport> {
  const { store } = context;
  const { document } = lease;
  const { _id, pages, records } = document;
  const outcomes = await countOutcomes(store, _id, records);
  const merkle = new MerkleTree();
  for (let page = 0; page < pages; page++) {
    const roster = (await readRosterPage(store, _id, page))?.records ?? [];
    const settled = (await readPageState(store, _id, page)).outcomes ?? [];
    roster.forEach((record, at) => {
      if (settled[at] === 'deleted' || settled[at] === 'treated') merkle.add(record.sha256);
    });
  }
  if (outcomes.deleted + outcomes.treated > 0) {
    const done = { what: WORDS[kindOf(document)].what, records: outcomes, merkleRoot: merkle.root() };
    await certifyDisposal(context, document, { ...done, fields: treatment?.fields ?? null });
  }
  await context.audit.appendOnce([outcomeEntry(document, outcomes)]);
  await lease.write((before) => ({ ...before, outcomes }));
  return await end(context, lease, outcomes);
}

/** Removes the pages, which name records, and only then calls it done: nobody comes back to one that is. */
async function end({ store, clock }: Context, lease: DisposalLease, outcomes: Outcomes): Promise<DisposalReport> {
  const { _id, owner, customer, unfit } = lease.document;
  await removeRoster(store, _id);
  await removeClearingPages(store, _id);
  await removeClearingPages(store, childrenSubject(_id));
  await lease.write((document) => ({ ...document, state: 'done', endedAt: clock.now() }));
  const certificate = await getCertificate(store, _id);
  return { kind: kindOf(lease.document), owner, customer, certificate: certificate?._id ?? null, outcomes, unfit };
}

/** In the chain before anything is done. `expiration`: what a disposal is called there, after the first kind that there was. */
function intentEntry(document: DisposalDocument) {
  const { _id, owner, customer, policy, saidBy, mostRecords } = document;
  return {
    key: `${_id}:begin`,
    act: WORDS[kindOf(document)].act,
    phase: 'intent' as const,
    subject: { expiration: _id, owner, customer, policy },
    details: { saidBy, records: mostRecords },
  };
}

function outcomeEntry(document: DisposalDocument, outcomes: Outcomes) {
  return {
    ...intentEntry(document),
    key: `${document._id}:done`,
    phase: 'outcome' as const,
    details: { ...outcomes },
  };
}
