/** Faults are over and nothing moves any more: nothing is lost, nothing waits, nothing is kept too long. */
import { faultOfChain } from './audit-chain.ts';
import { covers, coversParty, mayStop, NEXT_RUN_MS } from './brakes.ts';
import { judgeCertificates } from './certificates.ts';
import { dueNow, earliestPurge, latestPurge } from './due.ts';
import { CLOCK_TOLERANCE_MS, DAY_MS, type Known, type KnownArchive, type KnownRecord, recordKey } from './known.ts';
import { leaseEnd } from './ledger-changes.ts';
import type { Instant, Physical, PolicyFacts, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { versionInForce } from './publishing.ts';
import { readRecord } from './record-facts.ts';
import { isPurgeRefused } from './review.ts';
import { isVoid } from './source-changes.ts';
import { markerOf } from './treatment.ts';
import {
  isUnitExplained,
  isUnitMissing,
  judgeOrphans,
  judgeUnitLosses,
  judgeUnitPages,
  mayWaitForUnits,
} from './unit-end.ts';
import { asBytes, asFields, asInstant, asList, asText } from './values.ts';

export function judgeEnd(known: Known, report: Report, physical: Physical): void {
  judgeLosses(known, report, physical);
  judgeUnitLosses(known, report, physical.now());
  if (known.isLedgerSetBack) return;
  judgeAudit(known, report, physical);
  judgeCertificates(known, report, physical);
  const now = physical.now();
  const putAside = new Set<string>();
  keepLedgerPauses(known, physical);
  for (const entry of physical.ledger('quarantine')) judgeQuarantine(known, report, entry, putAside);
  for (const archive of known.archives.values()) judgeArchive(known, report, archive, physical);
  judgeSource(known, report, putAside, physical);
  judgeAttempts(known, report, physical);
  for (const { _id, until } of physical
    .ledger('inFlight')
    .map((entry) => ({ ...entry, until: asInstant(entry['until']) }))) {
    if (until !== null && until > now + CLOCK_TOLERANCE_MS)
      report('work-not-finished', `In-flight entry ${_id} is not past its end.`);
  }
  for (const expiration of known.expirations.values()) {
    if (expiration['state'] !== 'done' && !isPaused(known, expiration, now) && !isUnitHeld(known, expiration, now)) {
      report('work-not-finished', `Expiration ${expiration._id} is ${String(expiration['state'])}.`);
    }
  }
  judgePages(known, report, physical);
  judgeOrphans(known, report, physical);
}

/** A resume that was cut before its effect has lifted nothing. */
function keepLedgerPauses(known: Known, physical: Physical): void {
  const names = new Set(
    physical.ledger('pauses').flatMap((each) => (each['state'] === 'resumed' ? [] : each['reason'])),
  );
  for (const brake of known.brakes) if (brake.kind === 'pause' && names.has(brake.name)) brake.endAskedAt = null;
}

/** Every record that Moraine deleted is there again, or can be restored, or went as a purge or an ordered expiry did. */
function judgeLosses(known: Known, report: Report, physical: Physical): void {
  const there = new Set(physical.source().map(({ namespace, id }) => recordKey(namespace, id)));
  const now = physical.now();
  for (const record of known.records.values()) {
    if (record.bytes !== null && !there.has(record.key)) {
      report(
        'lost-record',
        `Record ${record.id} of ${record.namespace} is not in the source, and nobody was seen to remove it.`,
      );
    }
    const { deletedBy } = record;
    if (deletedBy === null || there.has(record.key)) continue;
    // What went without an archive was judged when it went.
    if (deletedBy.archive === null || isReadable(known, deletedBy.archive, record)) continue;
    const { trigger } = deletedBy.facts;
    const policies = known.policiesOf(deletedBy.archive, record.namespace);
    const isDue = trigger !== null && earliestPurge(known, policies, deletedBy.facts, null) <= now;
    const file = known.storedFile(deletedBy.archive);
    const isExplained = known.keyDamage.isSetBack || (file?.damage.size ?? 0) > 0 || known.isLedgerSetBack;
    // Another date was judged when it was given.
    if (deletedBy.archive.document?.['early'] != null || known.movedTo.has(deletedBy.archive.id)) continue;
    if (isDue || isExplained) continue;
    report(
      'lost-record',
      `Record ${record.id} of ${record.namespace} was deleted under archive ${deletedBy.archive.id}, which does not give it back.`,
    );
  }
}

function isReadable(known: Known, archive: KnownArchive, record: KnownRecord): boolean {
  const attempt = record.deletedBy?.attempt ?? null;
  if (attempt === null || known.attempt(attempt).key !== 'kept') return false;
  const files = known.filesOfRecord.get(record.key) ?? [];
  const isThere = files.some((file) => file.parties?.attempt === attempt && file.inVault && file.opened !== null);
  return isThere && !(archive.outcomes !== null && isVoid(archive, record.key));
}

const DISPOSAL_ACTS = [
  'expired records delete',
  'expired records treat',
  'records delete',
  'records treat',
  'offboarded records delete',
];

function judgeAudit(known: Known, report: Report, physical: Physical): void {
  const fault = faultOfChain(physical.ledger('audit'));
  if (fault !== null) report('audit-chain-broken', `In the audit chain ${fault}.`);
  const tells = (subject: string, act: string) =>
    known.auditOf(subject).some((entry) => entry.act === act && entry.phase === 'outcome');
  for (const { id, document } of known.archives.values()) {
    const state = asText(document?.['state']);
    if (document === null || state === null || state === 'planned') continue;
    if (!tells(`archive ${id}`, `archive ${state}`)) {
      report('intent-without-outcome', `Archive ${id} is ${state}, and the audit chain does not say so.`);
    }
    if (
      asList(document['unaudited']).length > 0 &&
      asList(document['unaudited']).some((entry) => !isIn(physical, entry))
    ) {
      report('intent-without-outcome', `Archive ${id} has moves that are not in the audit chain.`);
    }
  }
  for (const each of physical.ledger('expirations')) {
    const { _id } = each;
    // What was never ordered to its end is given up, and nothing was done for it.
    if (each['state'] !== 'done' || (each['kind'] === 'offboard' && each['scanned'] !== true)) continue;
    if (!DISPOSAL_ACTS.some((act) => tells(`expiration ${_id}`, act)))
      report('intent-without-outcome', `Expiration ${_id} is done, and the audit chain does not say so.`);
  }
  for (const { _id, state } of physical.ledger('holds').map((each) => ({ ...each, state: each['state'] }))) {
    if (state === 'active' && !tells(`hold ${_id}`, 'hold place')) {
      report('intent-without-outcome', `Hold ${_id} is active, and the audit chain does not say so.`);
    }
  }
}

/** The list in the document is emptied with its next write: what counts is the chain. */
function isIn(physical: Physical, entry: unknown): boolean {
  const key = asFields(entry)['key'];
  return physical
    .ledger('audit')
    .some((block) => asList(block['entries']).some((each) => asFields(each)['key'] === key));
}

const UNFIT_REASONS = [
  'owner-unusable',
  'customer-unusable',
  'trigger-unusable',
  'not-canonical',
  'too-large',
  'not-treatable',
];
/** At the third change in a row a record goes to quarantine. */
const CHANGES = 3;
const HALF_A_COMMAND = 7_000_000;

/** An open entry needs a reason in the world. Adds the records that may stay to `putAside`. */
function judgeQuarantine(known: Known, report: Report, entry: RawDocument, putAside: Set<string>): void {
  if (entry['state'] === 'disposed' && entry['kind'] === 'record') {
    const stays = idOf(asBytes(entry['idBytes']));
    if (stays !== null) putAside.add(recordKey(asText(entry['namespace']) ?? '', stays));
  }
  if (entry['state'] !== 'open') return;
  const reason = asText(entry['reason']) ?? 'none';
  if (entry['kind'] === 'archive') {
    const archive = known.archive(asText(entry['archive']) ?? '');
    if (!isExplained(known, archive))
      report(
        'work-not-finished',
        `Archive ${archive.id} is in quarantine (${reason}), which nothing in the world explains.`,
      );
    return;
  }
  const id = idOf(asBytes(entry['idBytes']));
  if (id === null) {
    if (!UNFIT_REASONS.includes(reason))
      report('work-not-finished', `Quarantine entry ${entry._id} (${reason}) does not name its record.`);
    return;
  }
  const key = recordKey(asText(entry['namespace']) ?? '', id);
  putAside.add(key);
  if (isUnitExplained(known, key, reason)) return;
  if (UNFIT_REASONS.includes(reason)) {
    if (known.records.get(key)?.wasEverUnfit === true) return;
    // What it was and what it becomes do not go into one command together.
    if (reason === 'not-treatable' && (known.records.get(key)?.bytes?.length ?? 0) > HALF_A_COMMAND) return;
  } else if (reason === 'changed-three-times') {
    const changes = [...known.archives.values()].filter(({ touched }) => touched.has(key)).length;
    const told = [...known.archives.values()].filter(({ outcomes }) => /[cq]/.test(outcomes?.get(key) ?? '')).length;
    // A bit that was flipped when a page was read again makes a change that nobody made.
    if (changes >= CHANGES || told >= CHANGES) return;
  }
  report('work-not-finished', `Record ${id} is in quarantine (${reason}), which nothing in the world explains.`);
}

/** `_id` as type byte and value; only texts are read. */
function idOf(bytes: Uint8Array | null): string | null {
  const text = 0x02;
  const head = 5;
  if (bytes === null || bytes[0] !== text || bytes.length <= head) return null;
  return Buffer.from(bytes.subarray(head, -1)).toString('utf8');
}

function isExplained(known: Known, archive: KnownArchive): boolean {
  const file = known.storedFile(archive);
  if (known.keyDamage.isSetBack || (file !== undefined && file.damage.size > 0)) return true;
  return known.isDamaged(archive.id, asText(archive.document?.['attempt']), file?.file.vaultArchiveId);
}

/** Until the vault's next inventory a day, two looks half a day apart and the hours of its job. */
const INVENTORY_WAIT_MS = 60 * 3_600_000;

/** What was purged, or stored to be verified by inventory, so late that no inventory can say so yet. */
function waitsForInventory(document: RawDocument, state: string, now: Instant): boolean {
  const since =
    state === 'purged'
      ? asInstant(asFields(document['purge'])['acceptedAt'])
      : state === 'stored' && document['verifyLevel'] === 'inventory'
        ? asInstant(asFields(document['stored'])['at'])
        : null;
  return since !== null && since + INVENTORY_WAIT_MS > now;
}

const UNFINISHED = ['planned', 'storing', 'stored', 'verified', 'purging', 'purged'];

function judgeArchive(known: Known, report: Report, archive: KnownArchive, physical: Physical): void {
  const { document, id } = archive;
  if (document === null) return;
  const now = physical.now();
  const state = known.state(archive) ?? 'none';
  const until = leaseEnd(document);
  if (until !== null && until > now + CLOCK_TOLERANCE_MS)
    report('work-not-finished', `Archive ${id} is under a lease that is not over.`);
  if (UNFINISHED.includes(state)) {
    // No inventory will ever tell of a file that was lost before its delete: nothing in the vault changed with that.
    const isLost = state === 'purged' && known.storedFile(archive)?.damage.has('file lost') === true;
    const waits = isPaused(known, document, now) || (state === 'verified' && isUnitHeld(known, document, now));
    if (!isLost && !waitsForInventory(document, state, now) && !waits)
      report('work-not-finished', `Archive ${id} is ${state}.`);
    return;
  }
  const file = known.storedFile(archive);
  if (state === 'confirmed') {
    if (file?.inVault === true && !file.damage.has('file stays after delete'))
      report('work-not-finished', `Archive ${id} is confirmed and its file is in the vault.`);
    if (!physical.ledger('certificates').some((certificate) => certificate['archive'] === id)) {
      report('work-not-finished', `Archive ${id} is confirmed without a certificate.`);
    }
    return;
  }
  if (state === 'quarantined') {
    if (!isExplained(known, archive))
      report('work-not-finished', `Archive ${id} is quarantined, which nothing in the world explains.`);
    return;
  }
  if (state === 'cleared') judgeDue(known, report, archive, document, physical);
}

function judgeDue(
  known: Known,
  report: Report,
  archive: KnownArchive,
  document: RawDocument,
  physical: Physical,
): void {
  const now = physical.now();
  const file = known.storedFile(archive);
  const policies = known.policiesOf(archive, asText(document['namespace']) ?? '');
  // As the file holds it, whatever became of the original.
  const roots = asText(document['addendumTo']);
  // An addendum goes with the archive of its roots.
  const dated = roots === null ? file : known.storedFile(known.archive(roots));
  const purges = (dated?.opened?.records ?? []).flatMap(({ bytes }) => {
    const facts = readRecord(bytes);
    return facts.trigger === null ? [] : latestPurge(known, policies, facts);
  });
  if (purges.length === 0) return;
  const windowMs = Math.max(...policies.map(({ dueWindowDays }) => dueWindowDays)) * DAY_MS;
  // With the last of its records, and never later than the window after the first.
  const ofRecords = known.movedTo.get(archive.id) ?? Math.min(Math.max(...purges), Math.min(...purges) + windowMs);
  // Verified by an inventory, it may be cleared after that date.
  const due = Math.max(ofRecords, archive.clearedAt ?? ofRecords);
  if (due + NEXT_RUN_MS > now || mayBeStopped(known, document, now) || isRetrieved(archive, physical)) return;
  if (isPurgeRefused(known, archive.id, physical)) return;
  if (purgeCapStops(known, policies, physical, now) || file?.damage.size !== 0) return;
  const grace = Math.max(...policies.map(({ graceDays }) => graceDays)) * DAY_MS;
  const text = `Archive ${archive.id} was due for its purge at ${at(due)} and is cleared.`;
  if (due + grace + NEXT_RUN_MS <= now && file.inVault) report('kept-too-long', text);
  else report('work-not-finished', text);
}

/** Records that are due, fit, of a known owner, and left alone by everybody. */
function judgeSource(known: Known, report: Report, putAside: ReadonlySet<string>, physical: Physical): void {
  const now = physical.now();
  const inForce = policiesInForce(known, physical);
  const due: { record: KnownRecord; policy: PolicyFacts; dueAt: Instant }[] = [];
  const dueOf = new Map<string, number>();
  const all = new Map<string, number>();
  for (const record of known.records.values()) {
    if (record.bytes === null) continue;
    all.set(record.namespace, (all.get(record.namespace) ?? 0) + 1);
    const policy = inForce.get(record.namespace) ?? known.policyInForce(record.namespace);
    const { trigger } = record.facts;
    if (policy === null || trigger === null || record.facts.isUnfit || isTreated(policy, record)) continue;
    const dueAt = dueNow(known, policy, record.facts, now);
    if (dueAt > now) continue;
    dueOf.set(record.namespace, (dueOf.get(record.namespace) ?? 0) + 1);
    due.push({ record, policy, dueAt });
  }
  for (const { record, policy, dueAt } of due) {
    const { facts, namespace, id } = record;
    // What is past its archive period too only goes when a person says so.
    // A restore that was cut has written exemptions that nobody was told of.
    if (record.putBy === 'moraine' && record.exemptUntil === null) continue;
    if (facts.mayBeUnfit || dueAt + policy.archiveDays * DAY_MS <= now || putAside.has(record.key)) continue;
    if (!known.facts.owners.includes(facts.owner ?? '')) continue;
    const inForceSince = known.inForceSince.get(policy.name) ?? 0;
    const dueSince = Math.max(dueAt, inForceSince) + policy.maxWaitDays * DAY_MS;
    const since = Math.max(dueSince, record.putAt, record.exemptUntil ?? 0);
    if (isUnitMissing(known, record)) continue;
    if (since + NEXT_RUN_MS > now || isStopped(known, record, now) || sharesWithDamage(known, record)) continue;
    if (overCap(policy, dueOf.get(namespace) ?? 0, all.get(namespace) ?? 0)) continue;
    const text = `Record ${id} of ${namespace} is due since ${at(dueAt)}, and nothing in the world keeps it.`;
    if (since + policy.graceDays * DAY_MS + NEXT_RUN_MS <= now) report('kept-too-long', text);
    else report('work-not-finished', text);
  }
}

/** It carries the marker of some treatment, and the policy in force treats. (All versions of a life treat in the same way.) */
function isTreated({ treat }: PolicyFacts, { bytes }: KnownRecord): boolean {
  return treat !== undefined && bytes !== null && markerOf(bytes) !== null;
}

/** By the ledger: what was to come has come, and a publication that was cut after its effect was told to nobody. */
function policiesInForce(known: Known, physical: Physical): ReadonlyMap<string, PolicyFacts> {
  const found = new Map<string, PolicyFacts>();
  for (const each of physical.ledger('policiesInForce')) {
    const [policy] = known.policyVersions.get(versionInForce(each, physical.now()) ?? '') ?? [];
    if (policy !== undefined) found.set(policy.namespace, policy);
  }
  return found;
}

function judgeAttempts(known: Known, report: Report, physical: Physical): void {
  for (const attempt of physical.ledger('attempts')) {
    const { _id } = attempt;
    if (attempt['state'] === 'open') {
      const archive = known.archive(asText(attempt['archive']) ?? '');
      if (archive.document === null || !isPaused(known, archive.document, physical.now()))
        report('work-not-finished', `Attempt ${_id} is open.`);
    }
    if (attempt['state'] !== 'abandoned') continue;
    if (known.attempt(_id).key === 'kept' && !known.keyDamage.isSetBack)
      report('work-not-finished', `The key of abandoned attempt ${_id} is kept.`);
    if (attempt['cleanedUp'] !== true) continue;
    for (const file of known.files.values()) {
      if (file.parties?.attempt === _id && file.inVault && file.damage.size === 0) {
        report(
          'work-not-finished',
          `The file of abandoned attempt ${_id} is in the vault, and no inventory is waited for.`,
        );
      }
    }
  }
}

function judgePages(known: Known, report: Report, physical: Physical): void {
  const finished = (id: string) => {
    const expiration = known.expirations.get(id);
    if (expiration !== undefined) return expiration['state'] === 'done';
    const state = asText(known.archives.get(id)?.document?.['state']);
    return state === 'cleared' || state === 'confirmed' || state === 'purged';
  };
  const waits = new Set(
    physical
      .ledger('attempts')
      .flatMap((each) => (each['state'] === 'abandoned' && each['cleanedUp'] !== true ? each._id : [])),
  );
  for (const page of physical.ledger('clearingPages')) {
    const id = (asText(page['archive']) ?? '').replace(/~children$/, '');
    if (finished(id)) report('work-not-finished', `Clearing page ${page._id} of ${id} is left.`);
  }
  for (const page of physical.ledger('plannedRecords')) {
    const id = asText(page['archive']) ?? '';
    const isOpen = known.archives.has(id) && !finished(id);
    if (!isOpen) report('work-not-finished', `Page ${page._id} of what was planned for ${id} is left.`);
  }
  for (const page of physical.ledger('rosterPages')) {
    const id = asText(page['archive']) ?? '';
    const attempt = asText(page['attempt']) ?? '';
    if (finished(id) && !waits.has(attempt)) report('work-not-finished', `Roster page ${page._id} of ${id} is left.`);
  }
  judgeUnitPages(report, physical, finished, waits);
}

/** By a hold or pause that covers it, or that cannot be told not to. */
function isStopped(known: Known, { namespace, id, facts }: KnownRecord, now: Instant): boolean {
  return known.brakes.some((brake) => {
    if (!mayStop(brake, now)) return false;
    if (covers(known, brake.scope, namespace, id, facts)) return true;
    return (
      brake.scope.mails !== null && facts.mail === null && coversParty(known, brake.scope, { namespace, ...facts })
    );
  });
}

/** What hangs on its deleted records waits for a hold. */
function isUnitHeld(known: Known, document: RawDocument, now: Instant): boolean {
  return mayWaitForUnits(known, document) && mayBeStopped(known, document, now);
}

function mayBeStopped(known: Known, document: RawDocument, now: Instant): boolean {
  return known.brakes.some((brake) => mayStop(brake, now) && coversParty(known, brake.scope, partyOf(document)));
}

function isPaused(known: Known, document: RawDocument, now: Instant): boolean {
  return known.brakes.some(
    (brake) => brake.kind === 'pause' && mayStop(brake, now) && coversParty(known, brake.scope, partyOf(document)),
  );
}

function partyOf(document: RawDocument) {
  const namespace = asText(document['namespace']) ?? '';
  return { namespace, owner: asText(document['owner']), customer: asText(document['customer']) };
}

function isRetrieved({ id }: KnownArchive, physical: Physical): boolean {
  return physical
    .ledger('retrievals')
    .some((each) => each['archive'] === id && (each['state'] === 'requested' || each['state'] === 'ready'));
}

/** A partition with an archive that was damaged may wait for a person. */
function sharesWithDamage(known: Known, { namespace, facts }: KnownRecord): boolean {
  for (const archive of known.archives.values()) {
    if (known.state(archive) !== 'quarantined' || archive.document === null) continue;
    const party = partyOf(archive.document);
    if (party.namespace === namespace && party.owner === facts.owner && party.customer === facts.customer) return true;
  }
  return false;
}

function purgeCapStops(known: Known, policies: readonly PolicyFacts[], physical: Physical, now: Instant): boolean {
  const names = new Set(policies.map(({ name }) => name));
  const cleared = physical
    .ledger('archives')
    .filter((each) => names.has(asText(each['policy']) ?? '') && each['state'] === 'cleared');
  const records = (each: RawDocument) => Number(asFields(each['outcomes'])['archived'] ?? 0);
  const all = cleared.reduce((sum, each) => sum + records(each), 0);
  const due = cleared
    .filter((each) => (asInstant(each['dueAt']) ?? Number.POSITIVE_INFINITY) <= now)
    .reduce((sum, each) => sum + records(each), 0);
  return [...names].some((name) => (known.policies.get(name) ?? []).some((policy) => overCap(policy, due, all)));
}

/** Over its cap, or without one that says something, a policy starts nothing. */
function overCap({ limits }: PolicyFacts, due: number, all: number): boolean {
  return !(limits.records > 0 && limits.share > 0) || due > limits.records || due > limits.share * all;
}

function at(instant: Instant): string {
  return new Date(instant).toISOString();
}
