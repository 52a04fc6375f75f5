/**
 * Leases: one worker at a time works on an archive or plans a partition.
 *
 * A claim writes worker, a new epoch and `until` in the database server's time. Every later ledger write names the
 * epoch, so a worker that was frozen and wakes finds a newer one and stops. Work stops a named margin before the lease
 * ends, so that the longest single call that began inside the lease also ends inside it: two workers never have a call
 * under way for the same archive. A lost BullMQ lock aborts nothing by itself; this does.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { WorkerId } from '../ids.ts';
import type { LeaseField } from './archive-document.ts';
import { type LedgerDocument, MAX_CLASHES, type Store, type StoreCollection } from './store.ts';
import type { Lease } from './warrants.ts';

/** How long a claim lasts without being renewed. A dead worker's archive waits this long at most. */
export const LEASE_MS = 5 * 60_000;
/**
 * The longest that an outside call can be under way without a sign of life: the idle timeouts of the adapters are a
 * minute. An upload that makes progress may take longer; once its attempt is abandoned it is noise (its key is gone).
 */
export const LONGEST_CALL_MS = 90_000;
/** Race: a call begun just before the lease ends takes effect after another worker claimed. So no call begins in this margin. */
export const LEASE_STOP_BEFORE_END_MS = LONGEST_CALL_MS + 30_000;
/** Renewed when this much is used up, so that ordinary work never comes near the margin. */
export const LEASE_RENEW_AFTER_MS = LEASE_MS / 3;

export interface Leased extends LedgerDocument {
  readonly epoch: number;
  readonly lease: LeaseField | null;
}

/** A lease that this process holds on one document. */
export class HeldLease<T extends Leased> implements Lease {
  readonly epoch: number;
  readonly subject: string;
  readonly #collection: StoreCollection<T>;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  readonly #name: string;
  #isOver = false;
  #document: T;
  #renewedAtMs: number;

  constructor(
    store: Store,
    collection: StoreCollection<T>,
    clock: Clock,
    document: T,
    claimedAtMs: number,
    signal?: AbortSignal,
  ) {
    this.#store = store;
    this.#collection = collection;
    this.#clock = clock;
    this.#document = document;
    this.#renewedAtMs = claimedAtMs;
    this.#signal = signal;
    this.epoch = document.epoch;
    this.#name = leaseName(workerOf(document), document._id, document.epoch);
    this.subject = document._id;
  }

  /** The document as this lease last wrote it. */
  get document(): T {
    return this.#document;
  }

  /** Throws WORK_STOPPED when told to stop, LEASE_LOST when the lease is at its end. Call right before every outside call. */
  assertHeld(): void {
    if (this.#signal?.aborted) {
      throw new MoraineError('WORK_STOPPED', `Work on ${this.subject} was told to stop.`, {
        cause: this.#signal.reason,
      });
    }
    const used = this.#clock.monotonicMs() - this.#renewedAtMs;
    if (used >= LEASE_MS - LEASE_STOP_BEFORE_END_MS) throw leaseLost(this.subject);
  }

  /** `assertHeld`, after renewing a lease that is a third used up. */
  async keep(): Promise<void> {
    this.assertHeld();
    if (this.#clock.monotonicMs() - this.#renewedAtMs < LEASE_RENEW_AFTER_MS) return;
    const startedMs = this.#clock.monotonicMs();
    const until = await leaseEnd(this.#store);
    await this.write((document) => ({ ...document, lease: { worker: workerOf(document), until } }));
    this.#renewedAtMs = startedMs;
  }

  /** Compare-and-set under this lease's epoch. `change` gets the newest document; throws LEASE_LOST when the epoch moved on. */
  async write(change: (document: T) => T): Promise<T> {
    for (let clash = 0; clash < MAX_CLASHES; clash++) {
      this.assertHeld();
      const replaced = await this.#collection.replace(change(this.#document));
      if (replaced !== null) {
        this.#document = replaced;
        return replaced;
      }
      const current = await this.#collection.get(this.subject);
      if (current === null || current.epoch !== this.epoch) throw leaseLost(this.subject);
      this.#document = current;
    }
    throw new MoraineError(
      'LEDGER_CONTENTION',
      `The ledger document ${this.subject} changed under us ${MAX_CLASHES} times.`,
    );
  }

  /**
   * Reads the document anew and writes it back unchanged, so that no earlier write of this lease that was answered by an
   * error can still arrive afterwards. Returns what counts. Throws LEASE_LOST when the epoch moved on.
   */
  async fence(): Promise<T> {
    return await this.write((document) => document);
  }

  /** Gives the lease up. What cannot be written is left to end by itself, which is safe: a lease ends; only this process may claim before that. Never throws, so that the error of the work is the one that is seen. */
  async giveUp(): Promise<void> {
    try {
      // Mostly nobody else wrote in between: one call instead of two.
      if (this.#document.lease !== null) {
        const released = await this.#collection.replace({ ...this.#document, lease: null });
        if (released !== null) return;
      }
      const current = await this.#collection.get(this.subject);
      if (current === null || current.epoch !== this.epoch || current.lease === null) return;
      await this.#collection.replace({ ...current, lease: null });
    } catch {
      // It ends by itself; this process need not wait for that, for it knows that nobody works under it any more.
    } finally {
      if (!this.#isOver) letGo(this.#name);
      this.#isOver = true;
    }
  }

  /** Replaces what this lease holds in memory, for fields that are written with the next move (see archives.ts, `unaudited`). */
  remember(document: T): void {
    this.#document = document;
  }
}

/**
 * The leases that this process works under or is claiming right now, by worker, document and epoch, with how many do:
 * two jobs may claim the same one at once, and the one that fails says nothing about the other. A lease in the ledger
 * that names our worker and is not here is one that could not be given up, or whose claim was answered by an error:
 * nobody works under it, and this worker may claim it at once. A process that died takes its list with it.
 */
const OURS = new Map<string, number>();

function leaseName(worker: WorkerId, subject: string, epoch: number): string {
  return `${worker} ${subject} ${epoch}`;
}

function takeHold(name: string): void {
  OURS.set(name, (OURS.get(name) ?? 0) + 1);
}

function letGo(name: string): void {
  const left = (OURS.get(name) ?? 0) - 1;
  if (left > 0) OURS.set(name, left);
  else OURS.delete(name);
}

/** The lease is over by the server's time, or it is ours and nobody works under it. */
function isFree(lease: LeaseField, { _id, epoch }: Leased, now: Date, worker: WorkerId): boolean {
  if (lease.until.getTime() <= now.getTime()) return true;
  return lease.worker === worker && !OURS.has(leaseName(worker, _id, epoch));
}

function workerOf(document: Leased): WorkerId {
  if (document.lease === null) throw leaseLost(document._id);
  return document.lease.worker;
}

async function leaseEnd(store: Store): Promise<Date> {
  return new Date((await store.serverTime()).getTime() + LEASE_MS);
}

function leaseLost(subject: string): MoraineError {
  return new MoraineError('LEASE_LOST', `The lease on ${subject} was lost: another worker goes on with it.`, {
    changed: 'What this worker did so far is in the ledger.',
  });
}

/** Claims a document, or throws LEASE_HELD (with when its lease ends) while another worker holds it. */
export async function claimLease<T extends Leased>(
  store: Store,
  collection: StoreCollection<T>,
  subject: string,
  by: { readonly worker: WorkerId; readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<HeldLease<T>> {
  for (let clash = 0; clash < MAX_CLASHES; clash++) {
    const claimedAtMs = by.clock.monotonicMs();
    const [document, now] = await Promise.all([collection.get(subject), store.serverTime()]);
    if (document === null) throw new MoraineError('ARCHIVE_UNKNOWN', `The ledger has no ${subject}.`);
    if (document.lease !== null && !isFree(document.lease, document, now, by.worker)) {
      throw new MoraineError('LEASE_HELD', `${subject} is being worked on by ${document.lease.worker}.`, {
        retryAt: document.lease.until,
        ids: { subject, worker: document.lease.worker },
      });
    }
    const lease = { worker: by.worker, until: new Date(now.getTime() + LEASE_MS) };
    const name = leaseName(by.worker, subject, document.epoch + 1);
    takeHold(name);
    let claimed: T | null = null;
    try {
      claimed = await collection.replace({ ...document, epoch: document.epoch + 1, lease });
    } finally {
      if (claimed === null) letGo(name);
    }
    if (claimed !== null) return new HeldLease(store, collection, by.clock, claimed, claimedAtMs, by.signal);
  }
  throw new MoraineError('LEDGER_CONTENTION', `${subject} could not be claimed: it changed ${MAX_CLASHES} times.`);
}
