/**
 * Two versions of a policy on the real data: which records go earlier under the new one, which later, which never. One
 * pass over the collection in the order of the index; numbers per owner and customer are kept, and a few examples. Holds,
 * quarantine and marks are no part of a version and are not looked at; exceptions in force are.
 */
import type { CustomerId, OwnerId, PolicyVersion } from '../ids.ts';
import { type CompiledPolicy, isUnfit } from '../policy/compile.ts';
import { decidedBy } from '../policy/decider.ts';
import { differenceOf, type FieldChange } from '../policy/difference.ts';
import { type Going, GoingSeer } from '../policy/going.ts';
import { MAX_INSTANT_MS } from '../policy/period.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { branchWords } from '../policy/words.ts';
import type { Partition, RawRecord } from '../source/port.ts';
import { compileInForce } from './compile-in-force.ts';
import { assertNotStopped, type Context } from './context.ts';
import type { Amount } from './forecast.ts';
import { inspectDataset } from './inspect-dataset.ts';
import { factsReader } from './look-ups.ts';
import { assertUsable } from './plan.ts';

export const CHANGES = ['earlier', 'later', 'never', 'newlyDue', 'noLongerDue', 'otherwise', 'goneSooner'] as const;

/**
 * - `earlier`, `later`: due on another day.
 * - `never`: not due any more, as things stand: it waits for something, or cannot be told.
 * - `newlyDue`: due now, and not under the old version; `noLongerDue`: the other way round. They are among the former.
 * - `otherwise`: something else happens to it when it is due: deleted instead of archived, other fields treated.
 * - `goneSooner`: nothing is left of it on an earlier day, the copy included.
 */
export type Changes = Readonly<Record<(typeof CHANGES)[number], Amount>>;

export interface PartyChanges extends Changes {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  /** All that were looked at. */
  readonly records: number;
}

export interface ChangeExample {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly idBytes: Uint8Array;
  /** When it is due under each, and by what; null: not, as things stand. */
  readonly old: ExampleDecision;
  readonly next: ExampleDecision;
}

export interface ExampleDecision {
  readonly dueAt: Date | null;
  readonly by: string;
  /** What happens to it then, in words; null: it cannot be told, or the version is not in force. */
  readonly does: string | null;
}

export interface PolicyComparison {
  readonly policy: string;
  /** Null: never published; then everything is new. */
  readonly from: PolicyVersion | null;
  readonly to: PolicyVersion;
  /** What counts as now. */
  readonly measuredAt: Date;
  readonly fields: readonly FieldChange[];
  readonly records: number;
  readonly totals: Changes;
  /** Those with a change. */
  readonly parties: readonly PartyChanges[];
  readonly examples: readonly ChangeExample[];
}

/**
 * `examples`: at most so many. Throws INDEX_MISSING and DATASET_UNFIT. Records that are new since `measuredAt` are left
 * out where the trigger tells, so that the same measured again later comes to the same.
 */
export async function comparePolicies(
  context: Context,
  old: Policy | null,
  next: Policy,
  { measuredAt, examples }: { readonly measuredAt: Date; readonly examples: number },
): Promise<PolicyComparison> {
  const now = measuredAt.getTime();
  const after = await compileInForce(context, next);
  assertUsable(next, await inspectDataset(context, after.shape));
  const before = old?.dataset.collection === next.dataset.collection ? await compileIfReadable(context, old) : null;
  const total = new ChangeTally();
  const parties: PartyChanges[] = [];
  const found = new Examples(examples);
  const scanBefore = next.trigger.kind === 'expires' ? MAX_INSTANT_MS : now;
  for await (const partition of context.source.partitions(after.shape, scanBefore)) {
    const own = new ChangeTally();
    const seer = new PairSeer(before, after, partition, now);
    const readers = {
      before: before === null ? null : factsReader(context, before),
      after: factsReader(context, after),
    };
    const range = { after: null, upTo: null, before: scanBefore };
    for await (const batch of context.source.scan(partition, range, context.signal)) {
      assertNotStopped(context);
      const factsBefore = await readers.before?.read(batch);
      const factsAfter = await readers.after.read(batch);
      for (const record of batch) {
        const pair = seer.see(factsBefore?.(record) ?? null, factsAfter(record));
        for (const tally of [total, own]) tally.add(pair, record.raw.length, now);
        if (found.wants(pair)) found.add(pair, seer.example(pair, record));
      }
    }
    if (own.hasChanges) parties.push({ owner: partition.owner, customer: partition.customer, ...own.result() });
  }
  const { records, ...totals } = total.result();
  return {
    policy: next.name,
    from: old === null ? null : policyVersion(old),
    to: policyVersion(next),
    measuredAt,
    fields: old === null ? [] : differenceOf(old, next),
    records,
    totals,
    parties,
    examples: found.all,
  };
}

/** Null: what it needs is gone, so nothing is due under it; nor under one for another collection. */
async function compileIfReadable(context: Context, policy: Policy): Promise<CompiledPolicy | null> {
  const compiled = await compileInForce(context, policy);
  const { findings } = await inspectDataset(context, compiled.shape);
  return findings.some(({ level }) => level === 'error') ? null : compiled;
}

type Facts = Parameters<GoingSeer['of']>[0];
type SourceFacts = Omit<Facts, 'exemptUntil' | 'quarantined'>;

interface Pair {
  readonly oldFacts: Facts | null;
  readonly nextFacts: Facts;
  readonly old: Going;
  readonly next: Going;
  /** When nothing is left of it. */
  readonly oldEnd: number;
  readonly nextEnd: number;
}

const NOT_THERE: Going = { at: Number.POSITIVE_INFINITY, purgeAt: Number.NaN, branch: null, isPending: false };

/** Both versions at work on the records of one partition. */
class PairSeer {
  readonly #before: CompiledPolicy | null;
  readonly #after: CompiledPolicy;
  readonly #partition: Partition;
  readonly #now: number;
  readonly #old: GoingSeer | null;
  readonly #next: GoingSeer;

  constructor(before: CompiledPolicy | null, after: CompiledPolicy, partition: Partition, now: number) {
    // The old version may say that a record is another's: then it is asked as a whole.
    this.#before = before;
    this.#after = after.of(partition.owner, partition.customer);
    this.#partition = partition;
    this.#now = now;
    this.#old = before === null ? null : new GoingSeer(before, now);
    this.#next = new GoingSeer(this.#after, now);
  }

  see(oldSource: SourceFacts | null, nextSource: SourceFacts): Pair {
    const oldFacts = oldSource === null ? null : unmarked(oldSource);
    const nextFacts = unmarked(nextSource);
    const old = oldFacts === null || this.#old === null ? NOT_THERE : this.#old.of(oldFacts);
    const next = this.#next.of(nextFacts);
    return {
      ...{ oldFacts, nextFacts, old, next },
      oldEnd: endOf(old),
      nextEnd: endOf(next),
    };
  }

  example({ oldFacts, nextFacts }: Pair, { idBytes }: RawRecord): ChangeExample {
    const { owner, customer } = this.#partition;
    return {
      ...{ owner, customer, idBytes },
      old:
        this.#before === null || oldFacts === null || isUnfit(oldFacts)
          ? { dueAt: null, by: 'not in force', does: null }
          : decision(this.#before.of(owner, customer), oldFacts, this.#now),
      next: decision(this.#after, nextFacts, this.#now),
    };
  }
}

function unmarked(facts: SourceFacts): Facts {
  return { ...facts, exemptUntil: null, quarantined: false };
}

/** Where a copy is made, it outlives the original. */
function endOf({ at, purgeAt, branch }: Going): number {
  return branch?.disposition === 'archive' && at !== Number.POSITIVE_INFINITY ? purgeAt : at;
}

function decision(compiled: CompiledPolicy, facts: Facts, now: number): ExampleDecision {
  const { dueAt, by } = decidedBy(compiled, facts, now);
  const branch = compiled.dispositionOf(facts);
  return { dueAt: Number.isFinite(dueAt) ? new Date(dueAt) : null, by, does: branch && branchWords(branch) };
}

/** Of records that go under both. */
function isOtherwise(old: Going, next: Going): boolean {
  return old.branch !== null && next.branch !== null && old.branch.key !== next.branch.key;
}

class ChangeTally {
  #records = 0;
  readonly #counts: Record<(typeof CHANGES)[number], { records: number; bytes: number }> = {
    earlier: { records: 0, bytes: 0 },
    later: { records: 0, bytes: 0 },
    never: { records: 0, bytes: 0 },
    newlyDue: { records: 0, bytes: 0 },
    noLongerDue: { records: 0, bytes: 0 },
    otherwise: { records: 0, bytes: 0 },
    goneSooner: { records: 0, bytes: 0 },
  };

  add({ old, next, oldEnd, nextEnd }: Pair, bytes: number, now: number): void {
    this.#records += 1;
    const count = (change: (typeof CHANGES)[number], applies: boolean) => {
      if (!applies) return;
      this.#counts[change].records += 1;
      this.#counts[change].bytes += bytes;
    };
    const isNever = next.at === Number.POSITIVE_INFINITY;
    count('earlier', next.at < old.at);
    count('later', next.at > old.at && !isNever);
    count('never', next.at > old.at && isNever);
    count('newlyDue', next.at <= now && old.at > now);
    count('noLongerDue', old.at <= now && next.at > now);
    count('otherwise', isOtherwise(old, next));
    count('goneSooner', nextEnd < oldEnd);
  }

  get hasChanges(): boolean {
    return CHANGES.some((change) => this.#counts[change].records > 0);
  }

  result(): Changes & { readonly records: number } {
    return { records: this.#records, ...this.#counts };
  }
}

/** The first ones; what goes earlier is worth more than what goes later. */
class Examples {
  readonly #most: number;
  readonly #earlier: ChangeExample[] = [];
  readonly #others: ChangeExample[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  wants(pair: Pair): boolean {
    const { old, next, oldEnd, nextEnd } = pair;
    if (old.at === next.at && oldEnd === nextEnd && !isOtherwise(old, next)) return false;
    return this.#listOf(pair).length < this.#most && this.#earlier.length < this.#most;
  }

  add(pair: Pair, example: ChangeExample): void {
    this.#listOf(pair).push(example);
  }

  get all(): readonly ChangeExample[] {
    return [...this.#earlier, ...this.#others].slice(0, this.#most);
  }

  #listOf({ old, next, oldEnd, nextEnd }: Pair): ChangeExample[] {
    return next.at < old.at || nextEnd < oldEnd ? this.#earlier : this.#others;
  }
}
