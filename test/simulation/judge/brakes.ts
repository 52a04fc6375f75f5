/** Which holds and pauses are in force, and what they cover: from the words of the person who asked, exactly. */
import { type Brake, CLOCK_TOLERANCE_MS, type Known, type KnownArchive } from './known.ts';
import type { Instant, Observation, Scope } from './observations.ts';
import type { Report } from './properties.ts';
import type { RecordFacts } from './record-facts.ts';

/** A released hold's end is looked at by clocks that may differ, and what is overdue goes at the next run. */
export const NEXT_RUN_MS = 36 * 3_600_000;

type AboutBrakes = Extract<Observation, { readonly name: string }>;

export function seeBrake(known: Known, report: Report, seen: AboutBrakes, now: Instant): void {
  const kind = seen.what.startsWith('hold') ? 'hold' : 'pause';
  switch (seen.what) {
    case 'hold asked':
    case 'pause asked': {
      const placing = latest(known, kind, seen.name);
      if (placing !== undefined && placing.endAskedAt === null) {
        // The same again takes on what is there; in force is in force.
        if (placing.inForceSince === null) placing.askedAtStep = known.step;
        return;
      }
      known.brakes.push({
        kind,
        name: seen.name,
        scope: seen.scope,
        askedAtStep: known.step,
        inForceSince: null,
        tooLate: new Set(),
        endAskedAt: null,
        endedUntil: undefined,
      });
      return;
    }
    case 'hold active':
    case 'pause in force': {
      const brake = latest(known, kind, seen.name);
      if (brake === undefined) return;
      brake.tooLate = new Set([...brake.tooLate, ...seen.tooLate]);
      if (brake.inForceSince !== null || brake.endAskedAt !== null) return;
      brake.inForceSince = now;
      if (kind === 'hold') reportUnnamed(known, report, brake);
      return;
    }
    case 'hold release asked':
    case 'resume asked': {
      const brake = latest(known, kind, seen.name);
      if (brake !== undefined) brake.endAskedAt ??= now;
      return;
    }
    case 'hold released': {
      const brake = latest(known, kind, seen.name);
      if (brake !== undefined) brake.endedUntil = seen.heldUntil;
      return;
    }
  }
}

/** Does it stop acts for certain, by what people were told? */
export function isInForce(known: Known, brake: Brake, now: Instant): boolean {
  if (brake.inForceSince === null) return false;
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
    const record = known.records.get(key);
    if (record !== undefined && covers(known, scope, record.namespace, record.id, facts)) return true;
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

function latest(known: Known, kind: Brake['kind'], name: string): Brake | undefined {
  return known.brakes.findLast((brake) => brake.kind === kind && brake.name === name);
}
