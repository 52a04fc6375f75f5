/** Whether what hangs on the records of a dataset can be found by an index and guarded. */
import type { Document, MongoClient } from 'mongodb';
import { asking } from './driver-errors.ts';
import { judgeCollection } from './mongo-inspect.ts';
import { collectionOf, splitNamespace } from './mongo-query.ts';
import type { DatasetFinding, DatasetShape } from './port.ts';
import type { ChildShape } from './unit-shape.ts';

/** Findings about the collections of children, and about the field of the root that they name. */
export async function inspectChildren(
  client: MongoClient,
  dataset: DatasetShape,
  rootIndexes: readonly Document[],
): Promise<readonly DatasetFinding[]> {
  const findings: DatasetFinding[] = [];
  for (const child of dataset.children ?? []) {
    findings.push(...judgeParent(dataset, child, rootIndexes));
    const { database, collection: name } = splitNamespace(child.collection);
    const [kind] = await asking(`list ${child.collection}`, () =>
      client.db(database).listCollections({ name }).toArray(),
    );
    // It may come with the first child; then it is looked at again.
    if (kind === undefined) {
      const text = `There is no collection ${child.collection} yet: no record has children there.`;
      findings.push({ level: 'warning', code: 'COLLECTION_MISSING', text });
      continue;
    }
    const unfit = judgeCollection(child.collection, kind);
    if (unfit !== null) findings.push(unfit);
    const indexes = await asking(`list the indexes of ${child.collection}`, () =>
      collectionOf(client, child.collection).indexes(),
    );
    findings.push(...judgeChildIndexes(child, indexes));
  }
  return findings;
}

/** An index must begin with the key, or each batch of roots would scan the whole collection. Pure. */
export function judgeChildIndexes(child: ChildShape, indexes: readonly Document[]): readonly DatasetFinding[] {
  if (indexes.some((index) => isPlain(index) && fieldsOf(index)[0] === child.key)) return [];
  const { database, collection } = splitNamespace(child.collection);
  return [
    {
      level: 'error',
      code: 'INDEX_MISSING',
      text: `${child.collection} has no plain index that begins with ${child.key}, by which children are found.`,
      remedy: `db.getSiblingDB(${JSON.stringify(database)}).getCollection(${JSON.stringify(collection)}).createIndex({ ${JSON.stringify(child.key)}: 1 })`,
    },
  ];
}

/** Two roots with the same value there would have the same children, and deleting the first would take the second's. Pure. */
export function judgeParent(
  dataset: DatasetShape,
  child: ChildShape,
  indexes: readonly Document[],
): readonly DatasetFinding[] {
  if (child.parent === '_id') return [];
  const isUnique = (index: Document) => {
    const fields = fieldsOf(index);
    return index['unique'] === true && fields.length === 1 && fields[0] === child.parent;
  };
  if (indexes.some(isUnique)) return [];
  const { database, collection } = splitNamespace(dataset.namespace);
  return [
    {
      level: 'error',
      code: 'INDEX_MISSING',
      text: `${dataset.namespace} has no unique index on ${child.parent}, so children in ${child.collection} may have two roots.`,
      remedy: `db.getSiblingDB(${JSON.stringify(database)}).getCollection(${JSON.stringify(collection)}).createIndex({ ${JSON.stringify(child.parent)}: 1 }, { unique: true })`,
    },
  ];
}

function isPlain(index: Document): boolean {
  return (
    index['sparse'] !== true &&
    index['hidden'] !== true &&
    index['partialFilterExpression'] === undefined &&
    (index['collation'] === undefined || index['collation']['locale'] === 'simple')
  );
}

/** Ascending or descending fields; `hashed`, `text` and wildcards are none. */
function fieldsOf(index: Document): string[] {
  const key: unknown = index['key'];
  const entries: [string, unknown][] =
    key instanceof Map ? [...key.entries()] : typeof key === 'object' && key !== null ? Object.entries(key) : [];
  const first = entries.findIndex(([, direction]) => direction !== 1 && direction !== -1);
  return (first === -1 ? entries : entries.slice(0, first)).map(([field]) => field);
}
