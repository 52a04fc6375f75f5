/**
 * Ids with types of their own, so that two cannot be swapped.
 *
 * Owner and customer ids are text everywhere in Moraine. A non-empty string in the source is its own id; an ObjectId
 * becomes `oid:<hex>`, a UUID `uuid:<canonical>`; a string that already begins with one of the prefixes gets `str:` in
 * front. So two different values in the source never share an id (promise 9).
 */
import { Binary, ObjectId, UUID } from 'bson';

declare const brand: unique symbol;
type Branded<B extends string> = string & { readonly [brand]: B };

export type OwnerId = Branded<'owner'>;
export type CustomerId = Branded<'customer'>;
export type ArchiveId = Branded<'archive'>;
export type AttemptId = Branded<'attempt'>;
export type PartitionId = Branded<'partition'>;
export type PolicyVersion = Branded<'policyVersion'>;
export type WorkerId = Branded<'worker'>;
/** The name of a vault entry in moraine.yaml (not the vault's name at the service). */
export type VaultKey = Branded<'vaultKey'>;
/** `database.collection` */
export type Namespace = Branded<'namespace'>;

/** Asserts nothing: for text that comes from the ledger or the configuration, where it was checked. */
export const id = {
  owner: (text: string) => text as OwnerId,
  customer: (text: string) => text as CustomerId,
  archive: (text: string) => text as ArchiveId,
  attempt: (text: string) => text as AttemptId,
  partition: (text: string) => text as PartitionId,
  policyVersion: (text: string) => text as PolicyVersion,
  worker: (text: string) => text as WorkerId,
  vaultKey: (text: string) => text as VaultKey,
  namespace: (text: string) => text as Namespace,
};

const PREFIXED = /^(oid|uuid|str):/;

/** The id of an owner or customer value of the source; `null` when the value cannot name one (design 4: only non-empty strings, ObjectIds and UUIDs can). */
export function partyId(value: unknown): string | null {
  if (typeof value === 'string') {
    if (value === '') return null;
    return PREFIXED.test(value) ? `str:${value}` : value;
  }
  if (value instanceof ObjectId) return `oid:${value.toHexString()}`;
  if (value instanceof Binary && value.sub_type === Binary.SUBTYPE_UUID && value.position === 16) {
    return `uuid:${value.toUUID().toHexString(true)}`;
  }
  return null;
}

/** The inverse of {@link partyId}: the value that the source holds for an id. */
export function partyValue(text: string): string | ObjectId | Binary {
  if (text.startsWith('oid:')) return new ObjectId(text.slice(4));
  if (text.startsWith('uuid:')) return new UUID(text.slice(5)).toBinary();
  return text.startsWith('str:') ? text.slice(4) : text;
}
