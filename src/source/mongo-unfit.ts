/**
 * Finds the records whose owner, customer or trigger cannot be used, by the index ranges of all that is not usable: the
 * other types, missing, empty, and what lies before and after the UUIDs among the binaries. `{ $not: { $type: … } }`
 * would walk the whole index.
 *
 * Arrays have no index range of their own: their elements lie among the usable values. They are looked for only when the
 * index says that it holds any (it is multikey), or does not say.
 */
import type { Document, Filter, MongoClient } from 'mongodb';
import { translateMongoError } from './driver-errors.ts';
import { customersOf, FIRST_UUID, LAST_UUID, ownersOf } from './mongo-partitions.ts';
import { collectionOf, partitionFilter, partyFilter, READ_RAW } from './mongo-query.ts';
import { batchesOf } from './mongo-scan.ts';
import type { DatasetShape, FieldOrValue, Party, RawRecord, UnfitReason } from './port.ts';
import { factsOf, recordsFrom } from './raw-document.ts';

/** See `SourcePort.unfit`. Each record comes once, at the first of owner, customer and trigger that is not usable. */
export async function* unfitRecords(
  client: MongoClient,
  dataset: DatasetShape,
  of?: Party,
): AsyncGenerator<readonly RawRecord[]> {
  const arrays = await mayHoldArrays(client, dataset);
  if (of !== undefined) {
    const within = partitionFilter({ dataset, ...of });
    for await (const batch of matching(client, dataset, unusableTrigger(dataset, within, arrays), 'trigger-unusable'))
      yield batch.filter(({ raw }) => isOf(dataset, raw, of));
    return;
  }
  if ('field' in dataset.owner) {
    yield* matching(client, dataset, unusableParty(dataset.owner, {}, arrays), 'owner-unusable');
  }
  for await (const owner of ownersOf(client, dataset)) {
    if ('field' in dataset.customer) {
      const within = partyFilter(dataset.owner, owner);
      yield* matching(client, dataset, unusableParty(dataset.customer, within, arrays), 'customer-unusable');
    }
    for await (const customer of customersOf(client, dataset, owner)) {
      const within = partitionFilter({ dataset, owner, customer });
      yield* matching(client, dataset, unusableTrigger(dataset, within, arrays), 'trigger-unusable');
    }
  }
}

function isOf(dataset: DatasetShape, raw: Uint8Array, { owner, customer }: Party): boolean {
  const facts = factsOf(dataset, raw);
  return facts.owner === owner && facts.customer === customer;
}

/** Types that are neither of the usable ones. `null` is asked for by value, which finds missing fields too. */
const NEVER_USABLE = [
  'double',
  'int',
  'long',
  'decimal',
  'object',
  'bool',
  'regex',
  'dbPointer',
  'javascript',
  'javascriptWithScope',
  'symbol',
  'timestamp',
  'undefined',
  'minKey',
  'maxKey',
];
const UNUSABLE_AS_PARTY = [...NEVER_USABLE, 'date'];
const UNUSABLE_AS_DATE = [...NEVER_USABLE, 'string', 'binData', 'objectId'];
const UNUSABLE_AS_OBJECT_ID = [...NEVER_USABLE, 'string', 'binData', 'date'];
/** What a JavaScript date can hold; MongoDB's dates go further, and no calendar can follow them there. */
const FIRST_DATE = new Date(-8.64e15);
const LAST_DATE = new Date(8.64e15);

function unusableParty(
  source: { readonly field: string },
  within: Filter<Document>,
  arrays: boolean,
): Filter<Document> {
  const { field } = source;
  return {
    ...within,
    $or: [
      { [field]: { $type: UNUSABLE_AS_PARTY } },
      { [field]: null },
      { [field]: '' },
      { [field]: { $lt: FIRST_UUID } },
      { [field]: { $gt: LAST_UUID } },
      ...(arrays ? [holdsArray(field)] : []),
    ],
  };
}

function unusableTrigger(dataset: DatasetShape, within: Filter<Document>, arrays: boolean): Filter<Document> {
  const { field, kind } = dataset.trigger;
  return {
    ...within,
    $or: [
      { [field]: { $type: kind === 'date' ? UNUSABLE_AS_DATE : UNUSABLE_AS_OBJECT_ID } },
      { [field]: null },
      ...(kind === 'date' ? [{ [field]: { $lt: FIRST_DATE } }, { [field]: { $gt: LAST_DATE } }] : []),
      ...(arrays ? [holdsArray(field)] : []),
    ],
  };
}

/** An array at the field, or on the way to it. */
function holdsArray(field: string): Filter<Document> {
  return { $expr: { $isArray: [`$${field}`] } };
}

async function* matching(
  client: MongoClient,
  dataset: DatasetShape,
  filter: Filter<Document>,
  reason: UnfitReason,
): AsyncGenerator<readonly RawRecord[]> {
  const cursor = collectionOf(client, dataset.namespace).find(filter, { ...READ_RAW, readPreference: 'primary' });
  try {
    for await (const batch of batchesOf(cursor)) {
      const records = recordsFrom(batch.filter((view) => factsOf(dataset, view).unfit[0] === reason));
      if (records.length > 0) yield records;
    }
  } catch (error) {
    throw translateMongoError(error, `look for unfit records in ${dataset.namespace}`);
  }
}

/** Whether the index that serves the dataset may hold arrays: both MongoDB and DocumentDB say so in their plans. */
async function mayHoldArrays(client: MongoClient, dataset: DatasetShape): Promise<boolean> {
  const parties: readonly FieldOrValue[] = [dataset.owner, dataset.customer];
  const filter = Object.fromEntries(parties.flatMap((party) => ('field' in party ? [[party.field, 'a']] : [])));
  try {
    const plan: unknown = await collectionOf(client, dataset.namespace)
      .find({ ...filter, [dataset.trigger.field]: { $lt: LAST_DATE } })
      .explain('queryPlanner');
    const answers = multiKeyAnswers(plan);
    return answers.length === 0 || answers.includes(true);
  } catch (error) {
    throw translateMongoError(error, `explain a query of ${dataset.namespace}`);
  }
}

/** Every `isMultiKey` in a plan, wherever the server puts it. */
function multiKeyAnswers(plan: unknown): boolean[] {
  if (typeof plan !== 'object' || plan === null) return [];
  return Object.entries(plan).flatMap(([key, value]) =>
    key === 'isMultiKey' && typeof value === 'boolean' ? [value] : multiKeyAnswers(value),
  );
}
