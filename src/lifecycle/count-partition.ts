/**
 * How many records of a partition are due, counted by the server where the answer is certain and decided one by one
 * where it is not: in the few days around the edge of the period, and wherever single records carry marks.
 */
import { deserialize, MinKey, ObjectId, serialize } from 'bson';
import type { ArchivePlan } from '../ledger/archive-document.ts';
import type { CompiledPolicy } from '../policy/compile.ts';
import { periodOf, subtractPeriod } from '../policy/period.ts';
import { superset } from '../policy/superset.ts';
import type { DatasetShape, Partition, Position, RawRecord, RecordFacts, TriggerRange } from '../source/port.ts';
import { assertNotStopped, type Context } from './context.ts';
import { countShortened, type Shortened } from './count-shortened.ts';
import { type FactsReader, factsReader } from './look-ups.ts';
import { type DecisionMark, marksOf } from './read-marks.ts';
import { type PartitionHolds, partitionHolds } from './record-holds.ts';

export interface PartitionCounts {
  readonly due: number;
  /** BSON bytes of the due records. */
  readonly bytes: number;
  readonly oldestDueAt: Date | null;
  readonly expired: number;
  readonly exempt: number;
  readonly quarantined: number;
  /** Due or expired, and kept by a hold. */
  readonly held: number;
  readonly holds: PartitionHolds;
  /** Looked at and not due: only those near the edge are counted. */
  readonly notDue: number;
  /** Old enough for the shortest period, and waiting for an event or for a value that can be used. */
  readonly pending: number;
  /** When the oldest of them was created. */
  readonly oldestPendingAt: Date | null;
  /** Treated in place already. */
  readonly treated: number;
  /** No due record is to be purged later (ms); null where none was decided by itself. */
  readonly latestPurgeAt: number | null;
  /** What exceptions that were granted will make due when they bite. */
  readonly shortened: readonly Shortened[];
  readonly inUnclearedArchives: number;
}

/** `owned` is the plan of the highest uncleared archive: what lies up to its bound waits until that is cleared. */
export async function countPartition(
  context: Context,
  policy: CompiledPolicy,
  partition: Partition,
  asOf: Date,
  owned: ArchivePlan | null,
): Promise<PartitionCounts> {
  const now = asOf.getTime();
  const compiled = policy.of(partition.owner, partition.customer);
  const reader = factsReader(context, policy);
  const bounds = compiled.superset(now);
  const from = owned === null ? undefined : ownedUpTo(owned);
  const marks = await marksOf(context, partition);
  const holds = await partitionHolds(context, partition);
  const tally = new Tally(compiled, now, holds);
  let inUnclearedArchives = 0;
  if (owned !== null && from !== undefined) {
    const before = Math.min(from, bounds.dueBefore);
    inUnclearedArchives = (await context.source.summarise(partition, { before })).records;
    // Others with the trigger of the bound lie above it, by their `_id`.
    if (owned.bound !== null)
      inUnclearedArchives -= await decideEach(context, partition, reader, { after: owned.bound, before }, marks, tally);
  }
  const isSmall = from === undefined && (await decideIfSmall(context, compiled, partition, reader, marks, tally));
  const above = from === undefined ? null : positionAt(partition.dataset, from);
  const shortened = await countShortened(context, compiled, partition, reader, now, above);
  if (isSmall) return { ...tally.counts(), inUnclearedArchives, shortened };
  // A hold on all of it changes no count but the one of what is held.
  const { uniform } = compiled;
  if (uniform !== null && marks.isEmpty && (holds.narrow.length === 0 || holds.whole.length > 0)) {
    const sure = certainRanges(compiled, uniform, now, from);
    tally.addCertain('expired', await context.source.summarise(partition, sure.expired));
    tally.addCertain('due', await context.source.summarise(partition, sure.due));
    for (const range of sure.uncertain) {
      const after = range.from === undefined ? null : positionAt(partition.dataset, range.from);
      await decideEach(context, partition, reader, { after, before: range.before }, marks, tally);
    }
  } else {
    const after = from === undefined ? null : positionAt(partition.dataset, from);
    await decideEach(context, partition, reader, { after, before: bounds.dueBefore }, marks, tally);
  }
  return { ...tally.counts(), inUnclearedArchives, shortened };
}

/** No trigger (ms) from this one on lies in uncleared archives. A plan that was never scanned owns everything that it may take. */
function ownedUpTo(plan: ArchivePlan): number {
  if (plan.bound === null) return plan.before;
  const { t } = deserialize(plan.bound);
  return t instanceof Date ? t.getTime() + 1 : objectIdMs(t) + OBJECT_ID_STEP_MS;
}

/** An ObjectId tells its time to the second. */
const OBJECT_ID_STEP_MS = 1_000;
const MAX_OBJECT_ID_SECONDS = 0xffff_ffff;

function objectIdMs(value: unknown): number {
  const hasTime =
    typeof value === 'object' && value !== null && 'getTimestamp' in value && typeof value.getTimestamp === 'function';
  return hasTime ? (value.getTimestamp as () => Date).call(value).getTime() : Number.NaN;
}

/** The position right before the first record whose trigger is at or after the instant. */
function positionAt(shape: DatasetShape, ms: number): Position {
  const seconds = Math.min(Math.max(0, Math.ceil(ms / 1000)), MAX_OBJECT_ID_SECONDS);
  const t = shape.trigger.kind === 'date' ? new Date(ms) : ObjectId.createFromTime(seconds);
  return serialize({ t, i: new MinKey() });
}

interface CertainRanges {
  readonly expired: TriggerRange;
  readonly due: TriggerRange;
  readonly uncertain: readonly TriggerRange[];
}

/** Cuts the triggers into what is certainly expired, perhaps, certainly due, perhaps. Empty ranges have `from` >= `before`. */
function certainRanges(
  compiled: CompiledPolicy,
  uniform: NonNullable<CompiledPolicy['uniform']>,
  now: number,
  from: number | undefined,
): CertainRanges {
  const { policy } = compiled;
  const due = compiled.superset(now);
  const active = uniform.active === null ? null : periodOf(uniform.active);
  const start = from === undefined ? {} : { from };
  const clip = (ms: number) => (from === undefined ? ms : Math.max(from, ms));
  if (uniform.archive === null) {
    return {
      expired: { ...start, before: -Infinity },
      due: { ...start, before: due.certainlyDueBefore },
      uncertain: [{ from: clip(due.certainlyDueBefore), before: due.dueBefore }].filter(
        (range) => range.from < range.before,
      ),
    };
  }
  const archive = periodOf(uniform.archive);
  const beforeArchive = subtractPeriod(now, archive, policy.zone);
  // Two periods in a row: the margins of both around the point that both together reach back to.
  const expired = superset(beforeArchive, active, policy.zone);
  const margin = superset(now, archive, policy.zone);
  const slack = (margin.dueBefore - margin.certainlyDueBefore) / 2;
  const expiredBefore = expired.certainlyDueBefore - slack;
  const mayBeExpiredBefore = expired.dueBefore + slack;
  const edge = Math.max(mayBeExpiredBefore, expiredBefore);
  const sureFrom = Math.min(edge, due.dueBefore);
  const sureBefore = Math.max(sureFrom, due.certainlyDueBefore);
  return {
    expired: { ...start, before: Math.min(expiredBefore, due.certainlyDueBefore) },
    due: { from: clip(sureFrom), before: sureBefore },
    uncertain: [
      { from: clip(Math.min(expiredBefore, due.certainlyDueBefore)), before: sureFrom },
      { from: clip(sureBefore), before: due.dueBefore },
    ].filter((range) => range.from < range.before),
  };
}

/** A partition whose records come in one batch of the scan is decided at once: one call instead of four. False, with nothing counted, for a larger one. */
async function decideIfSmall(
  context: Context,
  compiled: CompiledPolicy,
  partition: Partition,
  reader: FactsReader,
  marks: Awaited<ReturnType<typeof marksOf>>,
  tally: Tally,
): Promise<boolean> {
  const range = { after: null, upTo: null, before: compiled.superset(tally.now).dueBefore };
  let whole: readonly RawRecord[] | null = null;
  for await (const batch of context.source.scan(partition, range, context.signal)) {
    if (whole !== null) return false;
    whole = batch;
  }
  if (whole !== null) await decideBatch(reader, whole, marks, tally);
  return true;
}

/** Decides one record after the other; returns how many. */
async function decideEach(
  context: Context,
  partition: Partition,
  reader: FactsReader,
  range: { readonly after: Position | null; readonly before: number },
  marks: Awaited<ReturnType<typeof marksOf>>,
  tally: Tally,
): Promise<number> {
  let looked = 0;
  for await (const batch of context.source.scan(partition, { ...range, upTo: null }, context.signal)) {
    assertNotStopped(context);
    looked += batch.length;
    await decideBatch(reader, batch, marks, tally);
  }
  return looked;
}

async function decideBatch(
  reader: FactsReader,
  batch: readonly RawRecord[],
  marks: Awaited<ReturnType<typeof marksOf>>,
  tally: Tally,
): Promise<void> {
  const markOf = await marks.lookUp(batch);
  const factsOf = await reader.read(batch);
  for (const record of batch) tally.decide(record, factsOf(record), markOf(record));
}

/** Of a policy that has one period for all, only the trigger counts. */
const SOMEBODYS = { owner: null, customer: null, exemptUntil: null, quarantined: false, unfit: [] } as const;

class Tally {
  readonly now: number;
  readonly #compiled: CompiledPolicy;
  readonly #holds: PartitionHolds;
  #due = 0;
  #bytes = 0;
  #oldest: number | null = null;
  #expired = 0;
  #exempt = 0;
  #quarantined = 0;
  #held = 0;
  #notDue = 0;
  #pending = 0;
  #oldestPending: number | null = null;
  #treated = 0;
  #latestPurge: number | null = null;

  constructor(compiled: CompiledPolicy, now: number, holds: PartitionHolds) {
    this.#compiled = compiled;
    this.#holds = holds;
    this.now = now;
  }

  /** Where a hold keeps all of it, due and expired records are held. */
  get #areAllHeld(): boolean {
    return this.#holds.whole.length > 0;
  }

  addCertain(
    decision: 'due' | 'expired',
    summary: { readonly records: number; readonly bytes: number; readonly oldest: number | null },
  ): void {
    if (summary.records === 0) return;
    if (decision === 'expired') {
      this.#expired += summary.records;
      return;
    }
    this.#due += summary.records;
    this.#bytes += summary.bytes;
    if (summary.oldest === null) return;
    const oldest = { ...SOMEBODYS, trigger: summary.oldest };
    this.#note(this.#compiled.times(oldest, this.now).dueAt);
  }

  decide(record: RawRecord, facts: RecordFacts, mark: DecisionMark): void {
    // A hold on all of it is told beside the counts: what would be due without it is still shown.
    const held = !this.#areAllHeld && this.#holds.isHeld(record, facts);
    const known = { ...facts, ...mark };
    const decision = this.#compiled.decision(known, held, this.now);
    switch (decision) {
      case 'due': {
        this.#due += 1;
        this.#bytes += record.raw.length;
        const { dueAt, purgeAt } = this.#compiled.times(known, this.now);
        this.#note(dueAt);
        if (Number.isFinite(purgeAt)) this.#latestPurge = Math.max(this.#latestPurge ?? purgeAt, purgeAt);
        return;
      }
      case 'pending':
        this.#pending += 1;
        if (facts.trigger !== null) this.#oldestPending = Math.min(this.#oldestPending ?? facts.trigger, facts.trigger);
        return;
      case 'treated':
        this.#treated += 1;
        return;
      case 'expired':
        this.#expired += 1;
        return;
      case 'exempt':
        this.#exempt += 1;
        return;
      case 'held':
        this.#held += 1;
        return;
      case 'quarantined':
        this.#quarantined += 1;
        return;
      default:
        // Unfit records are counted for the whole dataset; the others are not due.
        if (decision === 'not-due') this.#notDue += 1;
    }
  }

  #note(dueAt: number): void {
    if (this.#oldest === null || dueAt < this.#oldest) this.#oldest = dueAt;
  }

  counts(): Omit<PartitionCounts, 'inUnclearedArchives' | 'shortened'> {
    return {
      due: this.#due,
      bytes: this.#bytes,
      oldestDueAt: this.#oldest === null ? null : new Date(this.#oldest),
      expired: this.#expired,
      exempt: this.#exempt,
      quarantined: this.#quarantined,
      held: this.#areAllHeld ? this.#due + this.#expired : this.#held,
      holds: this.#holds,
      notDue: this.#notDue,
      pending: this.#pending,
      oldestPendingAt: this.#oldestPending === null ? null : new Date(this.#oldestPending),
      treated: this.#treated,
      latestPurgeAt: this.#latestPurge,
    };
  }
}
