/**
 * Approvals in the ledger: asked for, and found again. What is said to them is in approval-decisions.ts.
 *
 * The `_id` is made of hash and round, so that fifty who ask for the same at once ask once, and whoever asks again finds
 * what was said.
 */
import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import { type ApprovalDocument, type ApprovalKind, isLive } from './approval-document.ts';
import { entriesOf, requestEntry } from './approval-entries.ts';
import type { AuditLog } from './audit.ts';
import type { LedgerIndex } from './indexes.ts';
import { MAX_CLASHES, type Store, type StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

const APPROVALS = 'approvals';

export const APPROVALS_INDEXES: readonly LedgerIndex[] = [
  { collection: APPROVALS, keys: { hash: 1, round: -1 } },
  { collection: APPROVALS, keys: { state: 1, kind: 1, requestedAt: 1 } },
  { collection: APPROVALS, keys: { items: 1 } },
];

export function approvals(store: Store): StoreCollection<ApprovalDocument> {
  return readableCollection<ApprovalDocument>(store, APPROVALS);
}

/** The ports that approvals take. */
export interface ApprovalLedger {
  readonly store: Store;
  readonly audit: AuditLog;
}

export interface ApprovalText {
  readonly kind: ApprovalKind;
  readonly subject: Readonly<Record<string, string>>;
  readonly shown: Json;
}

export interface Asking extends ApprovalText {
  readonly by: string;
  readonly validMs: number;
  readonly stages: readonly (readonly string[])[];
  readonly items?: readonly string[];
}

/** Hex SHA-256 of what is shown, with its kind: a grant for one kind is none for another. */
export function approvalHash({ kind, subject, shown }: ApprovalText): string {
  return sha256(shownText({ kind, subject, shown }));
}

function shownText({ kind, subject, shown }: ApprovalText): string {
  return canonicalJson({ kind, subject, shown });
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** Throws APPROVAL_UNKNOWN, and LEDGER_NEWER for one of a newer Moraine. */
export async function getApproval(store: Store, id: string): Promise<ApprovalDocument> {
  const document = await approvals(store).get(id);
  if (document !== null) return document;
  throw new MoraineError('APPROVAL_UNKNOWN', `There is no approval ${JSON.stringify(id)}.`, { ids: { approval: id } });
}

/** The newest round of this hash; null: nobody ever asked. */
export async function newestRound(store: Store, hash: string): Promise<ApprovalDocument | null> {
  const newest = { sort: { round: -1 }, limit: 1 } as const;
  for await (const document of approvals(store).find({ hash }, newest)) return document;
  return null;
}

/** Those of a kind about exactly this subject that are live, the oldest first. */
export async function liveApprovals(
  store: Store,
  kind: ApprovalKind,
  subject: ApprovalText['subject'],
): Promise<readonly ApprovalDocument[]> {
  const now = await store.serverTime();
  const wanted = canonicalJson(subject);
  const found: ApprovalDocument[] = [];
  const filter = { state: { $in: ['requested', 'granted', 'refused'] }, kind };
  for await (const document of approvals(store).find(filter, { sort: { requestedAt: 1 } }))
    if (isLive(document, now) && canonicalJson(document.subject) === wanted) found.push(document);
  return found;
}

/** All that name this item, live. */
export async function liveApprovalsOf(
  store: Store,
  kind: ApprovalKind,
  items: readonly string[],
): Promise<readonly ApprovalDocument[]> {
  const now = await store.serverTime();
  const found = new Map<string, ApprovalDocument>();
  for (let at = 0; at < items.length; at += ITEMS_AT_ONCE) {
    const filter = { items: { $in: items.slice(at, at + ITEMS_AT_ONCE) }, kind };
    for await (const document of approvals(store).find(filter))
      if (isLive(document, now)) found.set(document._id, document);
  }
  return [...found.values()];
}

/** Ids in one filter: keeps a command far below what a server takes. */
const ITEMS_AT_ONCE = 1000;

/** Asks, or finds what was asked: the live round of the same hash, whatever was said to it. */
export async function askApproval({ store, audit }: ApprovalLedger, asking: Asking): Promise<ApprovalDocument> {
  const text = shownText(asking);
  const hash = sha256(text);
  for (let clash = 0; clash <= MAX_CLASHES; clash++) {
    const newest = await newestRound(store, hash);
    const now = await store.serverTime();
    if (newest !== null && isLive(newest, now)) return await told(audit, newest);
    const round = (newest?.round ?? 0) + 1;
    const document: Omit<ApprovalDocument, 'rev'> = {
      _id: `ap-${hash.slice(0, ID_DIGITS)}-${round}`,
      v: LEDGER_VERSION,
      kind: asking.kind,
      subject: asking.subject,
      shown: text,
      hash,
      round,
      state: 'requested',
      requestedBy: asking.by,
      requestedAt: now,
      validMs: asking.validMs,
      expiresAt: new Date(now.getTime() + asking.validMs),
      stages: asking.stages.length === 0 ? [[]] : asking.stages,
      grants: [],
      refusedBy: null,
      refusedAt: null,
      refusalReason: null,
      items: asking.items ?? [],
      spentAt: null,
      spentFor: null,
    };
    await audit.appendOnce([{ ...requestEntry(document, 'intent'), key: `${document._id}:request:${asking.by}` }]);
    if ((await approvals(store).insert(document)) === 'inserted') return await told(audit, { ...document, rev: 0 });
  }
  throw new MoraineError('LEDGER_CONTENTION', `The same approval was asked for by others ${MAX_CLASHES} times.`);
}

/** Of the hash, in an id that people type: 64 bits, and the whole hash is compared wherever it counts. */
const ID_DIGITS = 16;

export async function told(audit: AuditLog, document: ApprovalDocument): Promise<ApprovalDocument> {
  await audit.appendOnce(entriesOf(document));
  return document;
}

/** What waits for a person now, the oldest first: how things stand, also of what a newer Moraine wrote. Nobody acts on it. */
export async function waitingApprovals(store: Store): Promise<readonly ApprovalDocument[]> {
  const now = await store.serverTime();
  const waiting: ApprovalDocument[] = [];
  for await (const document of store
    .collection<ApprovalDocument>(APPROVALS)
    .find({ state: 'requested' }, { sort: { requestedAt: 1 } }))
    if (isLive(document, now)) waiting.push(document);
  return waiting;
}

/** The text is what was hashed, and the hash is in the id. */
export function isUntouched({ _id, shown, hash }: ApprovalDocument): boolean {
  return sha256(shown) === hash && _id.startsWith(`ap-${hash.slice(0, ID_DIGITS)}-`);
}
