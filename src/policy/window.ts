/**
 * Which records share an archive, and when one is worth making (design, "When to seal"). A partition is taken when it
 * fills an archive or its oldest due record has waited `maxWait`; then all of its due records go, so that a small
 * customer does not make an archive a day.
 */
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_RECORDS } from './limits.ts';
import { addPeriod, periodOf, periodWords } from './period.ts';
import { archiveOf, type Policy } from './policy.ts';
import { wallClock } from './zone.ts';

/**
 * The last purge date (ms) that may still join an archive whose first record is to be purged at `firstPurgeAt`. The
 * archive is purged when the last of them is due, so this bounds how much too long the first copy is kept.
 */
export function lastPurgeInWindow(firstPurgeAt: number, policy: Policy): number {
  if (!Number.isFinite(firstPurgeAt)) return firstPurgeAt;
  return addPeriod(firstPurgeAt, periodOf(archiveOf(policy).dueWindow), policy.zone);
}

/** When a record that is due at `dueAt` has waited long enough (ms). What is not archived waits for nothing. */
export function waitsUntil(dueAt: number, policy: Policy): number {
  if (policy.archive === null || !Number.isFinite(dueAt)) return dueAt;
  return addPeriod(dueAt, periodOf(policy.archive.maxWait), policy.zone);
}

/** After this instant (ms) a record that is due at `dueAt` is overdue, which alarms. It delays nothing. */
export function overdueAfter(dueAt: number, policy: Policy): number {
  return Number.isFinite(dueAt) ? addPeriod(dueAt, periodOf(policy.grace), policy.zone) : dueAt;
}

export interface Waiting {
  /** Due records of one partition. */
  readonly records: number;
  /** Their BSON bytes. */
  readonly bytes: number;
  /** When the oldest of them became due (ms); null when there is none. */
  readonly oldestDueAt: number | null;
  readonly now: number;
  readonly policy: Policy;
  /** A person said: seal what waits. */
  readonly flush: boolean;
}

export type SealDecision =
  | { readonly seal: true; readonly reason: 'full' | 'waited' | 'flush' | 'at-once'; readonly text: string }
  /** `until` (ms): when it is sealed at the latest; null when nothing is due. */
  | {
      readonly seal: false;
      readonly reason: 'nothing-due' | 'waiting';
      readonly until: number | null;
      readonly text: string;
    };

export function sealDecision({ records, bytes, oldestDueAt, now, policy, flush }: Waiting): SealDecision {
  if (records === 0 || oldestDueAt === null) {
    return { seal: false, reason: 'nothing-due', until: null, text: 'Nothing is due.' };
  }
  if (flush) return { seal: true, reason: 'flush', text: 'Sealed now because --flush was given.' };
  if (records >= MAX_ARCHIVE_RECORDS || bytes >= MAX_ARCHIVE_BYTES) {
    return { seal: true, reason: 'full', text: 'What is due fills an archive.' };
  }
  if (policy.archive === null)
    return { seal: true, reason: 'at-once', text: 'It makes no archive, so it waits for nothing.' };
  const until = waitsUntil(oldestDueAt, policy);
  const maxWait = periodWords(periodOf(policy.archive.maxWait));
  if (until <= now) {
    return { seal: true, reason: 'waited', text: `The oldest due record has waited ${maxWait}.` };
  }
  const text = `Waits for more records until ${wallClock(until, policy.zone)} (${policy.zone}), at most ${maxWait}.`;
  return { seal: false, reason: 'waiting', until, text };
}
