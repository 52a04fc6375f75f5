/**
 * Placement: an owner may require that its data stays in certain regions. Then its source, its vault and every key store
 * must be declared to be in one of them. What is not declared cannot be shown to be inside, so it is refused.
 *
 * Looked at before anything is archived for the owner, and by `check`. What is archived already is not moved: where a
 * requirement comes later, its purge, retrieval and restore go on.
 */
import { MoraineError } from '../errors.ts';
import type { OwnerId, VaultKey } from '../ids.ts';

export interface Placement {
  /** Of the server with the datasets. null: not declared. */
  readonly source: string | null;
  readonly keyStores: readonly { readonly name: string; readonly region: string | null }[];
  readonly vaults: ReadonlyMap<VaultKey, string>;
  /** Owners that are not in it require nothing. */
  readonly required: ReadonlyMap<OwnerId, readonly string[]>;
}

/** Where nobody requires anything. */
export const PLACED_ANYWHERE: Placement = { source: null, keyStores: [], vaults: new Map(), required: new Map() };

/** Everything that lies outside of what the owner requires, as sentences. `vaults`: those that its archives would go to. */
export function placementFaults(
  { source, keyStores, vaults, required }: Placement,
  owner: OwnerId,
  used: Iterable<VaultKey>,
): readonly string[] {
  const regions = required.get(owner);
  if (regions === undefined) return [];
  const wanted = regions.join(' or ');
  const places = [
    { what: 'the source', declared: 'mongodb.region', region: source },
    ...keyStores.map(({ name, region }) => ({ what: 'the key store', declared: `${name}.region`, region })),
    ...[...used].map((key) => ({
      what: `vault ${key}`,
      declared: `vaults.${key}.region`,
      region: vaults.get(key) ?? null,
    })),
  ];
  return places
    .filter(({ region }) => region === null || !regions.includes(region))
    .map(({ what, declared, region }) =>
      region === null
        ? `Owner ${owner} requires ${wanted}; where ${what} is was not declared (${declared}).`
        : `Owner ${owner} requires ${wanted}; ${what} is in ${region} (${declared}).`,
    );
}

/** Throws PLACEMENT_REFUSED when something of the owner would be archived outside of the regions that it requires. */
export function assertPlaced(placement: Placement | undefined, owner: OwnerId, vault: VaultKey): void {
  const faults = placement === undefined ? [] : placementFaults(placement, owner, [vault]);
  if (faults.length === 0) return;
  throw new MoraineError('PLACEMENT_REFUSED', faults.join(' '), { ids: { owner, vault } });
}
