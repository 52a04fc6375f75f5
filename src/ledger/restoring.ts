/**
 * What a restore tells the ledger about itself.
 *
 * - That it is reading an archive: written before it looks whether the archive may be read, so that a purge and a restore
 *   always see each other, whatever became of the retrieval meanwhile (its output may expire while it is read). One that was
 *   killed ends by itself.
 * - That it is about to replace records in the source: announced like a clearing, so that what a hold covers stays as it is.
 */
import type { Clock } from '../clock.ts';
import type { ArchiveId, WorkerId } from '../ids.ts';
import { type AnnouncedScope, type Announcement, announceAndLook } from './in-flight.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';
import { ClearingWarrant, DisposalOrder } from './warrants.ts';

interface ReadingDocument extends LedgerDocument {
  readonly archive: ArchiveId;
  /** The database server's time. */
  readonly until: Date;
}

const READINGS = 'readings';

export const READINGS_INDEXES: readonly LedgerIndex[] = [{ collection: READINGS, keys: { archive: 1 } }];

/** Longer than a batch takes to be read, opened and written on a slow line; a killed restore keeps a purge waiting no longer. */
const READING_MS = 30 * 60_000;
/** Well before it ends, and not with every batch. */
const KEEP_EVERY_MS = 60_000;

/** A restore that is reading an archive. */
export class Reading {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #id: string;
  readonly #archive: ArchiveId;
  #keptAtMs: number;

  private constructor(store: Store, clock: Clock, id: string, archive: ArchiveId) {
    this.#store = store;
    this.#clock = clock;
    this.#id = id;
    this.#archive = archive;
    this.#keptAtMs = clock.monotonicMs();
  }

  /** `id` is fresh. */
  static async begin(store: Store, clock: Clock, id: string, archive: ArchiveId): Promise<Reading> {
    const reading = new Reading(store, clock, id, archive);
    await readings(store).removeMany({ until: { $lt: await store.serverTime() } });
    await readings(store).insert({ _id: id, v: LEDGER_VERSION, archive, until: await until(store) });
    return reading;
  }

  /**
   * With every batch; writes once in a while. Whoever was asleep past its end writes it anew, and then asks `check` whether
   * the archive is there still: a purge may have come in between.
   */
  async keep(check: () => Promise<void>): Promise<void> {
    const now = this.#clock.monotonicMs();
    if (now - this.#keptAtMs < KEEP_EVERY_MS) return;
    const store = readings(this.#store);
    const document = await store.get(this.#id);
    const isOver = document === null || document.until < (await this.#store.serverTime());
    const archive = this.#archive;
    if (document === null)
      await store.insert({ _id: this.#id, v: LEDGER_VERSION, archive, until: await until(this.#store) });
    else await store.replace({ ...document, until: await until(this.#store) });
    this.#keptAtMs = now;
    if (isOver) await check();
  }

  async end(): Promise<void> {
    await readings(this.#store).removeMany({ _id: this.#id });
  }
}

/** Is a restore reading the archive? Its purge waits. */
export async function isBeingRead(store: Store, archive: ArchiveId): Promise<boolean> {
  return (await readings(store).count({ archive, until: { $gte: await store.serverTime() } })) > 0;
}

/** Announces that records of this scope are about to be replaced, and looks at holds. Throws PAUSED. Withdraw the announcement afterwards. */
export async function announceReplacing(
  store: Store,
  clock: Clock,
  worker: WorkerId,
  scope: AnnouncedScope,
  assertNotStopped: () => void,
): Promise<
  { readonly warrant: ClearingWarrant; readonly announcement: Announcement } | { readonly holds: readonly string[] }
> {
  const look = await announceAndLook(store, clock, worker, 'clear', scope);
  if (look.held) return { holds: look.holds };
  const order = DisposalOrder.issue('restore', worker, 'replace');
  const warrant = ClearingWarrant.issue(order, { epoch: 0, assertHeld: assertNotStopped }, look.announcement.until);
  return { warrant, announcement: look.announcement };
}

async function until(store: Store): Promise<Date> {
  return new Date((await store.serverTime()).getTime() + READING_MS);
}

function readings(store: Store): StoreCollection<ReadingDocument> {
  return readableCollection<ReadingDocument>(store, READINGS);
}
