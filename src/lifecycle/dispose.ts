/**
 * Expire: delete records that are past their archive period too, without an archive, because a person said so. The
 * guard, the announcements, the page intents and the outcomes are those of a clearing (clear-page.ts); the certificate
 * carries the counts and the Merkle root of what was deleted.
 */
import { createHash } from 'node:crypto';
import { MerkleTree } from '../archive/merkle.ts';
import type { CustomerId } from '../ids.ts';
import { id, type OwnerId } from '../ids.ts';
import type { Outcomes } from '../ledger/archive-document.ts';
import { getCertificate } from '../ledger/certificates.ts';
import {
  ClearingPermit,
  countOutcomes,
  readPageState,
  removeClearingPages,
  settlePage,
  writePageIntent,
} from '../ledger/clearing.ts';
import {
  claimExpiration,
  type ExpirationLease,
  openExpirations,
  proveExpired,
  startExpiration,
} from '../ledger/expirations.ts';
import { partitionId } from '../ledger/partitions.ts';
import { assertNotPaused } from '../ledger/pauses.ts';
import {
  ROSTER_PAGE_BYTES,
  ROSTER_PAGE_RECORDS,
  type RosterRecord,
  readRosterPage,
  removeRoster,
  removeRosterFrom,
  writeRosterPage,
} from '../ledger/rosters.ts';
import { compile } from '../policy/compile.ts';
import { type Policy, policyVersion, toShape } from '../policy/policy.ts';
import type { Position, RawRecord } from '../source/port.ts';
import { certify } from './certificate.ts';
import { type ClearingSubject, clearPage } from './clear-page.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { markOutcomes } from './mark-outcomes.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { pinnedPolicy } from './published.ts';
import { quarantineRecord } from './quarantine-record.ts';
import { marksOf } from './read-marks.ts';
import { partitionHolds } from './record-holds.ts';

export interface ExpirationReport {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly certificate: string | null;
  readonly outcomes: Outcomes;
  /** Quarantined instead of deleted: their bytes cannot be guarded. */
  readonly unfit: number;
}

/** A partition as the plan saw it. `expired` is the most that is deleted: the caps were looked at for this many. */
export interface ExpiredPartition {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly expired: number;
}

/** Deletes the expired records of one partition. One that was cut is carried on first, as it was ordered. Throws PAUSED. */
export async function expirePartition(
  context: Context,
  policy: Policy,
  of: ExpiredPartition,
  saidBy: string,
): Promise<ExpirationReport> {
  await assertNotPaused(context.store, { policy: policy.name, owner: of.owner });
  const partition = partitionId(policy.dataset.collection, of.owner, of.customer);
  const cut = (await openExpirations(context.store, policy.name)).find((open) => open.partition === partition);
  return await carryOnExpiration(context, cut?._id ?? (await beginExpiration(context, policy, of, saidBy)));
}

/** Takes a deletion that was ordered to its end, under the policy version that it pinned. Throws PAUSED. */
export async function carryOnExpiration(context: Context, expiration: string): Promise<ExpirationReport> {
  await ensureSafeToDestroy(context);
  const lease = await claimExpiration(context.store, expiration, context);
  try {
    await assertNotPaused(context.store, lease.document);
    return await deleteExpired(context, lease, await pinnedPolicy(context.store, lease.document.policyVersion));
  } finally {
    await lease.giveUp();
  }
}

async function beginExpiration(
  context: Context,
  policy: Policy,
  { owner, customer, expired }: ExpiredPartition,
  saidBy: string,
): Promise<string> {
  const _id = `x${context.newId()}`;
  const namespace = policy.dataset.collection;
  const facts = {
    policy: policy.name,
    policyVersion: policyVersion(policy),
    namespace,
    owner,
    customer,
    saidBy,
    asOf: dueNow(context),
    mostRecords: expired,
  };
  const subject = { expiration: _id, owner, customer, policy: policy.name };
  await context.audit.appendOnce([
    {
      key: `${_id}:begin`,
      act: 'expired records delete',
      phase: 'intent',
      subject,
      details: { saidBy, records: expired },
    },
  ]);
  await startExpiration(context.store, context.clock, {
    _id,
    ...facts,
    partition: partitionId(namespace, owner, customer),
  });
  return _id;
}

async function deleteExpired(context: Context, lease: ExpirationLease, policy: Policy): Promise<ExpirationReport> {
  const { store, clock } = context;
  const { _id, owner, customer, namespace, outcomes: certified } = lease.document;
  // Its worker was cut when all that was left was to remove the pages.
  if (certified !== null) return await end(context, lease, certified);
  const shape = toShape(policy);
  const basis = proveExpired(lease);
  const leftOut = await holdsLeftOut(context, lease, policy);
  const scope = { policy: policy.name, owner, customer, namespace, archive: null, leftOut };
  const permit = new ClearingPermit(
    { store, clock, worker: context.worker, sourceTime: () => context.source.serverTime() },
    lease,
    scope,
  );
  const subject: ClearingSubject = {
    shape,
    askWarrant: () => permit.ask(basis),
    writeIntent: (page, present) => writePageIntent(store, lease, page, present),
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
    for await (const { records, after } of expiredPages(context, lease, policy)) {
      const page = lease.document.pages;
      await writeRosterPage(store, { archive: _id, attempt: _id, epoch: lease.epoch }, page, records);
      await lease.write((document) => ({
        ...document,
        pages: page + 1,
        records: document.records + records.length,
        after,
      }));
      await clearOne(context, subject, _id, page);
    }
    await lease.write((document) => ({ ...document, scanned: true }));
  }
  // Not after a failure: a delete whose reply was lost may still be on its way, and a hold must wait for it.
  await permit.end();
  return await finish(context, lease);
}

/**
 * The holds that every record of every page was looked at for. They are written before the first page: what a later hold
 * covers may be in the pages that are there, so it stops all of them.
 */
async function holdsLeftOut(context: Context, lease: ExpirationLease, policy: Policy): Promise<readonly string[]> {
  const { owner, customer, pages, leftOut: written } = lease.document;
  if (written !== undefined || pages > 0) return written ?? [];
  const { ids } = await partitionHolds(context, { dataset: toShape(policy), owner, customer });
  await lease.write((document) => ({ ...document, leftOut: ids }));
  return ids;
}

async function clearOne(context: Context, subject: ClearingSubject, expiration: string, page: number): Promise<void> {
  const roster = await readRosterPage(context.store, expiration, page);
  if (roster === null) return;
  const outcomes = await clearPage(
    context,
    subject,
    page,
    roster.records,
    await readPageState(context.store, expiration, page),
  );
  for (const outcome of outcomes) context.progress.cleared?.(outcome, 1);
}

interface ExpiredPage {
  readonly records: readonly RosterRecord[];
  /** The position of its last record. */
  readonly after: Position;
}

/** Pages of expired records, as they are in the source now, from where an earlier worker stopped: what its pages could not delete is not taken again. */
async function* expiredPages(context: Context, lease: ExpirationLease, policy: Policy): AsyncGenerator<ExpiredPage> {
  const { source } = context;
  const { owner, customer, asOf } = lease.document;
  const compiled = compile(policy);
  const shape = toShape(policy);
  const partition = { dataset: shape, owner, customer };
  const marks = await marksOf(context, partition);
  const holds = await partitionHolds(context, partition);
  const range = { after: lease.document.after, upTo: null, before: compiled.superset(asOf.getTime()).dueBefore };
  let left = lease.document.mostRecords - lease.document.records;
  let page: RosterRecord[] = [];
  let bytes = 0;
  let last: RawRecord | null = null;
  const taken = (record: RawRecord) => ({ records: page, after: source.position(shape, record.raw) });
  for await (const batch of source.scan(partition, range, context.signal)) {
    await lease.keep();
    assertNotStopped(context);
    const markOf = await marks.lookUp(batch);
    for (const record of batch) {
      const facts = source.facts(shape, record.raw);
      if (compiled.decision({ ...facts, ...markOf(record) }, holds.isHeld(record, facts), asOf.getTime()) !== 'expired')
        continue;
      const unfitness = source.fitness(shape, record.raw);
      if (unfitness !== null) {
        await quarantineRecord(
          context,
          { namespace: shape.namespace, owner, customer, policy: policy.name },
          record,
          unfitness,
        );
        await lease.write((document) => ({ ...document, unfit: document.unfit + 1 }));
        continue;
      }
      if (left <= 0) {
        if (last !== null) yield taken(last);
        return;
      }
      left -= 1;
      if (
        last !== null &&
        (page.length >= ROSTER_PAGE_RECORDS || (page.length > 0 && bytes + record.raw.length > ROSTER_PAGE_BYTES))
      ) {
        yield taken(last);
        page = [];
        bytes = 0;
      }
      last = record;
      page.push({ id: record.idBytes, sha256: createHash('sha256').update(record.raw).digest(), segment: 0 });
      bytes += record.raw.length;
    }
  }
  if (last !== null) yield taken(last);
}

async function finish(context: Context, lease: ExpirationLease): Promise<ExpirationReport> {
  const { store } = context;
  const {
    _id,
    owner,
    customer,
    pages,
    records,
    policy,
    policyVersion: version,
    namespace,
    saidBy,
    asOf,
  } = lease.document;
  const outcomes = await countOutcomes(store, _id, records);
  const merkle = new MerkleTree();
  for (let page = 0; page < pages; page++) {
    const roster = (await readRosterPage(store, _id, page))?.records ?? [];
    const settled = (await readPageState(store, _id, page)).outcomes ?? [];
    roster.forEach((record, at) => {
      if (settled[at] === 'deleted') merkle.add(record.sha256);
    });
  }
  const subject = { _id, owner, customer, namespace, policy, policyVersion: version };
  if (outcomes.deleted > 0) {
    await certify(context, subject, {
      what: 'expired records deleted',
      archive: null,
      records: outcomes,
      merkleRoot: merkle.root(),
      saidBy,
      dueBy: asOf.toISOString(),
    });
  }
  await context.audit.appendOnce([
    {
      key: `${_id}:done`,
      act: 'expired records delete',
      phase: 'outcome',
      subject: { expiration: _id, owner, customer, policy },
      details: { ...outcomes },
    },
  ]);
  await lease.write((document) => ({ ...document, outcomes }));
  return await end(context, lease, outcomes);
}

/** Removes the pages, which name records, and only then calls it done: nobody comes back to one that is. */
async function end({ store, clock }: Context, lease: ExpirationLease, outcomes: Outcomes): Promise<ExpirationReport> {
  const { _id, owner, customer, unfit } = lease.document;
  await removeRoster(store, _id);
  await removeClearingPages(store, _id);
  await lease.write((document) => ({ ...document, state: 'done', endedAt: clock.now() }));
  const certificate = await getCertificate(store, _id);
  return { owner, customer, certificate: certificate?._id ?? null, outcomes, unfit };
}
