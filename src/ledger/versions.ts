/**
 * Versions of the ledger's documents. A reader accepts the version that it writes and the one before, so that an old
 * and a new binary can run side by side during an upgrade. A newer document may say something that we do not know
 * (a new hold, a new state): nothing may be destroyed on the strength of it.
 */
import { MoraineError } from '../errors.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';

/** What this binary writes, where a document's own file does not name another version. */
export const LEDGER_VERSION = 1;

/** Throws LEDGER_NEWER for a document of a newer Moraine, INTERNAL for one so old that no reader is left for it. */
export function assertReadable(document: Pick<LedgerDocument, '_id' | 'v'>, newest: number = LEDGER_VERSION): void {
  if (document.v > newest) {
    throw new MoraineError(
      'LEDGER_NEWER',
      `Ledger document ${document._id} has version ${document.v}; this Moraine knows up to ${newest}.`,
      { ids: { document: document._id, version: document.v } },
    );
  }
  if (document.v < newest - 1) {
    throw new MoraineError(
      'INTERNAL',
      `Ledger document ${document._id} has version ${document.v}; this Moraine reads ${newest - 1} and ${newest}.`,
      { hint: 'Use an older Moraine to upgrade the ledger step by step.', ids: { document: document._id } },
    );
  }
}

/** A collection of the store in which every document that is read was looked at by {@link assertReadable}. */
export function readableCollection<T extends LedgerDocument>(
  store: Store,
  name: string,
  newest: number = LEDGER_VERSION,
): StoreCollection<T> {
  const collection = store.collection<T>(name);
  return {
    insert: (document) => collection.insert(document),
    insertMany: (documents) => collection.insertMany(documents),
    async get(id) {
      const document = await collection.get(id);
      if (document !== null) assertReadable(document, newest);
      return document;
    },
    async *find(filter, options) {
      for await (const document of collection.find(filter, options)) {
        assertReadable(document, newest);
        yield document;
      }
    },
    count: (filter) => collection.count(filter),
    replace: (document) => collection.replace(document),
    remove: (id, rev) => collection.remove(id, rev),
    removeMany: (filter) => collection.removeMany(filter),
  };
}
