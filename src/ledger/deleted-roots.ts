/**
 * Which roots were deleted, for children that are written afterwards: keyed codes of what their children name them by. Of
 * an archive, and of a disposal; only where the policy has children.
 *
 * They outlive the copy, as counts and certificates do: a child that comes when the copy is destroyed already is past its
 * date, and without these it would be like one whose root never was, and stay for ever. They are 16 bytes under the
 * owner's key each, and go with the customer.
 */
import type { CustomerId, Namespace, OwnerId } from '../ids.ts';
import { type CodeEntry, type CodePage, findCodes, writeCodePages } from './code-pages.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface DeletedRoots extends LedgerDocument {
  /** The archive, or the disposal. */
  readonly _id: string;
  readonly kind: 'archive' | 'disposal';
  /** Of the roots. */
  readonly namespace: Namespace;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  /** The most codes that there are; it says how the pages are named. */
  readonly count: number;
}

/** Nothing is deleted on the word of one code by accident: 16 bytes are never alike. */
const SHAPE = { codeBytes: 16, valueBytes: 0 } as const;
const DELETED_ROOTS = 'deletedRoots';
const CODES = 'deletedRootCodes';

export const DELETED_ROOTS_INDEXES: readonly LedgerIndex[] = [
  { collection: DELETED_ROOTS, keys: { namespace: 1, _id: 1 } },
  { collection: DELETED_ROOTS, keys: { owner: 1, customer: 1 } },
  { collection: CODES, keys: { subject: 1 } },
];

/** What the code of a root is made of: the field by which its children name it, and the key of the value there. */
export function rootName(field: string, key: string): string {
  return `${field}\u0000${key}`;
}

/** Idempotent: where they were written to the end, nothing is asked of `entries`. */
export async function writeDeletedRoots(
  store: Store,
  of: Omit<DeletedRoots, 'v' | 'rev'>,
  entries: () => AsyncIterable<CodeEntry>,
): Promise<void> {
  if ((await deletedRoots(store).get(of._id)) !== null) return;
  await writeCodePages(codes(store), of._id, SHAPE, of.count, entries);
  await deletedRoots(store).insert({ ...of, v: LEDGER_VERSION });
}

/** Of a dataset. */
export function findDeletedRoots(store: Store, namespace: Namespace): AsyncIterable<DeletedRoots> {
  return deletedRoots(store).find({ namespace }, { sort: { _id: 1 } });
}

/** The places of those of the codes (HMACs of {@link rootName}) that are among these roots. */
export async function amongDeletedRoots(
  store: Store,
  { _id, count }: DeletedRoots,
  wanted: readonly Uint8Array[],
): Promise<ReadonlySet<number>> {
  return new Set((await findCodes(codes(store), _id, SHAPE, count, wanted)).keys());
}

/** All of a customer, who leaves. */
export async function removeDeletedRoots(
  store: Store,
  { owner, customer }: { readonly owner: OwnerId; readonly customer: CustomerId },
): Promise<void> {
  for await (const { _id } of deletedRoots(store).find({ owner, customer })) {
    await codes(store).removeMany({ subject: _id });
    await deletedRoots(store).removeMany({ _id });
  }
}

function deletedRoots(store: Store): StoreCollection<DeletedRoots> {
  return readableCollection<DeletedRoots>(store, DELETED_ROOTS);
}

function codes(store: Store): StoreCollection<CodePage> {
  return store.collection<CodePage>(CODES);
}
