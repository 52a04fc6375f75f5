import type { Clock } from '../../src/clock.ts';
import { publishPolicy } from '../../src/ledger/policies.ts';
import type { Store } from '../../src/ledger/store.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { type Policy, policyVersion } from '../../src/policy/policy.ts';

/** Publishes the one policy of this text, as `moraine policy publish` does; throws its problems when it has any. */
export async function publishText(
  store: Store,
  clock: Clock,
  yaml: string,
  change: Partial<Policy> = {},
  effectiveAt?: Date,
): Promise<Policy> {
  const { loaded, problems } = loadPolicy('policy.yaml', yaml);
  if (loaded === null) throw new Error(JSON.stringify(problems, null, 2));
  const policy = { ...loaded.policy, ...change };
  await publishPolicy(store, clock, {
    name: policy.name,
    namespace: policy.dataset.collection,
    version: policyVersion(policy),
    policy: JSON.parse(JSON.stringify(policy)),
    by: 'test',
    ...(effectiveAt === undefined ? {} : { effectiveAt }),
  });
  return policy;
}
