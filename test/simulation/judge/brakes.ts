/** Which holds and pauses are in force, and what they cover: from the words of the person who asked, exactly. */
import { type Brake, CLOCK_TOLERANCE_MS, type Known, type KnownArchive } from './known.ts';
import type { Instant, Observation, Physical, Scope } from './observations.ts';
import type { Report } from './properties.ts';
import type { RecordFacts } from './record-facts.ts';

/** A released hold's end is looked at by clocks that may differ, and what is overdue goes at the next run. */
export const NEXT_RUN_MS = 36 * 3_600_000;

type AboutBrakes = Extract<Observation, { readonly name: string }>;

export function seeBrake(known: Known, report: Report, seen: AboutBrakes, now: Instant): void {
  const kind = seen.what.startsWith('hold') ? 'hold' : 'pause';
  const newest = known.brakes.findLast((brake) => brake.kind === kind && brake.name === seen.name);
  switch (seen.what) {
    case 'hold asked':
    case 'pause asked':
      if (newest === undefined || newest.endAskedAt !== null) {
        known.brakes.push(ask(known, kind, seen.name, seen.scope, now));
        // The same again takes on what is there; what is in force stays in force.
      } else if (newest.inForceSince === null) newest.askedAtStep = known.step;
      return;
    case 'hold active':
    case 'pause in force':
      if (newest === undefined) return;
      newest.tooLate = new Set([...newest.tooLate, ...seen.tooLate]);
      if (newest.inForceSince !== null || newest.endAskedAt !== null) return;
      newest.inForceSince = now;
      if (kind === 'hold') reportUnnamed(known, report, newest);
      return;
    case 'hold release asked':
      for (const brake of sameName(known, kind, seen.name)) {
        brake.endAskedAt ??= now;
        brake.asking += 1;
      }
      return;
    case 'hold release put off':
      for (const brake of sameName(known, kind, seen.name)) {
        brake.asking -= 1;
        // As if nobody had asked, unless another release may have come through.
        if (brake.asking === 0 && brake.endedUntil === undefined) brake.endAskedAt = null;
      }
      return;
    case 'resume asked':
      for (const brake of sameTarget(known, newest)) brake.endAskedAt ??= now;
      return;
    case 'hold released':
      for (const brake of sameName(known, kind, seen.name)) {
        brake.endAskedAt ??= now;
        if (seen.heldUntil === null) brake.endedUntil ??= null;
        else brake.endedUntil = Math.max(brake.endedUntil ?? seen.heldUntil, seen.heldUntil);
      }
  }
}

/** A release or resume of the same that was asked for so shortly before may still be under way, and end what is asked for now. */
const ENDING_MS = 3_600_000;

function ask(known: Known, kind: Brake['kind'], name: string, scope: Scope, now: Instant): Brake {
  const isEnding = known.brakes.some(
    (other) =>
      other.kind === kind &&
      other.endAskedAt !== null &&
      other.endedUntil == null &&
      now - other.endAskedAt < ENDING_MS &&
      (other.name === name || sameScope(other.scope, scope)),
  );
  return {
    kind,
    name,
    scope,
    askedAtStep: known.step,
    inForceSince: null,
    tooLate: new Set(),
    endAskedAt: null,
    asking: 0,
    endedUntil: undefined,
    isCertain: !isEnding,
  };
}

/** After a backup of the ledger was put back: what it does not hold any more stops nothing. */
export function forgetBrakes(known: Known, physical: Physical): void {
  const kept = new Set<unknown>();
  for (const hold of physical.ledger('holds')) if (hold['state'] === 'active') kept.add(hold['caseNumber']);
  for (const pause of physical.ledger('pauses')) if (pause['state'] === 'paused') kept.add(pause['reason']);
  for (const brake of known.brakes) if (!kept.has(brake.name)) brake.isCertain = false;
}

/** Does it stop acts for certain, by what people were told? */
export function isInForce(known: Known, brake: Brake, now: Instant): boolean {
  if (brake.inForceSince === null || !brake.isCertain) return false;
  if (brake.endAskedAt === null) return true;
  if (brake.kind === 'pause' || brake.endedUntil === null) return false;
  const until = brake.endedUntil ?? brake.endAskedAt + known.facts.releaseGraceMs;
  return now < until - CLOCK_TOLERANCE_MS;
}

/** May it still stop acts? Also one that was asked for and not reported, and one whose end is too near for a run since. */
export function mayStop(brake: Brake, now: Instant): boolean {
  if (brake.endAskedAt === null) return true;
  if (brake.kind === 'pause') return now < brake.endAskedAt + NEXT_RUN_MS;
  if (brake.endedUntil === undefined) return true;
  return now < (brake.endedUntil ?? brake.endAskedAt) + NEXT_RUN_MS;
}

/** Does it cover this record for certain? */
export function covers(known: Known, scope: Scope, namespace: string, id: string, facts: RecordFacts): boolean {
  if (!coversParty(known, scope, { namespace, owner: facts.owner, customer: facts.customer })) return false;
  if (scope.recordIds !== null && !scope.recordIds.includes(id)) return false;
  if (scope.mails !== null && (facts.mail === null || !scope.mails.includes(facts.mail))) return false;
  if (scope.triggerFrom !== null && (facts.trigger === null || facts.trigger < scope.triggerFrom)) return false;
  return scope.triggerBefore === null || (facts.trigger !== null && facts.trigger < scope.triggerBefore);
}

/** Can it not be told that it leaves these alone? Looks at whose they are only. */
export function coversParty(
  known: Known,
  scope: Scope,
  of: { readonly namespace: string; readonly owner: string | null; readonly customer: string | null },
): boolean {
  if (scope.owner !== null && scope.owner !== of.owner) return false;
  if (scope.customer !== null && scope.customer !== of.customer) return false;
  if (scope.namespace !== null && scope.namespace !== of.namespace) return false;
  return scope.policy === null || known.policies.get(scope.policy)?.some((p) => p.namespace === of.namespace) === true;
}

/** Does it cover, for certain, a record that was deleted under this archive? */
export function coversArchive(known: Known, scope: Scope, archive: KnownArchive): boolean {
  for (const [key, { facts }] of archive.deleted) {
    // A child in an addendum is held as its root is.
    const record = known.records.get(key) ?? known.families.rootOfKey(known, key);
    if (record != null && covers(known, scope, record.namespace, record.id, facts)) return true;
  }
  return false;
}

function reportUnnamed(known: Known, report: Report, brake: Brake): void {
  if (known.isLedgerSetBack) return;
  for (const archive of known.archives.values()) {
    const removedAt = known.storedFile(archive)?.removedAtStep ?? null;
    // What was confirmed and certified by then is no longer among what a hold can come too late for.
    if (removedAt === null || removedAt <= brake.askedAtStep || known.state(archive) === 'confirmed') continue;
    if (brake.tooLate.has(archive.id) || !coversArchive(known, brake.scope, archive)) continue;
    report(
      'too-late-not-named',
      `Hold ${brake.name} became active without naming archive ${archive.id}, removed meanwhile.`,
    );
  }
}

function sameName(known: Known, kind: Brake['kind'], name: string): readonly Brake[] {
  return known.brakes.filter((brake) => brake.kind === kind && brake.name === name);
}

/** A resume names a policy, an owner or everything, and lifts every pause of just that. */
function sameTarget(known: Known, newest: Brake | undefined): readonly Brake[] {
  if (newest === undefined) return [];
  return known.brakes.filter((brake) => brake.kind === 'pause' && sameScope(brake.scope, newest.scope));
}

function sameScope(left: Scope, right: Scope): boolean {
  return left.owner === right.owner && left.policy === right.policy && JSON.stringify(left) === JSON.stringify(right);
}
