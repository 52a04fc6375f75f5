/**
 * Disposition review: where it is required, an archive that is due is purged only after people of every stage have seen
 * it in a list and said yes.
 *
 * One request for each policy and owner, with the archives that nobody was asked about yet. What was said is looked for
 * archive by archive, and holds for the archive as it was shown: another purge date, other contents, and it is asked about
 * anew. Of several words on one archive a refusal wins. A refused archive stays, until somebody asks about it again by name
 * (early-purge.ts).
 */
import { canonicalJson, type Json } from '../canonical-json.ts';
import type { ArchiveId } from '../ids.ts';
import { isRightlyGranted } from '../ledger/approval-decisions.ts';
import type { ApprovalDocument, ApprovalKind } from '../ledger/approval-document.ts';
import { approvals, liveApprovalsOf } from '../ledger/approvals.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { ask, isApprovalRequired, shownOf } from './approval.ts';
import type { Context } from './context.ts';

/** Archives in one request: a list that a person can read, and a document far below what a server takes. */
const ARCHIVES_PER_REQUEST = 500;

export interface Reviewed {
  readonly state: 'granted' | 'refused' | 'requested' | 'unasked';
  /** null: nobody was asked. */
  readonly approval: string | null;
}

/** What was said about each of these. Everything is granted where no review is required. */
export async function reviewOf(
  context: Context,
  archives: readonly ArchiveDocument[],
): Promise<ReadonlyMap<ArchiveId, Reviewed>> {
  const reviewed = new Map<ArchiveId, Reviewed>();
  if (!isApprovalRequired(context, 'purge')) {
    for (const { _id } of archives) reviewed.set(_id, { state: 'granted', approval: null });
    return reviewed;
  }
  const ids = archives.map(({ _id }) => _id);
  const live = (await liveApprovalsOf(context.store, 'purge', ids)).map((approval) => ({
    approval,
    shown: archivesShown(approval),
  }));
  for (const archive of archives) {
    const text = canonicalJson(reviewEntry(archive));
    const said = live.filter(({ shown }) => shown.get(archive._id) === text).map(({ approval }) => approval);
    reviewed.set(archive._id, (await earlyApproved(context, archive)) ?? verdict(said));
  }
  return reviewed;
}

/** Asks about what nobody was asked about. Returns the requests by archive. */
export async function askReview(
  context: Context,
  archives: readonly ArchiveDocument[],
  by: string,
): Promise<ReadonlyMap<ArchiveId, Reviewed>> {
  const lists = new Map<string, ArchiveDocument[]>();
  for (const archive of archives) {
    const key = canonicalJson([archive.policy, archive.owner]);
    lists.set(key, [...(lists.get(key) ?? []), archive]);
  }
  const asked = new Map<ArchiveId, Reviewed>();
  for (const list of lists.values()) {
    for (let at = 0; at < list.length; at += ARCHIVES_PER_REQUEST) {
      const some = list.slice(at, at + ARCHIVES_PER_REQUEST);
      const { _id, state } = await askAbout(context, some, by);
      for (const archive of some)
        asked.set(archive._id, { state: state === 'spent' ? 'requested' : state, approval: _id });
    }
  }
  return asked;
}

async function askAbout(context: Context, archives: readonly ArchiveDocument[], by: string): Promise<ApprovalDocument> {
  const [{ policy, owner } = { policy: '', owner: '' }] = archives;
  const entries = archives.map(reviewEntry);
  return await ask(
    context,
    {
      kind: 'purge',
      subject: { policy, owner },
      shown: { purge: entries },
      items: archives.map(({ _id }) => _id),
    },
    by,
  );
}

/** What is shown of an archive that is to be destroyed. What of it changes makes it another one. */
export function reviewEntry(archive: ArchiveDocument) {
  const { _id, policy, owner, customer, namespace, stored, outcomes, vault, early } = archive;
  const dueAt = early?.from ?? archive.dueAt;
  return {
    archive: _id,
    policy,
    owner,
    customer,
    dataset: namespace,
    records: outcomes.archived,
    bytes: stored?.bytes ?? 0,
    ...(stored?.children === undefined ? {} : { children: stored.children }),
    ...(stored?.attachments === undefined ? {} : { attachments: stored.attachments }),
    from: stored?.triggerFrom.toISOString() ?? null,
    to: stored?.triggerTo.toISOString() ?? null,
    dueAt: dueAt?.toISOString() ?? null,
    vault: vault.name,
    treeHash: stored?.treeHash ?? null,
  } satisfies Json;
}

/** Archives to their entries as canonical JSON. */
function archivesShown({ shown }: ApprovalDocument): ReadonlyMap<string, string> {
  const text = shownOf(shown);
  const entries = isObject(text) && Array.isArray(text['purge']) ? text['purge'] : [];
  return new Map(
    entries.flatMap((entry: Json): [string, string][] =>
      isObject(entry) && typeof entry['archive'] === 'string' ? [[entry['archive'], canonicalJson(entry)]] : [],
    ),
  );
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function verdict(said: readonly ApprovalDocument[]): Reviewed {
  const refused = said.find(({ state }) => state === 'refused');
  if (refused !== undefined) return { state: 'refused', approval: refused._id };
  const granted = said.find(isRightlyGranted);
  if (granted !== undefined) return { state: 'granted', approval: granted._id };
  const [requested] = said;
  return requested === undefined
    ? { state: 'unasked', approval: null }
    : { state: 'requested', approval: requested._id };
}

/** Approvals that name the archives that are to go: each is a review of them. */
const NAMES_ARCHIVES: readonly ApprovalKind[] = ['early-purge', 'offboard'];

/** Somebody asked about it by name, and it was granted. */
async function earlyApproved(context: Context, { _id, early }: ArchiveDocument): Promise<Reviewed | null> {
  const approval = early === undefined ? null : await approvals(context.store).get(early.approval);
  if (approval === null || !NAMES_ARCHIVES.includes(approval.kind) || !isRightlyGranted(approval)) return null;
  if (approval.kind === 'early-purge' && !approval.items.includes(_id)) return null;
  return { state: 'granted', approval: approval._id };
}

/** Why an archive that is about to be claimed stays; null: it may go. Looked at where the vault is asked, too. */
export async function waitsForReview(context: Context, archive: ArchiveDocument): Promise<string | null> {
  const said = (await reviewOf(context, [archive])).get(archive._id);
  return said === undefined ? 'its review cannot be read' : reviewText(said);
}

/** In words; null: granted. */
export function reviewText({ state, approval }: Reviewed): string | null {
  if (state === 'granted') return null;
  if (state === 'refused') return `its purge was refused (${approval})`;
  return state === 'unasked' ? 'nobody was asked for its review' : `its review waits: ${approval}`;
}
