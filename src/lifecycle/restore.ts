/**
 * Restore: records out of an archive, after the whole file was verified. Never half: the retrieved output is read twice,
 * first every member, its hash, the manifest and its signature, then the records. A copy that is void (the record
 * changed, was held, gone or quarantined) never comes back.
 */

import type { AttachmentEntry } from '../archive/attachment-index.ts';
import { inspectArchive, type VerifiedManifest } from '../archive/inspect.ts';
import { readItems } from '../archive/reader.ts';
import type { SealKey } from '../archive/seal.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, Namespace } from '../ids.ts';
import type { WrappedKey } from '../keys/port.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { claimArchive, findArchives, getArchive } from '../ledger/archives.ts';
import { readPageState } from '../ledger/clearing.ts';
import { Reading } from '../ledger/restoring.ts';
import { isLiveRetrieval, liveRetrievals, type RetrievalDocument } from '../ledger/retrievals.ts';
import { readExceptions, readRosterPage } from '../ledger/rosters.ts';
import { RETRIEVABLE_STATES } from '../ledger/states.ts';
import { shrinkClearedRoster } from './clear.ts';
import { assertNotStopped, type Context } from './context.ts';
import { discarded } from './discarded.ts';
import { restoreItems } from './restore-items.ts';
import { endReadRetrievals } from './restore-retrieval.ts';
import { isReadable, outputOf } from './retrieval-output.ts';
import { refreshRetrieval, retrievableFacts } from './retrieve.ts';
import { voidUnits } from './void-units.ts';

/** What became of documents that a target was given; what is left out is none. */
export interface Written {
  readonly inserted: number;
  /** Was there and stayed as it is. */
  readonly existing: number;
  /** Was there, and is what was archived now. */
  readonly replaced?: number;
  /** Of those that stayed: the same bytes; newer than the copy by the policy's version field; different otherwise. */
  readonly same?: number;
  readonly newer?: number;
  readonly changed?: number;
  /** Of those that stayed: would have been replaced, and a hold covers them. */
  readonly held?: number;
}

/** Where restored records go. `discard` leaves nothing behind that looks finished. */
export interface RestoreTarget {
  /** Takes a batch of raw documents in the order of the archive. */
  write(records: readonly Uint8Array[]): Promise<Written>;
  /** What hangs on the records; a target without it takes only archives that hold nothing but records. */
  readonly unit?: UnitTarget;
  finish(): Promise<void>;
  discard(): Promise<void>;
}

export interface UnitTarget {
  write(collection: Namespace, children: readonly Uint8Array[]): Promise<Written>;
  attachment(entry: AttachmentEntry, parts: AsyncIterable<Uint8Array>): Promise<'inserted' | 'existing' | 'looked at'>;
}

/** `records = inserted + replaced + existing + void`, and `same`, `newer`, `changed` say what the existing ones are, where the target looked. */
export interface RestoreCounts extends Required<Written> {
  readonly records: number;
  /** Copies that are void and stayed out. */
  readonly void: number;
}

export interface RestoreTotals extends RestoreCounts {
  readonly children: RestoreCounts;
  readonly attachments: RestoreCounts;
}

export interface RestoreReport extends RestoreTotals {
  readonly archive: ArchiveId;
  /** The retrieval that it was read from. */
  readonly retrieval: string;
  readonly signedBy: string;
  /** Archives with children that came too late for this one. */
  readonly addenda: readonly ArchiveId[];
}

export type RestoreKind = 'files' | 'database' | 'preview' | 'drill';

export interface RestoreOptions {
  /** The retrieval stays open: more is to be read from it. Default: it has done its work. */
  readonly keepsRetrieval?: boolean;
  /** Told of the manifest before the first record is written: all was read and verified. */
  readonly onVerified?: (manifest: VerifiedManifest) => void;
}

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
  kind: RestoreKind,
  options: RestoreOptions = {},
): Promise<RestoreReport> {
  // Before the archive is looked at: a purge that does not see this has moved it by then.
  const reading = await Reading.begin(context.store, context.clock, context.newId(), id);
  try {
    return await readArchive(context, id, openKey, target, kind, options, reading);
  } finally {
    await reading.end();
  }
}

async function readArchive(
  context: Context,
  id: ArchiveId,
  openKey: (wrapped: WrappedKey) => Promise<SealKey>,
  target: RestoreTarget,
  kind: RestoreKind,
  options: RestoreOptions,
  reading: Reading,
): Promise<RestoreReport> {
  const archive = await shrunkArchive(context, id);
  const stored = retrievableFacts(archive);
  if ((kind === 'database' || kind === 'preview') && archive.state !== 'cleared') {
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
  const isStillThere = async () => void retrievableFacts(await getArchive(context.store, id));
  const stream = () => outputOf(context, retrieval, stored.bytes, () => reading.keep(isStillThere));
  const manifest = await inspectArchive(stream(), {
    verify: (bytes, signature) => context.keys.verify(bytes, signature),
    expected: {
      ...expectedOf(context, archive),
      attempt: archive.attempt,
      bytes: stored.bytes,
      // Unknown after a rebuild from a vault that lists none: what the file is, the signed manifest says then.
      ...(stored.treeHash === '' ? {} : { treeHash: stored.treeHash }),
    },
    key,
    onAttachment: (entry) => attachments.push(entry),
  });
  if (manifest.sha256 !== stored.manifestSha256) {
    throw new MoraineError('ARCHIVE_CORRUPT', `manifest.json of archive ${id} is not the one that was stored.`, {
      ids: { archive: id, member: 'manifest.json' },
    });
  }
  options.onVerified?.(manifest);
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
  if (options.keepsRetrieval !== true) await endReadRetrievals(context, [retrieval._id]);
  await context.audit.append([
    { act: 'archive restore', phase: 'outcome', subject, details: { kind, ...countsOf(totals) } },
  ]);
  return {
    archive: id,
    retrieval: retrieval._id,
    ...totals,
    signedBy: manifest.keyId,
    addenda: await addendaOf(context, id),
  };
}

function countsOf({ children, attachments, ...records }: RestoreTotals) {
  const hasUnits = children.records + attachments.records > 0;
  const told = Object.fromEntries(
    Object.entries(records).filter(([name, count]) => count > 0 || ALWAYS.includes(name)),
  );
  return { ...told, ...(hasUnits ? { children: children.inserted, attachments: attachments.inserted } : {}) };
}

/** What the audit says also where it is none. */
const ALWAYS: readonly string[] = ['records', 'inserted', 'existing', 'void'];

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
    if (isReadable(retrieval)) return retrieval;
    if (isLiveRetrieval(retrieval)) pending = retrieval;
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

/** Ordinals of copies that are void, in order. While the archive is being cleared: of those that are known by now. */
export async function* voidOrdinals(context: Context, archive: ArchiveDocument): AsyncGenerator<number> {
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
export async function shrunkArchive(context: Context, id: ArchiveId): Promise<ArchiveDocument> {
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
