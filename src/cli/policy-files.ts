/** The policy files that moraine.yaml names: read, checked against moraine.yaml, picked by name, compared with the ledger. */
import type { Config } from '../config.ts';
import { MoraineError } from '../errors.ts';
import { id, type PolicyVersion } from '../ids.ts';
import { policiesInForce } from '../ledger/policies.ts';
import type { Store } from '../ledger/store.ts';
import { type LoadedPolicy, loadPolicies, type PolicyProblem, policyError } from '../policy/load.ts';
import { addPeriod, periodOf } from '../policy/period.ts';
import type { PeriodRule } from '../policy/policy.ts';
import { GLACIER_LEAST_DAYS, LEAST_DAYS } from '../vault/prices.ts';

/** What is in order and what is not, with file, line and field; vaults and fixed owners must be in moraine.yaml too. */
export function readPolicyFiles(config: Config): {
  readonly loaded: readonly LoadedPolicy[];
  readonly problems: readonly PolicyProblem[];
} {
  const { loaded, problems } = loadPolicies(config.policies);
  const against = loaded.flatMap((policy) => [...againstConfig(config, policy), ...classProblems(config, policy)]);
  return { loaded: loaded.map((policy) => withWarnings(config, policy)), problems: [...problems, ...against] };
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

/** Classes are of S3; a Glacier vault has none to choose from. */
function classProblems(config: Config, { policy, problemAt }: LoadedPolicy): readonly PolicyProblem[] {
  if (policy.archive?.storageClass === undefined) return [];
  const vault = config.vaults.get(policy.archive.vault);
  if (vault === undefined || vault.backend === 's3') return [];
  const hint = `Leave it out, or name an s3 vault: ${policy.archive.vault} is a ${vault.backend} vault.`;
  return [problemAt(['archive', 'storageClass'], 'nothing for a vault without storage classes', hint)];
}

/** What a class is paid for at least, although the copies are kept for less. */
function withWarnings(config: Config, loaded: LoadedPolicy): LoadedPolicy {
  const { policy, problemAt } = loaded;
  const vault = policy.archive === null ? undefined : config.vaults.get(policy.archive.vault);
  if (policy.archive === null || vault === undefined) return loaded;
  const storageClass = vault.backend === 's3' ? (policy.archive.storageClass ?? vault.storageClass) : null;
  const leastDays = storageClass === null ? GLACIER_LEAST_DAYS : LEAST_DAYS[storageClass];
  if (shortestDays(policy.archive.for) >= leastDays) return loaded;
  const what = storageClass ?? 'a Glacier vault';
  const expected = `${leastDays} days or more, for which ${what} is paid in any case`;
  return { ...loaded, warnings: [...loaded.warnings, problemAt(['archive', 'for'], expected)] };
}

/** The shortest that a period may come to, in days of a fixed year; infinite where nothing says so. */
function shortestDays(rule: PeriodRule): number {
  if (typeof rule === 'string') return addPeriod(0, periodOf(rule), 'UTC') / DAY_MS;
  if ('of' in rule) return Math.min(...[...Object.values(rule.of), rule.otherwise].map(shortestDays));
  return 'otherwise' in rule ? shortestDays(rule.otherwise) : Number.POSITIVE_INFINITY;
}

const DAY_MS = 24 * 3_600_000;

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
