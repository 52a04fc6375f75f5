/** What a source in memory says of the children of a dataset. */
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import { compareIds } from './bson-order.ts';
import { childrenFrom } from './child-document.ts';
import { childName } from './child-names.ts';
import { keyOf } from './id-key.ts';
import type { MemoryCollectionSettings } from './memory-source.ts';
import type { DatasetFinding, DatasetShape } from './port.ts';
import type { ChildName, ChildRecord, ChildShape } from './unit-shape.ts';

interface Collection {
  readonly documents: ReadonlyMap<string, Uint8Array>;
  readonly settings: MemoryCollectionSettings;
}

export function childrenIn(
  { documents, settings }: Collection,
  child: ChildShape,
  parents: readonly Uint8Array[],
): readonly ChildRecord[] {
  if (settings.index === false) {
    throw new MoraineError('INDEX_MISSING', `${child.collection} would be scanned for children without an index.`);
  }
  return childrenFrom(child, [...documents.values()], new Set(parents.map(keyOf)));
}

export function childNamesIn(
  { documents }: Collection,
  child: ChildShape,
  after: Uint8Array | null,
  limit: number,
): readonly ChildName[] {
  return [...documents.values()]
    .map((raw) => childName(child, raw))
    .filter(({ idBytes }) => after === null || compareIds(idBytes, after) > 0)
    .sort((a, b) => compareIds(a.idBytes, b.idBytes))
    .slice(0, limit);
}

export function inspectChildrenIn(
  dataset: DatasetShape,
  settingsOf: (collection: Namespace) => MemoryCollectionSettings,
): DatasetFinding[] {
  return (dataset.children ?? []).flatMap((child): DatasetFinding[] => {
    const { index = true, kind = 'collection' } = settingsOf(child.collection);
    if (kind !== 'collection') {
      return [{ level: 'error', code: 'DATASET_UNFIT', text: `${child.collection} is ${kind}.` }];
    }
    if (index) return [];
    return [{ level: 'error', code: 'INDEX_MISSING', text: `${child.collection} has no index on ${child.key}.` }];
  });
}
