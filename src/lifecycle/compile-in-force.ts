/** Policies made ready with what is in force besides them: exceptions, and the environment. */
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { exceptionsByIds, exceptionsInForce } from '../ledger/exceptions.ts';
import { type CompiledPolicy, compile, type Given } from '../policy/compile.ts';
import { type ExceptionRule, type OwnerHmac, valueCoders, witnessOf } from '../policy/exception.ts';
import { DAY_MS, periodOf, subtractPeriod } from '../policy/period.ts';
import type { Policy } from '../policy/policy.ts';
import { type Context, dueNow } from './context.ts';

/** More than the calendar can be off by when a period is counted backward. */
const MARGIN_MS = 5 * DAY_MS;

/** For a plan: with the exceptions that count now. One that has ended keeps its records for the grace of the policy still. */
export async function compileInForce(context: Context, policy: Policy): Promise<CompiledPolicy> {
  const endedBefore = subtractPeriod(dueNow(context).getTime(), periodOf(policy.grace), policy.zone) - MARGIN_MS;
  const exceptions = await exceptionsInForce(context.store, policy.name, endedBefore);
  return compile(policy, await givenOf(context, exceptions));
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
  return compile(policy, await givenOf(context, exceptions));
}

/** With the keys of the owners whose exceptions name values. Throws KEY_MISSING where the codes are of another key. */
async function givenOf(context: Context, exceptions: readonly ExceptionRule[]): Promise<Given> {
  const { environment } = context.installation;
  const hmacs = new Map<OwnerId, OwnerHmac>();
  for (const { id, scope } of exceptions) {
    if (scope.value === null || scope.owner === null) continue;
    const hmac = hmacs.get(scope.owner) ?? (await context.keys.hmacFor(scope.owner));
    hmacs.set(scope.owner, hmac);
    // A key that was made anew would match nothing, and let go of what the exception retains.
    if (witnessOf(hmac) !== scope.value.witness) throw ofAnotherKey(id, scope.owner);
  }
  return { exceptions, environment, ...(hmacs.size === 0 ? {} : { coders: valueCoders(hmacs) }) };
}

export function ofAnotherKey(exception: string, owner: OwnerId): MoraineError {
  const text = `The values of exception ${exception} are not of the key that the key store has for owner ${owner}.`;
  return new MoraineError('KEY_MISSING', text, {
    hint: 'Restore the key store from its backup: until then nothing is decided with this exception.',
    ids: { exception, owner },
  });
}
