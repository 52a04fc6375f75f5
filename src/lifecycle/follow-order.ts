/**
 * Following retrieval orders: asking the vaults for what is wanted, so many at a time, looking after what was asked for,
 * fetching what is ready before it expires, and closing an order that has nothing live any more. One pass does what can
 * be done now and returns; the daemon makes one again and again, and `moraine retrieve --wait` does without a daemon.
 *
 * It may be cut anywhere: what was being asked for is `asking` in the ledger, and its job is looked for in the vault
 * before it is asked for again; what was being fetched is fetched again. One process follows an order at a time.
 */
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import type { HeldLease } from '../ledger/leases.ts';
import {
  claimOrder,
  DEFAULT_IN_FLIGHT,
  endOrder,
  findOrders,
  getOrder,
  isOrderLive,
  PLACING_ENDS_MS,
  type RetrievalOrderDocument,
} from '../ledger/retrieval-orders.ts';
import {
  countRetrievals,
  findRetrievals,
  getRetrieval,
  isLiveRetrieval,
  LIVE_RETRIEVAL_STATES,
  type RetrievalDocument,
  type RetrievalState,
} from '../ledger/retrievals.ts';
import { assertNotStopped, type Context } from './context.ts';
import { fetchRetrieval } from './fetch-retrieval.ts';
import { askVault, cancelRetrieval, endWithAudit, refreshRetrieval } from './retrieve.ts';

/** Calls to a vault at once: enough to hide the network, far below what a service throttles at. */
const CALLS_AT_ONCE = 8;
/** A write into the folder that takes longer than this was cut. */
const CUT_AFTER_MS = 24 * 3_600_000;

export interface OrderPass {
  readonly order: RetrievalOrderDocument;
  /** Another process follows it right now. */
  readonly isElsewhere: boolean;
  /** Why this pass did less than there is: the service throttles, or is away. Null: nothing stood in the way. */
  readonly obstacle: MoraineError | null;
}

/** One pass over one order. */
export async function followOrder(context: Context, id: string): Promise<OrderPass> {
  const order = await getOrder(context.store, id);
  if (order.state !== 'open') return { order, isElsewhere: false, obstacle: null };
  let lease: HeldLease<RetrievalOrderDocument>;
  try {
    lease = await claimOrder(context.store, id, context);
  } catch (error) {
    if (isMoraineError(error, 'LEASE_HELD')) return { order, isElsewhere: true, obstacle: null };
    throw error;
  }
  try {
    const obstacle = await new Pass(context, lease).run();
    if (await isOrderLive(context.store, id)) return { order: lease.document, isElsewhere: false, obstacle };
  } catch (error) {
    // This process was asleep or slow: whoever took over goes on, and the next pass here looks again.
    if (isMoraineError(error, 'LEASE_LOST')) return { order, isElsewhere: true, obstacle: null };
    throw error;
  } finally {
    await lease.giveUp();
  }
  return { order: await closeOrder(context, id), isElsewhere: false, obstacle: null };
}

/** An open order of which nothing is live any more is done. Asks nothing of a vault. */
export async function closeOrder(context: Context, id: string): Promise<RetrievalOrderDocument> {
  const order = await getOrder(context.store, id);
  if (order.state !== 'open' || (await isOrderLive(context.store, id))) return order;
  await context.audit.appendOnce([
    { key: `${id} done`, act: 'retrieval order done', phase: 'outcome', subject: { order: id }, details: {} },
  ]);
  return await endOrder(context.store, context.clock, id, 'done');
}

/** One pass over all open orders, oldest first, and what else the daemon sees to. An obstacle of one stops no other. */
export async function followOrders(context: Context): Promise<readonly OrderPass[]> {
  await cancelNeverPlaced(context);
  await cancelLeftOver(context);
  const passes: OrderPass[] = [];
  for await (const { _id } of findOrders(context.store, { state: 'open' })) {
    assertNotStopped(context);
    passes.push(await followOrder(context, _id));
  }
  await tidyFetched(context);
  return passes;
}

class Pass {
  readonly #context: Context;
  readonly #lease: HeldLease<RetrievalOrderDocument>;
  #obstacle: MoraineError | null = null;

  constructor(context: Context, lease: HeldLease<RetrievalOrderDocument>) {
    this.#context = context;
    this.#lease = lease;
  }

  async run(): Promise<MoraineError | null> {
    const look = (retrieval: RetrievalDocument) => refreshRetrieval(this.#context, retrieval);
    // What was cut first: it may be under way, and counts.
    await this.#each(['asking'], (retrieval) => askVault(this.#context, retrieval));
    await this.#each(['requested'], look);
    await this.#ask();
    await this.#each(['ready'], look);
    await this.#fetch();
    return this.#obstacle;
  }

  /** Tops up what is in flight. */
  async #ask(): Promise<void> {
    const { store } = this.#context;
    const order = this.#lease.subject;
    const inFlight = await countRetrievals(store, { order, state: { $in: ['asking', 'requested'] } });
    const limit = (this.#context.retrievals?.inFlight ?? DEFAULT_IN_FLIGHT) - inFlight;
    if (limit > 0) await this.#each(['wanted'], (retrieval) => askVault(this.#context, retrieval), limit);
  }

  async #fetch(): Promise<void> {
    const files = this.#context.retrievals?.files ?? null;
    if (files === null) return;
    const keep = async () => await this.#lease.keep();
    // One at a time: a file may be large, and its chunks are.
    for await (const retrieval of this.#retrievals(['ready']))
      await this.#try(retrieval, () => fetchRetrieval(this.#context, files, retrieval, keep));
  }

  /** A few at once, none any more after an obstacle. */
  async #each(
    states: readonly RetrievalState[],
    act: (retrieval: RetrievalDocument) => Promise<unknown>,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    let left = limit;
    let batch: RetrievalDocument[] = [];
    const flush = async () => {
      await this.#lease.keep();
      await Promise.all(batch.map((retrieval) => this.#try(retrieval, () => act(retrieval))));
      batch = [];
    };
    for await (const retrieval of this.#retrievals(states)) {
      if (left === 0 || this.#obstacle !== null) break;
      left -= 1;
      batch.push(retrieval);
      if (batch.length === CALLS_AT_ONCE) await flush();
    }
    if (this.#obstacle === null) await flush();
  }

  #retrievals(states: readonly RetrievalState[]): AsyncIterable<RetrievalDocument> {
    return findRetrievals(this.#context.store, { order: this.#lease.subject, state: { $in: states } });
  }

  /** What is wrong with one retrieval stops no other; what is wrong with the vault stops the pass. */
  async #try(retrieval: RetrievalDocument, act: () => Promise<unknown>): Promise<void> {
    try {
      assertNotStopped(this.#context);
      await act();
    } catch (error) {
      if (!(error instanceof MoraineError)) throw error;
      // A person cancelled it meanwhile.
      if (error.code === 'ILLEGAL_MOVE') return;
      if (error.code === 'WORK_STOPPED' || error.code === 'LEASE_LOST') throw error;
      const kind = errorClass(error);
      if (kind === 'retry' || kind === 'later' || kind === 'unknown') this.#obstacle ??= error;
      this.#context.log.warn(
        { order: this.#lease.subject, retrieval: retrieval._id, archive: retrieval.archive, code: error.code },
        `A retrieval could not go on: ${error.message}`,
      );
    }
  }
}

/** Orders whose command was cut while it wrote them: what they want must not keep archives from their purge. */
async function cancelNeverPlaced(context: Context): Promise<void> {
  const before = new Date((await context.store.serverTime()).getTime() - PLACING_ENDS_MS);
  for await (const { _id } of findOrders(context.store, { state: 'placing', placedAt: { $lt: before } })) {
    await cancelOrder(context, _id, 'it was never placed to its end');
  }
}

/** Retrievals whose order ended while they were being cancelled with it. */
async function cancelLeftOver(context: Context): Promise<void> {
  const ended = new Map<string, boolean>();
  for await (const { _id, order } of findRetrievals(context.store, { state: { $in: LIVE_RETRIEVAL_STATES } })) {
    if (order === undefined) continue;
    const isEnded = ended.get(order) ?? (await getOrder(context.store, order)).state === 'cancelled';
    ended.set(order, isEnded);
    if (isEnded) await cancelRetrieval(context, _id);
  }
}

/** Gives up an order: nothing more is asked for, nothing of it is kept, and its archives are free. What was asked for is paid for all the same. Returns how many retrievals were live. */
export async function cancelOrder(context: Context, id: string, reason: string): Promise<number> {
  await getOrder(context.store, id);
  const subject = { order: id };
  const told = { act: 'retrieval order cancelled', subject, details: { reason } };
  await context.audit.appendOnce([{ ...told, key: `${id} cancel`, phase: 'intent' }]);
  await endOrder(context.store, context.clock, id, 'cancelled');
  let cancelled = 0;
  for await (const { _id } of findRetrievals(context.store, { order: id, state: { $in: LIVE_RETRIEVAL_STATES } })) {
    await cancelRetrieval(context, _id);
    cancelled += 1;
  }
  await context.audit.appendOnce([
    { ...told, key: `${id} cancelled`, phase: 'outcome', details: { retrievals: cancelled } },
  ]);
  return cancelled;
}

/** Fetched files that were kept long enough, and files whose retrieval has ended. */
async function tidyFetched(context: Context): Promise<void> {
  const files = context.retrievals?.files ?? null;
  const now = context.clock.now();
  for await (const retrieval of findRetrievals(context.store, { state: 'fetched', keepUntil: { $lte: now } }))
    await endWithAudit(context, retrieval, 'expired');
  if (files === null) return;
  for await (const name of files.names(new Date(now.getTime() - CUT_AFTER_MS))) {
    const retrieval = await getRetrieval(context.store, name).catch((error: unknown) => {
      // Somebody else's file, or of a ledger that is gone: left to who put it there.
      if (isMoraineError(error, 'RETRIEVAL_NEEDED')) return null;
      throw error;
    });
    if (retrieval !== null && !isLiveRetrieval(retrieval)) await files.remove(name);
  }
}
