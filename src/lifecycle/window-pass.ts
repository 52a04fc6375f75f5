/**
 * One pass over what is due in a partition where records of several periods lie next to each other: each goes to the
 * archive of its due window, and its id to that archive's pages, so that all windows are planned at once and each record
 * is looked at once. Memory is flat: a page of ids for each window that is open, and no more windows than a bound; a
 * record that would open one more ends the pass, and the next one begins there.
 */
import type { ArchiveId } from '../ids.ts';
import { id } from '../ids.ts';
import type { PartitionLease } from '../ledger/partitions.ts';
import { removePlannedFrom, writePlannedRecords } from '../ledger/planned-records.ts';
import { ROSTER_PAGE_BYTES, ROSTER_PAGE_RECORDS } from '../ledger/rosters.ts';
import type { CompiledPolicy } from '../policy/compile.ts';
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_RECORDS } from '../policy/limits.ts';
import type { Policy } from '../policy/policy.ts';
import { lastPurgeInWindow } from '../policy/window.ts';
import type { Partition, Position, RawRecord } from '../source/port.ts';
import { assertNotStopped, type Context } from './context.ts';
import { factsReader } from './look-ups.ts';
import { marksOf } from './read-marks.ts';
import { partitionHolds } from './record-holds.ts';
import { UnitReader } from './unit-reader.ts';

/** Windows that a pass fills at once. */
export const MOST_WINDOWS = 64;
/** A page of ids is written when it is as large, whatever their number. */
const PAGE_ID_BYTES = 32 * 1024;

/** What one archive is to hold: records whose copies are purged within one due window. */
export interface PlannedWindow {
  readonly archive: ArchiveId;
  /** Which of the policy's dispositions it is about, where these records have several. */
  readonly branch: string | undefined;
  readonly sequence: number;
  readonly records: number;
  /** Of BSON, with what hangs on the records. */
  readonly bytes: number;
  readonly latestPurgeAt: Date;
}

export interface WindowPass {
  /** In the order of their numbers. */
  readonly windows: readonly PlannedWindow[];
  /** The last record that was looked at; null when there was none. */
  readonly bound: Position | null;
  /** Nothing that is due lies above the bound. */
  readonly reachedEnd: boolean;
}

export interface PassOrder {
  readonly partition: Partition;
  /** What is archived: by each disposition that does so, at most so many records, for which the blast caps were looked at. */
  readonly takes: readonly { readonly branch: string | undefined; readonly mostRecords: number }[];
  readonly asOf: Date;
  readonly after: Position | null;
  /** No record with a trigger (ms) from here on is due. */
  readonly before: number;
  /** The number of the first archive. */
  readonly sequence: number;
}

/** `compiled`: the policy as a whole. Writes pages of ids and nothing else: without their archives they say nothing. */
export async function sortIntoWindows(
  context: Context,
  lease: PartitionLease,
  compiled: CompiledPolicy,
  order: PassOrder,
): Promise<WindowPass> {
  const { source } = context;
  const { partition } = order;
  const { shape } = compiled;
  const own = compiled.of(partition.owner, partition.customer);
  const takers = order.takes.map(({ branch, mostRecords }) => ({
    branch,
    policy: own.taking(branch),
    left: mostRecords,
  }));
  const now = order.asOf.getTime();
  await removePlannedFrom(context.store, lease.document._id, order.sequence);
  const reader = factsReader(context, compiled);
  const units = new UnitReader(context, shape, partition);
  const marks = await marksOf(context, partition);
  const holds = await partitionHolds(context, partition);
  const windows = new Windows(context, lease, compiled.policy, order.sequence);
  const range = { after: order.after, upTo: null, before: order.before };
  let last: RawRecord | null = null;
  const passedTo = async (reachedEnd: boolean) => ({
    windows: await windows.finish(),
    bound: last === null ? null : source.position(shape, last.raw),
    reachedEnd,
  });

  for await (const batch of source.scan(partition, range, context.signal)) {
    await lease.keep();
    assertNotStopped(context);
    const markOf = await marks.lookUp(batch);
    const factsOf = await reader.read(batch);
    if (!units.isEmpty) await units.expect(batch);
    for (const record of batch) {
      const facts = { ...factsOf(record), ...markOf(record) };
      const isHeld = holds.isHeld(record, facts);
      const taker = takers.find(({ policy }) => policy.decision(facts, isHeld, now) === 'due');
      const purgeAt = taker?.policy.times(facts, now).purgeAt ?? Number.NaN;
      // What is never to be purged is in no archive.
      if (taker !== undefined && Number.isFinite(purgeAt)) {
        if (taker.left <= 0) return await passedTo(false);
        const bytes = record.raw.length + (units.isEmpty ? 0 : await units.weigh(record));
        if (!(await windows.take(record, bytes, purgeAt, taker.branch))) return await passedTo(false);
        taker.left -= 1;
      }
      last = record;
    }
  }
  return await passedTo(true);
}

class Windows {
  readonly #context: Context;
  readonly #lease: PartitionLease;
  readonly #policy: Policy;
  readonly #sequence: number;
  #open: OpenWindow[] = [];
  readonly #full: OpenWindow[] = [];

  constructor(context: Context, lease: PartitionLease, policy: Policy, sequence: number) {
    this.#context = context;
    this.#lease = lease;
    this.#policy = policy;
    this.#sequence = sequence;
  }

  /** False: it would open one window too many. */
  async take(record: RawRecord, bytes: number, purgeAt: number, branch: string | undefined): Promise<boolean> {
    const fitting = this.#open.filter((window) => window.branch === branch && window.admits(purgeAt));
    for (const window of fitting) if (!window.hasRoomFor(bytes)) await this.#close(window);
    let window = fitting.find((each) => each.hasRoomFor(bytes));
    if (window === undefined) {
      if (this.#open.length >= MOST_WINDOWS) return false;
      window = this.#begin(branch);
    }
    window.add(record, bytes, purgeAt);
    if (window.isPageFull) await this.#write(window);
    return true;
  }

  async finish(): Promise<readonly PlannedWindow[]> {
    for (const window of [...this.#open]) await this.#close(window);
    return this.#full.map((window) => window.planned()).sort((a, b) => a.sequence - b.sequence);
  }

  #begin(branch: string | undefined): OpenWindow {
    const sequence = this.#sequence + this.#open.length + this.#full.length;
    const window = new OpenWindow(id.archive(this.#context.newId()), branch, sequence, this.#policy);
    this.#open.push(window);
    return window;
  }

  async #close(window: OpenWindow): Promise<void> {
    await this.#write(window);
    this.#open = this.#open.filter((each) => each !== window);
    this.#full.push(window);
  }

  async #write(window: OpenWindow): Promise<void> {
    const { page, ids } = window.takePage();
    if (ids.length === 0) return;
    await this.#lease.keep();
    const { _id: partition } = this.#lease.document;
    const of = { archive: window.archive, partition, sequence: window.sequence, epoch: this.#lease.epoch };
    await writePlannedRecords(this.#context.store, of, page, ids);
  }
}

class OpenWindow {
  readonly archive: ArchiveId;
  readonly branch: string | undefined;
  readonly sequence: number;
  readonly #policy: Policy;
  #records = 0;
  #bytes = 0;
  #firstPurgeAt = Number.POSITIVE_INFINITY;
  #lastPurgeAt = Number.NEGATIVE_INFINITY;
  #windowEnd = Number.POSITIVE_INFINITY;
  #pages = 0;
  #ids: Uint8Array[] = [];
  #idBytes = 0;
  #pageBytes = 0;

  constructor(archive: ArchiveId, branch: string | undefined, sequence: number, policy: Policy) {
    this.archive = archive;
    this.branch = branch;
    this.sequence = sequence;
    this.#policy = policy;
  }

  /** Its copy would be purged within one due window with those that are in it. */
  admits(purgeAt: number): boolean {
    if (purgeAt > this.#windowEnd) return false;
    return purgeAt >= this.#firstPurgeAt || lastPurgeInWindow(purgeAt, this.#policy) >= this.#lastPurgeAt;
  }

  hasRoomFor(bytes: number): boolean {
    if (this.#records === 0) return true;
    return this.#records < MAX_ARCHIVE_RECORDS && this.#bytes + bytes <= MAX_ARCHIVE_BYTES;
  }

  add({ raw, idBytes }: RawRecord, bytes: number, purgeAt: number): void {
    this.#records += 1;
    this.#bytes += bytes;
    this.#lastPurgeAt = Math.max(this.#lastPurgeAt, purgeAt);
    if (purgeAt < this.#firstPurgeAt) {
      this.#firstPurgeAt = purgeAt;
      this.#windowEnd = lastPurgeInWindow(purgeAt, this.#policy);
    }
    // A copy: the view would keep the whole record in memory.
    this.#ids.push(Buffer.from(idBytes));
    this.#idBytes += idBytes.length;
    this.#pageBytes += raw.length;
  }

  /** Its records are read back a page at a time. */
  get isPageFull(): boolean {
    return (
      this.#ids.length >= ROSTER_PAGE_RECORDS || this.#idBytes >= PAGE_ID_BYTES || this.#pageBytes >= ROSTER_PAGE_BYTES
    );
  }

  takePage(): { readonly page: number; readonly ids: readonly Uint8Array[] } {
    const taken = { page: this.#pages, ids: this.#ids };
    if (taken.ids.length > 0) this.#pages += 1;
    this.#ids = [];
    this.#idBytes = 0;
    this.#pageBytes = 0;
    return taken;
  }

  planned(): PlannedWindow {
    const { archive, branch, sequence } = this;
    const latestPurgeAt = new Date(this.#lastPurgeAt);
    return { archive, branch, sequence, records: this.#records, bytes: this.#bytes, latestPurgeAt };
  }
}
