/**
 * Amounts that take a second person: over a blast cap, and what is past its archive period too.
 *
 * Counts change by the hour, so a grant is bound to the policy's version and to the counts of each owner and customer: the
 * same or fewer of each is covered, one more is another request. Who runs takes no more than the plan counted
 * (run-policy.ts), so no more than was granted.
 *
 * An approval lifts a cap that is written down and passed. One that is missing, zero or not a number is nobody's
 * decision: nothing goes. Where `cap` takes no approval there is nothing to lift it with, and it stops everything.
 */
import type { Json } from '../canonical-json.ts';
import { isMoraineError, type MoraineError } from '../errors.ts';
import type { ApprovalProof } from '../ledger/approval-decisions.ts';
import { type CapResult, checkCaps } from '../policy/caps.ts';
import type { BlastCaps } from '../policy/policy.ts';
import { type ApprovalRequest, isApprovalRequired, requireApproval } from './approval.ts';
import type { Context } from './context.ts';

export interface Amount {
  readonly owner: string;
  readonly customer: string;
  /** Which of the policy's dispositions, where these records have several. */
  readonly branch?: string;
  readonly records: number;
}

export interface Amounts {
  readonly act: 'run' | 'run --expired' | 'purge';
  readonly policy: string;
  readonly version: string;
  readonly limits: BlastCaps;
  readonly caps: CapResult;
  readonly amounts: readonly Amount[];
  /** What goes with each record and is not counted, in words. */
  readonly withEach?: readonly string[];
}

/** What a request for an amount is about to do; null: no approval changes that it is refused, or none is needed. */
export function amountsRequest(context: Context, amounts: Amounts): ApprovalRequest | 'refused' | 'free' {
  const isOver = !amounts.caps.ok;
  if (isOver && !(isApprovalRequired(context, 'cap') && areWritten(amounts.limits))) return 'refused';
  const isBacklog = amounts.act === 'run --expired' && isApprovalRequired(context, 'expired-backlog');
  if (!isOver && !isBacklog) return 'free';
  const { act, policy, version } = amounts;
  return {
    kind: isBacklog ? 'expired-backlog' : 'cap',
    subject: { policy, act },
    shown: shownOf(amounts),
    covers: (granted) => covers(granted, amounts, version),
  };
}

/**
 * May it go? The proof, or null where none is needed; false where a cap stops it and no approval could lift it. Uses the
 * grant up in the name of `spendFor`. Throws APPROVAL_NEEDED and APPROVAL_REFUSED.
 */
export async function approveAmounts(
  context: Context,
  amounts: Amounts,
  by: { readonly requestedBy: string; readonly spendFor: string },
): Promise<ApprovalProof | null | false> {
  const request = amountsRequest(context, amounts);
  if (request === 'refused') return false;
  if (request === 'free') return null;
  return await requireApproval(context, { ...request, spendFor: by.spendFor }, by.requestedBy);
}

/** As {@link approveAmounts}, and uses nothing up: to be asked before a person confirms. The error says what is missing. */
export async function amountsStanding(
  context: Context,
  amounts: Amounts,
  requestedBy: string,
): Promise<{ readonly ok: true } | { readonly ok: false; readonly error: MoraineError | null }> {
  const request = amountsRequest(context, amounts);
  if (request === 'refused') return { ok: false, error: null };
  try {
    if (request !== 'free') await requireApproval(context, request, requestedBy);
    return { ok: true };
  } catch (error) {
    if (isMoraineError(error, 'APPROVAL_NEEDED') || isMoraineError(error, 'APPROVAL_REFUSED'))
      return { ok: false, error };
    throw error;
  }
}

/** Caps that stop nothing but an amount: they would let a small one through. */
function areWritten(limits: BlastCaps): boolean {
  return checkCaps({ taken: 0, documents: 0, limits }).ok;
}

function shownOf({ act, policy, version, limits, caps, amounts, withEach = [] }: Amounts): Json {
  const partitions = amounts.map(({ owner, customer, branch, records }) => {
    return { owner, customer, ...(branch === undefined ? {} : { branch }), records };
  });
  return {
    act,
    policy,
    version,
    limits: { ...limits },
    over: caps.ok ? null : caps.text,
    records: amounts.reduce((sum, { records }) => sum + records, 0),
    ...(withEach.length === 0 ? {} : { withEach }),
    partitions: partitions.sort(
      (a, b) => compare(a.owner, b.owner) || compare(a.customer, b.customer) || compare(a.branch ?? '', b.branch ?? ''),
    ),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Fails closed: what cannot be read of a grant covers nothing. */
function covers(granted: Json, { act, caps, amounts }: Amounts, version: string): boolean {
  if (!isObject(granted) || granted['version'] !== version || granted['act'] !== act) return false;
  if (!caps.ok && typeof granted['over'] !== 'string') return false;
  const partitions = granted['partitions'];
  if (!Array.isArray(partitions)) return false;
  return amounts.every(({ owner, customer, branch, records }) =>
    partitions.some(
      (one: Json) =>
        isObject(one) &&
        one['owner'] === owner &&
        one['customer'] === customer &&
        one['branch'] === branch &&
        typeof one['records'] === 'number' &&
        records <= one['records'],
    ),
  );
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
