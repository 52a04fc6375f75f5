/** What commands take that show with an administrator's identity what is in an archive: it is read from the vault first. */
import { Option } from 'commander';
import type { App } from '../app.ts';
import { unwrapArchiveKey } from '../keys/administrator.ts';
import type { ProveOptions } from '../lifecycle/prove-archive.ts';
import type { Tier } from '../vault/port.ts';
import type { Session } from './command.ts';
import { type IdentityOptions, readIdentity } from './identity.ts';

export const TIER_OPTION = () =>
  new Option('--tier <tier>', 'of the retrievals: the slowest is the cheapest')
    .choices(['expedited', 'standard', 'bulk'] satisfies Tier[])
    .default('bulk');

/** Keys that are for none of the owner's administrators in moraine.yaml open with whoever they are wrapped for. */
export async function proveOptions(
  session: Session,
  app: App,
  options: IdentityOptions & { readonly tier: Tier },
): Promise<ProveOptions> {
  const identity = await readIdentity(session, options);
  const openKey: ProveOptions['openKey'] = (wrapped) =>
    unwrapArchiveKey(wrapped, identity, app.config.owners.get(wrapped.owner) ?? []);
  return { openKey, tier: options.tier, by: session.actor };
}
