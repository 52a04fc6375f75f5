/**
 * Finds the owners and customers of a dataset as the distinct values at the head of the index: where the server jumps from
 * one to the next (a loose index scan) the cost grows with the number of partitions, not of records. Each usable type is a bracket of its own, because
 * comparisons match within one BSON type.
 */
import { type Document, type Filter, type MongoClient, ObjectId, UUID } from 'mongodb';
import { MoraineError } from '../errors.ts';
import { type CustomerId, id, type OwnerId, partyId } from '../ids.ts';
import { BsonType, fieldPath, findPath } from './bson-walk.ts';
import { asking } from './driver-errors.ts';
import { collectionOf, partitionFilter, partyFilter, triggerBounds } from './mongo-query.ts';
import type { DatasetShape, FieldOrValue, Partition } from './port.ts';
import { partyIdOf } from './raw-document.ts';

/** The first and last UUID: subtype 4 and 16 bytes, between which MongoDB's order has nothing but UUIDs. */
export const FIRST_UUID = new UUID('00000000-0000-0000-0000-000000000000');
export const LAST_UUID = new UUID('ffffffff-ffff-ffff-ffff-ffffffffffff');

/** See `SourcePort.partitions`. */
export async function* partitionsOf(
  client: MongoClient,
  dataset: DatasetShape,
  before: number,
): AsyncGenerator<Partition> {
  for await (const owner of ownersOf(client, dataset)) {
    for await (const customer of customersOf(client, dataset, owner)) {
      const partition: Partition = { dataset, owner, customer };
      if (await hasTriggerBefore(client, partition, before)) yield partition;
    }
  }
}

/** Every usable owner, or the fixed one. */
export async function* ownersOf(client: MongoClient, dataset: DatasetShape): AsyncGenerator<OwnerId> {
  for await (const party of partiesOf(client, dataset, dataset.owner, {}, {})) yield id.owner(party);
}

/** Every usable customer of one owner, or the fixed one. */
export async function* customersOf(
  client: MongoClient,
  dataset: DatasetShape,
  owner: OwnerId,
): AsyncGenerator<CustomerId> {
  const within = partyFilter(dataset.owner, owner);
  // The order names the owner too, so that it is the order of the index.
  const sort: Record<string, 1> = 'field' in dataset.owner ? { [dataset.owner.field]: 1 } : {};
  for await (const party of partiesOf(client, dataset, dataset.customer, within, sort)) yield id.customer(party);
}

async function* partiesOf(
  client: MongoClient,
  dataset: DatasetShape,
  source: FieldOrValue,
  within: Filter<Document>,
  sortWithin: Record<string, 1>,
): AsyncGenerator<string> {
  if ('value' in source) {
    const fixed = partyId(source.value);
    if (fixed !== null) yield fixed;
    return;
  }
  const collection = collectionOf(client, dataset.namespace);
  for (const bracket of BRACKETS) {
    // The sort names the order of the index, in which a server can jump from value to value; one that cannot reads the
    // range once, where a query for each next value would read and sort it again and again.
    const found = collection.aggregate(
      [
        { $match: { $and: [within, { [source.field]: bracket }] } },
        { $sort: { ...sortWithin, [source.field]: 1 } },
        { $group: { _id: `$${source.field}` } },
        { $sort: { _id: 1 } },
      ],
      { raw: true, readPreference: 'primary', allowDiskUse: true },
    );
    try {
      for (;;) {
        const next = await asking(`find the partitions of ${dataset.namespace}`, () => found.next());
        if (next === null) break;
        const value = next instanceof Uint8Array ? findPath(next, ID_PATH) : null;
        if (value === null) continue;
        const party = partyIdOf(value);
        if (party !== null) yield party;
        // Lists and symbols lie among the texts of the index; such records are unfit, and named as that.
        else if (value.type === BsonType.string) throw cannotBeNamed(dataset, source.field);
      }
    } finally {
      await found.close();
    }
  }
}

const ID_PATH = fieldPath('_id');

/** Usable types of a party: non-empty strings, ObjectIds, UUIDs. */
const BRACKETS: readonly Document[] = [
  { $gt: '' },
  { $gte: new ObjectId('0'.repeat(24)), $lte: new ObjectId('f'.repeat(24)) },
  { $gte: FIRST_UUID, $lte: LAST_UUID },
];

async function hasTriggerBefore(client: MongoClient, partition: Partition, before: number): Promise<boolean> {
  const { dataset } = partition;
  const found = await asking(`look for records in ${dataset.namespace}`, () =>
    collectionOf(client, dataset.namespace).findOne(
      { ...partitionFilter(partition), $and: [{ [dataset.trigger.field]: triggerBounds(dataset, null, before) }] },
      { raw: true, readPreference: 'primary', projection: { _id: 1 } },
    ),
  );
  return found !== null;
}

/** Text that is not UTF-8 cannot be named in a query: stop loudly, skip nothing. */
function cannotBeNamed(dataset: DatasetShape, field: string): MoraineError {
  return new MoraineError(
    'RECORD_UNFIT',
    `A record of ${dataset.namespace} has a value at ${field} that is not UTF-8 text.`,
    {
      ids: { dataset: dataset.namespace, field },
      hint: `Correct the value of ${field} in the source; the other records of the dataset wait for that.`,
    },
  );
}
