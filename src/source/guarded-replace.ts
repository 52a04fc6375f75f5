/**
 * The statements of the guarded replace, as bytes: one for each record, all of a batch in one `update` command.
 *
 *     { q: <the guard of the delete, for this record>, u: <the treated document>, multi: false, upsert: false }
 *
 * The whole document is replaced by bytes that were made here, not changed by operators: what the server then holds is
 * what was hashed and written into the intent, also in lists and beside fields that an operator could not name.
 */
import { BsonWriter } from './bson-writer.ts';
import { batchesBySize, fitting, STATEMENT_BYTES, STATEMENT_OVERHEAD_BYTES, writeGuard } from './guarded-delete.ts';
import type { DatasetShape, Replacement, Treatment } from './port.ts';
import { idBytesOf, versionOf } from './raw-document.ts';
import { treatDocument } from './treatment.ts';

/**
 * Batches of at most 200 records and 8 MiB of what they quote; a larger one alone. In the order of their keys: two commands
 * that replace the same records in opposite orders would each wait for a record that the other one has locked.
 */
export function replaceBatches(replacements: readonly Replacement[]): Generator<readonly Replacement[]> {
  const ordered = [...replacements].sort(({ record: a }, { record: b }) =>
    a.key < b.key ? -1 : a.key > b.key ? 1 : 0,
  );
  return batchesBySize(ordered, ({ record, by }) => record.raw.length + by.length);
}

/** @throws MoraineError RECORD_UNFIT for a record that is too large. */
export function replaceStatement(dataset: DatasetShape, { record, by }: Replacement, until: Date): Uint8Array {
  const writer = new BsonWriter(record.raw.length + by.length + STATEMENT_OVERHEAD_BYTES);
  writeGuard(writer, dataset, [record], until);
  writer.value('u', DOCUMENT, by).boolean('multi', false).boolean('upsert', false);
  return fitting(dataset, writer.finish(), 'a replace');
}

/** What a treatment makes of a record; null when it cannot, or when the two do not fit into one statement. */
export function treatedFor(dataset: DatasetShape, raw: Uint8Array, treatment: Treatment): Uint8Array | null {
  const treated = treatDocument(raw, treatment);
  if (treated === null) return null;
  const quoted = versionOf(dataset, raw) === null ? raw.length : 0;
  const bytes = quoted + treated.length + 2 * idBytesOf(raw).length + STATEMENT_OVERHEAD_BYTES;
  return bytes > STATEMENT_BYTES ? null : treated;
}

const DOCUMENT = 0x03;
