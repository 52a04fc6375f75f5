import { invalidParameter } from './errors.ts';
import { MIB } from './tree-hash.ts';

/** The service's limits, from its documentation ("Quotas" and the pages of the operations). */
const SMALLEST_PART_BYTES = MIB;
const LARGEST_PART_BYTES = 4096 * MIB;
export const LARGEST_SINGLE_UPLOAD_BYTES = 4096 * MIB;
export const MOST_PARTS = 10_000;
const LONGEST_DESCRIPTION = 1024;

const VAULT_NAME = /^[A-Za-z0-9_.-]{1,255}$/;
const DESCRIPTION = /^[\x20-\x7e]*$/;

export function checkVaultName(name: string): void {
  if (!VAULT_NAME.test(name)) throw invalidParameter(`Invalid vault name: ${name}`);
}

export function checkDescription(description: string): string {
  if (description.length > LONGEST_DESCRIPTION) {
    throw invalidParameter(
      `Invalid description: ${description.length} characters, at most ${LONGEST_DESCRIPTION} allowed`,
    );
  }
  if (!DESCRIPTION.test(description)) {
    throw invalidParameter('Invalid description: only the characters 0x20 to 0x7E are allowed');
  }
  return description;
}

export function checkPartSize(text: string): number {
  const bytes = readCount(text);
  const isPowerOfTwo = bytes !== null && 2 ** Math.round(Math.log2(bytes)) === bytes;
  if (bytes === null || !isPowerOfTwo || bytes < SMALLEST_PART_BYTES || bytes > LARGEST_PART_BYTES) {
    throw invalidParameter(
      `Invalid part size: ${text}. Part size must not be null, must be a power of two and be between ` +
        `${SMALLEST_PART_BYTES} and ${LARGEST_PART_BYTES} bytes.`,
    );
  }
  return bytes;
}

/** A whole number without sign, or null. */
export function readCount(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** What every list allowed when the API was new: older clients still ask for as many. */
const FORMER_MOST = 1000;

/** Lists come in pages: `limit` says how many at most, never more than `most`. */
function pageLimit(query: URLSearchParams, most: number): number {
  const text = query.get('limit');
  if (text === null) return most;
  const limit = readCount(text);
  if (limit === null || limit < 1 || limit > FORMER_MOST) {
    throw invalidParameter(`Invalid limit: ${text}. It must be between 1 and ${most}.`);
  }
  return Math.min(limit, most);
}

/** A page of `items`, beginning at the item that the marker names, and the marker of the next page. */
export function page<T>(
  items: readonly T[],
  query: URLSearchParams,
  most: number,
  markerOf: (item: T) => string,
): { items: T[]; marker: string | null } {
  const limit = pageLimit(query, most);
  const marker = query.get('marker');
  const first = marker === null ? 0 : items.findIndex((item) => markerOf(item) === marker);
  if (first < 0) throw invalidParameter(`Invalid marker: ${marker}`);
  const next = items[first + limit];
  return { items: items.slice(first, first + limit), marker: next === undefined ? null : markerOf(next) };
}
