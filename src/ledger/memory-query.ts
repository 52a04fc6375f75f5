/** Filters and order of the in-memory store, by MongoDB's rules for the few operators that the port has. */
import { MoraineError } from '../errors.ts';
import type { Comparison, Filter, Scalar } from './store.ts';

/** Tells of documents whether all conditions of the filter hold. */
export function matcherOf(filter: Filter): (document: object) => boolean {
  const conditions = Object.entries(filter).map(([path, wanted]) => {
    const names = path.split('.');
    const isMet = isComparison(wanted)
      ? (values: readonly unknown[]) => holds(values, wanted)
      : (values: readonly unknown[]) => hasEqual(values, wanted);
    return (document: object) => isMet(valuesAt(document, names));
  });
  return (document) => conditions.every((isMet) => isMet(document));
}

/** The documents by paths and directions. Fields of several types sort by type, as BSON orders them. */
export function sorted<T extends object>(documents: readonly T[], sort: Readonly<Record<string, 1 | -1>>): T[] {
  const order = Object.entries(sort).map(([path, direction]) => ({ path, names: path.split('.'), direction }));
  const keyed = documents.map((document) => ({
    document,
    keys: order.map(({ path, names }) => single(document, path, names)),
  }));
  keyed.sort((a, b) => {
    for (const [at, { direction }] of order.entries()) {
      const difference = compare(a.keys[at], b.keys[at]);
      if (difference !== 0) return difference * direction;
    }
    return 0;
  });
  return keyed.map(({ document }) => document);
}

/** The values at a path of names; through arrays it gives those of every element. A missing one is null. */
export function valuesAt(document: unknown, names: readonly string[]): unknown[] {
  let values: unknown[] = [document];
  for (const name of names) {
    const [only] = values;
    // Nearly always: one object and no list on the way.
    if (values.length === 1 && !Array.isArray(only)) values = step(only, name);
    else values = values.flatMap((value) => step(value, name));
  }
  const [only] = values;
  if (values.length === 1 && !Array.isArray(only)) return [only ?? null];
  return values.flatMap((value) => (Array.isArray(value) ? value : [value ?? null]));
}

function step(value: unknown, name: string): unknown[] {
  if (Array.isArray(value)) return value.flatMap((element) => step(element, name));
  if (typeof value !== 'object' || value === null) return [null];
  const member: unknown = Object.getOwnPropertyDescriptor(value, name)?.value;
  return [member ?? null];
}

function holds(values: readonly unknown[], wanted: Comparison): boolean {
  return Object.entries(wanted).every(([operator, operand]) => {
    switch (operator) {
      case '$in':
        return Array.isArray(operand) && operand.some((item) => hasEqual(values, item));
      case '$ne':
        return !hasEqual(values, operand);
      case '$lt':
        return values.some((value) => sameType(value, operand) && compare(value, operand) < 0);
      case '$lte':
        return values.some((value) => sameType(value, operand) && compare(value, operand) <= 0);
      case '$gt':
        return values.some((value) => sameType(value, operand) && compare(value, operand) > 0);
      case '$gte':
        return values.some((value) => sameType(value, operand) && compare(value, operand) >= 0);
      default:
        throw new MoraineError('INTERNAL', `The ledger's filters have no operator ${operator}.`);
    }
  });
}

function isComparison(wanted: Scalar | Comparison): wanted is Comparison {
  return typeof wanted === 'object' && wanted !== null && !(wanted instanceof Date);
}

function hasEqual(values: readonly unknown[], wanted: unknown): boolean {
  return values.some((value) => value === wanted || (sameType(value, wanted) && compare(value, wanted) === 0));
}

/** Bounds and equality hold within one type only. */
function sameType(value: unknown, wanted: unknown): boolean {
  return typeRank(value) === typeRank(wanted);
}

/** The order of types in BSON. */
function typeRank(value: unknown): number {
  if (value === null || value === undefined) return 1;
  if (typeof value === 'number') return 2;
  if (typeof value === 'string') return 3;
  if (typeof value === 'boolean') return 8;
  if (value instanceof Date) return 9;
  throw new MoraineError('INTERNAL', 'The ledger compares text, numbers, booleans, dates and null only.');
}

function compare(a: unknown, b: unknown): number {
  const types = typeRank(a) - typeRank(b);
  if (types !== 0) return types;
  if (a === b) return 0;
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (a instanceof Date && b instanceof Date) return a.getTime() - b.getTime();
  return Number(a) - Number(b);
}

function single(document: object, path: string, names: readonly string[]): unknown {
  const values = valuesAt(document, names);
  if (values.length !== 1) throw new MoraineError('INTERNAL', `The ledger does not sort by lists: ${path}.`);
  return values[0];
}
