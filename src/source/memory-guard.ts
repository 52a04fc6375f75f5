/** What a real server does with guarded statements, for the source in memory: compare, and replace what still is what was read. */
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import { compareValues } from './bson-order.ts';
import { BsonType } from './bson-walk.ts';
import { DELETE_BATCH_RECORDS } from './guarded-delete.ts';
import { replaceStatement } from './guarded-replace.ts';
import { keyOf } from './id-key.ts';
import type { DatasetShape, Replacement } from './port.ts';
import { idBytesOf, versionOf } from './raw-document.ts';

/**
 * What the server's guard compares: the version where the record has one, else the whole document. Values, not bytes: a
 * number that became another type of the same value does not save its record from the delete.
 */
export function guardHolds(dataset: DatasetShape, stored: Uint8Array, quoted: Uint8Array): boolean {
  const version = versionOf(dataset, quoted);
  if (version === null) return Buffer.compare(stored, quoted) === 0 || compareDocuments(stored, quoted) === 0;
  const now = versionOf(dataset, stored);
  return now !== null && compareValues(now, version) === 0;
}

function compareDocuments(a: Uint8Array, b: Uint8Array): number {
  const [left, right] = [a, b].map((raw) => ({ raw, type: BsonType.object, start: 0, end: raw.length }));
  return left === undefined || right === undefined ? -1 : compareValues(left, right);
}

/** Refuses what the real statements could not quote, and what would make another record of one. */
export function refuseReplacements(dataset: DatasetShape, batch: readonly Replacement[], until: Date): void {
  if (batch.length > DELETE_BATCH_RECORDS) throw new MoraineError('INTERNAL', 'A replace quotes too many records.');
  for (const replacement of batch) {
    replaceStatement(dataset, replacement, until);
    if (keyOf(idBytesOf(replacement.by)) !== replacement.record.key) {
      throw new MoraineError('INTERNAL', 'A replacement has another _id than its record.');
    }
  }
}

/** Returns how many were replaced. What is not there is not made. */
export function replaceHeld(
  documents: Map<string, Uint8Array>,
  dataset: DatasetShape,
  batch: readonly Replacement[],
): number {
  let replaced = 0;
  for (const { record, by } of batch) {
    const now = documents.get(record.key);
    if (now === undefined || !guardHolds(dataset, now, record.raw)) continue;
    documents.set(record.key, Uint8Array.from(by));
    replaced += 1;
  }
  return replaced;
}

/** MongoDB's limit, which it refuses at the write. */
const LARGEST_DOCUMENT_BYTES = 16 * 1024 * 1024;

export function refuseTooLarge(namespace: Namespace, raw: Uint8Array): void {
  if (raw.length <= LARGEST_DOCUMENT_BYTES) return;
  throw new MoraineError('MONGODB_REFUSED', `A document for ${namespace} is larger than a server takes.`);
}
