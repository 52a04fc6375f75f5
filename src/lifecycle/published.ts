/** Policies in force, and versions that archives pinned, as the lifecycle takes them. */
import { MoraineError } from '../errors.ts';
import type { PolicyVersion } from '../ids.ts';
import {
  type PublishedPolicy,
  policiesInForce,
  policyInForce,
  policyVersion as versionOf,
} from '../ledger/policies.ts';
import type { Store } from '../ledger/store.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';

/** The policies with these names, or all, that are in force at an instant; null: now. Throws POLICY_NOT_PUBLISHED. */
export async function policiesToRun(
  store: Store,
  names: readonly string[] | null,
  at: Date | null = null,
): Promise<readonly Policy[]> {
  if (names !== null)
    return await Promise.all(names.map(async (name) => readPolicy(await policyInForce(store, name, at))));
  const all: Policy[] = [];
  for await (const published of policiesInForce(store, at)) all.push(readPolicy(published));
  return all;
}

/** The policy that an archive pinned when it was planned. */
export async function pinnedPolicy(store: Store, version: PolicyVersion): Promise<Policy> {
  return readPolicy(await versionOf(store, version));
}

/** The version is the hash of the normal form, so a text that hashes to it IS the policy that was published. */
function readPolicy(published: PublishedPolicy): Policy {
  const { policy, version, name } = published;
  if (isPolicy(policy) && policyVersion(policy) === version) return policy;
  throw new MoraineError('INTERNAL', `Version ${version} of policy ${name} in the ledger is not what was published.`, {
    ids: { policy: name, version },
  });
}

function isPolicy(value: unknown): value is Policy {
  return typeof value === 'object' && value !== null && 'v' in value && value.v === 1 && 'name' in value;
}
