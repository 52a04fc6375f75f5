/** Policies made ready with what is in force besides them: exceptions, and the environment. */
import { exceptionsByIds, exceptionsInForce } from '../ledger/exceptions.ts';
import { type CompiledPolicy, compile } from '../policy/compile.ts';
import { DAY_MS, periodOf, subtractPeriod } from '../policy/period.ts';
import type { Policy } from '../policy/policy.ts';
import { type Context, dueNow } from './context.ts';

/** More than the calendar can be off by when a period is counted backward. */
const MARGIN_MS = 5 * DAY_MS;

/** For a plan: with the exceptions that count now. One that has ended keeps its records for the grace of the policy still. */
export async function compileInForce(context: Context, policy: Policy): Promise<CompiledPolicy> {
  const endedBefore = subtractPeriod(dueNow(context).getTime(), periodOf(policy.grace), policy.zone) - MARGIN_MS;
  const exceptions = await exceptionsInForce(context.store, policy.name, endedBefore);
  return compile(policy, { exceptions, environment: context.installation.environment });
}

/**
 * For what carries a plan on: with the exceptions that the plan was made with, and no others. How they ended since changes
 * nothing at the instant of the plan, for an end counts from its day on.
 */
export async function compilePinned(
  context: Context,
  policy: Policy,
  exceptionIds: readonly string[] | undefined,
): Promise<CompiledPolicy> {
  const exceptions = await exceptionsByIds(context.store, exceptionIds ?? []);
  return compile(policy, { exceptions, environment: context.installation.environment });
}
