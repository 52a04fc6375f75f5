/**
 * Looking at holds (design 4, "Announce, then look"). A hold that cannot be proved not to cover what is about to be
 * cleared or purged covers it; holds that cannot be read mean: held.
 */

import type { ArchiveId, CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { assertReadable } from './versions.ts';

export type HoldState = 'placing' | 'active' | 'released';

export interface HoldDocument extends LedgerDocument {
  readonly state: HoldState;
  /** null: any. */
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  readonly namespace: Namespace | null;
}

/** What an act is about to touch. */
export interface ActScope {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly namespace: Namespace;
  readonly archive: ArchiveId | null;
}

export const HOLDS_INDEXES: readonly LedgerIndex[] = [{ collection: 'holds', keys: { state: 1 } }];

export function holds(store: Store): StoreCollection<HoldDocument> {
  return store.collection<HoldDocument>('holds');
}

/** The ids of the holds, being placed or active, that cover the scope. Read on the primary after the announcement was written. */
export async function holdsCovering(store: Store, scope: ActScope): Promise<readonly string[]> {
  const covering: string[] = [];
  for await (const hold of holds(store).find({ state: { $in: ['placing', 'active'] } })) {
    assertReadable(hold);
    if (covers(hold, scope)) covering.push(hold._id);
  }
  return covering;
}

function covers(hold: HoldDocument, scope: ActScope): boolean {
  return (
    (hold.owner ?? scope.owner) === scope.owner &&
    (hold.customer ?? scope.customer) === scope.customer &&
    (hold.namespace ?? scope.namespace) === scope.namespace
  );
}

export async function countHolds(store: Store): Promise<number> {
  return await holds(store).count({ state: { $in: ['placing', 'active'] } });
}
