/** What a root and a child say of each other, from their bytes. */

import { partyId } from '../ids.ts';
import { BsonType, fieldPath, findPath } from './bson-walk.ts';
import { keyOf } from './id-key.ts';
import type { FieldOrValue } from './port.ts';
import { partyIdOf, recordsFrom, typedBytes } from './raw-document.ts';
import type { ChildRecord, ChildShape, Party } from './unit-shape.ts';

/**
 * Type byte and value bytes of what the root's children name it by; null when they cannot name it. Nothing, null and
 * arrays name nobody: a query for null finds every child that names no root.
 */
export function parentOf({ parent }: ChildShape, root: Uint8Array): Uint8Array | null {
  return namingValue(root, parent);
}

/** Whether the child says of itself that it is of this owner and customer, as far as the rule lets it say so. */
export function isOfParty(child: ChildShape, raw: Uint8Array, { owner, customer }: Party): boolean {
  return names(child.owner, raw, owner) && names(child.customer, raw, customer);
}

/**
 * Children out of what the server sent, for these roots. An index finds an array by its elements; a child that names
 * several roots belongs to none of them alone and is left out.
 */
export function childrenFrom(
  child: ChildShape,
  views: readonly Uint8Array[],
  parents: ReadonlySet<string>,
): ChildRecord[] {
  const keys: string[] = [];
  const kept = views.filter((view) => {
    const value = namingValue(view, child.key);
    const key = value === null ? null : keyOf(value);
    if (key === null || !parents.has(key)) return false;
    keys.push(key);
    return true;
  });
  return recordsFrom(kept).map((record, at) => ({ ...record, parent: keys[at] ?? '' }));
}

function namingValue(raw: Uint8Array, field: string): Uint8Array | null {
  const found = findPath(raw, fieldPath(field));
  if (found === null || NAMING_NOBODY.has(found.type)) return null;
  return typedBytes(found);
}

const NAMING_NOBODY: ReadonlySet<number> = new Set([
  BsonType.null,
  BsonType.undefined,
  BsonType.array,
  BsonType.regex,
  BsonType.minKey,
  BsonType.maxKey,
]);

function names(source: FieldOrValue | undefined, raw: Uint8Array, party: string): boolean {
  if (source === undefined) return true;
  if ('value' in source) return partyId(source.value) === party;
  const found = findPath(raw, fieldPath(source.field));
  return found !== null && partyIdOf(found) === party;
}
