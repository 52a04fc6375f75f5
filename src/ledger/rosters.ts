/**
 * Rosters: which records an archive holds, from sealing to clearing, in pages that belong to an attempt. At `cleared`
 * they shrink to the exceptions and to sorted pages of HMACs, so that no plaintext id outlives the copy. At purge all of
 * it goes; the counts and the Merkle root stay in the archive's document.
 */

import { MoraineError } from '../errors.ts';
import type { ArchiveId, AttemptId, CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { RecordOutcome } from './archive-document.ts';
import type { LedgerIndex } from './indexes.ts';
import { RecordIndexBuilder } from './record-index.ts';
import { packRecords, type RosterRecord, unpackRecords } from './roster-packing.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { removeUnitPages, removeUnitPagesFrom, removeUnitPagesOf, removeUnitVoids } from './unit-pages.ts';

/** Records a roster page: one page is read back, guarded and settled at a time. */
export const ROSTER_PAGE_RECORDS = 1_000;
/** And bytes: a page is held in memory as a whole while it is cleared. */
export const ROSTER_PAGE_BYTES = 16 * 1024 * 1024;

export type { RosterRecord } from './roster-packing.ts';

interface RosterPageDocument extends LedgerDocument {
  /** The archive, or the expiration, that it belongs to. */
  readonly archive: string;
  /** The attempt, or the expiration again. */
  readonly attempt: string;
  readonly epoch: number;
  readonly page: number;
  /** See roster-packing.ts. */
  readonly packed: Uint8Array;
}

export interface RosterPage {
  readonly page: number;
  readonly records: readonly RosterRecord[];
}

/** A record that is in the archive and was neither deleted from the source nor treated there: its copy is void and never comes back by restore. */
export interface RosterException {
  /** The record's number in the archive, from 0. */
  readonly ordinal: number;
  readonly outcome: Exclude<RecordOutcome, 'deleted' | 'treated'>;
}

interface ExceptionsDocument extends LedgerDocument {
  readonly archive: ArchiveId;
  readonly exceptions: readonly RosterException[];
}

export const ROSTERS_INDEXES: readonly LedgerIndex[] = [
  { collection: 'rosterPages', keys: { attempt: 1, page: 1 } },
  { collection: 'rosterPages', keys: { archive: 1 } },
  { collection: 'rosterExceptions', keys: { archive: 1, _id: 1 } },
];

export function rosterPages(store: Store): StoreCollection<RosterPageDocument> {
  return store.collection<RosterPageDocument>('rosterPages');
}

function exceptionPages(store: Store): StoreCollection<ExceptionsDocument> {
  return store.collection<ExceptionsDocument>('rosterExceptions');
}

export function rosterPageId(attempt: string, page: number): string {
  return `${attempt}:${String(page).padStart(6, '0')}`;
}

export async function writeRosterPage(
  store: Store,
  of: { readonly archive: string; readonly attempt: string; readonly epoch: number },
  page: number,
  records: readonly RosterRecord[],
): Promise<void> {
  const packed = packRecords(records);
  const outcome = await rosterPages(store).insert({ _id: rosterPageId(of.attempt, page), v: 1, ...of, page, packed });
  if (outcome === 'inserted') return;
  throw new MoraineError('INTERNAL', `Roster page ${page} of ${of.attempt} is in the ledger already.`, {
    ids: { archive: of.archive },
  });
}

export async function readRosterPage(store: Store, attempt: string, page: number): Promise<RosterPage | null> {
  const found = await rosterPages(store).get(rosterPageId(attempt, page));
  return found === null ? null : { page, records: unpackRecords(found.packed) };
}

export async function removeRoster(store: Store, attempt: string): Promise<void> {
  await rosterPages(store).removeMany({ attempt });
  await removeUnitPages(store, attempt);
}

/** The exceptions of an archive in the order of their ordinals, page by page. */
export async function* readExceptions(store: Store, archive: ArchiveId): AsyncIterable<RosterException> {
  for await (const page of exceptionPages(store).find({ archive }, { sort: { _id: 1 } })) yield* page.exceptions;
}

export interface ShrinkInput {
  readonly archive: ArchiveId;
  readonly attempt: AttemptId;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly namespace: Namespace;
  readonly records: number;
  readonly pages: number;
  /** HMAC of a record's key under the owner's key. */
  readonly hmac: (key: string) => Uint8Array;
  readonly keyOf: (idBytes: Uint8Array) => string;
  /** Outcomes of a page's records, in order. */
  readonly outcomes: (page: number) => Promise<readonly RecordOutcome[]>;
}

/**
 * Writes the exceptions and the HMAC pages; the caller removes the pages with plaintext ids afterwards. Idempotent: a
 * page that is not there any more says that an earlier worker had written everything and was cut while it removed.
 */
export async function shrinkRoster(store: Store, input: ShrinkInput): Promise<void> {
  const index = new RecordIndexBuilder(input.records);
  let ordinal = 0;
  for (let page = 0; page < input.pages; page++) {
    const roster = await readRosterPage(store, input.attempt, page);
    if (roster === null) return;
    const outcomes = await input.outcomes(page);
    // A record without an outcome would pass for deleted, and its copy for the only one.
    if (outcomes.length !== roster.records.length) {
      throw new MoraineError('INTERNAL', `Page ${page} of archive ${input.archive} has records without an outcome.`);
    }
    for (const record of roster.records) index.add(input.hmac(input.keyOf(record.id)), record.segment);
    const exceptions: RosterException[] = [];
    outcomes.forEach((outcome, at) => {
      if (outcome !== 'deleted' && outcome !== 'treated') exceptions.push({ ordinal: ordinal + at, outcome });
    });
    ordinal += roster.records.length;
    if (exceptions.length > 0) {
      const _id = `${input.archive}:${String(page).padStart(6, '0')}`;
      await exceptionPages(store).insert({ _id, v: 1, archive: input.archive, exceptions });
    }
  }
  if (ordinal !== input.records) {
    throw new MoraineError(
      'INTERNAL',
      `The roster of archive ${input.archive} has ${ordinal} of ${input.records} records.`,
    );
  }
  await index.write(store, input.archive);
}

/** Pages that were written and never counted in: their worker was cut in between. */
export async function removeRosterFrom(store: Store, attempt: string, page: number): Promise<void> {
  await rosterPages(store).removeMany({ attempt, page: { $gte: page } });
  await removeUnitPagesFrom(store, attempt, page);
}

/** Whose roster pages are in the ledger, among ids that begin so. */
export async function withRosterPages(store: Store, prefix: string): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const range = { $gte: prefix, $lt: `${prefix}\uffff` };
  for await (const { archive } of rosterPages(store).find({ archive: range })) found.add(archive);
  return found;
}

/** The roster pages of every attempt of an archive: also one that a cut worker wrote after its attempt was abandoned. */
export async function removeRostersOf(store: Store, archive: ArchiveId): Promise<void> {
  await rosterPages(store).removeMany({ archive });
  await removeUnitPagesOf(store, archive);
}

export async function removeExceptions(store: Store, archive: ArchiveId): Promise<void> {
  await exceptionPages(store).removeMany({ archive });
  await removeUnitVoids(store, archive);
}
