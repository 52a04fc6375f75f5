/**
 * Legal holds in the ledger: what they name, whether they are in force, and what it takes to become so.
 *
 * - `placing`: written. It stops acts already, for whoever looks from now on sees it; an act that looked before may
 *   still be under way, so nobody has been told yet that it is in force. A crash leaves it here, and whoever settles it
 *   next (src/lifecycle/hold.ts) takes it on.
 * - `active`: nothing that looked before it was written can act any more. What it came too late for is named.
 * - `released`: by a person, with a reason. It still holds until `heldUntil`, the grace of the release.
 *
 * A hold names a party (owner, customer, dataset), and within it perhaps less: a trigger range, record keys, values of a
 * facet. All that it names must fit; what is null is not asked for, so a field that cannot be read makes it wider, never
 * narrower. Many holds may cover one record, and each is looked at by itself.
 */

import type { ArchiveId, CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import { CLOCK_TOLERANCE_MS } from './installation.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { assertReadable } from './versions.ts';

export type HoldState = 'placing' | 'active' | 'released';

/** How long a released hold still holds: a release by mistake can be answered by a new hold before anything goes. */
export const RELEASE_GRACE_MS = 24 * 3_600_000;
/** An announcement binds its worker by the source server's clock, and we look at the ledger's. */
export const ANNOUNCEMENT_SKEW_MS = CLOCK_TOLERANCE_MS;

/** What a hold covers. null: any. */
export interface HoldExtent {
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  readonly namespace: Namespace | null;
  /** Records whose trigger is at or after it. */
  readonly triggerFrom: Date | null;
  /** Records whose trigger is before it. */
  readonly triggerBefore: Date | null;
  /** HMACs of record keys under the owner's key, base64url; only with owner and namespace. */
  readonly recordKeys: readonly string[] | null;
  /** Where children are named: their collection. `namespace` is then the dataset of their roots, and `recordKeys` are theirs. */
  readonly collection?: Namespace | null;
  /** Codes of values (src/archive/facets.ts) under the owner's key; only with an owner. One of them is enough. */
  readonly facet: { readonly name: string; readonly codes: readonly string[] } | null;
}

export interface HoldDocument extends LedgerDocument, HoldExtent {
  readonly state: HoldState;
  readonly caseNumber: string;
  readonly reason: string;
  readonly placedBy: string;
  readonly placedAt: Date;
  readonly activeAt: Date | null;
  /** Archives whose destruction was asked for before the hold was placed. */
  readonly tooLate: readonly ArchiveId[];
  readonly releasedBy: string | null;
  readonly releasedAt: Date | null;
  readonly releaseReason: string | null;
  /** Only in `released`: until then it still holds. The database server's time. */
  readonly heldUntil: Date | null;
  /** Vaults with legal holds of their own have it on all that it covered when it was placed. Absent: not yet, or there are none. */
  readonly mirrored?: boolean;
}

/** One owner's and customer's records in one dataset. */
export interface Party {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly namespace: Namespace;
}

export const HOLDS_INDEXES: readonly LedgerIndex[] = [{ collection: 'holds', keys: { state: 1 } }];

export function holds(store: Store): StoreCollection<HoldDocument> {
  return store.collection<HoldDocument>('holds');
}

/**
 * The holds that stop acts now, read on the primary: all that are not released, whatever their state is called, and the
 * released ones within their grace. In this order, so that one that is released between the two readings is seen.
 * Throws LEDGER_NEWER for one that this Moraine does not understand, and then nothing may be destroyed.
 */
export async function holdsInForce(store: Store): Promise<readonly HoldDocument[]> {
  const inForce = new Map<string, HoldDocument>();
  const read = async (found: AsyncIterable<HoldDocument>) => {
    for await (const hold of found) {
      assertReadable(hold);
      inForce.set(hold._id, hold);
    }
  };
  await read(holds(store).find({ state: { $ne: 'released' } }));
  await read(holds(store).find({ state: 'released', heldUntil: { $gt: await store.serverTime() } }));
  return [...inForce.values()];
}

/** Holds that were not released. */
export async function countHolds(store: Store): Promise<number> {
  return await holds(store).count({ state: { $ne: 'released' } });
}

/** Does the hold name this party, or any? Less than the party is looked at elsewhere. */
export function namesParty(hold: HoldDocument, { owner, customer, namespace }: Party): boolean {
  return (
    (hold.owner ?? owner) === owner &&
    (hold.customer ?? customer) === customer &&
    (hold.namespace ?? namespace) === namespace
  );
}

/** Covers all records of the parties that it names. */
export function isWhole(hold: HoldDocument): boolean {
  return (
    (hold.triggerFrom ?? null) === null &&
    (hold.triggerBefore ?? null) === null &&
    (hold.recordKeys ?? null) === null &&
    (hold.facet ?? null) === null
  );
}

/** Can a trigger between these instants (ms, both included) lie in the hold's range? */
export function reachesTriggers(hold: HoldDocument, from: number, to: number): boolean {
  const begin = hold.triggerFrom?.getTime() ?? Number.NEGATIVE_INFINITY;
  const end = hold.triggerBefore?.getTime() ?? Number.POSITIVE_INFINITY;
  // Written so that a NaN, which no comparison likes, means: it may.
  return !(to < begin || from >= end);
}

/** For people: id and case. */
export function holdName({ _id, caseNumber }: HoldDocument): string {
  return caseNumber === undefined ? _id : `${_id} (case ${caseNumber})`;
}
