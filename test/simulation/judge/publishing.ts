/**
 * What is put into force when. A version that lets something go sooner takes another person, and the grace of the one
 * before it; nothing is begun under a version that is not in force yet; and what was begun keeps the version it began with.
 */
import { grants } from './approvals.ts';
import { CLOCK_TOLERANCE_MS, DAY_MS, type Known } from './known.ts';
import type { LedgerWrite } from './ledger-changes.ts';
import type { Instant, Physical, PolicyFacts, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { asFields, asInstant, asList, asText } from './values.ts';

interface Change {
  readonly version: string;
  /** From then on it is in force. */
  readonly from: Instant;
  /** It was replaced before. */
  readonly isReplaced: boolean;
}

export function seeInForce(known: Known, report: Report, { by, before, after }: LedgerWrite, now: Instant): void {
  if (after === null) return;
  const [were, are] = [changesOf(before), changesOf(after)];
  learnChanges(known, after);
  const added = are.at(-1);
  const old = were.findLast(({ from, isReplaced }) => !isReplaced && from <= now);
  if (known.isLedgerSetBack || added === undefined || old === undefined || are.length <= were.length) return;
  const [from] = known.policyVersions.get(old.version) ?? [];
  const [to] = known.policyVersions.get(added.version) ?? [];
  if (from === undefined || to === undefined || from.namespace !== to.namespace || !letsGoSooner(from, to)) return;
  const which = `Policy ${after._id}: version ${added.version.slice(0, 8)} lets records go sooner than the one before`;
  const granted = grants(known, 'policy').filter(
    ({ shown }) => shown['from'] === old.version && shown['to'] === added.version,
  );
  if (granted.length === 0) {
    report('act-without-approval', `${which}; ${by} put it into force, and nobody granted that.`);
    return;
  }
  const earliest = Math.min(...granted.map(({ grantedAt }) => grantedAt ?? now)) + from.graceDays * DAY_MS;
  if (added.from >= earliest - CLOCK_TOLERANCE_MS) return;
  report(
    'policy-bites-early',
    `${which}, and is in force from ${iso(added.from)}; the grace ends at ${iso(earliest)}.`,
  );
}

/** An archive or a disposal is begun under a version that is in force, and stays under it. */
export function judgeBegun(
  known: Known,
  report: Report,
  what: 'Archive' | 'Expiration',
  { by, before, after }: LedgerWrite,
  now: Instant,
): void {
  if (after === null || known.isLedgerSetBack) return;
  const version = asText(after['policyVersion']) ?? '';
  if (before !== null) {
    if (before['policyVersion'] === version || asText(before['policyVersion']) === null) return;
    report('run-changed-policy', `${what} ${after._id} was begun under another version than ${by} gave it.`);
    return;
  }
  // A world that tells of no publication says nothing about it.
  if (known.usableFrom.size === 0) return;
  const from = known.usableFrom.get(version);
  if (from !== undefined && from <= now + CLOCK_TOLERANCE_MS) return;
  const text = from === undefined || !Number.isFinite(from) ? 'never' : `from ${iso(from)} on`;
  report(
    'policy-bites-early',
    `${what} ${after._id} was begun by ${by} at ${iso(now)} under version ${version.slice(0, 8)}, in force ${text}.`,
  );
}

/** The ledger as it is. What a backup does not know of was in force all the same. */
export function learnInForce(known: Known, physical: Physical): void {
  for (const document of physical.ledger('policiesInForce')) learnChanges(known, document);
}

/** The version that is in force at an instant; null: none that the document tells of. */
export function versionInForce(document: RawDocument, now: Instant): string | null {
  return changesOf(document).findLast(({ from, isReplaced }) => !isReplaced && from <= now)?.version ?? null;
}

/**
 * By the judge's own reading: some record is due sooner, or its copy goes sooner. (All versions of a life have the same
 * trigger, the same disposition, and rules of the same names about the same records.)
 */
function letsGoSooner(old: PolicyFacts, next: PolicyFacts): boolean {
  const long = ({ longDays, activeDays }: PolicyFacts) => longDays ?? activeDays;
  const vip = ({ vipDays, activeDays }: PolicyFacts) => vipDays ?? activeDays;
  const isEarlier =
    next.activeDays < old.activeDays ||
    long(next) < long(old) ||
    vip(next) < vip(old) ||
    (next.latestDays ?? 0) < (old.latestDays ?? 0) ||
    (old.rules ?? []).some(({ name, retainDays, deleteDays }) => {
      const now = (next.rules ?? []).find((rule) => rule.name === name);
      if ((now?.retainDays ?? 0) < (retainDays ?? 0)) return true;
      return deleteDays !== null && now?.deleteDays != null && now.deleteDays < deleteDays;
    });
  return isEarlier || next.archiveDays < old.archiveDays;
}

function learnChanges(known: Known, document: RawDocument): void {
  for (const { version, from, isReplaced } of changesOf(document)) {
    const before = known.usableFrom.get(version) ?? Number.POSITIVE_INFINITY;
    // One that was replaced before its day never came into force by it.
    known.usableFrom.set(version, isReplaced ? before : Math.min(before, from));
    if (!isReplaced) known.inForceSince.set(document._id, from);
  }
}

function changesOf(document: RawDocument | null): readonly Change[] {
  return asList(document?.['changes']).map((each) => {
    const { version, at, effectiveAt, replacedAt } = asFields(each);
    const from = asInstant(effectiveAt) ?? asInstant(at) ?? Number.POSITIVE_INFINITY;
    return { version: asText(version) ?? '', from, isReplaced: asInstant(replacedAt) !== null };
  });
}

function iso(instant: Instant): string {
  return Number.isFinite(instant) ? new Date(instant).toISOString() : String(instant);
}
