/** The one way in which a ledger document without a lease changes: read, decide, replace by compare-and-set, and again after a clash. */
import { MoraineError } from '../errors.ts';
import { type LedgerDocument, MAX_CLASHES, type StoreCollection } from './store.ts';

/**
 * Reads the document, asks `change` for the new one and replaces it; returns the document as it is afterwards. When
 * `change` returns null or its very argument, nothing is written. `change` may be called many times, each time with a
 * fresh document, so it decides from its argument alone and has no effects; what it throws ends the update with nothing
 * changed. Throws LEDGER_CONTENTION after MAX_CLASHES lost races, INTERNAL when there is no such document.
 */
export async function update<T extends LedgerDocument>(
  collection: StoreCollection<T>,
  id: string,
  change: (document: T) => T | null,
): Promise<T> {
  for (let clash = 0; clash <= MAX_CLASHES; clash++) {
    const before = await collection.get(id);
    if (before === null) throw new MoraineError('INTERNAL', `The ledger has no document ${id} to change.`);
    const wanted = change(before);
    if (wanted === null || wanted === before) return before;
    // The revision is that of the read, whatever `change` made of it: only this makes the replace a compare-and-set.
    const after = await collection.replace({ ...wanted, _id: before._id, rev: before.rev });
    if (after !== null) return after;
  }
  throw new MoraineError('LEDGER_CONTENTION', `Ledger document ${id} changed under us ${MAX_CLASHES} times.`, {
    ids: { document: id },
  });
}
