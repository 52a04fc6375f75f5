/**
 * Restore: records out of an archive, after the whole file was verified. Never half: the retrieved output is read twice,
 * first every member, its hash, the manifest and its signature, then the records. A copy that is void (the record
 * changed, was held, gone or quarantined) never comes back.
 */

import type { AttachmentEntry } from '../archive/attachment-index.ts';
import { inspectArchive } from '../archive/inspect.ts';
import { readItems } from '../archive/reader.ts';
import type { SealKey } from '../archive/seal.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, Namespace } from '../ids.ts';
import type { WrappedKey } from '../keys/port.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { claimArchive, findArchives, getArchive } from '../ledger/archives.ts';
import { readPageState } from '../ledger/clearing.ts';
import { endRetrieval, liveRetrievals, type RetrievalDocument } from '../ledger/retrievals.ts';
import { readExceptions, readRosterPage } from '../ledger/rosters.ts';
import { RETRIEVABLE_STATES } from '../ledger/states.ts';
import { shrinkClearedRoster } from './clear.ts';
import { assertNotStopped, type Context, vaultOf } from './context.ts';
import { discarded } from './discarded.ts';
import { restoreItems } from './restore-items.ts';
import { refreshRetrieval, retrievableFacts } from './retrieve.ts';
import { voidUnits } from './void-units.ts';

/** Where restored records go. `discard` leaves nothing behind that looks finished. */
export interface RestoreTarget {
  /** Takes a batch of raw documents in the order of the archive; returns how many were new and how many were there. */
  write(records: readonly Uint8Array[]): Promise<{ readonly inserted: number; readonly existing: number }>;
  /** What hangs on the records; a target without it takes only archives that hold nothing but records. */
  readonly unit?: UnitTarget;
  finish(): Promise<void>;
  discard(): Promise<void>;
}

export interface UnitTarget {
  write(
    collection: Namespace,
    children: readonly Uint8Array[],
  ): Promise<{ readonly inserted: number; readonly existing: number }>;
  attachment(entry: AttachmentEntry, parts: AsyncIterable<Uint8Array>): Promise<'inserted' | 'existing'>;
}

export interface RestoreCounts {
  readonly records: number;
  readonly inserted: number;
  /** Already there: never overwritten. */
  readonly existing: number;
  /** Copies that are void and stayed out. */
  readonly void: number;
}

export interface RestoreTotals extends RestoreCounts {
  readonly children: RestoreCounts;
  readonly attachments: RestoreCounts;
}

export interface RestoreReport extends RestoreTotals {
  readonly archive: ArchiveId;
  readonly signedBy: string;
  /** Archives with children that came too late for this one. */
  readonly addenda: readonly ArchiveId[];
}

/** How much of the output is read at once. */
const READ_BYTES = 16 * 1024 * 1024;

/**
 * Restores the records of a retrieved archive. `openKey` unwraps the archive key with an administrator's identity; it
 * runs in the administrator's process only. `into` a database is for cleared archives: before that the originals are
 * where they were, or are gone for a reason that is not ours.
 */
export async function restoreArchive(
  context: Context,
  id: ArchiveId,
  openKey: (wrapped: WrappedKey) => Promise<SealKey>,
  target: RestoreTarget,
  kind: 'files' | 'database',
): Promise<RestoreReport> {
  const archive = await shrunkArchive(context, id);
  const stored = retrievableFacts(archive);
  if (kind === 'database' && archive.state !== 'cleared') {
    throw new MoraineError(
      'ARCHIVE_NOT_RETRIEVABLE',
      `Archive ${id} is ${archive.state}: its originals were not deleted yet.`,
      {
        hint: 'Restore into a folder with --out, or run the policy first.',
        ids: { archive: id },
      },
    );
  }
  const retrieval = await readyRetrieval(context, id);
  if (archive.attempt === null) throw new MoraineError('INTERNAL', `Archive ${id} has no attempt.`);
  const key = await openKey(await context.keys.readBack(archive.attempt));
  const subject = { archive: id, owner: archive.owner, customer: archive.customer, policy: archive.policy };
  await context.audit.append([
    { act: 'archive restore', phase: 'intent', subject, details: { kind, retrieval: retrieval._id } },
  ]);
  const attachments: AttachmentEntry[] = [];
  const stream = () => outputOf(context, retrieval, stored.bytes);
  const manifest = await inspectArchive(stream(), {
    verify: (bytes, signature) => context.keys.verify(bytes, signature),
    expected: {
      ...expectedOf(context, archive),
      attempt: archive.attempt,
      bytes: stored.bytes,
      treeHash: stored.treeHash,
    },
    key,
    onAttachment: (entry) => attachments.push(entry),
  });
  if (manifest.sha256 !== stored.manifestSha256) {
    throw new MoraineError('ARCHIVE_CORRUPT', `manifest.json of archive ${id} is not the one that was stored.`, {
      ids: { archive: id, member: 'manifest.json' },
    });
  }
  let totals: RestoreTotals;
  try {
    const source = {
      items: readItems(stream(), manifest, key),
      attachments,
      voidRecords: voidOrdinals(context, archive),
      voidUnits: await voidUnits(context, archive),
      assertNotStopped: () => assertNotStopped(context),
    };
    totals = await restoreItems(source, target);
    await target.finish();
  } catch (error) {
    throw await discarded(error, () => target.discard());
  }
  await endRetrieval(context.store, context.clock, retrieval._id, 'read');
  await context.audit.append([
    { act: 'archive restore', phase: 'outcome', subject, details: { kind, ...countsOf(totals) } },
  ]);
  return { archive: id, ...totals, signedBy: manifest.keyId, addenda: await addendaOf(context, id) };
}

function countsOf({ children, attachments, ...records }: RestoreTotals) {
  const hasUnits = children.records + attachments.records > 0;
  return { ...records, ...(hasUnits ? { children: children.inserted, attachments: attachments.inserted } : {}) };
}

async function addendaOf(context: Context, archive: ArchiveId): Promise<readonly ArchiveId[]> {
  const addenda: ArchiveId[] = [];
  const filter = { addendumTo: archive, state: { $in: RETRIEVABLE_STATES } };
  for await (const { _id } of findArchives(context.store, filter)) addenda.push(_id);
  return addenda;
}

/** The newest finished retrieval of the whole archive. */
async function readyRetrieval(context: Context, archive: ArchiveId): Promise<RetrievalDocument> {
  let pending: RetrievalDocument | null = null;
  for (const live of (await liveRetrievals(context.store, archive)).toReversed()) {
    const retrieval = await refreshRetrieval(context, live);
    if (retrieval.range !== null) continue;
    if (retrieval.state === 'ready') return retrieval;
    if (retrieval.state === 'requested') pending = retrieval;
  }
  if (pending !== null) {
    const until = pending.expectedAt?.toISOString() ?? 'an unknown time';
    throw new MoraineError(
      'RETRIEVAL_NOT_READY',
      `The retrieval of archive ${archive} is expected to finish by ${until}.`,
      {
        ...(pending.expectedAt === null ? {} : { retryAt: pending.expectedAt }),
        ids: { archive, retrieval: pending._id },
      },
    );
  }
  throw new MoraineError('RETRIEVAL_NEEDED', `Archive ${archive} has no finished retrieval.`, {
    hint: `Run \`moraine retrieve ${archive}\`.`,
    ids: { archive },
  });
}

async function* outputOf(context: Context, retrieval: RetrievalDocument, total: number): AsyncGenerator<Uint8Array> {
  const vault = vaultOf(context, retrieval.location.key);
  for (let start = 0; start < total; start += READ_BYTES) {
    assertNotStopped(context);
    yield await vault.readRetrieval(retrieval.location, retrieval.jobId, {
      start,
      end: Math.min(total, start + READ_BYTES),
    });
  }
}

/** Ordinals of copies that are void, in order. While the archive is being cleared: of those that are known by now. */
async function* voidOrdinals(context: Context, archive: ArchiveDocument): AsyncGenerator<number> {
  if (archive.rosterShrunk || archive.attempt === null || archive.stored === null) {
    for await (const { ordinal } of readExceptions(context.store, archive._id)) yield ordinal;
    return;
  }
  let first = 0;
  for (let page = 0; page < archive.stored.rosterPages; page++) {
    const roster = await readRosterPage(context.store, archive.attempt, page);
    if (roster === null) {
      throw new MoraineError(
        'LEASE_HELD',
        `Archive ${archive._id} is being cleared; which copies are void is not known yet.`,
        {
          hint: 'Wait until the run has ended, then restore again.',
          ids: { archive: archive._id },
        },
      );
    }
    const { outcomes } = await readPageState(context.store, archive._id, page);
    for (const [at, outcome] of (outcomes ?? []).entries())
      if (outcome !== 'deleted' && outcome !== 'treated') yield first + at;
    first += roster.records.length;
  }
}

/** The archive, after the exceptions of a cleared one were written: its worker may have been cut before. */
async function shrunkArchive(context: Context, id: ArchiveId): Promise<ArchiveDocument> {
  const archive = await getArchive(context.store, id);
  if (archive.state !== 'cleared' || archive.rosterShrunk) return archive;
  const lease = await claimArchive(context.store, context.audit, id, context);
  try {
    return await shrinkClearedRoster(context, lease);
  } finally {
    await lease.giveUp();
  }
}

function expectedOf(context: Context, archive: ArchiveDocument) {
  return {
    installation: context.installation.id,
    archive: archive._id,
    owner: archive.owner,
    customer: archive.customer,
    dataset: collectionOfArchive(archive),
    policy: archive.policy,
    policyVersion: archive.policyVersion,
    ...(archive.addendumTo === undefined ? {} : { addendumTo: archive.addendumTo }),
  };
}
