/** Roots that are not in the source: which archive or disposal deleted them, by what their children name them by. */
import type { CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { archives } from '../ledger/archives.ts';
import { amongDeletedRoots, type DeletedRoots, findDeletedRoots, rootName } from '../ledger/deleted-roots.ts';
import { type Context, dueNow } from './context.ts';

/** How a root went, and so what becomes of a child that is there still. */
export type KnownRoot = { readonly owner: OwnerId; readonly customer: CustomerId } & (
  | { readonly kind: 'archived'; readonly archive: ArchiveDocument }
  /** Its copy is destroyed, or there never was one. */
  | { readonly kind: 'past'; readonly by: string }
  /** Its copy is about to be destroyed, or in quarantine. */
  | { readonly kind: 'waiting'; readonly by: string }
);

/**
 * What the ledger knows of roots, by their place in `values`: of what the children of a dataset name them by in `field`.
 * Several archives may have deleted the same root, for one that was restored is archived again: the copy that is kept for
 * the longest comes first.
 */
export async function knownRoots(
  context: Context,
  namespace: Namespace,
  field: string,
  values: readonly Uint8Array[],
): Promise<ReadonlyMap<number, readonly KnownRoot[]>> {
  const known = new Map<number, KnownRoot[]>();
  if (values.length === 0) return known;
  const { keys, source, store } = context;
  const codesOf = new Map<OwnerId, readonly Uint8Array[]>();
  for await (const deleted of findDeletedRoots(store, namespace)) {
    let codes = codesOf.get(deleted.owner);
    if (codes === undefined) {
      const hmac = await keys.hmacFor(deleted.owner);
      codes = values.map((value) => hmac(rootName(field, source.keyOf(value))));
      codesOf.set(deleted.owner, codes);
    }
    const places = await amongDeletedRoots(store, deleted, codes);
    if (places.size === 0) continue;
    const root = await howItWent(context, deleted);
    for (const at of places) known.set(at, [...(known.get(at) ?? []), root].sort(longestFirst));
  }
  return known;
}

async function howItWent(context: Context, { _id, kind, owner, customer }: DeletedRoots): Promise<KnownRoot> {
  const party = { owner, customer };
  if (kind === 'disposal') return { ...party, kind: 'past', by: _id };
  const archive = await archives(context.store).get(_id);
  if (archive === null || archive.state === 'purged' || archive.state === 'confirmed') {
    return { ...party, kind: archive === null ? 'waiting' : 'past', by: _id };
  }
  const isKept = archive.state === 'cleared' && archive.dueAt !== null && archive.dueAt > dueNow(context);
  return isKept ? { ...party, kind: 'archived', archive } : { ...party, kind: 'waiting', by: _id };
}

function longestFirst(a: KnownRoot, b: KnownRoot): number {
  return keptUntil(b) - keptUntil(a);
}

function keptUntil(root: KnownRoot): number {
  if (root.kind === 'archived') return root.archive.dueAt?.getTime() ?? 0;
  return root.kind === 'waiting' ? 0 : Number.NEGATIVE_INFINITY;
}
