/** The judge's way in to children and files: which observations are about them, and which records they hang on. */
import { familyOf, isChildCollection, isForeign, placeKey } from './families.ts';
import { filesNamed } from './family-facts.ts';
import { type Known, recordKey } from './known.ts';
import type { Observation, Physical, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { APPLICATION } from './source-changes.ts';
import { seeChildPut, seeChildRemoved, seeFileHidden, seeFilePut, seeFileRemoved } from './unit-changes.ts';
import { asBytes, asText, sameBytes } from './values.ts';

type Removed = Extract<Observation, { readonly what: 'source removed' }>;

/** Takes what is about a child or a file. False: it is about something else. */
export function seeUnit(known: Known, report: Report, seen: Observation, physical: Physical): boolean {
  const now = physical.now();
  switch (seen.what) {
    case 'source put':
      if (!isChildCollection(known, seen.record.namespace)) return false;
      seeChildPut(known, report, seen, now);
      return true;
    case 'source removed':
      if (!isChildCollection(known, seen.record.namespace)) return false;
      seeChildRemoved(known, report, seen, now);
      return true;
    case 'file put':
      seeFilePut(known, report, seen, now);
      return true;
    case 'file hidden':
      seeFileHidden(known, seen, now);
      return true;
    case 'file removed':
      seeFileRemoved(known, report, seen, now, physical);
      return true;
    case 'children looked for':
      known.families.addLook(seen.collection, seen.roots, { step: known.step, at: now });
      return true;
    default:
      return false;
  }
}

/** Before a record is put: one that Moraine deleted, and that the application has again. */
export function beforeRecordPut(known: Known, seen: Extract<Observation, { what: 'source put' }>, now: number): void {
  const { namespace, id } = seen.record;
  const key = recordKey(namespace, id);
  const record = known.records.get(key);
  if (record === undefined || record.bytes !== null || seen.by !== APPLICATION) return;
  if (familyOf(known, namespace) !== null) known.families.backAt.set(key, now);
}

/** After it was put. */
export function noteRecordPut(known: Known, { record: put }: Extract<Observation, { what: 'source put' }>): void {
  const family = familyOf(known, put.namespace);
  if (family === null) return;
  const record = known.record(put);
  known.families.noteRecord(family, record);
  for (const child of known.families.children.values()) {
    if (child.bytes === null || known.families.rootOf(known, child.namespace, child.bytes) !== record) continue;
    if (isForeign(child.bytes, record.facts)) known.families.callForeign(child, record);
  }
}

/** A file that changed so shortly before a record went may have been looked at before. */
const LOOKED_MS = 2 * 60_000;

/** After Moraine removed a record: what it named was what its archive holds. */
export function judgeNamed(known: Known, report: Report, { by, record: removed }: Removed, now: number): void {
  const record = known.record(removed);
  const family = familyOf(known, record.namespace);
  const archive = record.deletedBy?.archive;
  if (by === APPLICATION || family === null || archive == null) return;
  const opened = known.storedFile(archive)?.opened;
  const root = opened?.records.findIndex(({ id }) => id === record.id);
  for (const named of filesNamed(family, removed.bytes)) {
    const place = known.families.place(named);
    if (place.changedAt > now - LOOKED_MS) continue;
    const held = opened?.attachments.find((each) => each.root === root && placeKey(each) === placeKey(named));
    const newest = place.isHidden ? undefined : [...place.there.values()].at(-1);
    const there = named.version === null ? newest : place.there.get(named.version);
    if (held !== undefined && there !== undefined && sameBytes(there, held.bytes)) continue;
    const what = there === undefined ? 'is gone' : 'is another one';
    report(
      'half-archived',
      `Record ${record.id} went under archive ${archive.id}; its file ${named.key} ${what} by now.`,
    );
  }
}

/** Somebody is told of a child. */
export function noteReported(known: Known, entry: RawDocument): void {
  const idBytes = asBytes(entry['idBytes']);
  // A text, as all ids are: its type, its length, itself, its end.
  if (idBytes === null || idBytes[0] !== 0x02) return;
  const id = Buffer.from(idBytes.subarray(5, -1)).toString('utf8');
  known.families.reported.add(recordKey(asText(entry['namespace']) ?? '', id));
}
