/**
 * Restoring one record: out of the part of an archive that holds its segment, or of the whole where that was retrieved.
 * The segment's sealed bytes are compared with the SHA-256 that the ledger noted when it was sealed, and opened under the
 * encryption context of this archive and this segment, before the record is passed on. A copy that is void stays out.
 * What hangs on the record lies elsewhere in the archive and is not restored here.
 */
import { splitDocuments } from '../archive/documents.ts';
import { readMember } from '../archive/reader.ts';
import type { SealKey } from '../archive/seal.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { WrappedKey } from '../keys/port.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import type { MemberPlace } from '../ledger/attempts.ts';
import { recordsBefore } from '../ledger/record-index.ts';
import { Reading } from '../ledger/restoring.ts';
import { isLiveRetrieval, liveRetrievals, type RetrievalDocument } from '../ledger/retrievals.ts';
import { readRosterPage } from '../ledger/rosters.ts';
import { assertNotStopped, type Context } from './context.ts';
import { discarded } from './discarded.ts';
import { placesOfSegments, segmentsHolding } from './locate-record.ts';
import { type RestoreTarget, shrunkArchive, voidOrdinals } from './restore.ts';
import { isReadable, readOutput } from './retrieval-output.ts';
import { refreshRetrieval, retrievableFacts } from './retrieve.ts';

export interface WantedRecord {
  /** Of every `_id` that is meant. */
  readonly candidates: readonly Uint8Array[];
  /** Is this document the one? */
  readonly isIt: (raw: Uint8Array) => boolean;
}

export interface RecordReport {
  readonly archive: ArchiveId;
  readonly retrieval: string;
  /** Only a part of the archive was retrieved, for this. */
  readonly isPart: boolean;
  readonly segment: number | null;
  readonly outcome: 'inserted' | 'existing' | 'replaced' | 'void' | 'not there';
  /** Children and files hang on records of this archive, and stay in it. */
  readonly hasUnits: boolean;
}

/** Throws RETRIEVAL_NEEDED and RETRIEVAL_NOT_READY where nothing that holds the segment can be read, and ARCHIVE_CORRUPT. */
export async function restoreRecord(
  context: Context,
  id: ArchiveId,
  openKey: (wrapped: WrappedKey) => Promise<SealKey>,
  target: RestoreTarget,
  kind: 'files' | 'database' | 'preview',
  wanted: WantedRecord,
): Promise<RecordReport> {
  // Before the archive is looked at: a purge that does not see this has moved it by then.
  const reading = await Reading.begin(context.store, context.clock, context.newId(), id);
  try {
    const report = await readRecord(context, await shrunkArchive(context, id), openKey, target, kind, wanted);
    await target.finish();
    return report;
  } catch (error) {
    throw await discarded(error, () => target.discard());
  } finally {
    await reading.end();
  }
}

async function readRecord(
  context: Context,
  archive: ArchiveDocument,
  openKey: (wrapped: WrappedKey) => Promise<SealKey>,
  target: RestoreTarget,
  kind: 'files' | 'database' | 'preview',
  wanted: WantedRecord,
): Promise<RecordReport> {
  const { _id, attempt } = archive;
  const stored = retrievableFacts(archive);
  if (kind !== 'files' && archive.state !== 'cleared') {
    throw new MoraineError(
      'ARCHIVE_NOT_RETRIEVABLE',
      `Archive ${_id} is ${archive.state}: its originals were not deleted yet.`,
      {
        hint: 'Restore into a folder with --out, or run the policy first.',
        ids: { archive: _id },
      },
    );
  }
  if (attempt === null) throw new MoraineError('INTERNAL', `Archive ${_id} has no attempt.`);
  const keys = wanted.candidates.map((idBytes) => context.source.keyOf(idBytes));
  const segments = (await segmentsHolding(context, archive, null, keys)) ?? [];
  const places = await placesOfSegments(context, archive, segments);
  const retrieval = await retrievalHolding(context, archive, places);
  const subject = { archive: _id, owner: archive.owner, customer: archive.customer, policy: archive.policy };
  const details = { kind, retrieval: retrieval._id, record: true };
  await context.audit.append([{ act: 'archive restore', phase: 'intent', subject, details }]);
  const key = await openKey(await context.keys.readBack(attempt));
  const facts = {
    archive: _id,
    retrieval: retrieval._id,
    isPart: retrieval.range !== null,
    hasUnits: (stored.children ?? 0) + (stored.attachments ?? 0) > 0,
  };
  let report: RecordReport = { ...facts, segment: null, outcome: 'not there' };
  for (const place of places) {
    assertNotStopped(context);
    const found = await recordIn(context, archive, retrieval, place, key, wanted);
    if (found === null || place.segment === null) continue;
    const isVoid = await isVoidCopy(context, archive, place.segment, found.at);
    const outcome = isVoid ? 'void' : await write(target, found.raw);
    report = { ...facts, segment: place.segment, outcome };
    break;
  }
  const told = { ...details, outcome: report.outcome };
  await context.audit.append([{ act: 'archive restore', phase: 'outcome', subject, details: told }]);
  return report;
}

async function write(target: RestoreTarget, raw: Uint8Array): Promise<RecordReport['outcome']> {
  const { inserted, replaced = 0 } = await target.write([raw]);
  if (inserted > 0) return 'inserted';
  return replaced > 0 ? 'replaced' : 'existing';
}

/** A readable retrieval that has all of the segments, a part before the whole: it is there for this. */
async function retrievalHolding(
  context: Context,
  { _id }: ArchiveDocument,
  places: readonly MemberPlace[],
): Promise<RetrievalDocument> {
  const holds = ({ range }: RetrievalDocument) =>
    range === null || places.every(({ offset, length }) => offset >= range.start && offset + length <= range.end);
  const readable: RetrievalDocument[] = [];
  let pending: RetrievalDocument | null = null;
  for (const live of await liveRetrievals(context.store, _id)) {
    const retrieval = await refreshRetrieval(context, live);
    if (!holds(retrieval)) continue;
    if (isReadable(retrieval)) readable.push(retrieval);
    else if (isLiveRetrieval(retrieval)) pending = retrieval;
  }
  const found = readable.find(({ range }) => range !== null) ?? readable[0];
  if (found !== undefined) return found;
  const ids = { archive: _id };
  if (pending === null) {
    throw new MoraineError('RETRIEVAL_NEEDED', `Archive ${_id} has no finished retrieval that holds the record.`, {
      hint: 'Run `moraine retrieve` with the same collection and id.',
      ids,
    });
  }
  const { expectedAt } = pending;
  throw new MoraineError(
    'RETRIEVAL_NOT_READY',
    `The retrieval of archive ${_id} is expected to finish by ${expectedAt?.toISOString() ?? 'an unknown time'}.`,
    { ...(expectedAt === null ? {} : { retryAt: expectedAt }), ids },
  );
}

async function recordIn(
  context: Context,
  archive: ArchiveDocument,
  retrieval: RetrievalDocument,
  place: MemberPlace,
  key: SealKey,
  { isIt }: WantedRecord,
): Promise<{ readonly raw: Uint8Array; readonly at: number } | null> {
  // Offsets of an output count from the start of what was retrieved.
  const start = place.offset - (retrieval.range?.start ?? 0);
  const bytes = await readOutput(context, retrieval, { start, end: start + place.length });
  const { owner, customer, _id } = archive;
  const scope = { installation: context.installation.id, owner, customer, archive: _id };
  const plain = await readMember({ start: place.offset, bytes }, place, scope, key);
  let at = 0;
  for (const raw of splitDocuments(plain)) {
    if (isIt(raw)) return { raw, at };
    at += 1;
  }
  return null;
}

/** Copies are void by their number in the archive: the place in the segment, and all before it. */
async function isVoidCopy(context: Context, archive: ArchiveDocument, segment: number, at: number): Promise<boolean> {
  let ordinal: number | null = null;
  for await (const one of voidOrdinals(context, archive)) {
    // Mostly nothing is void, and then nothing is counted.
    ordinal ??= at + (await firstOrdinal(context, archive, segment));
    if (one === ordinal) return true;
    if (one > ordinal) return false;
  }
  return false;
}

async function firstOrdinal({ store }: Context, archive: ArchiveDocument, segment: number): Promise<number> {
  if (archive.rosterShrunk || archive.attempt === null) return await recordsBefore(store, archive._id, segment);
  let first = 0;
  for (let page = 0; ; page++) {
    const roster = await readRosterPage(store, archive.attempt, page);
    if (roster === null) return first;
    first += roster.records.filter((record) => record.segment < segment).length;
  }
}
