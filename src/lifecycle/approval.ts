/**
 * What needs a second person, and asking for it. An act that needs an approval calls {@link requireApproval} before it
 * changes anything: it throws APPROVAL_NEEDED, with the id, until another person has granted exactly what is about to be
 * done; the same act goes on then.
 *
 * Always needed, whatever moraine.yaml says: exceptions, for they do nothing without, purges before their due date,
 * earlier purge dates, the end of a customer, and the old copies of archives that were moved. In production everything else, too; the review before every purge only where it is configured, or listed, and retrievals
 * where they are listed.
 */
import type { Json } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import { type ApprovalProof, useApproval } from '../ledger/approval-decisions.ts';
import {
  APPROVAL_KINDS,
  type ApprovalDocument,
  type ApprovalKind,
  type ApprovalRules,
  DEFAULT_APPROVAL_RULES,
} from '../ledger/approval-document.ts';
import { approvalHash, askApproval, liveApprovals, newestRound } from '../ledger/approvals.ts';
import type { Context } from './context.ts';

/** Only where moraine.yaml lists them: what they stand before destroys nothing by surprise, or nothing at all. */
const ONLY_LISTED: readonly ApprovalKind[] = ['purge', 'retrieve'];
const ALWAYS: readonly ApprovalKind[] = ['exception', 'early-purge', 'reschedule', 'offboard', 'migrate'];

export interface ApprovalRequest {
  readonly kind: ApprovalKind;
  /** What it is about: `policy`, `hold`, `archive`, ... to an id. */
  readonly subject: Readonly<Record<string, string>>;
  /** Everything that is about to be done: who decides sees this, and it alone is granted. */
  readonly shown: Json;
  /** An act that is done once uses the grant up, in this name: the same name again finds it. */
  readonly spendFor?: string;
  /** Amounts may have shrunk since: does a grant of this cover what is about to be done? Default: only the very same. */
  readonly covers?: (granted: Json) => boolean;
  readonly items?: readonly string[];
}

export function isApprovalRequired(context: Context, kind: ApprovalKind): boolean {
  if (ALWAYS.includes(kind)) return true;
  const { required, purgeStages } = rulesOf(context);
  if (kind === 'purge' && purgeStages !== null) return true;
  if (required !== null) return required.includes(kind);
  return (
    context.installation.environment === 'production' && !ONLY_LISTED.includes(kind) && APPROVAL_KINDS.includes(kind)
  );
}

/**
 * The proof that other people granted this. Asks for it where nobody did, and throws APPROVAL_NEEDED; throws
 * APPROVAL_REFUSED where it was refused. Whether it is needed at all is for the caller to ask ({@link isApprovalRequired}).
 */
export async function requireApproval(
  context: Context,
  request: ApprovalRequest,
  requestedBy: string,
): Promise<ApprovalProof> {
  const document =
    (await findCovering(context, request)) ??
    (await findSpentHere(context, request)) ??
    (await ask(context, request, requestedBy));
  if (document.state === 'refused') throw refused(document);
  if (document.state === 'requested') throw needed(document);
  const hash = request.covers === undefined ? approvalHash(request) : null;
  return await useApproval(context, document._id, { hash, spendFor: request.spendFor ?? null });
}

/** Was it used up by this very act before? Then it goes on without another. */
export async function isUsedHere(context: Context, request: ApprovalRequest): Promise<boolean> {
  return (await findSpentHere(context, request)) !== null;
}

/** A grant that covers it before a request that does, and the exact one, with what was said to it, before both. */
async function findCovering(context: Context, request: ApprovalRequest): Promise<ApprovalDocument | null> {
  if (request.covers === undefined) return null;
  const hash = approvalHash(request);
  const live = await liveApprovals(context.store, request.kind, request.subject);
  const covering = live.filter((one) => one.state !== 'refused' && isCovered(request, one));
  return (
    live.find((one) => one.hash === hash && one.state === 'refused') ??
    covering.find(({ state }) => state === 'granted') ??
    covering[0] ??
    null
  );
}

/** Used up by this very act, which was cut then: it goes on. */
async function findSpentHere(context: Context, request: ApprovalRequest): Promise<ApprovalDocument | null> {
  if (request.spendFor === undefined) return null;
  const newest = await newestRound(context.store, approvalHash(request));
  return newest?.state === 'spent' && newest.spentFor === request.spendFor ? newest : null;
}

function isCovered({ covers }: ApprovalRequest, { shown }: ApprovalDocument): boolean {
  return covers?.(shownOf(shown)) ?? false;
}

/** What was shown, out of the text that was hashed. */
export function shownOf(text: string): Json {
  const asked: unknown = JSON.parse(text);
  const shown = typeof asked === 'object' && asked !== null && 'shown' in asked ? asked.shown : null;
  return isJson(shown) ? shown : null;
}

function isJson(value: unknown): value is Json {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return true;
  return typeof value === 'object' && Object.values(value ?? {}).every(isJson);
}

/** Asks; finds what was asked where it was. */
export async function ask(
  context: Context,
  { kind, subject, shown, items = [] }: ApprovalRequest,
  by: string,
): Promise<ApprovalDocument> {
  const { validMs } = rulesOf(context);
  return await askApproval(context, { kind, subject, shown, items, by, validMs, stages: stagesOf(context, kind) });
}

function stagesOf(context: Context, kind: ApprovalKind): readonly (readonly string[])[] {
  const { people, purgeStages } = rulesOf(context);
  return (kind === 'purge' || kind === 'early-purge') && purgeStages !== null ? purgeStages : [people];
}

function rulesOf(context: Context): ApprovalRules {
  return context.approvals ?? DEFAULT_APPROVAL_RULES;
}

function needed({ _id, kind, requestedBy }: ApprovalDocument): MoraineError {
  return new MoraineError(
    'APPROVAL_NEEDED',
    `Another person than ${requestedBy} has to approve it (${kind}): ${_id} waits.`,
    {
      changed: 'The approval was asked for; nothing else was changed.',
      hint: `Another person: \`moraine approve show ${_id}\`, then \`moraine approve grant ${_id}\`; then run the same command again.`,
      ids: { approval: _id },
    },
  );
}

function refused({ _id, refusedBy, refusalReason }: ApprovalDocument): MoraineError {
  return new MoraineError('APPROVAL_REFUSED', `${refusedBy} refused exactly this (${_id}): ${refusalReason}`, {
    hint: `Look at \`moraine approve show ${_id}\`; ask for something else.`,
    ids: { approval: _id },
  });
}
