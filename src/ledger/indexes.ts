/** Indexes of the ledger. Each document's file names its own; `ensureIndexes` of a store makes them. */
import type { Store } from './store.ts';

export interface LedgerIndex {
  readonly collection: string;
  /** Field paths to 1 or -1, in order. */
  readonly keys: Readonly<Record<string, 1 | -1>>;
  /** A missing field counts as null, so all documents of the collection must have the field. */
  readonly unique?: boolean;
}

/** A store that can be prepared: a step of set-up, not of any act. */
export interface PreparedStore extends Store {
  /** Idempotent. */
  ensureIndexes(indexes: readonly LedgerIndex[]): Promise<void>;
}
