/**
 * Whether a dataset can be walked and guarded: the kind of collection, its collation, and an index that begins with owner,
 * customer and trigger. Decided from the list of indexes, not from a plan, which depends on the data of the day.
 */
import type { Document, MongoClient } from 'mongodb';
import type { Namespace } from '../ids.ts';
import { asking, translateMongoError } from './driver-errors.ts';
import { inspectChildren } from './inspect-unit.ts';
import { collectionOf, scanSort, splitNamespace } from './mongo-query.ts';
import type { DatasetFinding, DatasetReport, DatasetShape } from './port.ts';

/** See `SourcePort.inspect`. */
export async function inspect(client: MongoClient, dataset: DatasetShape): Promise<DatasetReport> {
  const { namespace } = dataset;
  const { database, collection: name } = splitNamespace(namespace);
  const collection = collectionOf(client, namespace);
  const [kind] = await asking(`list ${namespace}`, () => client.db(database).listCollections({ name }).toArray());
  if (kind === undefined) return { findings: [collectionMissing(namespace)], index: null, explain: null, documents: 0 };
  const unfit = judgeCollection(namespace, kind);
  if (unfit !== null) return { findings: [unfit], index: null, explain: null, documents: 0 };

  const indexes = await asking(`list the indexes of ${namespace}`, () => collection.indexes());
  const judged = judgeIndexes(dataset, indexes);
  const findings = [...judged.findings, ...(await inspectChildren(client, dataset, indexes))];
  const documents = await asking(`count ${namespace}`, () => collection.estimatedDocumentCount());
  return { ...judged, findings, documents, explain: await explainScan(client, dataset) };
}

/** What speaks against the collection itself, from its entry in `listCollections`; `null` when nothing does. Pure. */
export function judgeCollection(namespace: Namespace, kind: Document): DatasetFinding | null {
  const options: Document = kind['options'] ?? {};
  const why =
    kind['type'] === 'view'
      ? 'a view'
      : kind['type'] === 'timeseries' || options['timeseries'] !== undefined
        ? 'a time series'
        : options['capped'] === true
          ? 'capped'
          : options['collation'] !== undefined && options['collation']['locale'] !== 'simple'
            ? 'under a collation'
            : null;
  if (why === null) return null;
  return {
    level: 'error',
    code: 'DATASET_UNFIT',
    text: `${namespace} is ${why}: a guarded delete cannot be trusted there.`,
  };
}

/** Which index serves the scan, and what is missing. Pure. */
export function judgeIndexes(
  dataset: DatasetShape,
  indexes: readonly Document[],
): { readonly findings: readonly DatasetFinding[]; readonly index: string | null } {
  const wanted = wantedFields(dataset);
  const serving = indexes.filter((index) => isPlain(index) && beginsWith(index, wanted));
  const withId = serving.find((index) => endsInOrder(index, wanted));
  const index = withId ?? serving[0];
  const remedy = createIndexText(dataset);
  if (index === undefined) {
    return {
      index: null,
      findings: [
        {
          level: 'error',
          code: 'INDEX_MISSING',
          text: `${dataset.namespace} has no plain index that begins with ${wanted.join(', ')}.`,
          remedy,
        },
      ],
    };
  }
  const findings: DatasetFinding[] =
    withId !== undefined
      ? []
      : [
          {
            level: 'warning',
            code: 'INDEX_WITHOUT_ID',
            text: `The index ${String(index['name'])} of ${dataset.namespace} does not go on with _id, so the server sorts each walk in memory.`,
            remedy,
          },
        ];
  return { index: String(index['name']), findings };
}

/** The command for the mongo shell that makes the recommended index. */
export function createIndexText(dataset: DatasetShape): string {
  const { database, collection } = splitNamespace(dataset.namespace);
  const keys = [...new Set([...wantedFields(dataset), '_id'])].map((field) => `${JSON.stringify(field)}: 1`);
  return `db.getSiblingDB(${JSON.stringify(database)}).getCollection(${JSON.stringify(collection)}).createIndex({ ${keys.join(', ')} })`;
}

/** Fields that the index begins with, fixed values left out. */
function wantedFields(dataset: DatasetShape): string[] {
  const parties = [dataset.owner, dataset.customer].flatMap((party) => ('field' in party ? [party.field] : []));
  return [...new Set([...parties, dataset.trigger.field])];
}

/** No option that leaves documents out of the index, or orders them otherwise. */
function isPlain(index: Document): boolean {
  return (
    index['sparse'] !== true &&
    index['hidden'] !== true &&
    index['partialFilterExpression'] === undefined &&
    (index['collation'] === undefined || index['collation']['locale'] === 'simple')
  );
}

/** The index's first keys are the wanted fields, all in one direction (a number; `hashed`, `text` and wildcards are none). */
function beginsWith(index: Document, wanted: readonly string[]): boolean {
  const keys = keysOf(index);
  return wanted.every((field, at) => {
    const key = keys[at];
    return key !== undefined && key[0] === field && (key[1] === 1 || key[1] === -1);
  });
}

/** The order (trigger, _id) comes out of the index itself: `_id` follows in the trigger's direction, or is the trigger. */
function endsInOrder(index: Document, wanted: readonly string[]): boolean {
  if (wanted.at(-1) === '_id') return true;
  const keys = keysOf(index);
  const following = keys[wanted.length];
  return following !== undefined && following[0] === '_id' && following[1] === keys[wanted.length - 1]?.[1];
}

function keysOf(index: Document): [string, unknown][] {
  const key: unknown = index['key'];
  if (key instanceof Map) return [...key.entries()];
  return typeof key === 'object' && key !== null ? Object.entries(key) : [];
}

function collectionMissing(namespace: Namespace): DatasetFinding {
  return {
    level: 'error',
    code: 'COLLECTION_MISSING',
    text: `There is no collection ${namespace}.`,
  };
}

/** The plan of a scan with stand-ins for owner and customer. */
async function explainScan(client: MongoClient, dataset: DatasetShape): Promise<unknown> {
  const filter: Document = {};
  for (const party of [dataset.owner, dataset.customer]) if ('field' in party) filter[party.field] = 'any';
  filter[dataset.trigger.field] = { $type: dataset.trigger.kind === 'date' ? 'date' : 'objectId' };
  try {
    return await collectionOf(client, dataset.namespace).find(filter).sort(scanSort(dataset)).explain('queryPlanner');
  } catch (error) {
    // The explain is shown, nothing is decided from it: a server without it must not fail the check.
    const translated = translateMongoError(error, `explain a query of ${dataset.namespace}`);
    return { unavailable: translated instanceof Error ? translated.message : 'no reason given' };
  }
}
