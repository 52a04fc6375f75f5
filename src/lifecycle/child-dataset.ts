/** A collection of children as a dataset of its own: for the guard, and for the archive of those that came too late. */
import { MoraineError } from '../errors.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import type { ChildShape, DatasetShape } from '../source/port.ts';

const made = new WeakMap<ChildShape, DatasetShape>();

/** One object for each rule: what is worked out of a shape is kept by it. */
export function childDataset(child: ChildShape): DatasetShape {
  const known = made.get(child);
  if (known !== undefined) return known;
  const dataset: DatasetShape = {
    namespace: child.collection,
    // A child need not say whose it is: its root does.
    owner: child.owner ?? { value: 'of-its-root' },
    customer: child.customer ?? { value: 'of-its-root' },
    trigger: { field: '_id', kind: 'objectId' },
    ...(child.version === undefined ? {} : { version: child.version }),
    facets: {},
  };
  made.set(child, dataset);
  return dataset;
}

/** What the records of an archive are: the policy's own, or the children of one collection in an addendum. */
export function shapeOfArchive(dataset: DatasetShape, { _id, collection }: ArchiveDocument): DatasetShape {
  if (collection === undefined) return dataset;
  const child = dataset.children?.find((rule) => rule.collection === collection);
  if (child !== undefined) return childDataset(child);
  throw new MoraineError('INTERNAL', `The policy of archive ${_id} has no children in ${collection}.`, {
    ids: { archive: _id },
  });
}
