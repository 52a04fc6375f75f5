/** What fields of a record, or of a document that a look-up finds for it, say to a decision. */
import { MoraineError } from '../errors.ts';
import type { PlainValue, RecordValue, RecordValues } from '../source/port.ts';
import type { ValueRef } from './policy.ts';

export type { PlainValue, RecordValue, RecordValues } from '../source/port.ts';

/** Where the value of a reference stands in {@link RecordValues}: no path of a field begins with a dollar sign. */
export function valueKey(ref: ValueRef): string {
  return 'lookUp' in ref ? `$${ref.lookUp}.${ref.field}` : ref.field;
}

/** The reference as a person reads it. */
export function valueName(ref: ValueRef): string {
  return 'lookUp' in ref ? `${ref.field} of ${ref.lookUp}` : ref.field;
}

/** @throws INTERNAL when nobody read the value: a decision without it would be a guess. */
export function valueAt(values: RecordValues | undefined, key: string): RecordValue {
  const value = values?.[key];
  if (value === undefined)
    throw new MoraineError('INTERNAL', `A decision needs the value at ${key}, which was not read.`);
  return value;
}

/** The reading of one value for one use: undefined is what cannot be used, null what is missing. */
export function textOf(value: RecordValue): string | null | undefined {
  if (value === null || typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

/** ms; a string where a date belongs is no date. */
export function instantOf(value: RecordValue): number | null | undefined {
  if (value === null) return null;
  return isDate(value) ? value.instant : undefined;
}

/** A whole number of 1 or more. */
export function countOf(value: RecordValue): number | null | undefined {
  if (value === null) return null;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 ? value : undefined;
}

/** Whether it, or one value of a list, is one of these texts; undefined when that cannot be told. */
export function isOneOf(value: RecordValue, texts: Pick<ReadonlySet<string>, 'has'>): boolean | undefined {
  if (value === null) return false;
  if (isList(value)) {
    return value.some((one) => {
      const named = textOf(one);
      return typeof named === 'string' && texts.has(named);
    });
  }
  const text = textOf(value);
  if (typeof text === 'string') return texts.has(text);
  // A date is no text, and never one of them.
  return isDate(value) ? false : undefined;
}

function isDate(value: RecordValue): value is { readonly instant: number } {
  return typeof value === 'object' && value !== null && 'instant' in value;
}

/** What stands there, for a sentence that names no content. */
export function kindOf(value: RecordValue): string {
  if (value === null) return 'nothing';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'number') return 'a number';
  if (isDate(value)) return 'a date';
  return isList(value) ? 'a list' : value.unusable;
}

function isList(value: RecordValue): value is readonly PlainValue[] {
  return Array.isArray(value);
}
