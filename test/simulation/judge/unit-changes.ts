/**
 * Children and files that go or come: after their root and in that order, only what an archive holds byte for byte or a
 * disposal names, never what is held, shared or somebody else's.
 */
import { covers, isInForce } from './brakes.ts';
import { familyOf, isForeign, type KeptUnit, type KnownChild, placeKey, type UnitDeletion } from './families.ts';
import { isShared } from './family-facts.ts';
import { type Known, type KnownArchive, type KnownRecord, recordKey } from './known.ts';
import type { Instant, KeptFile, Observation, Physical, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { APPLICATION, isSafe, isVoid, LATE_COMMAND_MS } from './source-changes.ts';
import { asFields, asList, asNumber, asText, sameBytes } from './values.ts';

type Put = Extract<Observation, { readonly what: 'source put' }>;
type Removed = Extract<Observation, { readonly what: 'source removed' }>;
type FileSeen = Extract<Observation, { readonly what: 'file put' | 'file removed' }>;
type Restored = Extract<Observation, { readonly what: 'restored' }>;

/** Who looked that a root is gone may need so long until the last of what hangs on it has gone: it may be back by then. */
const BACK_MS = 2 * 3_600_000;

export function seeChildPut(known: Known, report: Report, { by, record: put, before }: Put, now: Instant): void {
  const { families } = known;
  const child = families.child(put);
  const root = families.rootOf(known, put.namespace, put.bytes);
  if (by === APPLICATION) {
    for (const archive of holding(known, child.key)) {
      if (archive.clearedAt === null) archive.touched.add(child.key);
    }
    const under = child.deletedBy?.archive;
    if (under?.clearedAt === null) under.putBack.add(child.key);
  } else {
    if (before !== null) report('source-overwritten', `Child ${put.id} of ${put.namespace} was written over by ${by}.`);
    if (!isKept(known, child.key, put.bytes))
      report('void-copy-restored', `${by} put child ${put.id}; no cleared archive holds it as deleted.`);
  }
  child.bytes = put.bytes;
  child.putBy = by === APPLICATION ? 'application' : 'moraine';
  child.putAt = now;
  child.putStep = known.step;
  if (root !== null && isForeign(put.bytes, root.facts)) families.callForeign(child, root);
  child.deletedBy = null;
}

export function seeChildRemoved(
  known: Known,
  report: Report,
  { by, record: removed }: Omit<Removed, 'what'>,
  now: Instant,
): void {
  const { families } = known;
  const child = families.child(removed);
  child.bytes = null;
  if (by === APPLICATION) {
    for (const archive of holding(known, child.key)) {
      if (archive.clearedAt === null) archive.touched.add(child.key);
      if (known.state(archive) !== 'verified') continue;
      archive.removedByApplication.add(child.key);
      const gone = families.removedByApplication.get(archive.id) ?? new Set<string>();
      families.removedByApplication.set(archive.id, gone.add(child.key));
    }
    return;
  }
  const which = `Child ${removed.id} of ${removed.namespace} (${by})`;
  const root = families.rootOf(known, removed.namespace, removed.bytes);
  if (root === null) {
    report('child-deleted-without-copy', `${which} was deleted; it is of no record that there ever was.`);
    return;
  }
  if (!isGone(known, root, now)) report('child-before-root', `${which} was deleted while ${root.id} was there.`);
  if (isForeign(removed.bytes, root.facts))
    report('foreign-child-taken', `${which} was deleted; it is not of the owner and customer of ${root.id}.`);
  judgeBrakes(known, report, which, root, now);
  const basis = bestOf(known, copiesOfChild(known, child.key, removed.bytes));
  const [disposal = null] = basis === null ? openDisposals(known, root, now) : [];
  if (basis === null && disposal === null)
    report('child-deleted-without-copy', `${which} was deleted; no verified archive holds these bytes.`);
  judgeIntent(known, report, which, basis?.archive ?? null, disposal);
  const deletion = deletionOf(root, removed.bytes, basis, now);
  child.deletedBy = deletion;
  if (basis === null) return;
  families.deletionsOf(basis.archive.id).set(child.key, deletion);
  // In an addendum the children are the records.
  if (basis.archive.document?.['addendumTo'] !== undefined) {
    basis.archive.deleted.set(child.key, { ...deletion, archive: basis.archive });
    basis.archive.putBack.delete(child.key);
  }
}

export function seeFilePut(known: Known, report: Report, { by, file }: FileSeen, now: Instant): void {
  const place = known.families.place(file);
  if (by === APPLICATION) place.changedAt = now;
  if (by !== APPLICATION && !isKeptFile(known, file))
    report(
      'void-copy-restored',
      `${by} put file ${file.key} of ${file.bucket}; no cleared archive holds it as deleted.`,
    );
  place.contents.set(file.version, [...(place.contents.get(file.version) ?? []), file.bytes]);
  place.there.set(file.version, file.bytes);
  place.isHidden = false;
  place.deletedBy = null;
}

export function seeFileHidden(known: Known, of: { readonly bucket: string; readonly key: string }, now: Instant): void {
  const place = known.families.place({ kind: 's3', ...of });
  place.isHidden = true;
  place.changedAt = now;
  noteMissing(known, { kind: 's3', ...of });
}

export function seeFileRemoved(
  known: Known,
  report: Report,
  { by, file }: FileSeen,
  now: Instant,
  physical: Physical,
): void {
  const place = known.families.place(file);
  place.there.delete(file.version);
  if (by === APPLICATION) {
    place.changedAt = now;
    noteMissing(known, file);
    return;
  }
  const which = `File ${file.key} of ${file.bucket}, version ${file.version ?? 'none'} (${by})`;
  if (isShared(file.bucket)) {
    report('shared-attachment-deleted', `${which} was deleted; records share it.`);
    return;
  }
  const copies = (known.families.filesOfPlace.get(placeKey(file)) ?? []).filter(
    ({ attachment, bytes }) => attachment.version === file.version && sameBytes(bytes, file.bytes),
  );
  const basis = bestOf(known, copies);
  const roots = [...place.namedBy].flatMap((key) => known.records.get(key) ?? []);
  const root = basis === null ? (roots[0] ?? null) : (known.records.get(basis.unit.root) ?? null);
  if (root === null) {
    report('attachment-deleted-without-copy', `${which} was deleted; no record ever named it.`);
    return;
  }
  if (!isGone(known, root, now)) report('attachment-out-of-order', `${which} was deleted while ${root.id} was there.`);
  judgeBrakes(known, report, which, root, now);
  const open = basis === null ? openDisposals(known, root, now) : [];
  const disposal = open.find(({ _id }) => isNamedBy(physical, _id, file)) ?? null;
  if (basis === null && disposal === null)
    report(
      'attachment-deleted-without-copy',
      `${which} was deleted; no verified archive holds it, and no disposal names it.`,
    );
  const early = basis === null ? childrenLeft(known, root) : unsettledChildren(physical, basis.archive, file);
  if (early !== null) report('attachment-out-of-order', `${which} was deleted before ${early}.`);
  judgeIntent(known, report, which, basis?.archive ?? null, disposal);
  place.deletedBy = { ...deletionOf(root, file.bytes, basis, now), version: file.version };
}

/** What a restore into a folder handed out. Into the source it was seen when it was put. */
export function seeUnitsRestored(known: Known, report: Report, seen: Restored): void {
  if (seen.intoSource) return;
  const archive = known.archive(seen.archive);
  // Before it is cleared nobody knows yet which copies are void.
  if (archive.clearedAt === null) return;
  const of = `was restored from archive ${seen.archive}`;
  for (const { namespace, id, bytes } of seen.children ?? []) {
    if (!isKept(known, recordKey(namespace, id), bytes))
      report('void-copy-restored', `Child ${id} ${of}, under which it was not deleted like that.`);
  }
  for (const file of seen.files ?? []) {
    const copies = known.families.filesOfPlace.get(placeKey(file)) ?? [];
    if (!copies.some((copy) => copy.file.parties?.archive === seen.archive && sameBytes(copy.bytes, file.bytes)))
      report('void-copy-restored', `File ${file.key} ${of}, which does not hold these bytes.`);
  }
}

function deletionOf(root: KnownRecord, bytes: Uint8Array, basis: Basis | null, at: Instant): UnitDeletion {
  return {
    bytes,
    at,
    root: root.key,
    facts: root.facts,
    archive: basis?.archive ?? null,
    attempt: basis?.unit.file.parties?.attempt ?? null,
  };
}

/** It is not there, or was put back so shortly before that whoever looked saw it absent. */
function isGone(known: Known, root: KnownRecord, now: Instant): boolean {
  if (root.bytes === null) return true;
  return (known.families.backAt.get(root.key) ?? Number.NEGATIVE_INFINITY) > now - BACK_MS;
}

function judgeBrakes(known: Known, report: Report, which: string, root: KnownRecord, now: Instant): void {
  for (const brake of known.brakes) {
    if (!isInForce(known, brake, now) || !covers(known, brake.scope, root.namespace, root.id, root.facts)) continue;
    report('held-unit-deleted', `${which} of ${root.id} was deleted under ${brake.kind} ${brake.name}.`);
  }
}

function judgeIntent(
  known: Known,
  report: Report,
  which: string,
  archive: KnownArchive | null,
  disposal: RawDocument | null,
): void {
  const subject = archive !== null ? `archive ${archive.id}` : disposal === null ? null : `expiration ${disposal._id}`;
  if (subject === null) return;
  if (known.auditOf(subject).some(({ phase, act }) => phase === 'intent' && /clear|delete/.test(act))) return;
  report('act-without-intent', `${which} was deleted before the audit chain held an intent for ${subject}.`);
}

interface Basis {
  readonly unit: KeptUnit;
  readonly archive: KnownArchive;
}

/** Of an archive that is being cleared, where there is one. */
function bestOf(known: Known, copies: readonly KeptUnit[]): Basis | null {
  const safe = copies.flatMap((unit) =>
    unit.file.parties === null || !isSafe(known, unit.file)
      ? []
      : [{ unit, archive: known.archive(unit.file.parties.archive) }],
  );
  const verified = safe.filter(({ archive }) => known.state(archive) === 'verified');
  // There is an addendum only when all pages of its roots' archive are settled.
  const late = verified.find(({ archive }) => archive.document?.['addendumTo'] !== undefined);
  return late ?? verified[0] ?? safe[0] ?? null;
}

/** In the archive of its root, or in an addendum to it. */
function copiesOfChild(known: Known, key: string, bytes: Uint8Array): readonly KeptUnit[] {
  const child = known.families.children.get(key);
  const root = child === undefined ? null : known.families.rootOf(known, child.namespace, bytes);
  const late = (known.filesOfRecord.get(key) ?? []).flatMap((file) => {
    const kept = file.bytesOf.get(key);
    return kept === undefined ? [] : [{ file, bytes: kept, root: root?.key ?? '' }];
  });
  return [...(known.families.filesOfChild.get(key) ?? []), ...late].filter((unit) => sameBytes(unit.bytes, bytes));
}

function holding(known: Known, key: string): readonly KnownArchive[] {
  const files = [
    ...(known.filesOfRecord.get(key) ?? []),
    ...(known.families.filesOfChild.get(key) ?? []).map(({ file }) => file),
  ];
  return files.flatMap(({ parties, inVault }) =>
    parties === null || !inVault ? [] : [known.archive(parties.archive)],
  );
}

/** A cleared archive holds the child as it was when it went, or went by the application while it was being cleared. */
function isKept(known: Known, key: string, bytes: Uint8Array): boolean {
  if (known.isLedgerSetBack) return true;
  return copiesOfChild(known, key, bytes).some(({ file, root }) => {
    if (file.parties === null) return false;
    const archive = known.archive(file.parties.archive);
    if (archive.clearedAt === null) return false;
    if (archive.document?.['addendumTo'] !== undefined) return !isVoid(archive, key);
    // What hangs on a record that was treated stays, and so does its copy.
    if (archive.outcomes?.get(root) === 't') return true;
    const went = known.families.deletions.get(archive.id)?.get(key);
    if (went !== undefined && sameBytes(went.bytes, bytes)) return true;
    return known.families.removedByApplication.get(archive.id)?.has(key) === true;
  });
}

function isKeptFile(known: Known, file: KeptFile): boolean {
  if (known.isLedgerSetBack) return true;
  return (known.families.filesOfPlace.get(placeKey(file)) ?? []).some(({ file: of, bytes, root }) => {
    if (of.parties === null || !sameBytes(bytes, file.bytes)) return false;
    const archive = known.archive(of.parties.archive);
    return archive.clearedAt !== null && !isVoid(archive, root);
  });
}

/** Disposals that delete in the record's partition: under way, and then those that were until a moment ago. */
function openDisposals(known: Known, { namespace, facts }: KnownRecord, now: Instant): readonly RawDocument[] {
  const ofParty = [...known.expirations.values()].filter(
    (disposal) =>
      !/treat/.test(asText(disposal['kind']) ?? '') &&
      disposal['namespace'] === namespace &&
      disposal['owner'] === facts.owner &&
      disposal['customer'] === facts.customer,
  );
  const ended = ofParty.filter(({ _id }) => now - (known.expirationDoneAt.get(_id) ?? 0) < LATE_COMMAND_MS);
  return [...ofParty.filter(({ state }) => state === 'deleting'), ...ended];
}

/** It is in the list that the disposal made before it deleted the record. */
function isNamedBy(physical: Physical, disposal: string, { kind, bucket, key, version }: KeptFile): boolean {
  return unitPages(physical, disposal).some((page) =>
    asList(page['attachments']).some((each) => {
      const named = asFields(each);
      if (named['kind'] !== kind || named['bucket'] !== bucket) return false;
      if (kind === 's3') return named['key'] === key && named['version'] === version;
      return (
        Buffer.from(asText(named['key']) ?? '', 'hex')
          .subarray(5, -1)
          .toString('utf8') === key
      );
    }),
  );
}

/** Pages of children of the same records whose outcomes are not settled; null: there is none. */
function unsettledChildren(physical: Physical, archive: KnownArchive, file: KeptFile): string | null {
  if (archive.clearedAt !== null) return null;
  const pages = unitPages(physical, asText(archive.document?.['attempt']) ?? '');
  const own = pages.filter((page) =>
    asList(page['attachments']).some((each) => {
      const named = asFields(each);
      const isKey = file.kind === 's3' ? named['key'] === file.key : named['kind'] === 'gridfs';
      return named['bucket'] === file.bucket && isKey;
    }),
  );
  const rosterPages = new Set(own.map((page) => page['page']));
  const children = pages.filter((page) => page['kind'] === 'children' && rosterPages.has(page['page']));
  const settled = new Set(
    physical
      .ledger('clearingPages')
      .filter((page) => page['archive'] === `${archive.id}~children` && page['outcomes'] != null)
      .map((page) => asNumber(page['page'])),
  );
  const open = children.filter((page) => !settled.has(asNumber(page['number'])));
  return open.length === 0 ? null : `${open.length} pages of children of archive ${archive.id} were settled`;
}

/** Without an archive: children that were there before their root went, and could be taken. */
function childrenLeft(known: Known, root: KnownRecord): string | null {
  const at = root.deletedBy?.at ?? Number.NEGATIVE_INFINITY;
  const left: KnownChild[] = [];
  for (const child of known.families.children.values()) {
    if (child.bytes === null || child.putAt >= at || child.wasEverForeign) continue;
    if (known.families.rootOf(known, child.namespace, child.bytes) === root) left.push(child);
  }
  return left.length === 0 ? null : `its children ${left.map(({ id }) => id).join(', ')}`;
}

function unitPages(physical: Physical, attempt: string): readonly RawDocument[] {
  return physical.ledger('unitPages').filter((page) => page['attempt'] === attempt);
}

/** Every record that names it names what is not there. */
function noteMissing(known: Known, of: Pick<KeptFile, 'kind' | 'bucket' | 'key'>): void {
  for (const key of known.families.place(of).namedBy) {
    const record = known.records.get(key);
    const family = record === undefined ? null : familyOf(known, record.namespace);
    if (record !== undefined && family !== null) known.families.noteRecord(family, record);
  }
}
