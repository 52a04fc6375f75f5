/**
 * What a policy will do from now on, month by month, if nothing changes: one pass over its records in the order of the
 * index, each placed by the first instant at which it goes. Reads only, and keeps numbers, never records.
 *
 * Holds and marks count as they do for a plan. What lies in archives that are not cleared yet is theirs, and is counted
 * beside. Records that are created from now on are not foreseen.
 */
import type { CustomerId, Namespace, OwnerId, PolicyVersion } from '../ids.ts';
import { findArchives, highestUncleared } from '../ledger/archives.ts';
import { partitionId } from '../ledger/partitions.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import type { CompiledPolicy } from '../policy/compile.ts';
import { GoingSeer, goingBefore } from '../policy/going.ts';
import { type Month, monthAt, monthsBetween } from '../policy/months.ts';
import { type Disposition, type Policy, policyVersion } from '../policy/policy.ts';
import type { Partition } from '../source/port.ts';
import { compileInForce } from './compile-in-force.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { inspectDataset } from './inspect-dataset.ts';
import { type FactsReader, factsReader } from './look-ups.ts';
import { assertUsable } from './plan.ts';
import { marksOf } from './read-marks.ts';
import { partitionHolds } from './record-holds.ts';

export interface Amount {
  readonly records: number;
  /** BSON of the records themselves, without what hangs on them. */
  readonly bytes: number;
}

export interface MonthForecast {
  /** `2026-11`, in the policy's zone. */
  readonly month: string;
  /** What goes, all together. */
  readonly going: Amount;
  /** What becomes of it. */
  readonly goingBy: Readonly<Record<Disposition, Amount>>;
  /** Copies of records that go until the end, whose archive period ends in this month; their archive may wait for its last record. */
  readonly futurePurges: Amount;
  /** Archives that exist, by their purge date; what is overdue stands in the first month. Bytes as stored. */
  readonly purges: Amount & { readonly archives: number };
}

export interface Forecast {
  readonly months: readonly MonthForecast[];
  /** Would go until the end, and are kept by a hold now. */
  readonly held: Amount;
  /** Old enough for the shortest period, and waiting for an event or a value that may not come until the end. */
  readonly pending: Amount;
  /** Past their archive period too: `run --expired` only. */
  readonly expired: Amount;
  readonly quarantined: Amount;
  readonly inUnclearedArchives: number;
}

export interface CustomerForecast extends Forecast {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
}

export interface PolicyForecast extends Forecast {
  readonly policy: string;
  readonly version: PolicyVersion;
  readonly dataset: Namespace;
  /** All that may become of what goes. */
  readonly dispositions: readonly Disposition[];
  readonly asOf: Date;
  readonly until: Date;
  /** Pauses that stop some of it now; they are not foreseen to end or to stay. */
  readonly paused: readonly string[];
  /** Null unless it was asked for. In the order of the partitions. */
  readonly customers: readonly CustomerForecast[] | null;
}

/** Throws INDEX_MISSING, DATASET_UNFIT, and USAGE for an end that is none. */
export async function forecastPolicy(
  context: Context,
  policy: Policy,
  options: { readonly until: Date; readonly byCustomer: boolean },
): Promise<PolicyForecast> {
  const asOf = dueNow(context);
  const [now, until] = [asOf.getTime(), options.until.getTime()];
  const months = monthsBetween(now, until, policy.zone);
  const compiled = await compileInForce(context, policy);
  assertUsable(policy, await inspectDataset(context, compiled.shape));
  const total = new ForecastTally(months, until);
  const parts = new Map<string, { owner: OwnerId; customer: CustomerId; tally: ForecastTally }>();
  const tallyOf = (owner: OwnerId, customer: CustomerId): readonly ForecastTally[] => {
    if (!options.byCustomer) return [total];
    const key = partitionId(policy.dataset.collection, owner, customer);
    const part = parts.get(key) ?? { owner, customer, tally: new ForecastTally(months, until) };
    parts.set(key, part);
    return [total, part.tally];
  };
  const paused = new Set<string>();
  const pauses = await pausesInForce(context.store);
  const reader = factsReader(context, compiled);
  for await (const partition of context.source.partitions(compiled.shape, goingBefore(compiled, now, until))) {
    const { owner, customer } = partition;
    for (const pause of pauses) if (stops(pause, { policy: policy.name, owner })) paused.add(pauseName(pause));
    await forecastPartition(context, compiled, partition, reader, { now, until }, tallyOf(owner, customer));
  }
  await addPurges(context, policy, until, tallyOf);
  return {
    policy: policy.name,
    version: policyVersion(policy),
    dataset: policy.dataset.collection,
    dispositions: [...new Set(compiled.branches.map(({ disposition }) => disposition))],
    asOf,
    until: options.until,
    paused: [...paused],
    ...total.result(),
    customers: options.byCustomer
      ? [...parts.values()].map(({ owner, customer, tally }) => ({ owner, customer, ...tally.result() }))
      : null,
  };
}

async function forecastPartition(
  context: Context,
  policy: CompiledPolicy,
  partition: Partition,
  reader: FactsReader,
  { now, until }: { readonly now: number; readonly until: number },
  tallies: readonly ForecastTally[],
): Promise<void> {
  const compiled = policy.of(partition.owner, partition.customer);
  const seer = new GoingSeer(compiled, now);
  const before = goingBefore(compiled, now, until);
  const uncleared = await highestUncleared(
    context.store,
    partitionId(partition.dataset.namespace, partition.owner, partition.customer),
  );
  const after = uncleared?.plan.bound ?? null;
  const ownedBefore = uncleared !== null && after === null ? uncleared.plan.before : Number.NEGATIVE_INFINITY;
  if (after !== null) await addOwned(context, partition, after, before, tallies);
  const marks = await marksOf(context, partition);
  const holds = await partitionHolds(context, partition);
  for await (const batch of context.source.scan(partition, { after, upTo: null, before }, context.signal)) {
    assertNotStopped(context);
    const markOf = await marks.lookUp(batch);
    const factsOf = await reader.read(batch);
    for (const record of batch) {
      const own = factsOf(record);
      const bytes = record.raw.length;
      if (own.trigger !== null && own.trigger < ownedBefore) {
        for (const tally of tallies) tally.inUnclearedArchives += 1;
        continue;
      }
      const facts = { ...own, ...markOf(record) };
      const going = seer.of({ ...facts, quarantined: false });
      const isHeld = going.at <= until && holds.isHeld(record, own);
      for (const tally of tallies) tally.add(going, { bytes, now, isHeld, isQuarantined: facts.quarantined });
    }
  }
}

/** What lies up to the bound of an archive that is not cleared: it may be in it. */
async function addOwned(
  context: Context,
  partition: Partition,
  bound: Uint8Array,
  before: number,
  tallies: readonly ForecastTally[],
): Promise<void> {
  for await (const batch of context.source.scan(partition, { after: null, upTo: bound, before }, context.signal)) {
    assertNotStopped(context);
    for (const tally of tallies) tally.inUnclearedArchives += batch.length;
  }
}

/** Purge dates of archives that exist: the ledger's word, whatever the policy says now. */
async function addPurges(
  context: Context,
  policy: Policy,
  until: number,
  tallyOf: (owner: OwnerId, customer: CustomerId) => readonly ForecastTally[],
): Promise<void> {
  const filter = {
    policy: policy.name,
    state: { $in: ['stored', 'verified', 'cleared', 'purging'] },
    dueAt: { $lte: new Date(until) },
  };
  for await (const { owner, customer, dueAt, stored } of findArchives(context.store, filter)) {
    if (dueAt === null || stored === null) continue;
    for (const tally of tallyOf(owner, customer)) tally.addPurge(dueAt.getTime(), stored);
  }
}

class ForecastTally {
  readonly #months: readonly Month[];
  readonly #until: number;
  readonly #going: (Record<Disposition, Adding> & { readonly all: Adding })[];
  readonly #futurePurges: Adding[];
  readonly #purges: (Adding & { archives: number })[];
  readonly #held = nothing();
  readonly #pending = nothing();
  readonly #expired = nothing();
  readonly #quarantined = nothing();
  inUnclearedArchives = 0;

  constructor(months: readonly Month[], until: number) {
    this.#months = months;
    this.#until = until;
    this.#going = months.map(() => ({ all: nothing(), archive: nothing(), delete: nothing(), treat: nothing() }));
    this.#futurePurges = months.map(nothing);
    this.#purges = months.map(() => ({ ...nothing(), archives: 0 }));
  }

  add(
    going: ReturnType<GoingSeer['of']>,
    record: {
      readonly bytes: number;
      readonly now: number;
      readonly isHeld: boolean;
      readonly isQuarantined: boolean;
    },
  ): void {
    const { bytes } = record;
    const goes = going.at <= this.#until;
    const purges = this.#futurePurges[monthAt(this.#months, going.purgeAt)];
    if (record.isQuarantined) plus(this.#quarantined, bytes);
    else if (goes && record.isHeld) plus(this.#held, bytes);
    else if (goes && going.purgeAt <= going.at) plus(this.#expired, bytes);
    else if (goes) {
      const month = this.#going[monthAt(this.#months, going.at)];
      plus(month?.all, bytes);
      if (going.branch !== null) plus(month?.[going.branch.disposition], bytes);
      if (going.purgeAt <= this.#until) plus(purges, bytes);
    } else if (going.isPending) plus(this.#pending, bytes);
  }

  addPurge(dueAt: number, { records, bytes }: Amount): void {
    const month = this.#purges[Math.max(0, monthAt(this.#months, dueAt))];
    plus(month, bytes, records);
    if (month !== undefined) month.archives += 1;
  }

  result(): Forecast {
    return {
      months: this.#months.map(({ month }, index) => ({
        month,
        ...goingOf(this.#going[index]),
        futurePurges: this.#futurePurges[index] ?? nothing(),
        purges: this.#purges[index] ?? { ...nothing(), archives: 0 },
      })),
      held: this.#held,
      pending: this.#pending,
      expired: this.#expired,
      quarantined: this.#quarantined,
      inUnclearedArchives: this.inUnclearedArchives,
    };
  }
}

function goingOf(
  month: (Readonly<Record<Disposition, Amount>> & { readonly all: Amount }) | undefined,
): Pick<MonthForecast, 'going' | 'goingBy'> {
  const { all, ...by } = month ?? { all: nothing(), archive: nothing(), delete: nothing(), treat: nothing() };
  return { going: all, goingBy: by };
}

interface Adding {
  records: number;
  bytes: number;
}

function nothing(): Adding {
  return { records: 0, bytes: 0 };
}

function plus(amount: Adding | undefined, bytes: number, records = 1): void {
  if (amount === undefined) return;
  amount.records += records;
  amount.bytes += bytes;
}
