/** What archives hold of children and files: whole or not at all, nobody else's, and counted as it is. */
import { familyOf, isForeign, placeKey } from './families.ts';
import { filesNamed } from './family-facts.ts';
import { type Known, type KnownArchive, type KnownFile, recordKey } from './known.ts';
import type { RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { readRecord } from './record-facts.ts';
import { asFields, asNumber, asText, sameBytes } from './values.ts';

/** A file opened: what it holds is known from now on. */
export function seeUnits(known: Known, report: Report, stored: KnownFile): void {
  const { opened, parties } = stored;
  if (opened === null || parties === null) return;
  const of = `The file of archive ${parties.archive}, attempt ${parties.attempt},`;
  for (const { collection, id, bytes, root } of opened.children) {
    const key = recordKey(collection, id);
    const rootKey = recordKey(opened.namespace, opened.records[root]?.id ?? '');
    const others = known.families.filesOfChild.get(key) ?? [];
    known.families.filesOfChild.set(key, [...others, { file: stored, bytes, root: rootKey }]);
    if (isForeign(bytes, opened))
      report('foreign-child-taken', `${of} holds child ${id}, which is not of its customer.`);
  }
  for (const attachment of opened.attachments) {
    const key = placeKey(attachment);
    const root = recordKey(opened.namespace, opened.records[attachment.root]?.id ?? '');
    const others = known.families.filesOfPlace.get(key) ?? [];
    known.families.filesOfPlace.set(key, [...others, { file: stored, bytes: attachment.bytes, root, attachment }]);
  }
}

/** At `storing`: from now on this attempt reads. */
export function noteAttempt(known: Known, after: RawDocument, now: number): void {
  const attempt = asText(after['attempt']);
  if (attempt !== null && !known.families.begunAt.has(attempt)) known.families.begunAt.set(attempt, now);
}

/** At `stored`: the ledger counts what the file holds. Null: it does. */
export function faultOfUnits({ opened }: KnownFile, stored: Readonly<Record<string, unknown>>): string | null {
  if (opened === null) return null;
  const said = (name: string) => asNumber(stored[name]) ?? 0;
  if (said('children') !== opened.children.length) return 'it counts other children than the file holds';
  if (said('attachments') !== opened.attachments.length) return 'it counts other attachments than the file holds';
  return null;
}

/** At `stored`: each record with all that hangs on it, as it was. */
export function judgeWhole(known: Known, report: Report, archive: KnownArchive): void {
  const opened = known.storedFile(archive)?.opened;
  const family = opened == null ? null : familyOf(known, opened.namespace);
  if (opened == null || family === null) return;
  const half = (id: string, text: string) =>
    report('half-archived', `Record ${id} is in archive ${archive.id}, which ${text}.`);
  for (const [root, { id, bytes }] of opened.records.entries()) {
    const attached = opened.attachments.filter((each) => each.root === root);
    const named = filesNamed(family, bytes);
    if (attached.length !== named.length)
      half(id, `holds ${attached.length} of the ${named.length} files that it names`);
    for (const [at, file] of named.entries()) {
      const kept = attached[at];
      if (kept === undefined || placeKey(kept) !== placeKey(file)) half(id, `does not hold file ${file.key}`);
      else if (file.version !== null && kept.version !== file.version)
        half(id, `holds file ${file.key} as another version`);
      else {
        const contents = known.families.place(file).contents.get(kept.version) ?? [];
        if (!contents.some((content) => sameBytes(content, kept.bytes)))
          half(id, `holds file ${file.key} as it never was`);
      }
    }
  }
  const begunAt = known.families.begunAt.get(opened.attempt);
  if (begunAt === undefined) return;
  const held = new Set(opened.children.map((child) => `${child.root}\0${recordKey(child.collection, child.id)}`));
  const places = new Map(opened.records.map(({ id }, at) => [recordKey(opened.namespace, id), at] as const));
  for (const child of known.families.children.values()) {
    // What came while it was read may be in it or not.
    if (child.bytes === null || child.putAt >= begunAt) continue;
    const root = known.families.rootOf(known, child.namespace, child.bytes);
    const place = root === null ? undefined : places.get(root.key);
    if (place === undefined || held.has(`${place}\0${child.key}`)) continue;
    half(root?.id ?? '', `does not hold its child ${child.id}`);
  }
}

/** At `cleared`: outcomes of children add up, and those that went are called deleted. */
export function settleUnits(known: Known, report: Report, archive: KnownArchive, after: RawDocument): void {
  const opened = known.storedFile(archive)?.opened;
  if (opened == null || known.isLedgerSetBack) return;
  const fault = (text: string) => report('outcomes-do-not-add-up', `Archive ${archive.id}: ${text}.`);
  const outcomes = asFields(after['childOutcomes']);
  if (opened.children.length === 0) return;
  const names = ['deleted', 'treated', 'changed', 'held', 'gone', 'quarantined', 'pending'];
  const counts = names.map((name) => asNumber(outcomes[name]) ?? Number.NaN);
  const sum = counts.reduce((total, count) => total + count, 0);
  if (sum !== opened.children.length || outcomes['archived'] !== opened.children.length) {
    fault(`its file holds ${opened.children.length} children, their outcomes are ${JSON.stringify(outcomes)}`);
    return;
  }
  const went = known.families.deletionsOf(archive.id);
  const gone = known.families.removedByApplication.get(archive.id) ?? new Set();
  const keys = opened.children.map(({ collection, id }) => recordKey(collection, id));
  // One that was put back after it went may be called either.
  const certain = keys.filter((key) => went.has(key) && !archive.putBack.has(key) && !gone.has(key)).length;
  const possible = keys.filter((key) => went.has(key) || gone.has(key)).length;
  const deleted = asNumber(outcomes['deleted']) ?? 0;
  if (deleted < certain || deleted > possible)
    fault(`${deleted} of its children are called deleted; ${certain} to ${possible} of them went`);
}

/** What a member of an archive is kept and purged by: of a child, what its root said. */
export function factsOfMember(known: Known, archive: KnownArchive, bytes: Uint8Array) {
  const collection = asText(archive.document?.['collection']);
  if (collection === null) return readRecord(bytes);
  return known.families.rootOf(known, collection, bytes)?.facts ?? readRecord(bytes);
}
