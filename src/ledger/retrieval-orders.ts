/**
 * Retrieval orders: what an administrator asked to get back, and what they were told that it costs. What is wanted of
 * each archive is a retrieval of its own (retrievals.ts) that names the order.
 *
 * - `placing`: the retrievals are being written; nothing is asked of a vault. A crash leaves it here: the same order
 *   placed again goes on with it, and one that nobody goes on with is cancelled after {@link PLACING_ENDS_MS}.
 * - `open`: followed: asked for, waited for, fetched.
 * - `done`: nothing of it is live any more.
 * - `cancelled`: given up by a person, or never placed to the end.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { OwnerId, WorkerId } from '../ids.ts';
import type { Tier } from '../vault/port.ts';
import type { LeaseField } from './archive-document.ts';
import type { LedgerIndex } from './indexes.ts';
import { claimLease, type HeldLease } from './leases.ts';
import { countRetrievals, LIVE_RETRIEVAL_STATES, RETRIEVAL_STATES, type RetrievalState } from './retrievals.ts';
import type { Filter, LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export const ORDER_STATES = ['placing', 'open', 'done', 'cancelled'] as const;
export type OrderState = (typeof ORDER_STATES)[number];

/** Longer than any command takes that writes retrievals and dies of nothing. */
export const PLACING_ENDS_MS = 3_600_000;

/** Retrievals of one order that the vaults work on at once, where moraine.yaml says nothing. */
export const DEFAULT_IN_FLIGHT = 500;

export interface RetrievalOrderDocument extends LedgerDocument {
  readonly state: OrderState;
  readonly epoch: number;
  readonly lease: LeaseField | null;
  /** The account that asked. */
  readonly by: string;
  /** Whose archives, and which of the owner's administrators asked. */
  readonly owners: readonly { readonly owner: OwnerId; readonly administrator: string }[];
  readonly reason: string | null;
  readonly tier: Tier;
  readonly archives: number;
  readonly bytes: number;
  /** What they were told before they confirmed it, in US dollars and hours. */
  readonly dollars: number;
  readonly hours: number;
  /** What they would pay at most; null: not said. */
  readonly maxDollars: number | null;
  /** SHA-256 of the exact set with its tier: what a second person approved, and what finds a cut placing again. */
  readonly setHash: string;
  readonly approval: string | null;
  /** By the database server's time. */
  readonly placedAt: Date;
  readonly endedAt: Date | null;
}

const ORDERS = 'retrievalOrders';

export const RETRIEVAL_ORDERS_INDEXES: readonly LedgerIndex[] = [
  { collection: ORDERS, keys: { state: 1, placedAt: 1 } },
  { collection: ORDERS, keys: { setHash: 1, state: 1 } },
];

function orders(store: Store): StoreCollection<RetrievalOrderDocument> {
  return readableCollection<RetrievalOrderDocument>(store, ORDERS);
}

export type NewOrder = Omit<
  RetrievalOrderDocument,
  '_id' | 'v' | 'rev' | 'state' | 'epoch' | 'lease' | 'approval' | 'placedAt' | 'endedAt'
>;

/** Finds the same one that was cut while it was placed, by the same account; else writes a new one. */
export async function beginOrder(store: Store, newId: () => string, order: NewOrder): Promise<RetrievalOrderDocument> {
  const cut = { setHash: order.setHash, state: 'placing', by: order.by };
  for await (const found of orders(store).find(cut, { sort: { placedAt: 1, _id: 1 }, limit: 1 })) return found;
  const _id = newId();
  const placedAt = await store.serverTime();
  const begun = { epoch: 0, lease: null, approval: null, placedAt, endedAt: null };
  await orders(store).insert({ _id, v: LEDGER_VERSION, state: 'placing', ...begun, ...order });
  return await getOrder(store, _id);
}

/** Throws RETRIEVAL_ORDER_UNKNOWN. */
export async function getOrder(store: Store, id: string): Promise<RetrievalOrderDocument> {
  const document = await orders(store).get(id);
  if (document !== null) return document;
  throw new MoraineError('RETRIEVAL_ORDER_UNKNOWN', `The ledger has no retrieval order ${id}.`, { ids: { order: id } });
}

/** Oldest first. */
export function findOrders(store: Store, filter: Filter = {}): AsyncIterable<RetrievalOrderDocument> {
  return orders(store).find(filter, { sort: { placedAt: 1, _id: 1 } });
}

/** All of it is written and may be asked for. Idempotent; throws ILLEGAL_MOVE for one that has ended. */
export async function openOrder(store: Store, id: string, approval: string | null): Promise<RetrievalOrderDocument> {
  return await update(orders(store), id, (document) => {
    if (document.state === 'open') return null;
    if (document.state === 'placing') return { ...document, state: 'open', approval };
    throw new MoraineError('ILLEGAL_MOVE', `Order ${id} is ${document.state} and cannot be opened.`, {
      ids: { order: id },
    });
  });
}

/** Idempotent: an order that has ended stays as it ended. */
export async function endOrder(
  store: Store,
  clock: Clock,
  id: string,
  state: 'done' | 'cancelled',
): Promise<RetrievalOrderDocument> {
  return await update(orders(store), id, (document) =>
    document.state === 'placing' || document.state === 'open' ? { ...document, state, endedAt: clock.now() } : null,
  );
}

/** One process follows an order at a time. Throws LEASE_HELD. */
export async function claimOrder(
  store: Store,
  id: string,
  by: { readonly worker: WorkerId; readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<HeldLease<RetrievalOrderDocument>> {
  return await claimLease(store, orders(store), id, by);
}

/** How many of its retrievals are in each state. */
export async function orderCounts(store: Store, order: string): Promise<Readonly<Record<RetrievalState, number>>> {
  const counted = await Promise.all(
    RETRIEVAL_STATES.map(async (state) => [state, await countRetrievals(store, { order, state })] as const),
  );
  const of = new Map<RetrievalState, number>(counted);
  const count = (state: RetrievalState) => of.get(state) ?? 0;
  return {
    wanted: count('wanted'),
    asking: count('asking'),
    requested: count('requested'),
    ready: count('ready'),
    fetched: count('fetched'),
    read: count('read'),
    cancelled: count('cancelled'),
    expired: count('expired'),
    failed: count('failed'),
  };
}

export async function isOrderLive(store: Store, order: string): Promise<boolean> {
  return (await countRetrievals(store, { order, state: { $in: LIVE_RETRIEVAL_STATES } })) > 0;
}
