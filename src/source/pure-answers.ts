/** What a source says of a record from its bytes alone: the same wherever the record is kept. */
import { isOfParty, parentOf } from './child-document.ts';
import { fitnessOf } from './guarded-delete.ts';
import { treatedFor } from './guarded-replace.ts';
import { keyOf } from './id-key.ts';
import { markerOf } from './marker.ts';
import type { DatasetShape, RecordFacts, SourcePort, Treatment } from './port.ts';
import { facetsOf, factsOf, positionOf } from './raw-document.ts';
import { valueBytesOf, valuesOf } from './record-values.ts';
import type { ChildShape, Party } from './unit-shape.ts';

export class PureAnswers
  implements
    Pick<
      SourcePort,
      | 'facts'
      | 'fitness'
      | 'facets'
      | 'position'
      | 'keyOf'
      | 'treated'
      | 'isMarkedBy'
      | 'parentOf'
      | 'isOfParty'
      | 'values'
      | 'valueBytes'
    >
{
  facts(dataset: DatasetShape, raw: Uint8Array): RecordFacts {
    const facts = factsOf(dataset, raw);
    const { values, isMarked } = dataset;
    if (values === undefined && isMarked === undefined) return facts;
    return {
      ...facts,
      ...(values === undefined ? {} : { values: valuesOf(raw, values) }),
      ...(isMarked === undefined ? {} : { treated: markerOf(raw)?.treatment ?? null }),
    };
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

  parentOf(child: ChildShape, root: Uint8Array) {
    return parentOf(child, root);
  }

  isOfParty(child: ChildShape, raw: Uint8Array, party: Party) {
    return isOfParty(child, raw, party);
  }

  treated(dataset: DatasetShape, raw: Uint8Array, treatment: Treatment) {
    return treatedFor(dataset, raw, treatment);
  }

  isMarkedBy(raw: Uint8Array, treatment: Treatment) {
    const marker = markerOf(raw);
    return marker !== null && marker.version === treatment.version && marker.treatment === treatment.id;
  }
}
