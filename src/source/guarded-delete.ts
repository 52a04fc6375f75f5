/**
 * The statements of the guarded delete (design 4), as bytes. One statement deletes of its batch exactly those documents
 * that still equal the given bytes, and nothing once the server's clock has passed `until`:
 *
 *     { _id: { $in: ids }, $expr: { $cond: [ { $lt: ['$$NOW', until] }, { $in: ['$$ROOT', { $literal: docs }] }, false ] } }
 *
 * so that a change after our read saves the record, and a command that was frozen on its way does nothing. (`$cond`, not
 * `$and`: DocumentDB tries to serve a bare comparison from an index and then refuses `$$NOW`.) Where the
 * policy names a version field, `[ _id, version ]` stands for the document. A record without a usable version there is
 * guarded by the whole document.
 *
 * The documents are copied into the statement as the bytes that were read: nothing is decoded on the way to the guard, so
 * nothing can be lost. `fitnessOf` still refuses documents that a stock library would not give back.
 */
import { MoraineError } from '../errors.ts';
import type { BsonValue } from './bson-walk.ts';
import { BsonWriter } from './bson-writer.ts';
import { isCanonical } from './canonical.ts';
import type { DatasetShape, RawRecord, UnfitReason } from './port.ts';
import { idBytesOf, versionOf } from './raw-document.ts';

/** Records in one delete command; more does not get faster and holds locks longer. */
export const DELETE_BATCH_RECORDS = 200;
/** Bytes of records in one delete command: half of what a command may hold. A larger record goes alone. */
export const DELETE_BATCH_BYTES = 8 * 1024 * 1024;
/** MongoDB's limit for one document, and so for one statement. */
export const STATEMENT_BYTES = 16 * 1024 * 1024;
/** What a statement holds beside ids and documents: field names, operators, lengths, a router's additions. */
export const STATEMENT_OVERHEAD_BYTES = 4 * 1024;

/** Why the record cannot be guarded, or `null` when it can. Walks all bytes; asked once, before sealing. */
export function fitnessOf(dataset: DatasetShape, raw: Uint8Array): UnfitReason | null {
  const idBytes = idBytesOf(raw);
  if (versionOf(dataset, raw) !== null) {
    return isCanonical(new BsonWriter().value('_id', idBytes[0]!, idBytes.subarray(1)).finish())
      ? null
      : 'not-canonical';
  }
  if (raw.length + 2 * idBytes.length + STATEMENT_OVERHEAD_BYTES > STATEMENT_BYTES) return 'too-large';
  return isCanonical(raw) ? null : 'not-canonical';
}

/** Consecutive batches of at most 200 records and 8 MiB; a larger record alone. */
export function deleteBatches(records: readonly RawRecord[]): Generator<readonly RawRecord[]> {
  return batchesBySize(records, ({ raw }) => raw.length);
}

/** Consecutive batches of at most 200 and, by what each is said to weigh, 8 MiB; a heavier one alone. */
export function* batchesBySize<T>(items: readonly T[], bytesOf: (item: T) => number): Generator<readonly T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const more = bytesOf(item);
    if (batch.length === DELETE_BATCH_RECORDS || (batch.length > 0 && bytes + more > DELETE_BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

/** The bytes of `{ q: <guard>, limit: 0 }` for one batch. @throws MoraineError RECORD_UNFIT for a record that is too large. */
export function deleteStatement(dataset: DatasetShape, batch: readonly RawRecord[], until: Date): Uint8Array {
  const writer = new BsonWriter(batch.reduce((sum, record) => sum + record.raw.length + 64, STATEMENT_OVERHEAD_BYTES));
  writeGuard(writer, dataset, batch, until);
  return fitting(dataset, writer.int32('limit', 0).finish(), 'a delete');
}

/** `q`: what holds for those documents of the batch that still are what was read, until the server's clock has passed `until`. */
export function writeGuard(writer: BsonWriter, dataset: DatasetShape, batch: readonly RawRecord[], until: Date): void {
  const versioned: { readonly record: RawRecord; readonly version: BsonValue }[] = [];
  const whole: RawRecord[] = [];
  for (const record of batch) {
    const version = versionOf(dataset, record.raw);
    if (version === null) whole.push(record);
    else versioned.push({ record, version });
  }
  writer.beginObject('q');
  writer.beginObject('_id').beginArray('$in');
  for (const [at, { idBytes }] of batch.entries()) writer.value(String(at), idBytes[0]!, idBytes.subarray(1));
  writer.end().end();
  writer.beginObject('$expr').beginArray('$cond');
  writer.beginObject('0').beginArray('$lt').string('0', '$$NOW').date('1', until).end().end();
  writer.beginObject('1').beginArray('$or');
  writeWhole(writer, whole);
  writeVersioned(writer, dataset.version ?? '', versioned);
  writer.end().end();
  writer.boolean('2', false);
  writer.end().end();
  writer.end();
}

/** @throws MoraineError RECORD_UNFIT for a statement that no server takes. */
export function fitting(dataset: DatasetShape, statement: Uint8Array, what: string): Uint8Array {
  if (statement.length <= STATEMENT_BYTES) return statement;
  throw new MoraineError('RECORD_UNFIT', `A record of ${dataset.namespace} is too large to be quoted in ${what}.`, {
    ids: { dataset: dataset.namespace },
  });
}

/** `{ $in: ['$$ROOT', { $literal: [documents] }] }`, true for none when there are none. */
function writeWhole(writer: BsonWriter, records: readonly RawRecord[]): void {
  writer.beginObject('0').beginArray('$in').string('0', '$$ROOT').beginObject('1').beginArray('$literal');
  for (const [at, { raw }] of records.entries()) writer.value(String(at), DOCUMENT, raw);
  writer.end().end().end().end();
}

/** `{ $in: [['$_id', '$version'], { $literal: [[id, version]] }] }` */
function writeVersioned(
  writer: BsonWriter,
  field: string,
  records: readonly { readonly record: RawRecord; readonly version: BsonValue }[],
): void {
  if (records.length === 0) return;
  writer.beginObject('1').beginArray('$in').beginArray('0').string('0', '$_id').string('1', `$${field}`).end();
  writer.beginObject('1').beginArray('$literal');
  for (const [at, { record, version }] of records.entries()) {
    writer.beginArray(String(at)).value('0', record.idBytes[0]!, record.idBytes.subarray(1)).copy('1', version).end();
  }
  writer.end().end().end().end();
}

const DOCUMENT = 0x03;
