/** Making and tagging vaults in memory, by the rules of the services. */
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import { MemoryVaultRecord } from './memory-vault-record.ts';
import { ownershipTags } from './naming.ts';
import { allTags, notOurs, taggedAs } from './ownership.ts';
import type { VaultLocation } from './port.ts';

export const VAULTS_MAX = 1_000;

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
    vaults.set(location.name, new MemoryVaultRecord(location.name, allTags(wanted), now));
    return;
  }
  const tagged = taggedAs(found.tags, wanted, location);
  if (tagged === 'ours') return;
  if (tagged === 'untagged' && found.present().length > 0)
    throw notOurs(location, 'it has archives but none of our tags');
  found.tags = { ...found.tags, ...allTags(wanted) };
}
