/**
 * Vaults and their tags. A vault counts as ours only when its tags say so: installation, owner and customer (promise 9).
 * Creating and tagging are two calls; a crash between them leaves a vault without tags, which is taken over only while
 * it has never held anything.
 */
import {
  AddTagsToVaultCommand,
  CreateVaultCommand,
  DescribeVaultCommand,
  ListTagsForVaultCommand,
  paginateListVaults,
} from '@aws-sdk/client-glacier';
import { MoraineError } from '../errors.ts';
import { addressOf, type GlacierContext } from './glacier-context.ts';
import { allTags, notOurs, tagFindings, taggedAs, type WantedTags } from './ownership.ts';
import type { Layout, VaultLocation } from './port.ts';
import { isServiceError, translating } from './translate-error.ts';

/** Amazon Glacier, "Working with Vaults": 1,000 vaults per account and region. */
const VAULTS_PER_ACCOUNT = 1_000;

/** Creates and tags the vault where it is not there. Throws CHANGED_RESOURCE_NOT_OURS, VAULT_OF_ANOTHER_ENVIRONMENT or VAULT_LIMIT. */
export async function ensureVault(context: GlacierContext, location: VaultLocation, wanted: WantedTags): Promise<void> {
  const found = await readTags(context, location);
  const tagged = found === null ? null : taggedAs(found, wanted, location);
  if (tagged === 'ours') return;
  if (tagged === null) await createVault(context, location);
  else if (tagged === 'untagged') await assertNeverUsed(context, location);
  await translating({ what: 'tag the vault', location, effect: null }, () =>
    context.client.send(new AddTagsToVaultCommand({ ...addressOf(location), Tags: { ...allTags(wanted) } })),
  );
  // Two installations that create the same vault at the same moment overwrite each other's tags: the loser sees it here.
  const after = await readTags(context, location);
  if (after === null || taggedAs(after, wanted, location) !== 'ours')
    throw notOurs(location, 'its tags changed while we set them');
}

export async function inspectVault(
  context: GlacierContext,
  location: VaultLocation,
  wanted: WantedTags,
): Promise<Layout> {
  const found = await readTags(context, location);
  return found === null
    ? { exists: false, findings: [] }
    : { exists: true, findings: tagFindings(found, wanted, location) };
}

export async function countVaults(context: GlacierContext): Promise<{ readonly used: number; readonly limit: number }> {
  return translating({ what: 'list the vaults', location: null, effect: null }, async () => {
    let used = 0;
    const pages = paginateListVaults({ client: context.client }, { accountId: context.settings.account });
    for await (const page of pages) used += page.VaultList?.length ?? 0;
    return { used, limit: VAULTS_PER_ACCOUNT };
  });
}

/** Whether the vault has an inventory at all. Throws VAULT_NOT_FOUND when there is no such vault. */
export async function hasInventory(context: GlacierContext, location: VaultLocation): Promise<boolean> {
  const vault = await describeVault(context, location);
  return typeof vault.LastInventoryDate === 'string';
}

async function readTags(context: GlacierContext, location: VaultLocation): Promise<Record<string, string> | null> {
  try {
    const reply = await context.client.send(new ListTagsForVaultCommand(addressOf(location)));
    return reply.Tags ?? {};
  } catch (error) {
    if (isServiceError(error, 'ResourceNotFoundException')) return null;
    return translating({ what: 'read the tags of the vault', location, effect: null }, () => Promise.reject(error));
  }
}

async function createVault(context: GlacierContext, location: VaultLocation): Promise<void> {
  try {
    await context.client.send(new CreateVaultCommand(addressOf(location)));
  } catch (error) {
    if (isServiceError(error, 'LimitExceededException')) {
      throw new MoraineError('VAULT_LIMIT', `Vault ${location.name} would be one more than the account may hold.`, {
        cause: error,
        ids: { vault: location.name },
      });
    }
    await translating({ what: 'create the vault', location, effect: null }, () => Promise.reject(error));
  }
}

async function assertNeverUsed(context: GlacierContext, location: VaultLocation): Promise<void> {
  const vault = await describeVault(context, location);
  // An empty vault that nobody wrote to has no inventory yet or an empty one.
  if ((vault.NumberOfArchives ?? 0) > 0) throw notOurs(location, 'it has archives but none of our tags');
}

function describeVault(context: GlacierContext, location: VaultLocation) {
  return translating({ what: 'describe the vault', location, effect: null }, () =>
    context.client.send(new DescribeVaultCommand(addressOf(location))),
  );
}
