/** The judge's way in to children and files: which observations are about them, and which records they hang on. */
import { familyOf, isChildCollection, isForeign } from './families.ts';
import { type Known, recordKey } from './known.ts';
import type { Observation, Physical } from './observations.ts';
import type { Report } from './properties.ts';
import { APPLICATION } from './source-changes.ts';
import { seeChildPut, seeChildRemoved, seeFileHidden, seeFilePut, seeFileRemoved } from './unit-changes.ts';

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
      seeFilePut(known, report, seen);
      return true;
    case 'file hidden':
      seeFileHidden(known, seen);
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
