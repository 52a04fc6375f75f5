/**
 * What the ledger needs of a database: documents that are inserted once, read on the primary with majority concern, and
 * replaced by compare-and-set on their revision. Everything else (states, leases, fences) is built on this in shared
 * code, so that it runs unchanged on MongoDB, on a compatible server and on the in-memory fake.
 *
 * There are no multi-document transactions here on purpose: every irreversible act is a compare-and-set on one document.
 */

import { MoraineError } from '../errors.ts';

/** Values: strings of whole characters, finite numbers, booleans, null, Date, Uint8Array, arrays and plain objects of those. */
export interface LedgerDocument {
  readonly _id: string;
  /** Version of the document's form. Readers accept N and N-1. */
  readonly v: number;
  /** Grows by one with every replace. 0 when inserted. */
  readonly rev: number;
}

export type Scalar = string | number | boolean | null | Date;

export interface Comparison {
  readonly $in?: readonly Scalar[];
  readonly $ne?: Scalar;
  readonly $lt?: Scalar;
  readonly $lte?: Scalar;
  readonly $gt?: Scalar;
  readonly $gte?: Scalar;
}

/** Field paths (dots allowed) to a value or a comparison; all must hold. A missing field equals `null`. */
export type Filter = Readonly<Record<string, Scalar | Comparison>>;

export interface FindOptions {
  /** Field paths to 1 or -1, in order. */
  readonly sort?: Readonly<Record<string, 1 | -1>>;
  readonly limit?: number;
}

export interface StoreCollection<T extends LedgerDocument> {
  /** Majority write. `duplicate` when `_id`, or a unique index, is taken: nothing was changed. */
  insert(document: Omit<T, 'rev'>): Promise<'inserted' | 'duplicate'>;
  /** Majority write of many, skipping those whose `_id` is there. Returns how many were inserted. */
  insertMany(documents: readonly Omit<T, 'rev'>[]): Promise<number>;
  get(id: string): Promise<T | null>;
  find(filter: Filter, options?: FindOptions): AsyncIterable<T>;
  count(filter: Filter): Promise<number>;
  /** Compare-and-set: replaces the document whose revision is `document.rev`. Returns it with the next revision, or null when another was faster. */
  replace(document: T): Promise<T | null>;
  /** Removes the document if its revision still is `rev`. */
  remove(id: string, rev: number): Promise<boolean>;
  removeMany(filter: Filter): Promise<number>;
}

export interface Store {
  /** The database server's clock. */
  serverTime(): Promise<Date>;
  collection<T extends LedgerDocument>(name: string): StoreCollection<T>;
}

/** How many times a read-modify-replace is made again after a clash before it gives up: far above what real contention on one document shows. */
export const MAX_CLASHES = 50;

/**
 * Throws INTERNAL for a filter with a condition that has no value: the driver would leave it out, and the rest may match
 * every document.
 */
export function assertComplete(filter: Filter): void {
  for (const [path, wanted] of Object.entries(filter)) {
    const isEmpty =
      typeof wanted === 'object' && wanted !== null && !(wanted instanceof Date) && isWithoutValue(wanted);
    if (wanted === undefined || isEmpty) {
      throw new MoraineError('INTERNAL', `A filter of the ledger has no value for ${path}.`);
    }
  }
}

function isWithoutValue(comparison: Comparison): boolean {
  const values = Object.values(comparison);
  return values.length === 0 || values.includes(undefined);
}
