/** Where in an archive a record or a child lies, from the ledger alone. One page an archive is read, once it is cleared. */
import { segmentName } from '../archive/member-names.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { attempts, type MemberPlace } from '../ledger/attempts.ts';
import { childName, recordName, rootsOfChild } from '../ledger/child-index.ts';
import { segmentsOf } from '../ledger/record-index.ts';
import { readRosterPage } from '../ledger/rosters.ts';
import { unitPagesOf } from '../ledger/unit-pages.ts';
import type { ChildShape } from '../source/port.ts';
import type { Context } from './context.ts';

/** Where those segments lie in the file. By their names: children of another collection have segments of the same numbers. */
export async function placesOfSegments(
  { store }: Pick<Context, 'store'>,
  archive: ArchiveDocument,
  segments: readonly number[],
): Promise<readonly MemberPlace[]> {
  const document = archive.attempt === null ? null : await attempts(store).get(archive.attempt);
  const names = new Set(segments.map((segment) => segmentName(collectionOfArchive(archive), segment)));
  return (document?.members ?? []).filter(({ name }) => names.has(name));
}

/**
 * The segments of the roots in which a record lies, or, where `rule` says which children it is one of, its root. Null:
 * the archive does not hold it. `keys`: of every `_id` that is meant. Exact until the roster has shrunk; from then on by
 * keyed codes of 64 bits, which another record may share.
 */
export async function segmentsHolding(
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
