/** What the tags of a vault or bucket say, read back: whose it is, without a ledger. */
import { ENVIRONMENTS, type Environment } from '../environment.ts';
import { type CustomerId, id, type OwnerId } from '../ids.ts';
import { unescapeId } from './naming.ts';
import { ENVIRONMENT_TAG } from './ownership.ts';
import type { FoundVault, VaultLocation } from './port.ts';

export interface TaggedAs {
  readonly installation: string;
  readonly environment: Environment | null;
  /** Null where the tag was cut to a hash: the names in the vault's descriptions are cut as well. */
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
}

/** Null for a vault that no Moraine tagged. */
export function readTagged(tags: Readonly<Record<string, string | undefined>>): TaggedAs | null {
  const installation = readTag(tags['moraine-installation']);
  if (installation === null) return null;
  const environment = ENVIRONMENTS.find((one) => one === tags[ENVIRONMENT_TAG]) ?? null;
  const owner = readTag(tags['moraine-owner']);
  const customer = readTag(tags['moraine-customer']);
  return {
    installation,
    environment,
    owner: owner === null ? null : id.owner(owner),
    customer: customer === null ? null : id.customer(customer),
  };
}

function readTag(value: string | undefined): string | null {
  const text = value === undefined ? null : unescapeId(value);
  return text === '' ? null : text;
}

/** `location` is null where owner or customer cannot be read back. */
export function foundVault(
  place: Pick<VaultLocation, 'backend' | 'account' | 'region' | 'name' | 'prefix'> & Pick<VaultLocation, 'key'>,
  { installation, environment, owner, customer }: TaggedAs,
): FoundVault {
  const location = owner === null || customer === null ? null : { ...place, installation, owner, customer };
  return { name: place.name, installation, environment, location };
}
