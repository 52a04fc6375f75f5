/**
 * Which records of a partition go into one archive: in the order of `(trigger, _id)`, above what earlier archives own, or
 * those that a pass has put down for it; each decided exactly, until the archive is full, its due window ends, or nothing
 * is left.
 */
import { MoraineError } from '../errors.ts';
import type { ArchivePlan } from '../ledger/archive-document.ts';
import type { ArchiveLease } from '../ledger/archives.ts';
import { DecidedTally, type RuleCount } from '../ledger/decided.ts';
import { assertNotPaused } from '../ledger/pauses.ts';
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_RECORDS } from '../policy/limits.ts';
import type { Policy } from '../policy/policy.ts';
import { lastPurgeInWindow } from '../policy/window.ts';
import type { Partition, Position, RawRecord } from '../source/port.ts';
import { compilePinned } from './compile-in-force.ts';
import { assertNotStopped, type Context } from './context.ts';
import { leaveUnit } from './leave-unit.ts';
import { factsReader } from './look-ups.ts';
import { plannedBatches } from './planned-batches.ts';
import { quarantineRecord } from './quarantine-record.ts';
import { marksOf } from './read-marks.ts';
import { partitionHolds } from './record-holds.ts';
import { ALONE, type UnitReader, type WholeUnit } from './unit-reader.ts';

export interface Selection {
  readonly records: number;
  /** Quarantined instead of taken: their bytes cannot be guarded. */
  readonly unfit: number;
  readonly firstDueAt: Date;
  readonly firstPurgeAt: Date;
  readonly lastPurgeAt: Date;
  readonly triggerFrom: Date;
  readonly triggerTo: Date;
  /** Which rules decided that its records go; empty: they go with others. */
  readonly rules: readonly RuleCount[];
  /** The last record that was looked at, taken or not; null when there was none. */
  readonly bound: Position | null;
  /** Nothing that is due lies above the bound. */
  readonly reachedEnd: boolean;
  /** The holds that each record was looked at for: what they cover was not taken. */
  readonly leftOut: readonly string[];
}

/** A pause is looked at again this often while records stream by: one indexed read. */
const PAUSE_LOOK_EVERY_MS = 5_000;

/** Streams the records of the archive's plan to `take`, one after the other. Throws PAUSED. */
export async function selectRecords(
  context: Context,
  lease: ArchiveLease,
  policy: Policy,
  take: (record: RawRecord, unit: WholeUnit) => Promise<void>,
  units: UnitReader | null = null,
): Promise<Selection> {
  const { source } = context;
  const archive = lease.document;
  const whole = await compilePinned(context, policy, archive.plan.exceptions);
  const compiled = whole.of(archive.owner, archive.customer).taking(archive.plan.branch);
  const reader = factsReader(context, whole);
  const { shape } = whole;
  const partition: Partition = { dataset: shape, owner: archive.owner, customer: archive.customer };
  const marks = await marksOf(context, partition);
  const holds = await partitionHolds(context, partition);
  units?.heed(holds);
  const now = archive.plan.asOf.getTime();
  const room = new Room(policy, archive.plan, compiled.uniform === null, holds.ids);
  const decided = new DecidedTally();
  let unfit = 0;
  let last: RawRecord | null = null;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  const selection = (reachedEnd: boolean): Selection => {
    const bound = last === null ? null : source.position(shape, last.raw);
    // A pass has looked at all up to its bound, for all of its archives.
    const reached = archive.plan.pass === undefined ? bound : archive.plan.bound;
    return { ...room.selection(unfit, reached, reachedEnd), rules: decided.take().rules };
  };

  for await (const batch of plannedBatches(context, archive, partition)) {
    await lease.keep();
    assertNotStopped(context);
    if (context.clock.monotonicMs() - lookedAtMs >= PAUSE_LOOK_EVERY_MS) {
      await assertNotPaused(context.store, archive);
      lookedAtMs = context.clock.monotonicMs();
    }
    const markOf = await marks.lookUp(batch);
    await units?.expect(batch);
    const factsOf = await reader.read(batch);
    for (const record of batch) {
      const facts = { ...factsOf(record), ...markOf(record) };
      const decision = compiled.decision(facts, holds.isHeld(record, facts), now);
      const unfitness = decision === 'due' ? source.fitness(shape, record.raw) : null;
      if (facts.owner !== archive.owner || facts.customer !== archive.customer) {
        throw new MoraineError(
          'INTERNAL',
          `A scan for archive ${archive._id} met a record of another owner or customer.`,
        );
      }
      if (unfitness !== null) {
        await quarantineRecord(
          context,
          { namespace: shape.namespace, owner: archive.owner, customer: archive.customer, policy: policy.name },
          record,
          unfitness,
        );
        unfit += 1;
        last = record;
        continue;
      }
      const times = decision === 'due' ? compiled.times(facts, now) : null;
      if (times !== null && room.passesOver(times.purgeAt)) {
        last = record;
        continue;
      }
      const unit = decision === 'due' && units !== null ? await units.prepare(record) : ALONE;
      if (unit.kind !== 'whole') {
        if (await leaveUnit(context, archive, record, unit)) unfit += 1;
      } else if (times !== null) {
        const trigger = facts.trigger ?? Number.NaN;
        if (!room.admits(record.raw.length + unit.bytes, trigger, times.dueAt, times.purgeAt)) {
          return selection(false);
        }
        await take(record, unit);
        decided.add(compiled.ruleOf(facts, now), trigger, times.dueAt);
        context.progress.archived?.(1, record.raw.length);
      }
      last = record;
    }
  }
  return selection(archive.plan.pass?.reachedEnd ?? true);
}

/** What an archive may still take. */
class Room {
  readonly #policy: Policy;
  readonly #mostRecords: number;
  readonly #latestPurgeAt: number;
  readonly #isMixed: boolean;
  readonly #leftOut: readonly string[];
  #records = 0;
  #bytes = 0;
  #firstDueAt = 0;
  #firstPurgeAt = 0;
  #lastPurgeAt = 0;
  #windowEnd = 0;
  #triggerFrom = 0;
  #triggerTo = 0;
  #hasPassedOver = false;

  /**
   * `plan.records`: the blast caps let this many through; records that came since wait for the next plan. `isMixed`: purge
   * dates do not grow with the triggers, so records of several periods lie next to each other.
   */
  constructor(policy: Policy, plan: ArchivePlan, isMixed: boolean, leftOut: readonly string[]) {
    this.#policy = policy;
    this.#leftOut = leftOut;
    this.#mostRecords = Math.min(MAX_ARCHIVE_RECORDS, plan.records);
    this.#latestPurgeAt = plan.latestPurgeAt.getTime();
    this.#isMixed = isMixed;
  }

  /**
   * Of several periods one archive holds those whose copies are purged within one due window. The others are passed over,
   * and are the next archive's: to end this one at the first of them would make an archive of each record.
   */
  passesOver(purgeAt: number): boolean {
    if (!this.#isMixed || this.#records >= this.#mostRecords) return false;
    const isLast = purgeAt > this.#latestPurgeAt;
    const isApart =
      this.#records > 0 && (purgeAt > this.#windowEnd || lastPurgeInWindow(purgeAt, this.#policy) < this.#lastPurgeAt);
    if (!isLast && !isApart) return false;
    this.#hasPassedOver = true;
    return true;
  }

  /** Counts the record in, or says that the archive ends before it. Instants in ms. */
  admits(bytes: number, trigger: number, dueAt: number, purgeAt: number): boolean {
    if (this.#records >= this.#mostRecords) return false;
    if (this.#records === 0) {
      this.#firstDueAt = dueAt;
      this.#firstPurgeAt = purgeAt;
      this.#lastPurgeAt = purgeAt;
      this.#windowEnd = lastPurgeInWindow(purgeAt, this.#policy);
      this.#triggerFrom = trigger;
    } else {
      if (this.#bytes + bytes > MAX_ARCHIVE_BYTES || purgeAt > this.#windowEnd) return false;
      this.#lastPurgeAt = Math.max(this.#lastPurgeAt, purgeAt);
      this.#firstDueAt = Math.min(this.#firstDueAt, dueAt);
      if (purgeAt < this.#firstPurgeAt) {
        this.#firstPurgeAt = purgeAt;
        this.#windowEnd = lastPurgeInWindow(purgeAt, this.#policy);
      }
    }
    this.#records += 1;
    this.#bytes += bytes;
    this.#triggerTo = trigger;
    return true;
  }

  selection(unfit: number, bound: Position | null, reachedEnd: boolean): Omit<Selection, 'rules'> {
    return {
      records: this.#records,
      unfit,
      firstDueAt: new Date(this.#firstDueAt),
      firstPurgeAt: new Date(this.#firstPurgeAt),
      lastPurgeAt: new Date(this.#lastPurgeAt),
      triggerFrom: new Date(this.#triggerFrom),
      triggerTo: new Date(this.#triggerTo),
      bound,
      reachedEnd: reachedEnd && !this.#hasPassedOver,
      leftOut: this.#leftOut,
    };
  }
}
