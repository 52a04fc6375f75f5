/** Promises 1 to 4 and 10 at the source: what Moraine deletes there, and what it puts. */
import { BSON } from 'bson';
import { covers, isInForce } from './brakes.ts';
import { ACCOUNTS, earliestPurge, faultOfTime } from './due.ts';
import {
  CLOCK_TOLERANCE_MS,
  type Known,
  type KnownArchive,
  type KnownFile,
  type KnownRecord,
  recordKey,
} from './known.ts';
import { returnedWith } from './leaving.ts';
import type { Instant, Observation, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { readRecord } from './record-facts.ts';
import { isExempt, judgeTreatment, markerOf, type Treated } from './treatment.ts';
import { asFields, asInstant, asText, sameBytes } from './values.ts';

type Put = Extract<Observation, { readonly what: 'source put' }>;
type Removed = Extract<Observation, { readonly what: 'source removed' }>;
type Restored = Extract<Observation, { readonly what: 'restored' }>;

export const APPLICATION = 'application';
/** A command that was sent under an announcement may arrive this much after an expiration ended. */
export const LATE_COMMAND_MS = 10_000 + CLOCK_TOLERANCE_MS;
/** A restore that looked at an archive before it was cleared has ended by then. */
const RESTORE_LOOK_MS = 10 * 60_000;

export function seePut(known: Known, report: Report, { by, record: put, before }: Put, now: Instant): void {
  if (put.namespace === ACCOUNTS && by === APPLICATION) {
    const history = known.accounts.get(put.id) ?? [];
    const since = now === known.beganAt ? Number.NEGATIVE_INFINITY : now;
    const { plan, until } = asFields(BSON.deserialize(put.bytes));
    known.accounts.set(put.id, [...history, { at: since, plan: asText(plan), until: asInstant(until) }]);
    return;
  }
  const record = known.record(put);
  if (by !== APPLICATION && before !== null) {
    seeTreated(known, report, record, { by, record: put, before }, now);
    return;
  }
  if (by === APPLICATION) touched(known, record);
  else judgeReturn(known, report, by, record, put.bytes);
  // Written back as it was before it was treated: the page may be settled either way.
  if (by === APPLICATION && record.treatedUnder?.clearedAt === null && markerOf(put.bytes) === null)
    record.treatedUnder.putBack.add(record.key);
  if (by === APPLICATION && record.deletedBy?.archive?.clearedAt === null) {
    record.deletedBy.archive.putBack.add(record.key);
  }
  record.bytes = put.bytes;
  record.facts = readRecord(put.bytes);
  record.wasEverUnfit ||= record.facts.mayBeUnfit;
  record.putBy = by === APPLICATION ? 'application' : 'moraine';
  record.putAt = now;
  record.deletedBy = null;
}

/** Moraine writes over a record only to treat it. */
function seeTreated(known: Known, report: Report, record: KnownRecord, treated: Treated, now: Instant): void {
  const facts = readRecord(treated.before);
  const basis = basisOf(known, record, treated.before);
  const archive = basis?.parties == null ? null : known.archive(basis.parties.archive);
  const expired = expiredOrderOf(known, record, facts, now, 'treat-expired');
  const isChain =
    archive !== null &&
    (expired === null || known.state(archive) === 'verified') &&
    known.policiesOf(archive, record.namespace).some(({ treat }) => treat !== undefined);
  const disposal = isChain ? null : (expired ?? disposalOf(known, record, facts, now, 'treat'));
  const subject = isChain ? `archive ${archive.id}` : disposal === null ? null : `expiration ${disposal._id}`;
  judgeTreatment(
    known,
    report,
    treated,
    subject === null ? null : { archive: isChain ? archive : null, disposal, subject },
    now,
  );
  if (isExempt(record, now))
    report('treated-not-due', `Record ${record.id} was restored and is exempt, and was treated.`);
  if (isChain) {
    const attempt = basis?.parties?.attempt ?? null;
    archive.deleted.set(record.key, { bytes: treated.before, facts, at: now, archive, attempt, isTreated: true });
    archive.putBack.delete(record.key);
    record.treatedUnder = archive;
  }
  record.bytes = treated.record.bytes;
  record.facts = readRecord(treated.record.bytes);
}

/** A file that holds these bytes and is safe: of an archive that is being cleared, where there is one. */
function basisOf(known: Known, record: KnownRecord, bytes: Uint8Array): KnownFile | undefined {
  const files = (known.filesOfRecord.get(record.key) ?? []).filter((file) => isSafe(known, file));
  const same = files.filter((file) => sameBytes(file.bytesOf.get(record.key) ?? NOTHING, bytes));
  return same.find((file) => stateOf(known, file) === 'verified') ?? same[0];
}

/** Moraine puts a record only where an archive holds it as deleted. Which one, the restore says when it has ended. */
function judgeReturn(known: Known, report: Report, by: string, record: KnownRecord, bytes: Uint8Array): void {
  known.returned.set(by, (known.returned.get(by) ?? new Set()).add(record.key));
  const files = known.filesOfRecord.get(record.key) ?? [];
  const isKept = files.some((file) => {
    if (file.parties === null || !sameBytes(file.bytesOf.get(record.key) ?? NOTHING, bytes)) return false;
    const archive = known.archive(file.parties.archive);
    return archive.clearedAt !== null && !isVoid(archive, record.key);
  });
  if (isKept || known.isLedgerSetBack) return;
  report(
    'void-copy-restored',
    `${by} put record ${record.id} into ${record.namespace}; no cleared archive holds it as deleted.`,
  );
}

export function seeRemoved(known: Known, report: Report, { by, record: removed }: Removed, now: Instant): void {
  const record = known.record(removed);
  if (by === APPLICATION) {
    touched(known, record);
    for (const archive of holding(known, record)) {
      if (known.state(archive) === 'verified') archive.removedByApplication.add(record.key);
    }
  } else {
    judgeDeletion(known, report, record, { by, record: removed }, now);
  }
  record.bytes = null;
}

export function seeRestored(known: Known, report: Report, seen: Restored, now: Instant): void {
  const archive = known.archive(seen.archive);
  const file = known.storedFile(archive);
  const isSettled = archive.clearedAt !== null && (seen.intoSource || archive.clearedAt < now - RESTORE_LOOK_MS);
  for (const restored of seen.records) {
    const record = known.record(restored);
    const kept = file?.bytesOf.get(record.key);
    const of = `Record ${restored.id} was restored from archive ${seen.archive}`;
    if (kept === undefined || !sameBytes(kept, restored.bytes)) {
      report('void-copy-restored', `${of}, which does not hold these bytes.`);
    } else if (seen.intoSource && archive.clearedAt === null) {
      report('void-copy-restored', `${of} into the source before the archive was cleared.`);
    } else if (isSettled && isVoid(archive, record.key)) {
      report('void-copy-restored', `${of}, under which it was not deleted.`);
    }
  }
  if (!seen.intoSource || seen.exemptUntil === null) return;
  const keys = seen.records.map(({ namespace, id }) => recordKey(namespace, id));
  for (const key of [...keys, ...(known.returned.get(seen.by) ?? [])]) {
    const record = known.records.get(key);
    if (record?.putBy !== 'moraine') continue;
    record.exemptUntil = Math.max(record.exemptUntil ?? seen.exemptUntil, seen.exemptUntil);
  }
  known.returned.delete(seen.by);
}

/** A copy counts when its original was deleted under this archive and the page was settled so. */
export function isVoid(archive: KnownArchive, key: string): boolean {
  const outcome = archive.outcomes?.get(key);
  if (outcome !== undefined && outcome !== 'd' && outcome !== 't') return true;
  return !archive.deleted.has(key) && !archive.removedByApplication.has(key);
}

function judgeDeletion(
  known: Known,
  report: Report,
  record: KnownRecord,
  { by, record: removed }: Omit<Removed, 'what'>,
  now: Instant,
): void {
  const facts = readRecord(removed.bytes);
  const which = `Record ${removed.id} of ${removed.namespace} (${by})`;
  const files = (known.filesOfRecord.get(record.key) ?? []).filter((file) => isSafe(known, file));
  const basis = basisOf(known, record, removed.bytes);
  const archive = basis?.parties == null ? null : known.archive(basis.parties.archive);
  const leaving = leavingOrderOf(known, record, facts, removed.bytes, now);
  const expiration = basis === undefined ? (leaving ?? deletionOrderOf(known, record, facts, now)) : null;

  if (basis === undefined && expiration === null) {
    if (disposalOf(known, record, facts, now, 'offboard') !== null)
      report('left-unreturned', `${which} was deleted with its customer, and was not handed over as it was.`);
    else if (files.length > 0)
      report('deleted-other-bytes', `${which} was deleted with other bytes than its verified archive holds.`);
    else report('deleted-before-verified', `${which} was deleted: ${whyNot(known, record, removed.bytes)}.`);
  }
  if (archive !== null) {
    const deletion = { bytes: removed.bytes, facts, at: now, archive, attempt: basis?.parties?.attempt ?? null };
    archive.deleted.set(record.key, deletion);
    archive.putBack.delete(record.key);
    // It goes with its customer, or under the archive that holds it: the page may be settled either way.
    if (leaving !== null) archive.putBack.add(record.key);
    record.deletedBy = leaving === null ? deletion : { ...deletion, archive: null, attempt: null };
  } else {
    record.deletedBy = { bytes: removed.bytes, facts, at: now, archive: null, attempt: null };
  }
  const isTreating =
    archive !== null && known.policiesOf(archive, record.namespace).every(({ treat }) => treat !== undefined);
  if (isTreating && leaving === null)
    report('deleted-instead-of-treated', `${which} was deleted; its policy has it treated.`);
  judgeWhose(known, report, record, which, facts.isUnfit && leaving === null ? null : facts.owner);
  const order = archive?.document ?? expiration;
  const policies = known.policiesOf({ document: order }, record.namespace);
  const fault = leaving === null ? faultOfTime(known, policies, facts, order, now) : null;
  if (fault?.why === 'not due') report('deleted-not-due', `${which} ${fault.text} and was deleted at ${at(now)}.`);
  else if (fault !== null) report('taken-under-exception', `${which} ${fault.text} and was deleted at ${at(now)}.`);
  if (leaving === null && record.putBy === 'moraine' && (record.exemptUntil ?? 0) > now + CLOCK_TOLERANCE_MS) {
    report(
      'deleted-not-due',
      `${which} was restored, exempt until ${at(record.exemptUntil ?? 0)}, and was deleted at ${at(now)}.`,
    );
  }
  for (const brake of known.brakes) {
    if (!isInForce(known, brake, now) || !covers(known, brake.scope, removed.namespace, removed.id, facts)) continue;
    const property = brake.kind === 'hold' ? 'held-record-deleted' : 'paused-record-deleted';
    report(
      property,
      `${which} was deleted under ${brake.kind} ${brake.name}, in force since ${at(brake.inForceSince ?? 0)}.`,
    );
  }
  judgeIntent(known, report, which, archive, expiration);
}

function judgeWhose(known: Known, report: Report, record: KnownRecord, which: string, owner: string | null): void {
  if (owner !== null && known.facts.owners.includes(owner)) return;
  report(
    'owner-unknown-deleted',
    `${which} was deleted; its owner is ${owner ?? 'not usable'} in ${record.namespace}.`,
  );
}

function judgeIntent(
  known: Known,
  report: Report,
  which: string,
  archive: KnownArchive | null,
  expiration: RawDocument | null,
): void {
  if (archive === null && expiration === null) return;
  const subject = archive === null ? `expiration ${expiration?._id}` : `archive ${archive.id}`;
  if (known.auditOf(subject).some(({ phase, act }) => phase === 'intent' && /clear|delete/.test(act))) return;
  report('act-without-intent', `${which} was deleted before the audit chain held an intent for ${subject}.`);
}

/** The file is there, its key is kept, and the ledger calls it verified at the level of its policy. */
export function isSafe(known: Known, file: KnownFile): boolean {
  if (file.parties === null || !(file.inVault || file.damage.size > 0)) return false;
  const archive = known.archive(file.parties.archive);
  const { attempt } = file.parties;
  if (known.attempt(attempt).key !== 'kept' && !known.keyDamage.isSetBack) return false;
  const policies = known.policiesOf(archive, file.parties.namespace);
  const asksInventory = policies.length > 0 && policies.every(({ verify }) => verify === 'inventory');
  if (asksInventory && !file.isListed) return false;
  if (known.isLedgerSetBack) return archive.everVerified.has(attempt);
  // A command on its way may arrive just after the last page was settled, or after an inventory put the archive aside.
  const isAside = known.state(archive) === 'quarantined';
  const state = isAside ? archive.document?.['quarantinedFrom'] : known.state(archive);
  if (state !== 'verified' && state !== 'cleared') return false;
  return archive.document?.['attempt'] === attempt && known.storedFile(archive) === file;
}

function whyNot(known: Known, record: KnownRecord, bytes: Uint8Array): string {
  const files = known.filesOfRecord.get(record.key) ?? [];
  const same = files.filter((file) => sameBytes(file.bytesOf.get(record.key) ?? NOTHING, bytes));
  if (same.length === 0) return 'no readable file in a vault holds these bytes';
  return same
    .map((file) => {
      const { archive, attempt } = file.parties ?? { archive: 'none', attempt: 'none' };
      const listed = file.isListed ? 'listed' : 'never listed';
      const there = file.inVault ? 'in the vault' : 'gone';
      return `archive ${archive} is ${known.state(known.archive(archive)) ?? 'unknown'}, its file ${there} and ${listed}, its key ${known.attempt(attempt).key}`;
    })
    .join('; ');
}

/** It was handed over as it is, and its customer leaves. */
function leavingOrderOf(
  known: Known,
  record: KnownRecord,
  facts: KnownRecord['facts'],
  bytes: Uint8Array,
  now: Instant,
): RawDocument | null {
  const order = disposalOf(known, record, facts, now, 'offboard');
  return order === null || returnedWith(known, { key: record.key, facts }, bytes) === null ? null : order;
}

/** What was ordered, by a person for what is expired or by a policy that deletes, and lets this record go without an archive. */
function deletionOrderOf(
  known: Known,
  record: KnownRecord,
  facts: KnownRecord['facts'],
  now: Instant,
): RawDocument | null {
  if (facts.trigger === null) return null;
  const expiration = expiredOrderOf(known, record, facts, now, 'expired');
  if (expiration !== null) return expiration;
  const policies = known.policiesOf(null, record.namespace);
  return policies.some(({ does }) => does === 'delete') ? disposalOf(known, record, facts, now, 'delete') : null;
}

/** What a person ordered for records past their archive period; null for one that is not. */
function expiredOrderOf(
  known: Known,
  record: KnownRecord,
  facts: KnownRecord['facts'],
  now: Instant,
  kind: 'expired' | 'treat-expired',
): RawDocument | null {
  if (facts.trigger === null) return null;
  const policies = known.policiesOf(null, record.namespace);
  if (!policies.some(({ name }) => known.expiryOrdered.has(name))) return null;
  if (earliestPurge(known, policies, facts, null) > now + CLOCK_TOLERANCE_MS) return null;
  return disposalOf(known, record, facts, now, kind);
}

/** One of this kind that is under way in the record's partition, or was until a moment ago. */
function disposalOf(
  known: Known,
  record: KnownRecord,
  facts: KnownRecord['facts'],
  now: Instant,
  kind: 'expired' | 'treat-expired' | 'delete' | 'treat' | 'offboard',
): RawDocument | null {
  for (const expiration of known.expirations.values()) {
    if ((expiration['kind'] ?? 'expired') !== kind) continue;
    if (expiration['namespace'] !== record.namespace) continue;
    if (expiration['owner'] !== facts.owner || expiration['customer'] !== facts.customer) continue;
    const doneAt = known.expirationDoneAt.get(expiration._id);
    if (asText(expiration['state']) === 'deleting' || (doneAt !== undefined && now - doneAt < LATE_COMMAND_MS))
      return expiration;
  }
  return null;
}

function touched(known: Known, record: KnownRecord): void {
  for (const archive of holding(known, record)) {
    if (archive.clearedAt === null) archive.touched.add(record.key);
  }
}

function holding(known: Known, record: KnownRecord): readonly KnownArchive[] {
  return (known.filesOfRecord.get(record.key) ?? []).flatMap((file) =>
    file.parties === null || !file.inVault ? [] : [known.archive(file.parties.archive)],
  );
}

const NOTHING = new Uint8Array();

function stateOf(known: Known, file: KnownFile): string | null {
  return file.parties === null ? null : known.state(known.archive(file.parties.archive));
}

function at(instant: Instant): string {
  return Number.isFinite(instant) ? new Date(instant).toISOString() : String(instant);
}
