/**
 * The oldest record of each policy that is due and still in the source, read from the source itself: what the ledger
 * does not know of cannot be told by it. One look at the head of each partition, by the index that the policy needs;
 * a policy without that index is not looked at, for nothing ever scans a collection silently.
 */

import { MoraineError } from '../errors.ts';
import { policiesInForce } from '../ledger/policies.ts';
import type { CompiledPolicy, Times } from '../policy/compile.ts';
import type { Policy } from '../policy/policy.ts';
import { overdueAfter } from '../policy/window.ts';
import type { Partition } from '../source/port.ts';
import { compileInForce } from './compile-in-force.ts';
import { type Context, dueNow } from './context.ts';
import { inspectDataset } from './inspect-dataset.ts';
import { factsReader } from './look-ups.ts';
import { assertUsable } from './plan.ts';
import { pinnedPolicy } from './published.ts';
import { marksOf } from './read-marks.ts';
import { partitionHolds } from './record-holds.ts';

export interface OldestRecord {
  readonly policy: string;
  readonly readAt: Date;
  /** When the oldest record that is still in the source became due; null: none is due. */
  readonly dueAt: Date | null;
  /** When it is, or was, overdue: its due date and the policy's grace. */
  readonly overdueFrom: Date | null;
  /** It is past its archive period too, so only `run --expired` takes it. */
  readonly isExpired: boolean;
  /** When the oldest record that waits for an event or a value was created; null: none does, or it is not known. */
  readonly pendingSince: Date | null;
  /** Why the source could not be asked; the dates then say nothing. */
  readonly problem: { readonly code: string; readonly text: string; readonly hint: string } | null;
}

/** A policy that cannot be read, or whose source cannot, says so and stops no other. */
export async function oldestRecords(context: Context): Promise<readonly OldestRecord[]> {
  const oldest: OldestRecord[] = [];
  for await (const { name, version } of policiesInForce(context.store, context.asOf)) {
    oldest.push(
      await orProblem(context, name, async () => oldestOf(context, await pinnedPolicy(context.store, version))),
    );
  }
  return oldest;
}

/** How long the record has been overdue (ms); 0 when none is. Null when the source could not be asked. */
export function overdueMs(oldest: OldestRecord, now: Date): number | null {
  if (oldest.problem !== null) return null;
  return oldest.overdueFrom === null ? 0 : Math.max(0, now.getTime() - oldest.overdueFrom.getTime());
}

async function orProblem(context: Context, policy: string, read: () => Promise<OldestRecord>): Promise<OldestRecord> {
  try {
    return await read();
  } catch (error) {
    const code = error instanceof MoraineError ? error.code : 'INTERNAL';
    context.log.warn({ policy, code }, 'The source could not be asked for its oldest record.');
    const readAt = context.clock.now();
    const nothing = { dueAt: null, overdueFrom: null, isExpired: false, pendingSince: null };
    return { policy, readAt, ...nothing, problem: describe(error) };
  }
}

async function oldestOf(context: Context, policy: Policy): Promise<OldestRecord> {
  const readAt = context.clock.now();
  const compiled = await compileInForce(context, policy);
  const { shape } = compiled;
  assertUsable(policy, await inspectDataset(context, shape));
  const now = dueNow(context).getTime();
  let times: Times | null = null;
  let pendingSince: number | null = null;
  const { dueBefore } = compiled.superset(now);
  for await (const partition of context.source.partitions(shape, dueBefore)) {
    const first = await firstDue(context, compiled, partition, now);
    if (first.due !== null && !(times !== null && times.dueAt <= first.due.dueAt)) times = first.due;
    if (first.pending !== null) pendingSince = Math.min(pendingSince ?? first.pending, first.pending);
  }
  const pending = pendingSince === null ? null : new Date(pendingSince);
  const known = { policy: policy.name, readAt, pendingSince: pending, problem: null };
  if (times === null) return { ...known, dueAt: null, overdueFrom: null, isExpired: false };
  const overdueFrom = new Date(overdueAfter(times.dueAt, policy));
  return { ...known, dueAt: new Date(times.dueAt), overdueFrom, isExpired: times.purgeAt <= now };
}

interface First {
  /** Of the record that has been due for the longest. */
  readonly due: Times | null;
  /** Creation (ms) of the oldest record that waits for an event or a value. */
  readonly pending: number | null;
}

/**
 * The partition's first due record, and its first pending one. Records that are exempt, in quarantine or held are not late.
 * Where all have one period the first due record by trigger is the oldest; else those before the end of the shortest period
 * are all looked at.
 */
async function firstDue(context: Context, compiled: CompiledPolicy, partition: Partition, now: number): Promise<First> {
  const holds = await partitionHolds(context, partition);
  if (holds.whole.length > 0) return { due: null, pending: null };
  const marks = await marksOf(context, partition);
  const own = compiled.of(partition.owner, partition.customer);
  const reader = factsReader(context, compiled);
  const range = { after: null, upTo: null, before: own.superset(now).dueBefore };
  let due: Times | null = null;
  let pending: number | null = null;
  for await (const batch of context.source.scan(partition, range, context.signal)) {
    const markOf = await marks.lookUp(batch);
    const factsOf = await reader.read(batch);
    for (const record of batch) {
      const facts = { ...factsOf(record), ...markOf(record) };
      const decision = own.decision(facts, holds.isHeld(record, facts), now);
      if (decision === 'pending' && pending === null) pending = facts.trigger;
      if (decision !== 'due' && decision !== 'expired') continue;
      const times = own.times(facts, now);
      if (due === null || times.dueAt < due.dueAt) due = times;
      if (own.uniform !== null) return { due, pending };
    }
  }
  return { due, pending };
}

function describe(error: unknown): OldestRecord['problem'] {
  if (error instanceof MoraineError) return { code: error.code, text: error.message, hint: error.hint };
  // The text of an error that is not ours may quote anything, a record too.
  return { code: 'INTERNAL', text: 'The source could not be read.', hint: 'Look at the log of the console.' };
}
