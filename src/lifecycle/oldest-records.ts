/**
 * The oldest record of each policy that is due and still in the source, read from the source itself: what the ledger
 * does not know of cannot be told by it. One look at the head of each partition, by the index that the policy needs;
 * a policy without that index is not looked at, for nothing ever scans a collection silently.
 */
import { MoraineError } from '../errors.ts';
import { policiesInForce } from '../ledger/policies.ts';
import { type CompiledPolicy, compile } from '../policy/compile.ts';
import { type Policy, toShape } from '../policy/policy.ts';
import { overdueAfter } from '../policy/window.ts';
import type { Partition } from '../source/port.ts';
import { type Context, dueNow } from './context.ts';
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
  /** Why the source could not be asked; the dates then say nothing. */
  readonly problem: { readonly code: string; readonly text: string; readonly hint: string } | null;
}

/** A policy that cannot be read, or whose source cannot, says so and stops no other. */
export async function oldestRecords(context: Context): Promise<readonly OldestRecord[]> {
  const oldest: OldestRecord[] = [];
  for await (const { name, version } of policiesInForce(context.store)) {
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
    return { policy, readAt, dueAt: null, overdueFrom: null, isExpired: false, problem: describe(error) };
  }
}

async function oldestOf(context: Context, policy: Policy): Promise<OldestRecord> {
  const readAt = context.clock.now();
  assertUsable(policy, await context.source.inspect(toShape(policy)));
  const compiled = compile(policy);
  const now = dueNow(context).getTime();
  let dueAt = Number.POSITIVE_INFINITY;
  const { dueBefore } = compiled.superset(now);
  for await (const partition of context.source.partitions(toShape(policy), dueBefore)) {
    dueAt = Math.min(dueAt, (await firstDue(context, compiled, partition, now)) ?? dueAt);
  }
  if (!Number.isFinite(dueAt)) {
    return { policy: policy.name, readAt, dueAt: null, overdueFrom: null, isExpired: false, problem: null };
  }
  const overdueFrom = new Date(overdueAfter(dueAt, policy));
  const isExpired = compiled.purgeAt(dueAt) <= now;
  return { policy: policy.name, readAt, dueAt: new Date(dueAt), overdueFrom, isExpired, problem: null };
}

/** When the partition's first due record became due (ms). Records that are exempt, in quarantine or held are not late. */
async function firstDue(
  context: Context,
  compiled: CompiledPolicy,
  partition: Partition,
  now: number,
): Promise<number | null> {
  const { dataset } = partition;
  const holds = await partitionHolds(context, partition);
  if (holds.whole.length > 0) return null;
  const marks = await marksOf(context, partition);
  const range = { after: null, upTo: null, before: compiled.superset(now).dueBefore };
  for await (const batch of context.source.scan(partition, range, context.signal)) {
    const markOf = await marks.lookUp(batch);
    for (const record of batch) {
      const facts = context.source.facts(dataset, record.raw);
      const decision = compiled.decision({ ...facts, ...markOf(record) }, holds.isHeld(record, facts), now);
      if ((decision === 'due' || decision === 'expired') && facts.trigger !== null)
        return compiled.dueAt(facts.trigger);
    }
  }
  return null;
}

function describe(error: unknown): OldestRecord['problem'] {
  if (error instanceof MoraineError) return { code: error.code, text: error.message, hint: error.hint };
  // The text of an error that is not ours may quote anything, a record too.
  return { code: 'INTERNAL', text: 'The source could not be read.', hint: 'Look at the log of the console.' };
}
