/**
 * The child index of a cleared archive: keyed codes of the children that it holds beside its records, each with the code
 * of its root, by which the record index tells where that lies. It goes when the archive is purged.
 */
import type { ArchiveId, Namespace } from '../ids.ts';
import { type CodeEntry, type CodePage, findCodes, writeCodePages } from './code-pages.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Store, StoreCollection } from './store.ts';

const SHAPE = { codeBytes: 8, valueBytes: 8 } as const;
const CHILD_INDEX = 'childIndex';

export const CHILD_INDEX_INDEXES: readonly LedgerIndex[] = [{ collection: CHILD_INDEX, keys: { subject: 1 } }];

export function childIndexPages(store: Store): StoreCollection<CodePage> {
  return store.collection<CodePage>(CHILD_INDEX);
}

/** What the code of a child is made of: its key alone may be that of a record, or of a child in another collection. */
export function childName(collection: Namespace, key: string): string {
  return `${collection}\u0000${key}`;
}

/** What the code of an archive's record is made of in its record index: the records of an addendum are children. */
export function recordName({ collection }: { readonly collection?: Namespace }, key: string): string {
  return collection === undefined ? key : childName(collection, key);
}

/** Of `count` children; `value` is the code of the root. */
export async function writeChildIndex(
  store: Store,
  archive: ArchiveId,
  count: number,
  entries: () => AsyncIterable<Required<CodeEntry>>,
): Promise<void> {
  await writeCodePages(childIndexPages(store), archive, SHAPE, count, entries);
}

/** The codes (their first bytes) of the roots of which this is a child; empty when the archive does not have it. */
export async function rootsOfChild(
  store: Store,
  archive: ArchiveId,
  count: number,
  code: Uint8Array,
): Promise<readonly Uint8Array[]> {
  return (await findCodes(childIndexPages(store), archive, SHAPE, count, [code])).get(0) ?? [];
}
