/** What fields of a record, or of a document that a look-up finds for it, say to a decision. */
import type { ValueRef } from './policy.ts';

/**
 * Text (also for booleans, ObjectIds and UUIDs), a number, an instant in ms; null: missing or null. Anything else is of a
 * type that no rule can use, which is no reason to delete a record: what needs the value waits.
 */
export type RecordValue = string | number | { readonly at: number } | { readonly unusable: string } | null;

/** By {@link valueKey}. */
export type RecordValues = Readonly<Record<string, RecordValue>>;

/** Where the value of a reference stands in {@link RecordValues}: no path of a field begins with a dollar sign. */
export function valueKey(ref: ValueRef): string {
  return 'lookUp' in ref ? `$${ref.lookUp}.${ref.field}` : ref.field;
}

/** The reference as a person reads it. */
export function valueName(ref: ValueRef): string {
  return 'lookUp' in ref ? `${ref.field} of ${ref.lookUp}` : ref.field;
}
