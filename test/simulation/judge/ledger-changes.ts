/** Promises 5, 6 and 11 in the ledger: what is written of an archive must add up, move as it may, and be true. */
import { isCapLifted } from './approvals.ts';
import { type Known, type KnownArchive, recordKey } from './known.ts';
import type { Instant, Physical, RawDocument } from './observations.ts';
import { treeHash } from './open-archive.ts';
import type { Report } from './properties.ts';
import { judgeReviewed } from './review.ts';
import { faultOfUnits, judgeWhole, noteAttempt, settleUnits } from './unit-archives.ts';
import { asFields, asInstant, asList, asNumber, asText, sameBytes } from './values.ts';

export interface LedgerWrite {
  readonly by: string;
  readonly before: RawDocument | null;
  readonly after: RawDocument | null;
}

/** docs/architecture.md, "The life of an archive". */
const MOVES: Readonly<Record<string, readonly string[]>> = {
  planned: ['storing', 'abandoned', 'quarantined'],
  storing: ['stored', 'planned', 'abandoned', 'quarantined'],
  stored: ['verified', 'abandoned', 'quarantined'],
  verified: ['cleared', 'quarantined'],
  cleared: ['purging', 'quarantined'],
  purging: ['cleared', 'purged', 'quarantined'],
  purged: ['confirmed', 'quarantined'],
  confirmed: [],
  abandoned: [],
  quarantined: ['planned', 'storing', 'stored', 'cleared', 'purging', 'purged', 'abandoned'],
};

const OUTCOMES = ['deleted', 'treated', 'changed', 'held', 'gone', 'quarantined', 'pending'] as const;
const LETTERS: Readonly<Record<string, string>> = {
  d: 'deleted',
  t: 'treated',
  c: 'changed',
  h: 'held',
  g: 'gone',
  q: 'quarantined',
};

export function seeArchiveWritten(
  known: Known,
  report: Report,
  { by, before, after }: LedgerWrite,
  physical: Physical,
): void {
  const id = after?._id ?? before?._id ?? '';
  const archive = known.archive(id);
  if (after === null) {
    report('illegal-move', `Archive ${id} was removed from the ledger by ${by}.`);
    archive.document = null;
    return;
  }
  judgeMove(report, id, before, after);
  judgeEpoch(report, archive, by, before, after);
  archive.document = after;
  noteAttempt(known, after, physical.now());
  const state = asText(after['state']);
  if (state === 'verified') archive.everVerified.add(asText(after['attempt']) ?? '');
  if (!addsUp(after)) {
    report('outcomes-do-not-add-up', `Archive ${id}, ${state}: ${JSON.stringify(after['outcomes'])}.`);
  }
  if (before?.['state'] === state) return;
  if (state === 'stored') {
    judgeStored(known, report, archive, after);
    judgeTaken(known, report, archive);
    judgeWhole(known, report, archive);
  }
  if (state === 'purging') judgeReviewed(known, report, archive, after);
  if (state === 'confirmed') judgeConfirmed(known, report, archive);
  if (state === 'cleared' && before?.['state'] === 'verified') {
    settle(known, report, archive, after, physical);
    settleUnits(known, report, archive, after);
  }
}

export function seeExpiration(known: Known, report: Report, { by, before, after }: LedgerWrite, now: Instant): void {
  if (after === null) {
    if (before !== null) known.expirations.delete(before._id);
    return;
  }
  if (before === null && !known.isLedgerSetBack) {
    for (const other of known.expirations.values()) {
      if (other._id === after._id || other['partition'] !== after['partition'] || other['state'] === 'done') continue;
      report('two-disposals-at-once', `Expiration ${after._id} was begun by ${by} beside ${other._id}.`);
    }
  }
  known.expirations.set(after._id, after);
  if (after['state'] === 'done' && before?.['state'] !== 'done') known.expirationDoneAt.set(after._id, now);
  if (isOlder(before, after))
    report('epoch-went-back', `Expiration ${after._id} was written by ${by} with an older epoch.`);
  if (after['outcomes'] != null && !addsUp(after)) {
    report('outcomes-do-not-add-up', `Expiration ${after._id}: ${JSON.stringify(after['outcomes'])}.`);
  }
}

function judgeMove(report: Report, id: string, before: RawDocument | null, after: RawDocument): void {
  const to = asText(after['state']) ?? 'none';
  if (before === null) {
    if (to !== 'planned') report('illegal-move', `Archive ${id} began as ${to}.`);
    return;
  }
  const from = asText(before['state']) ?? 'none';
  if (from === to) return;
  if (
    MOVES[from]?.includes(to) &&
    (from !== 'quarantined' || mayLeaveQuarantine(asText(before['quarantinedFrom']), to))
  )
    return;
  report('illegal-move', `Archive ${id} went from ${from} to ${to}.`);
}

/** Back to where it came from; what was verified is verified anew; what never was may be given up. */
function mayLeaveQuarantine(cameFrom: string | null, to: string): boolean {
  if (to === 'abandoned') return cameFrom === 'planned' || cameFrom === 'storing' || cameFrom === 'stored';
  return cameFrom === to || (cameFrom === 'verified' && to === 'stored');
}

function judgeEpoch(
  report: Report,
  archive: KnownArchive,
  by: string,
  before: RawDocument | null,
  after: RawDocument,
): void {
  const epoch = asNumber(after['epoch']) ?? 0;
  const isDecision = before !== null && (before['state'] !== after['state'] || !sameOutcomes(before, after));
  if (isOlder(before, after)) {
    report(
      'epoch-went-back',
      `Archive ${archive.id} was written by ${by} with epoch ${epoch} after ${archive.highestEpoch}.`,
    );
    if (isDecision)
      report(
        'written-under-lost-lease',
        `Archive ${archive.id}: ${by} wrote its state under epoch ${epoch}, which was over.`,
      );
    return;
  }
  if (epoch > archive.highestEpoch || archive.claimedBy === null) {
    archive.highestEpoch = epoch;
    archive.claimedBy = by;
  } else if (isDecision && archive.claimedBy !== by) {
    report(
      'written-under-lost-lease',
      `Archive ${archive.id}: ${by} wrote its state under epoch ${epoch}, which ${archive.claimedBy} claimed.`,
    );
  }
}

function judgeStored(known: Known, report: Report, archive: KnownArchive, after: RawDocument): void {
  const fault = faultOfStored(known, archive, after);
  if (fault === null) return;
  const attempt = asText(after['attempt']);
  report('file-does-not-open', `Archive ${archive.id}, attempt ${attempt}, is stored and ${fault}.`);
}

/** What an archive may hold at all: no record of another one that is not cleared, and no more than a run may take. */
function judgeTaken(known: Known, report: Report, archive: KnownArchive): void {
  const file = known.storedFile(archive);
  if (file?.opened == null || known.isLedgerSetBack) return;
  for (const [key, bytes] of file.bytesOf) {
    for (const other of known.filesOfRecord.get(key) ?? []) {
      if (other === file || other.parties === null || other.parties.archive === archive.id) continue;
      const holder = known.archive(other.parties.archive);
      const state = known.state(holder);
      if ((state !== 'stored' && state !== 'verified') || known.storedFile(holder) !== other) continue;
      if (!sameBytes(other.bytesOf.get(key) ?? new Uint8Array(), bytes)) continue;
      const id = key.slice(key.indexOf('\0') + 1);
      report(
        'record-in-two-archives',
        `Record ${id} is in archive ${archive.id} and in ${holder.id}, which is ${state}.`,
      );
    }
  }
  const [policy, ...others] = known.policiesOf(archive, file.opened.namespace);
  if (policy === undefined || others.length > 0 || file.opened.records.length <= policy.limits.records) return;
  if (archive.document?.['addendumTo'] !== undefined || isCapLifted(known, policy.name)) return;
  report(
    'over-the-cap',
    `Archive ${archive.id} holds ${file.opened.records.length} records; policy ${policy.name} lets a run take ${policy.limits.records}.`,
  );
}

function judgeConfirmed(known: Known, report: Report, archive: KnownArchive): void {
  const file = known.storedFile(archive);
  if (file?.inVault !== true || known.isLedgerSetBack) return;
  report('confirmed-and-still-there', `Archive ${archive.id} is confirmed and its file is in the vault.`);
}

function faultOfStored(known: Known, archive: KnownArchive, after: RawDocument): string | null {
  const stored = asFields(after['stored']);
  const file = known.storedFile(archive);
  if (file === undefined) return 'its file never arrived in the vault';
  const { opened } = file;
  if (opened === null) return `its file does not open: ${file.failure}`;
  if (opened.archive !== archive.id || opened.attempt !== after['attempt'])
    return 'its file is that of another attempt';
  if (stored['treeHash'] !== treeHash(file.file.bytes)) return 'its tree hash is not that of the file';
  if (stored['bytes'] !== file.file.bytes.length) return 'its size is not that of the file';
  if (stored['records'] !== opened.records.length) return 'it counts other records than the file holds';
  if (stored['merkleRoot'] !== opened.merkleRoot) return 'its Merkle root is not that of the file';
  if (stored['manifestSha256'] !== opened.manifestSha256) return 'its manifest is not that of the file';
  if (opened.policyVersion !== after['policyVersion']) return 'its file names another policy version';
  return faultOfUnits(file, stored);
}

/** At `cleared`: what the settled pages say of each record, against what happened to it. */
function settle(known: Known, report: Report, archive: KnownArchive, after: RawDocument, physical: Physical): void {
  archive.clearedAt = physical.now();
  const opened = known.storedFile(archive)?.opened;
  if (opened == null || known.isLedgerSetBack) return;
  const pages = physical
    .ledger('clearingPages')
    .filter((page) => page['archive'] === archive.id)
    .sort((a, b) => (asNumber(a['page']) ?? 0) - (asNumber(b['page']) ?? 0));
  const letters = pages.map((page) => asText(page['outcomes']) ?? '').join('');
  // In the second page and later a place says nothing by itself: then what the application removed may be either.
  const intended = pages.length > 1 ? null : new Set(asList(pages[0]?.['intended']));
  const fault = (text: string) => report('outcomes-do-not-add-up', `Archive ${archive.id}: ${text}.`);
  const outcomes = asFields(after['outcomes']);
  if (outcomes['archived'] !== opened.records.length)
    fault(`its file holds ${opened.records.length} records, the ledger says ${String(outcomes['archived'])}`);
  if (letters.length !== opened.records.length) {
    fault('it is cleared, and its pages do not give each record an outcome');
    return;
  }
  archive.outcomes = new Map(opened.records.map(({ id }, at) => [recordKey(opened.namespace, id), letters[at] ?? '']));
  for (const [letter, outcome] of Object.entries(LETTERS)) {
    const count = [...letters].filter((each) => each === letter).length;
    if (outcomes[outcome] !== count)
      fault(`its pages say ${count} ${outcome}, the ledger says ${String(outcomes[outcome])}`);
  }
  for (const [at, [key, letter]] of [...archive.outcomes].entries()) {
    const taken = archive.deleted.get(key);
    const wasTreated = taken?.isTreated === true;
    const wasDeleted = taken !== undefined && !wasTreated;
    const wasIntended = intended === null || intended.has(at);
    const mayBeDeleted = wasDeleted || (archive.removedByApplication.has(key) && wasIntended);
    const id = key.slice(key.indexOf('\0') + 1);
    if (letter === 'd' && !mayBeDeleted)
      fault(`record ${id} is called deleted; Moraine did not delete it under this archive`);
    if (letter === 't' && !wasTreated)
      fault(`record ${id} is called treated; Moraine did not treat it under this archive`);
    if (letter !== 't' && wasTreated && !archive.putBack.has(key) && !archive.removedByApplication.has(key)) {
      fault(
        `record ${id} was treated under this archive, and is called ${LETTERS[letter] ?? letter}: its copy is void`,
      );
    }
    if (letter !== 'd' && wasDeleted && !archive.putBack.has(key)) {
      fault(
        `record ${id} was deleted under this archive, and is called ${LETTERS[letter] ?? letter}: its copy is void`,
      );
    }
  }
}

function addsUp(document: RawDocument): boolean {
  const outcomes = asFields(document['outcomes']);
  const counts = OUTCOMES.map((name) => asNumber(outcomes[name]) ?? Number.NaN);
  return counts.every((count) => count >= 0) && counts.reduce((sum, count) => sum + count, 0) === outcomes['archived'];
}

function sameOutcomes(before: RawDocument, after: RawDocument): boolean {
  const [left, right] = [asFields(before['outcomes']), asFields(after['outcomes'])];
  return [...OUTCOMES, 'archived'].every((name) => left[name] === right[name]);
}

function isOlder(before: RawDocument | null, after: RawDocument): boolean {
  return before !== null && (asNumber(after['epoch']) ?? 0) < (asNumber(before['epoch']) ?? 0);
}

/** When an archive or attempt was left alone last, by its lease. */
export function leaseEnd(document: RawDocument): Instant | null {
  return asInstant(asFields(document['lease'])['until']);
}
