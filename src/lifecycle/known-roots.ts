/** Roots that are not in the source: which archive or disposal deleted them, by what their children name them by. */
import type { CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { archives } from '../ledger/archives.ts';
import { amongDeletedRoots, findDeletedRoots, rootName } from '../ledger/deleted-roots.ts';
import { type Context, dueNow } from './context.ts';

/** How a root went, and so what becomes of a child that is there still. */
export type KnownRoot = { readonly owner: OwnerId; readonly customer: CustomerId } & (
  | { readonly kind: 'archived'; readonly archive: ArchiveDocument }
  /** Its copy is destroyed or due to be, or there never was one. */
  | { readonly kind: 'past'; readonly by: string }
);

/** Archives of roots whose children may still be added: their own copy is there, and is kept for now. */
const KEPT = 'cleared';

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
    const { owner, customer } = deleted;
    const archive = deleted.kind === 'archive' ? await archives(store).get(deleted._id) : null;
    const isKept = archive?.state === KEPT && archive.dueAt !== null && archive.dueAt > dueNow(context);
    const root: KnownRoot = isKept
      ? { owner, customer, kind: 'archived', archive }
      : { owner, customer, kind: 'past', by: deleted._id };
    for (const at of places) known.set(at, [...(known.get(at) ?? []), root].sort(longestFirst));
  }
  return known;
}

function longestFirst(a: KnownRoot, b: KnownRoot): number {
  return keptUntil(b) - keptUntil(a);
}

function keptUntil(root: KnownRoot): number {
  return root.kind === 'archived' ? (root.archive.dueAt?.getTime() ?? 0) : Number.NEGATIVE_INFINITY;
}
