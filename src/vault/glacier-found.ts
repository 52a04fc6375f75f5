/** All vaults of the account and region that a Moraine tagged, whoever's: how a lost ledger's vaults are found. */
import { ListTagsForVaultCommand, paginateListVaults } from '@aws-sdk/client-glacier';
import { foundVault, readTagged } from './found-vault.ts';
import type { GlacierContext } from './glacier-context.ts';
import type { FoundVault } from './port.ts';
import { translating } from './translate-error.ts';

export async function* foundVaults(context: GlacierContext, backend: 'glacier'): AsyncGenerator<FoundVault> {
  const { key, account, region } = context.settings;
  const pages = paginateListVaults({ client: context.client }, { accountId: account })[Symbol.asyncIterator]();
  for (;;) {
    const { done, value: page } = await translating({ what: 'list the vaults', location: null, effect: null }, () =>
      pages.next(),
    );
    if (done === true) return;
    for (const { VaultName: name } of page.VaultList ?? []) {
      if (name === undefined) continue;
      const reply = await translating({ what: 'read the tags of a vault', location: null, effect: null }, () =>
        context.client.send(new ListTagsForVaultCommand({ accountId: account, vaultName: name })),
      );
      const tagged = readTagged(reply.Tags ?? {});
      if (tagged !== null) yield foundVault({ key, backend, account, region, name, prefix: '' }, tagged);
    }
  }
}
