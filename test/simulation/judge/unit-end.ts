/** Faults are over: nothing that hung on a record is lost, forgotten where it was, or left in the ledger. */
import { earliestPurge } from './due.ts';
import { familyOf, isForeign, type KnownChild, type UnitDeletion } from './families.ts';
import type { Known, KnownArchive, KnownRecord } from './known.ts';
import type { Instant, Physical, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { isVoid } from './source-changes.ts';
import { asText } from './values.ts';

export function judgeUnitLosses(known: Known, report: Report, now: Instant): void {
  for (const child of known.families.children.values()) {
    const { deletedBy } = child;
    if (deletedBy === null || isKept(known, deletedBy, now)) continue;
    report(
      'unit-lost',
      `Child ${child.id} was deleted under archive ${deletedBy.archive?.id}, which does not give it back.`,
    );
  }
  for (const [place, { deletedBy }] of known.families.places) {
    if (deletedBy === null || isKept(known, deletedBy, now)) continue;
    const name = place.replaceAll('\0', ' ');
    report(
      'unit-lost',
      `File ${name} was deleted under archive ${deletedBy.archive?.id}, which does not give it back.`,
    );
  }
}

/** A readable archive has it, or its time was over. What went without an archive was judged when it went. */
function isKept(known: Known, { archive, attempt, facts, root }: UnitDeletion, now: Instant): boolean {
  if (archive === null || attempt === null) return true;
  const file = known.storedFile(archive);
  const isThere = file?.inVault === true && file.parties?.attempt === attempt && file.opened !== null;
  const isWhole = archive.document?.['addendumTo'] !== undefined || archive.outcomes === null || !isVoid(archive, root);
  if (isThere && known.attempt(attempt).key === 'kept' && isWhole) return true;
  if (known.keyDamage.isSetBack || (file?.damage.size ?? 0) > 0 || known.isLedgerSetBack) return true;
  if (archive.document?.['early'] != null) return true;
  const namespace = asText(archive.document?.['namespace']) ?? '';
  return earliestPurge(known, known.policiesOf(archive, namespace), facts, null) <= now;
}

/** Children whose root Moraine deleted: gone too, reported, or later than the last look. */
export function judgeOrphans(known: Known, report: Report, physical: Physical): void {
  for (const child of known.families.children.values()) {
    const root = child.bytes === null ? null : known.families.rootOf(known, child.namespace, child.bytes);
    if (root === null || root.bytes !== null || root.deletedBy === null || known.families.reported.has(child.key))
      continue;
    const endedAt = endOf(known, root.deletedBy.archive, root, root.deletedBy.at);
    if (endedAt === null || isTooLate(known, child, root.deletedBy.at, endedAt)) continue;
    const whose = child.bytes !== null && isForeign(child.bytes, root.facts) ? ' of another customer' : '';
    report('orphan-left', `Child ${child.id}${whose} is left; its root ${root.id} was deleted, and nobody was told.`);
  }
  for (const { bucket, key, isWhole } of physical.files()) {
    if (!isWhole) report('orphan-left', `Chunks of file ${key} in ${bucket} are left, and the file is gone.`);
  }
}

/** When whoever deleted the root was done with all that hangs on it; null: not yet. */
function endOf(known: Known, archive: KnownArchive | null, root: KnownRecord, from: Instant): Instant | null {
  if (archive !== null) return archive.clearedAt;
  const ends = [...known.expirations.values()].flatMap((disposal) => {
    if (disposal['namespace'] !== root.namespace || disposal['owner'] !== root.facts.owner) return [];
    if (disposal['customer'] !== root.facts.customer) return [];
    const doneAt = known.expirationDoneAt.get(disposal._id) ?? Number.NEGATIVE_INFINITY;
    return doneAt >= from ? [doneAt] : [];
  });
  return ends.length === 0 ? null : Math.min(...ends);
}

/** It came after the last look for children of its root. Where nobody looked, it did not. */
function isTooLate(known: Known, child: KnownChild, from: Instant, to: Instant): boolean {
  const last = known.families.lastLook(child, from, to);
  return last === null ? child.putAt > to : child.putStep > last.step;
}

/** Pages about units of what is finished. */
export function judgeUnitPages(
  report: Report,
  physical: Physical,
  isFinished: (subject: string) => boolean,
  waits: ReadonlySet<string>,
): void {
  for (const page of physical.ledger('unitPages')) {
    const id = asText(page['archive']) ?? '';
    if (isFinished(id) && !waits.has(asText(page['attempt']) ?? ''))
      report('work-not-finished', `Unit page ${page._id} of ${id} is left.`);
  }
}

/** Why a record, or a child, may be in quarantine because of what hangs on it; undefined: that is not what the reason is about. */
export function isUnitExplained(known: Known, key: string, reason: string): boolean | undefined {
  if (reason === 'attachment-missing') return known.families.everMissing.has(key);
  if (reason !== 'child-of-another') return undefined;
  return known.families.children.get(key)?.wasEverForeign === true || known.families.hadForeign.has(key);
}

/** A record that names a file that is not there counts as changed, and stays. */
export function isUnitMissing(known: Known, { key }: KnownRecord): boolean {
  return known.families.everMissing.has(key);
}

/** What hangs on deleted records waits for a hold, and with it what they were taken by. */
export function mayWaitForUnits(known: Known, document: RawDocument): boolean {
  return familyOf(known, asText(document['namespace']) ?? '') !== null;
}
