/**
 * What hangs on the records of a customer who leaves, as the export has it: keyed codes of its children and files. What is
 * not among them was not returned, and is not destroyed. They belong to one offboarding and go with the customer.
 */
import type { CustomerId, OwnerId } from '../ids.ts';
import { type CodeEntry, type CodePage, findCodes, writeCodePages } from './code-pages.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

interface ReturnedUnits extends LedgerDocument {
  /** By whom and by which offboarding they are destroyed, as its disposals say it (`orderedBy`). */
  readonly _id: string;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  /** The most codes that there are; it says how the pages are named. */
  readonly count: number;
}

/** Nothing is destroyed on the word of one code by accident: 16 bytes are never alike. */
const SHAPE = { codeBytes: 16, valueBytes: 0 } as const;
const RETURNED = 'returnedUnits';
const CODES = 'returnedUnitCodes';

export const RETURNED_UNITS_INDEXES: readonly LedgerIndex[] = [
  { collection: RETURNED, keys: { owner: 1, customer: 1 } },
  { collection: CODES, keys: { subject: 1 } },
];

/** Idempotent: where they were written to the end, nothing is asked of `entries`. */
export async function writeReturnedUnits(
  store: Store,
  of: Omit<ReturnedUnits, 'v' | 'rev'>,
  entries: () => AsyncIterable<CodeEntry>,
): Promise<void> {
  if ((await returnedUnits(store).get(of._id)) !== null) return;
  if (of.count > 0) await writeCodePages(codes(store), of._id, SHAPE, of.count, entries);
  await returnedUnits(store).insert({ ...of, v: LEDGER_VERSION });
}

/** The places of those of the codes that were returned. None where nothing was written: nothing was returned, as far as is known. */
export async function amongReturned(
  store: Store,
  orderedBy: string,
  wanted: readonly Uint8Array[],
): Promise<ReadonlySet<number>> {
  const of = await returnedUnits(store).get(orderedBy);
  if (of === null || of.count === 0) return new Set();
  return new Set((await findCodes(codes(store), orderedBy, SHAPE, of.count, wanted)).keys());
}

/** All of a customer, who is gone. */
export async function removeReturnedUnits(
  store: Store,
  { owner, customer }: { readonly owner: OwnerId; readonly customer: CustomerId },
): Promise<void> {
  for await (const { _id } of returnedUnits(store).find({ owner, customer })) {
    await codes(store).removeMany({ subject: _id });
    await returnedUnits(store).removeMany({ _id });
  }
}

function returnedUnits(store: Store): StoreCollection<ReturnedUnits> {
  return readableCollection<ReturnedUnits>(store, RETURNED);
}

function codes(store: Store): StoreCollection<CodePage> {
  return store.collection<CodePage>(CODES);
}
