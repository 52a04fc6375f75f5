/** Exceptions: who asked and who approved, for whom, from when until when, and what they do now. Which values one is for is not known here: codes of them are all that the ledger has. */

import { approvalHash, newestRound } from '../../ledger/approvals.ts';
import {
  asGranted,
  type ExceptionDocument,
  type ExceptionState,
  exceptionAsked,
  exceptions,
} from '../../ledger/exceptions.ts';
import type { Sight } from '../sight.ts';

/**
 * - `waits`: for its approval; it does nothing.
 * - `later`: approved, and its time begins later.
 * - `grace`: a shorter one that was approved and does nothing before `bitesAt`.
 * - `over`: its time is past, or a person ended it. `withdrawn`: it never did anything.
 */
export type ExceptionStanding = 'waits' | 'later' | 'grace' | 'in force' | 'over' | 'withdrawn';

export interface ExceptionRow {
  readonly id: string;
  readonly policy: string;
  readonly effect: ExceptionDocument['effect'];
  /** ISO 8601, counted from the trigger. */
  readonly active: string;
  readonly owner: string | null;
  readonly customer: string | null;
  readonly values: { readonly field: string; readonly count: number } | null;
  readonly reason: string;
  readonly state: ExceptionState;
  readonly standing: ExceptionStanding;
  readonly requestedBy: string;
  readonly requestedAt: Date;
  readonly approval: string | null;
  readonly grantedBy: readonly string[];
  readonly grantedAt: Date | null;
  readonly from: Date | null;
  readonly until: Date | null;
  /** A shorter one does nothing before; null for a longer one, and for one that waits. */
  readonly bitesAt: Date | null;
  readonly endedBy: string | null;
  readonly endedAt: Date | null;
  readonly endReason: string | null;
}

export interface ExceptionsView {
  readonly exceptions: readonly ExceptionRow[];
  /** Those that are over too. */
  readonly isAll: boolean;
  /** Over or withdrawn, of those that were read. */
  readonly over: number;
  /** There are more than were read; the newest are here. */
  readonly isCut: boolean;
}

/** A page is for people; `moraine exception list` has them all. */
const EXCEPTIONS_READ = 1_000;

export async function readExceptions({ context }: Sight, isAll: boolean): Promise<ExceptionsView> {
  const { store, clock } = context;
  const now = clock.now();
  const rows: ExceptionRow[] = [];
  const options = { sort: { requestedAt: -1, _id: 1 }, limit: EXCEPTIONS_READ + 1 } as const;
  for await (const document of exceptions(store).find({}, options)) {
    const counted = await asGranted(store, document);
    const approval = counted.approval ?? (await newestRound(store, approvalHash(exceptionAsked(counted))))?._id ?? null;
    rows.push({ ...toRow(counted, now), approval });
  }
  const read = rows.slice(0, EXCEPTIONS_READ);
  const current = read.filter(({ standing }) => standing !== 'over' && standing !== 'withdrawn');
  const over = read.length - current.length;
  return { exceptions: isAll ? read : current, isAll, over, isCut: rows.length > read.length };
}

function toRow(document: ExceptionDocument, now: Date): ExceptionRow {
  const { _id, policy, effect, active, owner, customer, value, reason, state, requestedBy, requestedAt } = document;
  const { approval, grantedBy, grantedAt, until, endedBy, endedAt, endReason } = document;
  const bitesAt = biteOf(document);
  return {
    id: _id,
    ...{ policy, effect, active, owner, customer },
    values: value === null ? null : { field: value.field, count: value.codes.length },
    ...{ reason, state },
    standing: standingOf(document, bitesAt, now),
    ...{ requestedBy, requestedAt, approval, grantedBy, grantedAt },
    from: document.from ?? grantedAt,
    ...{ until, bitesAt, endedBy, endedAt, endReason },
  };
}

function biteOf({ effect, grantedAt, graceMs }: ExceptionDocument): Date | null {
  return effect === 'longer' || grantedAt === null ? null : new Date(grantedAt.getTime() + graceMs);
}

function standingOf(document: ExceptionDocument, bitesAt: Date | null, now: Date): ExceptionStanding {
  const { state, from, until } = document;
  if (state === 'withdrawn') return 'withdrawn';
  if (state === 'ended' || (until !== null && until <= now)) return state === 'requested' ? 'withdrawn' : 'over';
  if (state === 'requested') return 'waits';
  if (from !== null && from > now) return 'later';
  return bitesAt !== null && bitesAt > now ? 'grace' : 'in force';
}
