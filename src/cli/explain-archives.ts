/** For `explain`: which archives hold a record or a child, from the ledger alone. One page an archive is read, once it is cleared. */
import type { Namespace, OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import { childName, recordName, rootsOfChild } from '../ledger/child-index.ts';
import { holdName } from '../ledger/holds.ts';
import { holdsCovering } from '../ledger/holds-covering.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import { segmentsOf } from '../ledger/record-index.ts';
import { readExceptions, readRosterPage } from '../ledger/rosters.ts';
import { readUnitVoids, unitPagesOf } from '../ledger/unit-pages.ts';
import type { Context } from '../lifecycle/context.ts';
import type { ChildShape } from '../source/port.ts';
import { day } from './words.ts';

export interface ArchiveAnswer {
  readonly archive: string;
  readonly state: ArchiveDocument['state'];
  readonly owner: OwnerId;
  readonly customer: string;
  /** Of the record; of a child beside its root, those of the root. */
  readonly segments: readonly number[];
  /** Beside the record that it belongs to. */
  readonly isChild: boolean;
  /** Of an addendum: the archive with the roots. */
  readonly addendumTo: string | null;
  readonly dueAt: Date | null;
  /** `may be void`: some records of the archive were not deleted, and which ones is known by their number only. */
  readonly copy: 'good' | 'may be void' | 'not final';
  /** Ids and cases of the holds that cover the archive. */
  readonly holds: readonly string[];
  /** Names of the pauses that stop its clearing and purge. */
  readonly pauses: readonly string[];
}

/** `namespace`: of the roots. `rule`: where a child is looked for. Purged archives keep nothing that names a record. */
export async function archiveAnswers(
  context: Context,
  namespace: Namespace,
  rule: ChildShape | null,
  candidates: readonly Uint8Array[],
): Promise<readonly ArchiveAnswer[]> {
  const keys = candidates.map((idBytes) => context.source.keyOf(idBytes));
  const answers: ArchiveAnswer[] = [];
  const inForce = await pausesInForce(context.store);
  const kept = { namespace, state: { $in: ['storing', 'stored', 'verified', 'cleared', 'purging', 'quarantined'] } };
  for await (const archive of findArchives(context.store, kept)) {
    const segments = await segmentsIn(context, archive, rule, keys);
    if (segments === null) continue;
    const { _id, state, owner, customer, dueAt, addendumTo = null } = archive;
    const isChild = rule !== null && addendumTo === null;
    const copy = await copyOf(context, archive, isChild ? rule : null);
    const holds = (await holdsCovering(context.store, { owner, customer, namespace, archive: _id })).map(holdName);
    const pauses = inForce.filter((pause) => stops(pause, archive)).map(pauseName);
    answers.push({ archive: _id, state, owner, customer, segments, isChild, addendumTo, dueAt, copy, holds, pauses });
  }
  return answers;
}

export function archiveText({ archive, state, segments, isChild, addendumTo, ...of }: ArchiveAnswer): string {
  const where = segments.length === 0 ? '' : ` in segment ${segments.join(', ')}`;
  const how = isChild ? ` beside its root${segments.length === 0 ? '' : `, which is${where}`}` : where;
  const addendum = addendumTo === null ? '' : `, an addendum to ${addendumTo},`;
  const holds = of.holds.length === 0 ? '' : `; kept by legal hold ${of.holds.join(', ')}`;
  const pauses = of.pauses.length === 0 ? '' : `; paused by ${of.pauses.join(', ')}`;
  return `  Archive ${archive} (${state})${addendum} holds it${how}; the copy is ${of.copy}; purge due ${day(of.dueAt)}${holds}${pauses}.`;
}

/** Null: the archive does not hold it. */
async function segmentsIn(
  context: Context,
  archive: ArchiveDocument,
  rule: ChildShape | null,
  keys: readonly string[],
): Promise<readonly number[] | null> {
  if (archive.addendumTo === undefined && rule !== null) {
    return archive.rosterShrunk
      ? await inChildIndex(context, archive, rule, keys)
      : await inUnitPages(context, archive, rule, keys);
  }
  // The records of an addendum are children, and their keys may be the same as those of records.
  if (archive.collection !== rule?.collection) return null;
  const found = archive.rosterShrunk
    ? await inRecordIndex(context, archive, keys)
    : await inRoster(context, archive, keys);
  return found.length === 0 ? null : found;
}

async function inRecordIndex(
  context: Context,
  archive: ArchiveDocument,
  keys: readonly string[],
): Promise<readonly number[]> {
  if (archive.stored === null) return [];
  const hmac = await context.keys.hmacFor(archive.owner);
  const segments = new Set<number>();
  for (const key of keys) {
    const code = hmac(recordName(archive, key));
    for (const segment of await segmentsOf(context.store, archive._id, archive.stored.records, code))
      segments.add(segment);
  }
  return [...segments];
}

/** By its code to its root's, and by that to where the root lies. */
async function inChildIndex(
  { store, keys: owners }: Context,
  { _id, owner, stored }: ArchiveDocument,
  { collection }: ChildShape,
  keys: readonly string[],
): Promise<readonly number[] | null> {
  if (stored?.children === undefined) return null;
  const hmac = await owners.hmacFor(owner);
  const segments = new Set<number>();
  let isThere = false;
  for (const key of keys) {
    for (const root of await rootsOfChild(store, _id, stored.children, hmac(childName(collection, key)))) {
      isThere = true;
      for (const segment of await segmentsOf(store, _id, stored.records, root)) segments.add(segment);
    }
  }
  return isThere ? [...segments] : null;
}

/** Before its roster shrinks an archive has pages with the ids themselves. */
async function inRoster(
  context: Context,
  archive: ArchiveDocument,
  keys: readonly string[],
): Promise<readonly number[]> {
  const segments = new Set<number>();
  if (archive.attempt === null) return [];
  for (let page = 0; ; page++) {
    const roster = await readRosterPage(context.store, archive.attempt, page);
    if (roster === null) return [...segments];
    for (const { id: idBytes, segment } of roster.records) {
      if (keys.includes(context.source.keyOf(idBytes))) segments.add(segment);
    }
  }
}

async function inUnitPages(
  { store, source }: Context,
  { attempt }: ArchiveDocument,
  { collection }: ChildShape,
  keys: readonly string[],
): Promise<readonly number[] | null> {
  if (attempt === null) return null;
  let first = 0;
  for (let page = 0; ; page++) {
    const roster = await readRosterPage(store, attempt, page);
    if (roster === null) return null;
    for await (const unit of unitPagesOf(store, attempt, page)) {
      if (unit.kind !== 'children' || unit.collection !== collection) continue;
      const child = unit.children.find(({ id }) => keys.includes(source.keyOf(id)));
      const segment = child === undefined ? undefined : roster.records[child.root - first]?.segment;
      if (child !== undefined) return segment === undefined ? [] : [segment];
    }
    first += roster.records.length;
  }
}

async function copyOf(
  { store }: Context,
  { _id, rosterShrunk }: ArchiveDocument,
  beside: ChildShape | null,
): Promise<ArchiveAnswer['copy']> {
  if (!rosterShrunk) return 'not final';
  if (beside === null) {
    for await (const _ of readExceptions(store, _id)) return 'may be void';
    return 'good';
  }
  for await (const { collection } of readUnitVoids(store, _id)) {
    if (collection === beside.collection) return 'may be void';
  }
  return 'good';
}
