/** What changes the customers' data: the guarded delete and replace, and the insert of a restore that never overwrites. */
import type { MongoClient } from 'mongodb';
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import { asking, DUPLICATE_KEY, isPassingCode } from './driver-errors.ts';
import { deleteBatches, deleteStatement } from './guarded-delete.ts';
import { replaceBatches, replaceStatement } from './guarded-replace.ts';
import { keyOf } from './id-key.ts';
import type { DatasetShape, GuardedDelete, GuardedReplace, RawRecord, Replacement } from './port.ts';
import { sendWrite, type WriteReply } from './raw-command.ts';
import { idBytesOf } from './raw-document.ts';

/** Documents in one insert; the server takes 25,000, memory would not. */
const INSERT_BATCH_DOCUMENTS = 1_000;
/** Bytes in one insert: a message may hold 48 MB. */
const INSERT_BATCH_BYTES = 16 * 1024 * 1024;

/** The server will not have this document in this place: a unique index, a schema, a shard key. The record stays as it is. */
const REFUSED_RECORD: ReadonlySet<number> = new Set([DUPLICATE_KEY, 121, 66]);

/** See `SourcePort.deleteGuarded`. After any error what was deleted is unknown: read back. */
export async function deleteGuarded(
  client: MongoClient,
  dataset: DatasetShape,
  records: readonly RawRecord[],
  warrant: ClearingWarrant,
): Promise<GuardedDelete> {
  const doing = `delete records of ${dataset.namespace}`;
  const changed = 'Some of these records may have been deleted; the page is read back before anything else.';
  let deletedCount = 0;
  for (const batch of deleteBatches(records)) {
    const statement = deleteStatement(dataset, batch, warrant.until);
    warrant.assertGood('delete');
    const reply = await asking(doing, () => sendWrite(client, dataset.namespace, 'delete', [statement]), { changed });
    refuseFailures(reply, doing, changed, () => false);
    deletedCount += reply.count;
  }
  return { deletedCount };
}

/** See `SourcePort.replaceGuarded`. After any error what was replaced is unknown: read back. */
export async function replaceGuarded(
  client: MongoClient,
  dataset: DatasetShape,
  replacements: readonly Replacement[],
  warrant: ClearingWarrant,
): Promise<GuardedReplace> {
  const doing = `replace records of ${dataset.namespace}`;
  const changed = 'Some of these records may have been treated; the page is read back before anything else.';
  let replacedCount = 0;
  for (const batch of replaceBatches(replacements)) {
    const statements = batch.map((replacement) => replaceStatement(dataset, replacement, warrant.until));
    warrant.assertGood('replace');
    const reply = await asking(doing, () => sendWrite(client, dataset.namespace, 'update', statements), { changed });
    refuseFailures(reply, doing, changed, (code) => REFUSED_RECORD.has(code));
    replacedCount += reply.count;
  }
  return { replacedCount };
}

/** See `SourcePort.insertMissing`. */
export async function insertMissing(
  client: MongoClient,
  namespace: Namespace,
  documents: readonly Uint8Array[],
): Promise<{ readonly inserted: number; readonly existing: readonly string[] }> {
  const doing = `insert into ${namespace}`;
  const changed = 'Some of these documents may have been inserted; inserting them again does nothing.';
  const existing: string[] = [];
  let inserted = 0;
  for (const batch of insertBatches(documents)) {
    const reply = await asking(doing, () => sendWrite(client, namespace, 'insert', batch), { changed });
    refuseFailures(reply, doing, changed, (code) => code === DUPLICATE_KEY);
    for (const { index } of reply.errors) existing.push(keyOf(idBytesOf(batch[index]!)));
    inserted += reply.count;
  }
  return { inserted, existing };
}

function* insertBatches(documents: readonly Uint8Array[]): Generator<readonly Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const document of documents) {
    const full = batch.length === INSERT_BATCH_DOCUMENTS || bytes + document.length > INSERT_BATCH_BYTES;
    if (full && batch.length > 0) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(document);
    bytes += document.length;
  }
  if (batch.length > 0) yield batch;
}

function refuseFailures(reply: WriteReply, doing: string, changed: string, expected: (code: number) => boolean): void {
  const failure = reply.errors.find((error) => !expected(error.code));
  if (failure !== undefined && isPassingCode(failure.code)) {
    const text = `MongoDB could not ${doing} just now: code ${failure.code}.`;
    throw new MoraineError('MONGODB_UNAVAILABLE', text, { changed });
  }
  if (failure !== undefined) {
    throw new MoraineError('MONGODB_REFUSED', `MongoDB refused to ${doing}: code ${failure.code}.`, { changed });
  }
  if (reply.unacknowledged !== null) {
    throw new MoraineError(
      'MONGODB_UNAVAILABLE',
      `A majority of the servers did not confirm in time: ${doing}, code ${reply.unacknowledged}.`,
      { changed },
    );
  }
}
