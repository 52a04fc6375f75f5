/**
 * Exceptions from a policy: asked for, put into force by another person's approval, ended.
 *
 * The order of asking: the document first, then the approval that names it. A cut in between leaves an exception that
 * nobody was asked about, which does nothing; the same asked again finds it and goes on. Once the approval is granted the
 * exception counts, whether or not its document says so yet (src/ledger/exceptions.ts); {@link settleException} writes it.
 */
import { canonicalJson, type Json } from '../canonical-json.ts';
import { isMoraineError, MoraineError } from '../errors.ts';
import { isRightlyGranted, refuseApproval, useApproval } from '../ledger/approval-decisions.ts';
import { type ApprovalDocument, isLive } from '../ledger/approval-document.ts';
import { approvalHash, getApproval, newestRound } from '../ledger/approvals.ts';
import {
  type ExceptionDocument,
  type ExceptionText,
  exceptionAsked,
  exceptions,
  getException,
  grantFacts,
} from '../ledger/exceptions.ts';
import { update } from '../ledger/update.ts';
import { LEDGER_VERSION } from '../ledger/versions.ts';
import { addPeriod, periodOf } from '../policy/period.ts';
import type { Policy } from '../policy/policy.ts';
import { ask, requireApproval } from './approval.ts';
import { type Context, dueNow } from './context.ts';
import { doubtsOfException } from './exception-doubts.ts';
import { codedValues, type NamedValues, ownerOfValues } from './exception-values.ts';
import { policiesToRun } from './published.ts';

/** What a person asks for. Its values do not leave this file but as codes under the owner's key. */
export interface ExceptionRequest extends Omit<ExceptionText, 'value'> {
  readonly value: NamedValues | null;
}

export interface AskedException {
  readonly exception: ExceptionDocument;
  readonly approval: ApprovalDocument;
  /** What may be a slip, and was asked for all the same. */
  readonly doubts: readonly string[];
}

/** Writes what is asked for and asks for its approval; until that is granted it does nothing. The same again finds it. */
export async function requestException(context: Context, request: ExceptionRequest): Promise<AskedException> {
  const [policy] = await policiesToRun(context.store, [request.policy], context.asOf);
  if (policy === undefined) throw new MoraineError('POLICY_NOT_PUBLISHED', `Policy ${request.policy} is not in force.`);
  const text = await withCodes(context, policy, request);
  const now = dueNow(context).getTime();
  if (request.until !== null && request.until.getTime() <= now)
    throw new MoraineError('USAGE', 'The end of the exception lies in the past: it would never do anything.', {
      hint: 'Pass --until an instant that is to come, or --open-ended.',
    });
  const doubts = doubtsOfException(context, policy, text);
  const graceMs = addPeriod(now, periodOf(policy.grace), policy.zone) - now;
  const known = await findSame(context, text);
  const exception =
    known === null ? await writeException(context, text, graceMs) : await settleException(context, known);
  if (exception.approval !== null)
    return { exception, approval: await getApproval(context.store, exception.approval), doubts };
  const approval = await ask(context, exceptionAsked(exception), text.requestedBy);
  return { exception: await settleException(context, exception), approval, doubts };
}

async function withCodes(context: Context, policy: Policy, request: ExceptionRequest): Promise<ExceptionText> {
  if (request.value === null) return { ...request, value: null };
  const owner = ownerOfValues(policy, request.owner);
  return { ...request, owner, value: await codedValues(context, owner, request.value) };
}

/** One that is asked for or in force, in the same words by the same person. */
async function findSame(context: Context, text: ExceptionText): Promise<ExceptionDocument | null> {
  const wanted = fingerprint(text);
  for await (const found of exceptions(context.store).find({
    policy: text.policy,
    state: { $in: ['requested', 'granted'] },
  }))
    if (fingerprint(found) === wanted) return found;
  return null;
}

function fingerprint(text: ExceptionText): string {
  const { policy, effect, active, owner, customer, value, reason, requestedBy, from, until } = text;
  const dates = [from?.toISOString() ?? null, until?.toISOString() ?? null];
  const values = value === null ? null : { ...value };
  return canonicalJson([policy, effect, active, owner, customer, values, reason, requestedBy, dates]);
}

async function writeException(context: Context, text: ExceptionText, graceMs: number): Promise<ExceptionDocument> {
  const { policy, effect, active, owner, customer, value, reason, requestedBy, from, until } = text;
  const exception: Omit<ExceptionDocument, 'rev'> = {
    _id: `exception-${context.newId()}`,
    v: LEDGER_VERSION,
    ...{ policy, effect, active, owner, customer, value, reason, requestedBy, from, until },
    state: 'requested',
    requestedAt: context.clock.now(),
    graceMs,
    approval: null,
    grantedBy: [],
    grantedAt: null,
    endedAt: null,
    endedBy: null,
    endReason: null,
  };
  const values = value === null ? {} : { values: value.codes.length, field: value.field };
  await tell(context, exception, 'request', 'intent', { effect, active, by: requestedBy, reason, ...values });
  await exceptions(context.store).insert(exception);
  return { ...exception, rev: 0 };
}

/** Takes over what was said to its approval: granted, or withdrawn where it was refused. */
export async function settleException(context: Context, exception: ExceptionDocument): Promise<ExceptionDocument> {
  if (exception.state !== 'requested') return exception;
  const { store } = context;
  const approval = await newestRound(store, approvalHash(exceptionAsked(exception)));
  if (approval?.state === 'refused') {
    const { refusedBy, refusedAt, refusalReason } = approval;
    return await withdraw(context, exception, { by: refusedBy, at: refusedAt, reason: `refused: ${refusalReason}` });
  }
  if (approval === null || !isRightlyGranted(approval)) return exception;
  const facts = grantFacts(approval);
  // Before the document says so: nobody comes back to one that does.
  await tell(context, exception, 'grant', 'outcome', { by: facts.grantedBy, approval: approval._id });
  if (approval.state === 'spent' || isLive(approval, await store.serverTime()))
    await useApproval(context, approval._id, { hash: approval.hash, spendFor: exception._id });
  return await update(
    exceptions(store),
    exception._id,
    (now): ExceptionDocument => (now.state === 'requested' ? { ...now, ...facts, state: 'granted' } : now),
  );
}

/**
 * Ends an exception. A shorter one ends at once. A longer one that is in force keeps records that could be deleted
 * without it, so its end takes an approval: throws APPROVAL_NEEDED until another person granted it. One that was never
 * granted is withdrawn.
 */
export async function endException(
  context: Context,
  id: string,
  { by, reason }: { readonly by: string; readonly reason: string },
): Promise<ExceptionDocument> {
  const asked = await settleException(context, await getException(context.store, id));
  const at = dueNow(context);
  const exception =
    asked.state === 'requested' && !(await takeBack(context, asked, by, reason))
      ? await settleException(context, asked)
      : asked;
  if (exception.state === 'ended' || exception.state === 'withdrawn') {
    await tellEnd(context, exception);
    return exception;
  }
  if (exception.state === 'requested') return await withdraw(context, exception, { by, at, reason });
  if (exception.effect === 'longer') await requireApproval(context, endAsked(exception, reason), by);
  await tell(context, exception, 'end', 'intent', { by, reason });
  const ended = await update(
    exceptions(context.store),
    id,
    (now): ExceptionDocument =>
      now.state === 'granted' ? { ...now, state: 'ended', endedAt: at, endedBy: by, endReason: reason } : now,
  );
  await tellEnd(context, ended);
  return ended;
}

/**
 * Nobody can grant it any more: its approval is refused, or was over. False when another person granted it first: then it is
 * in force, and its end is the end of one that is.
 */
async function takeBack(context: Context, exception: ExceptionDocument, by: string, reason: string): Promise<boolean> {
  const approval = await newestRound(context.store, approvalHash(exceptionAsked(exception)));
  if (approval === null) return true;
  try {
    await refuseApproval(context, approval._id, { by, reason });
    return true;
  } catch (error) {
    if (!isMoraineError(error, 'APPROVAL_CLOSED')) throw error;
    return !isRightlyGranted(await getApproval(context.store, approval._id));
  }
}

function endAsked(exception: ExceptionDocument, reason: string) {
  const { kind, subject, shown } = exceptionAsked(exception);
  return { kind, subject: { ...subject, act: 'end' }, shown: { end: shown, reason }, spendFor: exception._id };
}

async function withdraw(
  context: Context,
  { _id }: ExceptionDocument,
  { by, at, reason }: { readonly by: string | null; readonly at: Date | null; readonly reason: string },
): Promise<ExceptionDocument> {
  const withdrawn = await update(
    exceptions(context.store),
    _id,
    (now): ExceptionDocument =>
      now.state === 'requested' ? { ...now, state: 'withdrawn', endedAt: at, endedBy: by, endReason: reason } : now,
  );
  // Granted in the very moment: it is in force, and is ended like any other.
  if (withdrawn.state === 'withdrawn') await tellEnd(context, withdrawn);
  return withdrawn;
}

async function tellEnd(context: Context, exception: ExceptionDocument): Promise<void> {
  const { state, endedBy, endReason } = exception;
  const act = state === 'ended' ? 'end' : 'withdraw';
  await tell(context, exception, act, 'outcome', { by: endedBy, reason: endReason });
}

async function tell(
  context: Context,
  { _id, policy, owner, customer }: Omit<ExceptionDocument, 'rev'>,
  act: 'request' | 'grant' | 'end' | 'withdraw',
  phase: 'intent' | 'outcome',
  details: Readonly<Record<string, Json>>,
): Promise<void> {
  const subject = {
    exception: _id,
    policy,
    ...(owner === null ? {} : { owner }),
    ...(customer === null ? {} : { customer }),
  };
  await context.audit.appendOnce([{ key: `${_id}:${act}:${phase}`, act: `exception ${act}`, phase, subject, details }]);
}
