/**
 * Blast caps: the most that one run may take. They stand between a wrong policy and an empty collection, so they fail
 * closed: a cap that is missing, zero or not a number lets nothing through, and so does an amount that makes no sense.
 */
import type { BlastCaps } from './policy.ts';

export interface CapCheck {
  /** Records that the run would take. */
  readonly taken: number;
  /** Documents in the collection when planned (for a purge: the policy's unpurged archived records). May be an estimate. */
  readonly documents: number;
  readonly limits: BlastCaps;
}

export type CapResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly cap: 'records' | 'share'; readonly text: string };

export function checkCaps({ taken, documents, limits }: CapCheck): CapResult {
  const { records, share } = limits;
  if (records === null || !(Number.isSafeInteger(records) && records > 0)) {
    return refused(
      'records',
      'limits.records is missing or is not a whole number of 1 or more, so nothing may be taken',
    );
  }
  if (share === null || !(share > 0 && share <= 1)) {
    return refused('share', 'limits.share is missing or is not above 0 and at most 1, so nothing may be taken');
  }
  if (!isCount(taken)) return refused('records', 'the number of records to take is not known');
  if (!isCount(documents)) return refused('share', 'the number of documents in the collection is not known');
  if (taken > records) {
    return refused('records', `${taken} records are to be taken, and limits.records allows ${records}`);
  }
  // The count of documents may be an estimate, and a share is never more than the whole: `share: 1` allows everything.
  const takenShare = taken === 0 ? 0 : Math.min(1, taken / documents);
  if (takenShare > share) {
    return refused(
      'share',
      `${taken} of ${documents} documents are to be taken (${percent(takenShare)}), and limits.share allows ${percent(share)}`,
    );
  }
  return { ok: true };
}

function refused(cap: 'records' | 'share', text: string): CapResult {
  return { ok: false, cap, text };
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Rounded up to a hundredth of a percent, so that an excess never reads as the cap itself. */
function percent(share: number): string {
  return `${Math.ceil(share * 10_000 - 1e-9) / 100} %`;
}
