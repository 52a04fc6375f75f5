/** What a source says of a record from its bytes alone: the same wherever the record is kept. */
import { fitnessOf } from './guarded-delete.ts';
import { keyOf } from './id-key.ts';
import type { DatasetShape, SourcePort } from './port.ts';
import { facetsOf, factsOf, positionOf } from './raw-document.ts';

export class PureAnswers implements Pick<SourcePort, 'facts' | 'fitness' | 'facets' | 'position' | 'keyOf'> {
  facts(dataset: DatasetShape, raw: Uint8Array) {
    return factsOf(dataset, raw);
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

  keyOf(idBytes: Uint8Array) {
    return keyOf(idBytes);
  }
}
