/** What is in force for one owner: the policies that can meet its records, and the exceptions. From the ledger alone. */
import { type OwnerId, partyId } from '../ids.ts';
import { exceptionsInForce } from '../ledger/exceptions.ts';
import { changeComing, changeInForce, inForceSince, type PolicyChange, policyHistory } from '../ledger/policies.ts';
import type { ExceptionRule } from '../policy/exception.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { type Context, dueNow } from './context.ts';
import { policiesToRun } from './published.ts';

export interface PolicyInForce {
  readonly policy: Policy;
  readonly version: string;
  readonly since: Date;
  /** A version that was published and is not in force yet. */
  readonly coming: PolicyChange | null;
  readonly history: readonly PolicyChange[];
  /** In force now, whatever they cover. */
  readonly exceptions: readonly ExceptionRule[];
}

/** Throws what cannot be read: nobody is to be told that something ended because it could not be seen. */
export async function allInForce(context: Context): Promise<readonly PolicyInForce[]> {
  const now = dueNow(context).getTime();
  return await Promise.all(
    (await policiesToRun(context.store, null, context.asOf)).map(async (policy) => {
      const history = await policyHistory(context.store, policy.name);
      const current = changeInForce(history, new Date(now));
      const granted = await exceptionsInForce(context.store, policy.name, now);
      return {
        policy,
        version: policyVersion(policy),
        since: current === null ? new Date(now) : inForceSince(current),
        coming: changeComing(history, new Date(now)),
        history,
        exceptions: granted.filter(({ from, until }) => from <= now && (until === null || now < until)),
      };
    }),
  );
}

/** A policy that takes the owner from each record can meet those of any. */
export function canMeet({ dataset }: Policy, owner: OwnerId): boolean {
  return 'field' in dataset.owner || partyId(dataset.owner.value) === owner;
}

/** `customer` null: any of the owner's. */
export function isAbout({ scope }: ExceptionRule, owner: OwnerId, customer: string | null): boolean {
  if (scope.owner !== null && scope.owner !== owner) return false;
  return customer === null || scope.customer === null || scope.customer === customer;
}
