/** What a source says of a record from its bytes alone: the same wherever the record is kept. */
import { fitnessOf } from './guarded-delete.ts';
import { keyOf } from './id-key.ts';
import type { DatasetShape, RecordFacts, SourcePort } from './port.ts';
import { facetsOf, factsOf, positionOf } from './raw-document.ts';
import { valueBytesOf, valuesOf } from './record-values.ts';

export class PureAnswers
  implements Pick<SourcePort, 'facts' | 'fitness' | 'facets' | 'position' | 'keyOf' | 'values' | 'valueBytes'>
{
  facts(dataset: DatasetShape, raw: Uint8Array): RecordFacts {
    const facts = factsOf(dataset, raw);
    return dataset.values === undefined ? facts : { ...facts, values: valuesOf(raw, dataset.values) };
  }

  fitness(dataset: DatasetShape, raw: Uint8Array) {
    return fitnessOf(dataset, raw);
  }

  facets(dataset: DatasetShape, raw: Uint8Array) {
    return facetsOf(dataset, raw);
  }

  position(dataset: DatasetShape, raw: Uint8Array) {
    return positionOf(dataset, raw);
  }

  values(raw: Uint8Array, fields: readonly string[]) {
    return valuesOf(raw, fields);
  }

  valueBytes(raw: Uint8Array, field: string) {
    return valueBytesOf(raw, field);
  }

  keyOf(idBytes: Uint8Array) {
    return keyOf(idBytes);
  }
}
