/** What a field of a document says to a decision. */

/** Text (also for booleans, ObjectIds and UUIDs), a number, or an instant in ms. */
export type PlainValue = string | number | { readonly instant: number };

/**
 * null: missing or null. A list counts with each of its values. Anything else is of a type that no rule can use, which is
 * no reason to delete a record: what needs the value waits.
 */
export type RecordValue = PlainValue | readonly PlainValue[] | { readonly unusable: string } | null;

/** By field, or by what src/policy/values.ts calls a value of another document. */
export type RecordValues = Readonly<Record<string, RecordValue>>;
