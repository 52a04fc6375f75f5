/** Questions about single records, counts and the clock: on the primary, with majority. */
import { type Document, type MongoClient, ObjectId } from 'mongodb';
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import { asking } from './driver-errors.ts';
import { idCandidates } from './id-candidates.ts';
import { collectionOf, partitionFilter, READ_RAW, triggerBounds } from './mongo-query.ts';
import type { Partition, PartitionSummary, RawRecord, TriggerRange } from './port.ts';
import { idValue, rawRecord, recordsFrom } from './raw-document.ts';

const DECIDING_READ = { ...READ_RAW, readPreference: 'primary', readConcern: { level: 'majority' } } as const;

/** The server's clock. On a sharded cluster this is the router's. */
export async function serverTime(client: MongoClient): Promise<Date> {
  const reply = await asking('tell the time', () => client.db('admin').command({ hello: 1 }));
  const time: unknown = reply['localTime'];
  if (time instanceof Date) return time;
  throw new MoraineError('MONGODB_REFUSED', 'MongoDB did not tell its time.');
}

/** See `SourcePort.readByIds`. */
export async function readByIds(
  client: MongoClient,
  namespace: Namespace,
  idBytes: readonly Uint8Array[],
): Promise<ReadonlyMap<string, RawRecord>> {
  const found = new Map<string, RawRecord>();
  if (idBytes.length === 0) return found;
  const filter: Document = { _id: { $in: idBytes.map(idValue) } };
  const documents = await asking(`read records of ${namespace}`, () =>
    collectionOf(client, namespace).find(filter, DECIDING_READ).toArray(),
  );
  const views: Uint8Array[] = [];
  for (const document of documents) if (document instanceof Uint8Array) views.push(document);
  for (const record of recordsFrom(views)) found.set(record.key, record);
  return found;
}

/** See `SourcePort.summarise`. */
export async function summarise(
  client: MongoClient,
  partition: Partition,
  range: TriggerRange,
): Promise<PartitionSummary> {
  const { dataset } = partition;
  const field = dataset.trigger.field;
  const [sums] = await asking(`count records of ${dataset.namespace}`, () =>
    collectionOf(client, dataset.namespace)
      .aggregate(
        [
          {
            $match: {
              ...partitionFilter(partition),
              $and: [{ [field]: triggerBounds(dataset, range.from ?? null, range.before) }],
            },
          },
          {
            $group: {
              _id: null,
              records: { $sum: 1 },
              bytes: { $sum: { $bsonSize: '$$ROOT' } },
              oldest: { $min: `$${field}` },
              newest: { $max: `$${field}` },
            },
          },
        ],
        { readPreference: 'primary', readConcern: { level: 'majority' } },
      )
      .toArray(),
  );
  return {
    records: Number(sums?.['records'] ?? 0),
    bytes: Number(sums?.['bytes'] ?? 0),
    oldest: instantOf(sums?.['oldest']),
    newest: instantOf(sums?.['newest']),
  };
}

/** See `SourcePort.findOne`: the first of what the text may mean that exists. */
export async function findOne(client: MongoClient, namespace: Namespace, idText: string): Promise<RawRecord | null> {
  for (const candidate of idCandidates(idText)) {
    const filter: Document = { _id: { $in: [candidate] } };
    const [document] = await asking(`read a record of ${namespace}`, () =>
      collectionOf(client, namespace).find(filter, DECIDING_READ).limit(1).toArray(),
    );
    if (document instanceof Uint8Array) return rawRecord(document);
  }
  return null;
}

function instantOf(value: unknown): number | null {
  if (value instanceof Date) return value.getTime();
  return value instanceof ObjectId ? value.getTimestamp().getTime() : null;
}
