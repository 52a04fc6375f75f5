/**
 * Store: one planned archive becomes one file in its vault. Records stream from the source through segments, zstd, the
 * AWS Encryption SDK and tar into the parts of an upload; nothing touches the disk and no step holds the archive in
 * memory. A failed attempt is abandoned and its key destroyed at once, so what arrives late is noise.
 */
import { FacetCollector } from '../archive/facets.ts';
import { ArchiveWriter, estimateFileBytes, type WrittenArchive } from '../archive/writer.ts';
import { isMoraineError, MoraineError } from '../errors.ts';
import { type AttemptId, id } from '../ids.ts';
import type { ArchiveKey } from '../keys/port.ts';
import {
  type ArchiveDocument,
  collectionOfArchive,
  type StoredFacts,
  withoutLateRoots,
} from '../ledger/archive-document.ts';
import { type ArchiveLease, moveArchive } from '../ledger/archives.ts';
import { acknowledgeAttempt, attempts, openAttempt } from '../ledger/attempts.ts';
import { auditHead } from '../ledger/audit.ts';
import { writeFacets } from '../ledger/facet-codes.ts';
import { removePlannedRecords } from '../ledger/planned-records.ts';
import { type Policy, toShape } from '../policy/policy.ts';
import type { RawRecord } from '../source/port.ts';
import type { StoredArchive, UploadIntent } from '../vault/port.ts';
import { shapeOfArchive } from './child-dataset.ts';
import { type Context, vaultOf } from './context.ts';
import { endAttempt } from './end-attempt.ts';
import { PartSender } from './part-sender.ts';
import { assertPlaced, placesOf } from './placement.ts';
import { RosterWriter } from './roster-writer.ts';
import { selectLate } from './select-late.ts';
import { type Selection, selectRecords } from './select-records.ts';
import { takeUnit } from './take-unit.ts';
import { UnitReader, type WholeUnit } from './unit-reader.ts';
import { UnitRoster } from './unit-roster.ts';

/** One part is this large at least, so that a large archive needs few calls and a small one goes out in one. */
export const PART_BYTES = 8 * 1024 * 1024;

/** How large files are is known only when their record is taken, long after the first part went out: 10,000 of these are 312 GiB. */
const ATTACHMENTS_PART_BYTES = 32 * 1024 * 1024;

/** Takes a `planned` archive (or one whose attempt was cut) to `stored`, or to `abandoned` when nothing is left to take. */
export async function storeArchive(context: Context, lease: ArchiveLease, policy: Policy): Promise<ArchiveDocument> {
  await abandonEarlierAttempts(context, lease);
  // Again: it may have been planned before the owner required a region.
  const places = { ...placesOf([policy]), vaults: [lease.document.vault.key] };
  assertPlaced(context.placement, lease.document.owner, places);
  const attempt = id.attempt(context.newId());
  const vault = vaultOf(context, lease.document.vault.key);
  await lease.keep();
  await vault.ensure(lease.document.vault);
  const intent = uploadIntent(context, lease.document, attempt);
  const partBytes = partBytesFor(lease.document, policy);
  await openAttempt(context.store, context.clock, {
    _id: attempt,
    archive: lease.document._id,
    epoch: lease.epoch,
    location: lease.document.vault,
    intent,
    partBytes,
  });
  await moveArchive(context.audit, context.clock, lease, {
    to: 'storing',
    set: { attempt, attemptCount: lease.document.attemptCount + 1 },
    details: { attempt, vault: lease.document.vault.name },
  });
  const sender = new PartSender({ vault, store: context.store }, lease, {
    location: lease.document.vault,
    intent,
    partBytes,
  });
  const ofAttempt = { archive: lease.document._id, attempt, epoch: lease.epoch };
  const roster = new RosterWriter(context.store, ofAttempt);
  const units = new UnitRoster(context.store, ofAttempt);
  let key: ArchiveKey | null = null;
  try {
    const { owner, customer, _id: archive } = lease.document;
    key = await context.keys.createArchiveKey(owner, archive, attempt, customer);
    const sealed = await seal(context, lease, policy, { attempt, key, sender, roster, units });
    if (sealed.written === null) return await abandonEmpty(context, lease, attempt, sealed.selection);
    const stored = await sender.finish(sealed.written);
    assertAcknowledged(lease.document, sealed.written, stored);
    return await acknowledge(context, lease, attempt, { ...sealed, written: sealed.written }, stored);
  } catch (error) {
    // What is on its way must have arrived before the upload is aborted and the roster removed.
    await Promise.all([sender.settled(), roster.settled()]);
    await giveAttemptBack(context, lease, attempt, error);
    throw error;
  } finally {
    key?.forget();
  }
}

interface Sealed {
  /** Null when there was nothing to take. */
  readonly written: WrittenArchive | null;
  readonly selection: Selection;
  readonly rosterPages: number;
  readonly facets: ReturnType<FacetCollector['result']>;
  readonly facetNames: readonly string[];
}

async function seal(
  context: Context,
  lease: ArchiveLease,
  policy: Policy,
  of: {
    readonly attempt: AttemptId;
    readonly key: ArchiveKey;
    readonly sender: PartSender;
    readonly roster: RosterWriter;
    readonly units: UnitRoster;
  },
): Promise<Sealed> {
  const { attempt, key, sender, roster, units } = of;
  const archive = lease.document;
  const shape = shapeOfArchive(toShape(policy), archive);
  const hmac = await context.keys.hmacFor(archive.owner);
  const facets = new FacetCollector(hmac);
  const writer = new ArchiveWriter({
    description: {
      installation: context.installation.id,
      archive: archive._id,
      attempt,
      owner: archive.owner,
      customer: archive.customer,
      dataset: collectionOfArchive(archive),
      policy: archive.policy,
      policyVersion: archive.policyVersion,
      ...(archive.addendumTo === undefined ? {} : { addendumTo: archive.addendumTo }),
    },
    key,
    publicKeys: await context.keys.publicKeys(),
    sign: (bytes) => context.keys.sign(bytes),
    onBytes: (bytes) => sender.take(bytes),
  });
  const facetNames = Object.keys(shape.facets);
  try {
    const reader = new UnitReader(context, shape, archive);
    const take = async (record: RawRecord, unit: WholeUnit) => {
      if (facetNames.length > 0) facets.add(context.source.facets(shape, record.raw));
      await takeUnit(context, shape, { writer, roster, units, reader }, record, unit);
    };
    const selection =
      archive.addendumTo === undefined
        ? await selectRecords(context, lease, policy, take, reader.isEmpty ? null : reader)
        : await selectLate(context, lease, policy, take);
    if (selection.records === 0) {
      return { written: null, selection, rosterPages: 0, facets: facets.result(), facetNames };
    }
    await units.flush();
    const rosterPages = await roster.finish();
    const head = await auditHead(context.store);
    const written = await writer.finish({
      sealedAt: context.clock.now(),
      dueFirst: selection.firstPurgeAt,
      dueLast: selection.lastPurgeAt,
      auditHead: head === null ? null : { seq: head.seq, hash: head.hash },
    });
    return { written, selection, rosterPages, facets: facets.result(), facetNames };
  } catch (error) {
    // Sealing goes on in the background; nothing more of it may leave.
    await writer.abandon(error);
    throw error;
  }
}

async function acknowledge(
  context: Context,
  lease: ArchiveLease,
  attempt: AttemptId,
  sealed: Sealed & { readonly written: WrittenArchive },
  stored: StoredArchive,
): Promise<ArchiveDocument> {
  const { written, selection, rosterPages } = sealed;
  // A first attempt without facets has nothing to write and nothing to replace.
  const isPlain = !sealed.facets.coversEverything && sealed.facets.codes.length === 0;
  if (!isPlain || lease.document.attemptCount > 1) await writeFacets(context.store, lease.document, sealed.facets);
  await acknowledgeAttempt(
    context.store,
    context.clock,
    attempt,
    written.members.map(({ name, offset, length, sha256, segment }) => ({ name, offset, length, sha256, segment })),
  );
  const facts: StoredFacts = {
    vaultArchiveId: stored.vaultArchiveId,
    bytes: written.bytes,
    treeHash: written.treeHash,
    at: stored.at,
    records: written.records,
    recordBytes: written.plainBytes,
    merkleRoot: written.merkleRoot,
    manifestSha256: written.manifestSha256,
    rosterPages,
    ...unitFacts(written),
    oldestDueAt: selection.firstDueAt,
    triggerFrom: selection.triggerFrom,
    triggerTo: selection.triggerTo,
    firstPurgeAt: selection.firstPurgeAt,
    ...(selection.rules.length === 0 ? {} : { rules: selection.rules }),
  };
  await moveArchive(context.audit, context.clock, lease, {
    to: 'stored',
    auditLater: true,
    set: {
      stored: facts,
      dueAt: selection.lastPurgeAt,
      leftOut: selection.leftOut,
      facets: sealed.facetNames,
      plan: { ...lease.document.plan, bound: selection.bound, reachedEnd: selection.reachedEnd },
      unfit: lease.document.unfit + selection.unfit,
      outcomes: { ...lease.document.outcomes, archived: written.records, pending: written.records },
    },
    details: {
      attempt,
      records: written.records,
      bytes: written.bytes,
      treeHash: written.treeHash,
      merkleRoot: written.merkleRoot,
    },
  });
  context.progress.moved?.(lease.document._id, 'stored');
  return lease.document;
}

/** Attempts that a crashed worker left open: abandoned, and the archive back at `planned`. */
async function abandonEarlierAttempts(context: Context, lease: ArchiveLease): Promise<void> {
  await abandonAttempts(context, lease, 'its worker was cut');
  if (lease.document.state === 'storing') {
    await moveArchive(context.audit, context.clock, lease, {
      to: 'planned',
      set: { attempt: null },
      details: { reason: 'the attempt was cut' },
    });
  }
}

/** Every attempt of the archive, acknowledged ones too: abandoned, its key destroyed, its upload aborted. */
export async function abandonAttempts(context: Context, lease: ArchiveLease, reason: string): Promise<void> {
  const left: AttemptId[] = [];
  const archive = lease.document._id;
  const unfinished = { archive, state: { $in: ['open', 'acknowledged'] } };
  for await (const attempt of attempts(context.store).find(unfinished)) left.push(attempt._id);
  // Whoever abandoned these was cut before the key was destroyed.
  const halfAbandoned = { archive, state: 'abandoned', keyDestroyedAt: null };
  for await (const attempt of attempts(context.store).find(halfAbandoned)) left.push(attempt._id);
  for (const attempt of left) await abandon(context, lease, attempt, reason);
}

async function giveAttemptBack(
  context: Context,
  lease: ArchiveLease,
  attempt: AttemptId,
  cause: unknown,
): Promise<void> {
  // Another worker has the archive, or this one must stop now: whoever claims it next abandons the attempt.
  if (isMoraineError(cause, 'LEASE_LOST') || isMoraineError(cause, 'WORK_STOPPED')) return;
  const reason = cause instanceof MoraineError ? cause.code : 'INTERNAL';
  try {
    // `stored` may have been written although its reply was lost: then the attempt is the archive's, and its key must stay.
    const { state, attempt: current } = await lease.fence();
    if (state !== 'storing' || current !== attempt) return;
    await abandon(context, lease, attempt, reason);
    await moveArchive(context.audit, context.clock, lease, {
      to: 'planned',
      set: { attempt: null },
      details: { reason },
    });
  } catch (error) {
    // The first error is the one that counts; what is left open is abandoned by the next claim.
    context.log.warn({ archive: lease.document._id, attempt }, `The attempt could not be given back: ${String(error)}`);
  }
}

async function abandonEmpty(
  context: Context,
  lease: ArchiveLease,
  attempt: AttemptId,
  selection: Selection,
): Promise<ArchiveDocument> {
  await abandon(context, lease, attempt, 'nothing was left to take');
  if (lease.document.plan.pass !== undefined) await removePlannedRecords(context.store, lease.document._id);
  return await moveArchive(context.audit, context.clock, lease, {
    to: 'abandoned',
    set: { unfit: lease.document.unfit + selection.unfit, plan: withoutLateRoots(lease.document.plan) },
    details: { reason: 'nothing was left to take' },
  });
}

/** Idempotent: the attempt in the ledger and its key first, then the upload. */
async function abandon(context: Context, lease: ArchiveLease, attempt: AttemptId, reason: string): Promise<void> {
  await lease.keep();
  const document = await endAttempt(context, attempt, reason);
  if (document.uploadId === null) return;
  try {
    await vaultOf(context, document.location.key).abortUpload(document.location, document.uploadId);
  } catch (error) {
    // Safe to leave: its key is destroyed, and reconcile aborts the uploads of abandoned attempts.
    context.log.warn({ attempt }, `The upload of an abandoned attempt could not be aborted: ${String(error)}`);
  }
}

function unitFacts({ children, attachments }: WrittenArchive): Partial<StoredFacts> {
  const sum = (of: 'records' | 'plainBytes') => children.reduce((total, run) => total + run[of], 0);
  return {
    ...(children.length === 0 ? {} : { children: sum('records'), childBytes: sum('plainBytes') }),
    ...(attachments === null ? {} : { attachments: attachments.files, attachmentBytes: attachments.bytes }),
  };
}

function assertAcknowledged(archive: ArchiveDocument, written: WrittenArchive, stored: StoredArchive): void {
  if (stored.treeHash === written.treeHash && stored.bytes === written.bytes) return;
  throw new MoraineError(
    'VAULT_CHECKSUM',
    `The vault acknowledged other bytes for archive ${archive._id} than those that were sent.`,
    {
      changed: 'The attempt is abandoned; nothing was deleted.',
      ids: { archive: archive._id },
    },
  );
}

function uploadIntent(context: Context, archive: ArchiveDocument, attempt: AttemptId): UploadIntent {
  return {
    installation: context.installation.id,
    archive: archive._id,
    attempt,
    owner: archive.owner,
    customer: archive.customer,
    dataset: archive.namespace,
    dueAt: archive.plan.latestPurgeAt.toISOString(),
    policyVersion: archive.policyVersion,
  };
}

/** 2^n MiB, chosen before the upload from the planned bytes, so that the file fits into the 10,000 parts of the service. */
function partBytesFor(archive: ArchiveDocument, { dataset }: Policy): number {
  const fileBytes = estimateFileBytes(archive.plan.bytes, archive.plan.records);
  let partBytes = (dataset.attachments ?? []).length > 0 ? ATTACHMENTS_PART_BYTES : PART_BYTES;
  while (partBytes * MAX_PARTS < fileBytes) partBytes *= 2;
  return partBytes;
}

const MAX_PARTS = 10_000;
