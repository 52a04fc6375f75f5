/**
 * Exceptions in the ledger: for an owner, a customer, or records with a value, a longer or a shorter time than one
 * policy says.
 *
 * - `requested`: written, with its reason, and bound to an approval. It does nothing, unless that approval was granted and
 *   whoever granted it was cut before this document said so: then it counts as granted, by the approval's own times.
 * - `granted`: immutable from here on, but for its end. A shorter one bites only `graceMs` after the grant.
 * - `ended`: a person ended it. A longer one still retains for the policy's grace (src/policy), so nothing goes on that day.
 * - `withdrawn`: ended, refused or expired before it was granted. It never does anything.
 *
 * What decides reads all that were ever granted, also ended ones: their times say what they still do. One that cannot be
 * read stops the decision (LEDGER_NEWER), for it may retain.
 */
import { createHash } from 'node:crypto';
import { Temporal } from 'temporal-polyfill';
import { canonicalJson } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';
import type { ExceptionRule, ExceptionValues } from '../policy/exception.ts';
import { isRightlyGranted } from './approval-decisions.ts';
import type { ApprovalDocument } from './approval-document.ts';
import { type ApprovalText, approvalHash, newestRound } from './approvals.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { readableCollection } from './versions.ts';

const EXCEPTIONS = 'exceptions';

export type ExceptionState = 'requested' | 'granted' | 'ended' | 'withdrawn';

/** What is asked for; it never changes. */
export interface ExceptionText {
  readonly policy: string;
  readonly effect: ExceptionRule['effect'];
  /** ISO 8601, counted from the trigger. */
  readonly active: string;
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  readonly value: ExceptionValues | null;
  readonly reason: string;
  readonly requestedBy: string;
  /** null: from its grant on. */
  readonly from: Date | null;
  /** null: until somebody ends it. */
  readonly until: Date | null;
}

export interface ExceptionDocument extends LedgerDocument, ExceptionText {
  readonly state: ExceptionState;
  readonly requestedAt: Date;
  /** How long after its grant a shorter one does nothing yet: the policy's grace when it was asked for. */
  readonly graceMs: number;
  /** From `granted` on: the approval, by whose word, and when, in the time that counts for what is due. */
  readonly approval: string | null;
  readonly grantedBy: readonly string[];
  readonly grantedAt: Date | null;
  readonly endedAt: Date | null;
  readonly endedBy: string | null;
  readonly endReason: string | null;
}

export const EXCEPTIONS_INDEXES: readonly LedgerIndex[] = [{ collection: EXCEPTIONS, keys: { policy: 1, state: 1 } }];

export function exceptions(store: Store): StoreCollection<ExceptionDocument> {
  return readableCollection<ExceptionDocument>(store, EXCEPTIONS);
}

/**
 * All that were granted for the policy, by id; also ended ones, for their ends say what they still do. Those whose end lies
 * before `endedBefore` (ms) are left out: now less the policy's grace, where the caller knows it. Throws LEDGER_NEWER.
 */
export async function exceptionsInForce(
  store: Store,
  policy: string,
  endedBefore = Number.NEGATIVE_INFINITY,
): Promise<readonly ExceptionRule[]> {
  const rules: ExceptionRule[] = [];
  const filter = { policy, state: { $in: ['requested', 'granted', 'ended'] } };
  for await (const document of exceptions(store).find(filter, { sort: { _id: 1 } })) {
    const rule = ruleOf(await asGranted(store, document));
    if (rule !== null && (rule.until ?? Number.POSITIVE_INFINITY) >= endedBefore) rules.push(rule);
  }
  return rules;
}

/** Those that a plan was decided with, as they are now. An id that the ledger lost throws: what it retained is not known. */
export async function exceptionsByIds(store: Store, ids: readonly string[]): Promise<readonly ExceptionRule[]> {
  const rules: ExceptionRule[] = [];
  for (const id of [...new Set(ids)].sort()) {
    const rule = ruleOf(await asGranted(store, await getException(store, id)));
    if (rule !== null) rules.push(rule);
  }
  return rules;
}

export async function getException(store: Store, id: string): Promise<ExceptionDocument> {
  const document = await exceptions(store).get(id);
  if (document !== null) return document;
  throw new MoraineError('EXCEPTION_UNKNOWN', `There is no exception ${JSON.stringify(id)}.`, {
    ids: { exception: id },
  });
}

/** As it counts: one whose approval was granted is granted, whether or not its document says so yet. */
export async function asGranted(store: Store, document: ExceptionDocument): Promise<ExceptionDocument> {
  if (document.state !== 'requested') return document;
  // Found by the hash of what this document says: a document that was changed since has no approval.
  const approval = await newestRound(store, approvalHash(exceptionAsked(document)));
  if (approval === null || !isRightlyGranted(approval)) return document;
  return { ...document, state: 'granted', ...grantFacts(approval) };
}

/** What the approver of an exception is shown, all of it; the hash of this is what is granted. */
export function exceptionAsked({
  _id,
  requestedAt,
  graceMs,
  ...text
}: Pick<ExceptionDocument, '_id' | 'requestedAt' | 'graceMs' | keyof ExceptionText>): ApprovalText {
  const { policy, effect, active, owner, customer, value, reason, requestedBy, from, until } = text;
  return {
    kind: 'exception',
    subject: {
      exception: _id,
      policy,
      ...(owner === null ? {} : { owner }),
      ...(customer === null ? {} : { customer }),
    },
    shown: {
      exception: _id,
      policy,
      effect,
      active,
      owner,
      customer,
      value: value === null ? null : shownValues(value),
      reason,
      requestedBy,
      requestedAt: requestedAt.toISOString(),
      from: from?.toISOString() ?? 'when it is granted',
      until: until?.toISOString() ?? 'until somebody ends it',
      ...(effect === 'shorter' ? { doesNothingBefore: `${lengthOf(graceMs)} after it is granted` } : {}),
    },
  };
}

/** In days, hours and less: what the grace of the policy came to. */
function lengthOf(ms: number): string {
  return Temporal.Duration.from({ milliseconds: ms }).round({ largestUnit: 'days' }).toString();
}

/** How many, and a fingerprint that no other set has: which they are is for those to say who know them. */
function shownValues({ field, codes }: ExceptionValues) {
  return { field, values: codes.length, sha256: createHash('sha256').update(canonicalJson(codes)).digest('hex') };
}

/** What an exception takes over from its approval. The last grant is the one that put it in force. */
export function grantFacts({
  _id,
  grants,
  requestedAt,
}: ApprovalDocument): Pick<ExceptionDocument, 'approval' | 'grantedBy' | 'grantedAt'> {
  const last = grants.at(-1);
  return { approval: _id, grantedBy: grants.map(({ by }) => by), grantedAt: last?.asOf ?? last?.at ?? requestedAt };
}

/** null: it does nothing, and never did. */
export function ruleOf(document: ExceptionDocument): ExceptionRule | null {
  const { _id, state, effect, active, owner, customer, value, from, until, endedAt, grantedAt, graceMs } = document;
  if ((state !== 'granted' && state !== 'ended') || grantedAt === null) return null;
  const ends = [until, endedAt].flatMap((date) => (date === null ? [] : [date.getTime()]));
  return {
    id: _id,
    effect,
    active,
    scope: { owner, customer, value },
    from: (from ?? grantedAt).getTime(),
    until: ends.length === 0 ? null : Math.min(...ends),
    bitesAt: grantedAt.getTime() + graceMs,
  };
}
