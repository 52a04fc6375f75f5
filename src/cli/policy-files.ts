/** The policy files that moraine.yaml names: read, checked against moraine.yaml, picked by name, compared with the ledger. */
import type { Config } from '../config.ts';
import { MoraineError } from '../errors.ts';
import { id, type PolicyVersion } from '../ids.ts';
import { policiesInForce } from '../ledger/policies.ts';
import type { Store } from '../ledger/store.ts';
import { type LoadedPolicy, loadPolicies, type PolicyProblem, policyError } from '../policy/load.ts';

/** What is in order and what is not, with file, line and field; vaults and fixed owners must be in moraine.yaml too. */
export function readPolicyFiles(config: Config): {
  readonly loaded: readonly LoadedPolicy[];
  readonly problems: readonly PolicyProblem[];
} {
  const { loaded, problems } = loadPolicies(config.policies);
  return { loaded, problems: [...problems, ...loaded.flatMap((policy) => againstConfig(config, policy))] };
}

/** All policies of the files, or those with these names. Throws POLICY_INVALID for any problem in any file, POLICY_UNKNOWN. */
export function policiesOfFiles(config: Config, names: readonly string[]): readonly LoadedPolicy[] {
  const { loaded, problems } = readPolicyFiles(config);
  if (problems.length > 0) throw policyError(problems);
  if (names.length === 0) return loaded;
  return [...new Set(names)].map((name) => {
    const found = loaded.find(({ policy }) => policy.name === name);
    if (found !== undefined) return found;
    const known = loaded.map(({ policy }) => policy.name).join(', ');
    throw new MoraineError('POLICY_UNKNOWN', `No policy file has a policy named ${name}; there are: ${known}.`, {
      ids: { policy: name },
    });
  });
}

/** Versions in force, by policy. */
export async function versionsInForce(store: Store, at: Date | null): Promise<ReadonlyMap<string, PolicyVersion>> {
  const versions = new Map<string, PolicyVersion>();
  for await (const { name, version } of policiesInForce(store, at)) versions.set(name, version);
  return versions;
}

/** Where files and what is in force differ, in words. */
export function differences(
  loaded: readonly LoadedPolicy[],
  inForce: ReadonlyMap<string, PolicyVersion>,
): readonly string[] {
  return loaded.flatMap(({ policy, version, file }) => {
    const current = inForce.get(policy.name);
    if (current === version) return [];
    const publish = `\`moraine policy publish ${policy.name}\``;
    return current === undefined
      ? [`Policy ${policy.name} (${file}) was never put into force: ${publish}.`]
      : [`Policy ${policy.name}: ${file} differs from what is in force. Runs use what is in force until ${publish}.`];
  });
}

function againstConfig(config: Config, { policy, problemAt }: LoadedPolicy): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  if (policy.archive !== null && !config.vaults.has(policy.archive.vault)) {
    const known = [...config.vaults.keys()].join(', ');
    problems.push(problemAt(['archive', 'vault'], `a vault of ${config.file}: ${known}`));
  }
  const { owner } = policy.dataset;
  if ('value' in owner && !config.owners.has(id.owner(owner.value))) {
    problems.push(problemAt(['dataset', 'owner', 'value'], `an owner of ${config.file}`));
  }
  return problems;
}
