/** Making and tagging vaults in memory, by the rules of the services. */
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import type { VaultKey } from '../ids.ts';
import { foundVault, readTagged } from './found-vault.ts';
import { MemoryVaultRecord } from './memory-vault-record.ts';
import { ownershipTags } from './naming.ts';
import { allTags, notOurs, tagFindings, taggedAs } from './ownership.ts';
import type { FoundVault, Layout, VaultLocation } from './port.ts';

export const VAULTS_MAX = 1_000;

/** As `foundVaults` of the port. */
export function* foundMemoryVaults(
  key: VaultKey,
  vaults: ReadonlyMap<string, MemoryVaultRecord>,
): Generator<FoundVault> {
  for (const [name, { tags }] of [...vaults].sort()) {
    const tagged = readTagged(tags);
    const place = { key, backend: 'memory', account: '-', region: 'memory', name, prefix: '' } as const;
    if (tagged !== null) yield foundVault(place, tagged);
  }
}

/** As `inspect` of the port. */
export function inspectMemoryVault(
  vaults: ReadonlyMap<string, MemoryVaultRecord>,
  location: VaultLocation,
  environment: Environment,
): Layout {
  const found = vaults.get(location.name);
  const wanted = { owner: ownershipTags(location), environment };
  return found === undefined
    ? { exists: false, findings: [] }
    : { exists: true, findings: tagFindings(found.tags, wanted, location) };
}

/** As `ensure` of the port. */
export function ensureMemoryVault(
  vaults: Map<string, MemoryVaultRecord>,
  location: VaultLocation,
  environment: Environment,
  now: Date,
): void {
  const wanted = { owner: ownershipTags(location), environment };
  const found = vaults.get(location.name);
  if (found === undefined) {
    if (vaults.size >= VAULTS_MAX)
      throw new MoraineError('VAULT_LIMIT', `Vault ${location.name} would be one more than the account may hold.`);
    vaults.set(location.name, new MemoryVaultRecord(location, allTags(wanted), now));
    return;
  }
  const tagged = taggedAs(found.tags, wanted, location);
  if (tagged === 'ours') return;
  if (tagged === 'untagged' && found.present().length > 0)
    throw notOurs(location, 'it has archives but none of our tags');
  found.tags = { ...found.tags, ...allTags(wanted) };
}
