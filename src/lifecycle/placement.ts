/**
 * Placement: an owner may require that its data stays in certain regions. Then its source, its vault, every store
 * of attachments and every key store must be declared to be in one of them; files in GridFS lie with the source. What is not declared cannot be shown to be inside, so it is refused.
 *
 * Looked at before anything is archived for the owner, and by `check`. What is archived already is not moved: where a
 * requirement comes later, its purge, retrieval and restore go on.
 */
import { MoraineError } from '../errors.ts';
import type { OwnerId, VaultKey } from '../ids.ts';
import type { Policy } from '../policy/policy.ts';

export interface Placement {
  /** Of the server with the datasets. null: not declared. */
  readonly source: string | null;
  readonly keyStores: readonly { readonly name: string; readonly region: string | null }[];
  readonly vaults: ReadonlyMap<VaultKey, string>;
  /** Of S3 objects that hang on records, by the name under `attachments` in moraine.yaml. */
  readonly attachments: ReadonlyMap<string, string>;
  /** Owners that are not in it require nothing. */
  readonly required: ReadonlyMap<OwnerId, readonly string[]>;
}

/** Where nobody requires anything. */
export const PLACED_ANYWHERE: Placement = {
  source: null,
  keyStores: [],
  vaults: new Map(),
  attachments: new Map(),
  required: new Map(),
};

/** What policies name of moraine.yaml: where archives go, and where attachments come from. */
export interface NamedPlaces {
  readonly vaults: Iterable<VaultKey>;
  readonly attachments: Iterable<string>;
}

export function placesOf(policies: readonly Policy[]): NamedPlaces {
  return {
    vaults: new Set(policies.flatMap(({ archive }) => (archive === null ? [] : [archive.vault]))),
    attachments: new Set(
      policies.flatMap(({ dataset }) =>
        (dataset.attachments ?? []).flatMap((rule) => (rule.kind === 's3' ? [rule.store] : [])),
      ),
    ),
  };
}

/** Everything that lies outside of what the owner requires, as sentences. `used`: what its records would be archived with. */
export function placementFaults(
  { source, keyStores, vaults, attachments, required }: Placement,
  owner: OwnerId,
  used: NamedPlaces,
): readonly string[] {
  const regions = required.get(owner);
  if (regions === undefined) return [];
  const wanted = regions.join(' or ');
  const places = [
    { what: 'the source', declared: 'mongodb.region', region: source },
    ...keyStores.map(({ name, region }) => ({ what: 'the key store', declared: `${name}.region`, region })),
    ...[...used.vaults].map((key) => ({
      what: `vault ${key}`,
      declared: `vaults.${key}.region`,
      region: vaults.get(key) ?? null,
    })),
    ...[...used.attachments].map((store) => ({
      what: `the store of attachments ${store}`,
      declared: `attachments.${store}.region`,
      region: attachments.get(store) ?? null,
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
export function assertPlaced(placement: Placement | undefined, owner: OwnerId, used: NamedPlaces): void {
  const faults = placement === undefined ? [] : placementFaults(placement, owner, used);
  if (faults.length === 0) return;
  throw new MoraineError('PLACEMENT_REFUSED', faults.join(' '), { ids: { owner } });
}
