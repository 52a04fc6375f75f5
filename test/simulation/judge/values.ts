/** Reads values of documents that nobody promised a shape of: what is not there, or is something else, is null. */

export type Fields = Readonly<Record<string, unknown>>;

export const NO_FIELDS: Fields = {};

export function asFields(value: unknown): Fields {
  return isFields(value) ? value : NO_FIELDS;
}

export function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function asNumber(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

/** Milliseconds. */
export function asInstant(value: unknown): number | null {
  return value instanceof Date ? value.getTime() : null;
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Bytes as they are, or in a BSON binary. */
export function asBytes(value: unknown): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (!isFields(value) || value['_bsontype'] !== 'Binary') return null;
  const { buffer, position } = value;
  if (!(buffer instanceof Uint8Array)) return null;
  return typeof position === 'number' ? buffer.subarray(0, position) : buffer;
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && Buffer.compare(left, right) === 0;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
