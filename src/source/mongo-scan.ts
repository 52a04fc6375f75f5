/**
 * Walks a partition in the order (trigger, _id). The cursor lives as long as the walk makes progress; when the server
 * forgets it or the connection breaks, a new one starts right after the last record that was handed out.
 */
import { type Document, type FindCursor, type MongoClient, MongoError, MongoServerSelectionError } from 'mongodb';
import { translateMongoError } from './driver-errors.ts';
import {
  collectionOf,
  isBytes,
  partitionFilter,
  positionFilters,
  READ_RAW,
  scanSort,
  triggerBounds,
} from './mongo-query.ts';
import type { Partition, Position, RawRecord } from './port.ts';
import { factsOf, positionOf, recordsFrom } from './raw-document.ts';

/** New cursors in a row without one record in between; past it the fault is not a passing one. */
const RESUMES_WITHOUT_PROGRESS = 2;

export interface ScanRange {
  readonly after: Position | null;
  readonly upTo: Position | null;
  readonly before: number;
}

/** See `SourcePort.scan`. */
export async function* scanPartition(
  client: MongoClient,
  partition: Partition,
  range: ScanRange,
  signal?: AbortSignal,
): AsyncGenerator<readonly RawRecord[]> {
  const { dataset } = partition;
  let after = range.after;
  let resumes = 0;
  for (;;) {
    try {
      for await (const batch of batchesOf(openCursor(client, partition, { ...range, after }), signal)) {
        const records = recordsOf(partition, batch);
        const last = records.at(-1);
        if (last === undefined) continue;
        yield records;
        after = positionOf(dataset, last.raw);
        resumes = 0;
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      // Servers have many codes for a cursor that is gone; asking again changes nothing. When no server is to be found, the
      // driver has looked for one for long enough already.
      const lasting = !(error instanceof MongoError) || error instanceof MongoServerSelectionError;
      if (lasting || resumes >= RESUMES_WITHOUT_PROGRESS) {
        throw translateMongoError(error, `scan ${dataset.namespace}`);
      }
      resumes++;
    }
  }
}

/**
 * Batches of a raw cursor, the next one asked for while the caller works on this one; so at most two batches, the
 * server's replies, are in memory. Documents are views of the reply: copy what is kept.
 */
export async function* batchesOf(
  cursor: FindCursor<Document>,
  signal?: AbortSignal,
): AsyncGenerator<readonly Uint8Array[]> {
  let next = cursor.hasNext();
  try {
    while (await unlessAborted(next, signal)) {
      const batch = cursor.readBufferedDocuments().filter(isBytes);
      next = cursor.hasNext();
      // Whoever awaits `next` sees its failure; without this line it would be unhandled while the caller works.
      next.catch(() => undefined);
      yield batch;
    }
  } finally {
    // The reply on its way comes first: to kill a cursor that is in use crashes FerretDB 2.7, for all its clients. A
    // cursor that cannot be closed ends by itself at the server.
    const closed = next
      .catch(() => undefined)
      .then(() => cursor.close())
      .catch(() => undefined);
    // Whoever was told to stop does not wait for a server that may hang.
    if (!signal?.aborted) await closed;
  }
}

/** What was asked for, or the signal's reason as soon as it is aborted. */
async function unlessAborted<T>(asked: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return asked;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([asked, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function openCursor(client: MongoClient, partition: Partition, range: ScanRange): FindCursor<Document> {
  const { dataset } = partition;
  return collectionOf(client, dataset.namespace)
    .find(
      {
        ...partitionFilter(partition),
        $and: [
          { [dataset.trigger.field]: triggerBounds(dataset, null, range.before) },
          ...positionFilters(dataset, range),
        ],
      },
      { ...READ_RAW, readPreference: 'primary', readConcern: { level: 'majority' } },
    )
    .sort(scanSort(dataset));
}

/**
 * The partition's own records in a batch. An index matches arrays by their elements and symbols as strings; such records
 * are unfit and come from `unfit()`, not from here.
 */
function recordsOf(partition: Partition, batch: readonly Uint8Array[]): RawRecord[] {
  const { dataset, owner, customer } = partition;
  return recordsFrom(
    batch.filter((view) => {
      const facts = factsOf(dataset, view);
      return facts.unfit.length === 0 && facts.owner === owner && facts.customer === customer;
    }),
  );
}
