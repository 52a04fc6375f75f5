/**
 * What people say to an approval, and its use: granted stage by stage, refused, used, spent.
 *
 * Invariants, and what holds them:
 * - The requester never grants, and nobody grants twice: decided inside the compare-and-set on the one document, and
 *   once more from the document as it is when the grant is used.
 * - Two who decide at once have one outcome: the second finds the first's in its own compare-and-set.
 * - A grant is for what was shown: the hash is computed again from the text when it is used, and from what is about to be
 *   done by whoever asks.
 * - What cannot be read (a newer Moraine's document, a hash that does not fit, a ledger that is away) is not approved:
 *   everything here throws then, and only {@link useApproval} makes the proof.
 * - Nothing is done under a grant that the audit chain does not name: whoever uses it puts in what a cut decision left out.
 */
import { MoraineError } from '../errors.ts';
import {
  type ApprovalDocument,
  type ApprovalKind,
  isPerson,
  isSamePerson,
  personKey,
  stateText,
} from './approval-document.ts';
import { entriesOf, entryOf } from './approval-entries.ts';
import { type ApprovalLedger, approvals, getApproval, isUntouched, told } from './approvals.ts';
import { update } from './update.ts';

/** What acts need to know and cannot make themselves: that what they are about to do was approved. */
export class ApprovalProof {
  readonly #proof = true;
  readonly approval: string;
  readonly kind: ApprovalKind;
  readonly hash: string;
  readonly grantedBy: readonly string[];
  private constructor({ _id, kind, hash, grants }: ApprovalDocument) {
    this.approval = _id;
    this.kind = kind;
    this.hash = hash;
    this.grantedBy = grants.map(({ by }) => by);
  }
  /** @internal for src/ledger only; checked by the import rules. */
  static issue(document: ApprovalDocument): ApprovalProof {
    return new ApprovalProof(document);
  }
  get isProof(): boolean {
    return this.#proof;
  }
}

/** One person's yes, for the stage that is open. Idempotent. Throws APPROVAL_NOT_ALLOWED and APPROVAL_CLOSED. */
export async function grantApproval(
  { store, audit }: ApprovalLedger,
  id: string,
  { by, asOf }: { readonly by: string; readonly asOf: Date | null },
): Promise<ApprovalDocument> {
  const before = await getApproval(store, id);
  assertUntouched(before);
  await audit.appendOnce([
    ...entriesOf(before),
    { ...entryOf(before, 'approval grant', 'intent', { by }), key: `${id}:grant:${before.grants.length}:${by}` },
  ]);
  const at = await store.serverTime();
  const after = await update(approvals(store), id, (now): ApprovalDocument => {
    if (now.grants.some((grant) => isSamePerson(grant.by, by)) && now.state !== 'refused') return now;
    assertOpen(now, at);
    assertMayGrant(now, by);
    const grants = [...now.grants, { by, at, asOf }];
    return grants.length < now.stages.length
      ? { ...now, grants }
      : { ...now, grants, state: 'granted', expiresAt: new Date(at.getTime() + now.validMs) };
  });
  return await told(audit, after);
}

/** One person's no: final for this hash. Who asked may say it, too. Throws APPROVAL_NOT_ALLOWED and APPROVAL_CLOSED. */
export async function refuseApproval(
  { store, audit }: ApprovalLedger,
  id: string,
  { by, reason }: { readonly by: string; readonly reason: string },
): Promise<ApprovalDocument> {
  const before = await getApproval(store, id);
  await audit.appendOnce([
    ...entriesOf(before),
    { ...entryOf(before, 'approval refuse', 'intent', { by, reason }), key: `${id}:refuse:${by}` },
  ]);
  const at = await store.serverTime();
  const after = await update(approvals(store), id, (now): ApprovalDocument => {
    if (now.state === 'refused' && now.refusedBy !== null && isSamePerson(now.refusedBy, by)) return now;
    assertOpen(now, at);
    assertMayRefuse(now, by);
    return { ...now, state: 'refused', refusedBy: by, refusedAt: at, refusalReason: reason };
  });
  return await told(audit, after);
}

/**
 * The proof that this was granted and still counts. With `spendFor` it is used up by the same compare-and-set: of many
 * who come at once one gets the proof, and so does the same act again. Throws APPROVAL_CLOSED for one that is not granted,
 * expired or spent, and INTERNAL for one that says what nobody could have written in order.
 */
export async function useApproval(
  { store, audit }: ApprovalLedger,
  id: string,
  { hash, spendFor }: { readonly hash: string | null; readonly spendFor: string | null },
): Promise<ApprovalProof> {
  const found = await getApproval(store, id);
  const at = await store.serverTime();
  assertUsable(found, at, hash, spendFor);
  await told(audit, found);
  if (spendFor === null) return ApprovalProof.issue(found);
  const used = await update(approvals(store), id, (now): ApprovalDocument => {
    assertUsable(now, at, hash, spendFor);
    return now.state === 'spent' ? now : { ...now, state: 'spent', spentAt: at, spentFor: spendFor };
  });
  await told(audit, used);
  return ApprovalProof.issue(used);
}

function assertUsable(document: ApprovalDocument, at: Date, hash: string | null, spendFor: string | null): void {
  assertUntouched(document);
  if (hash !== null && document.hash !== hash) throw forged(document, 'it is for something else');
  const isOurs = document.state === 'spent' && spendFor !== null && document.spentFor === spendFor;
  if (!isOurs && (document.state !== 'granted' || document.expiresAt <= at)) throw closed(document, at);
  if (!isRightlyGranted(document)) throw forged(document, 'its grants are not those that it asks for');
}

/** Granted, used or not, as the rules have it: what could not have come about in order counts for nothing. */
export function isRightlyGranted(document: ApprovalDocument): boolean {
  const { state, stages, grants, requestedBy } = document;
  const people = new Set(grants.map(({ by }) => personKey(by)));
  return (
    (state === 'granted' || state === 'spent') &&
    isUntouched(document) &&
    stages.length > 0 &&
    grants.length === stages.length &&
    people.size === grants.length &&
    !people.has(personKey(requestedBy)) &&
    grants.every(({ by }, stage) => isPerson(by) && isListed(stages[stage], by))
  );
}

function assertUntouched(document: ApprovalDocument): void {
  if (!isUntouched(document)) throw forged(document, 'its text is not what was asked for');
}

function forged(document: ApprovalDocument, text: string): MoraineError {
  return new MoraineError('INTERNAL', `Approval ${document._id} counts for nothing: ${text}.`, {
    ids: { approval: document._id },
  });
}

function assertOpen(document: ApprovalDocument, at: Date): void {
  if (document.state !== 'requested' || document.expiresAt <= at) throw closed(document, at);
}

function closed(document: ApprovalDocument, at: Date): MoraineError {
  return new MoraineError('APPROVAL_CLOSED', `Approval ${document._id} is ${stateText(document, at)}.`, {
    ids: { approval: document._id },
  });
}

function assertMayGrant(document: ApprovalDocument, by: string): void {
  const stage = document.stages[document.grants.length];
  if (!isPerson(by)) throw notAllowed(document, `${by} is no person`);
  if (isSamePerson(document.requestedBy, by)) throw notAllowed(document, `${by} asked for it`);
  if (isListed(stage, by)) return;
  throw notAllowed(document, `${by} is not among ${stage?.join(', ') ?? 'those who are asked'}`);
}

function assertMayRefuse(document: ApprovalDocument, by: string): void {
  if (!isPerson(by)) throw notAllowed(document, `${by} is no person`);
  if (isSamePerson(document.requestedBy, by) || document.stages.some((stage) => isListed(stage, by))) return;
  throw notAllowed(document, `${by} is not among ${document.stages.flat().join(', ')}`);
}

function isListed(stage: readonly string[] | undefined, by: string): boolean {
  return stage !== undefined && (stage.length === 0 || stage.some((person) => isSamePerson(person, by)));
}

function notAllowed(document: ApprovalDocument, text: string): MoraineError {
  return new MoraineError('APPROVAL_NOT_ALLOWED', `Approval ${document._id} takes another person: ${text}.`, {
    ids: { approval: document._id },
  });
}
