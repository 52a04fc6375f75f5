/** How a treatment is known: by its fields and what becomes of them, in whatever order a policy lists them. */
import { hashCanonicalJson } from '../canonical-json.ts';
import type { FieldTreatment } from '../source/port.ts';

/** Enough to tell two treatments of one collection apart; it stands in every treated record. */
const ID_LENGTH = 16;

/** The same for two policy versions that treat the same fields in the same way: a record that carries it is not taken again. */
export function treatmentId(fields: readonly FieldTreatment[]): string {
  const sorted = fields
    .map(({ field, how }) => ({ field, how }))
    .sort((a, b) => (a.field < b.field ? -1 : a.field > b.field ? 1 : 0));
  return hashCanonicalJson(sorted).slice(0, ID_LENGTH);
}
