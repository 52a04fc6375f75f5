/** What was proven, as a table for a person. */
import { type ClientReport, OPERATIONS } from './run-clients.ts';

/** The clients that have proven an operation. One failed proof of it, and that client does not count. */
function provenBy(operation: string, reports: readonly ClientReport[]): string[] {
  return reports
    .filter(({ proofs }) => {
      const of = proofs.filter(({ operations }) => operations.includes(operation));
      return of.length > 0 && of.every(({ error }) => error === null);
    })
    .map(({ client }) => client);
}

export interface Outcome {
  readonly lines: readonly string[];
  readonly proven: number;
  readonly failures: readonly string[];
}

/** The table, the failures, and as the last line how many operations are proven. */
export function outcomeOf(reports: readonly ClientReport[]): Outcome {
  const width = Math.max(...OPERATIONS.map(({ length }) => length));
  const rows = OPERATIONS.map((operation) => ({ operation, by: provenBy(operation, reports) }));
  const proven = rows.filter(({ by }) => by.length > 0).length;
  const failures = reports.flatMap(({ client, proofs }) =>
    proofs.flatMap(({ what, error }) => (error === null ? [] : [`${client}: ${what}: ${error}`])),
  );
  const absent = reports.flatMap(({ client, missing }) => (missing === null ? [] : [`not run: ${client}: ${missing}`]));
  return {
    proven,
    failures,
    lines: [
      ...rows.map(({ operation, by }) => `${operation.padEnd(width)}  ${by.join(', ') || 'NOT PROVEN'}`),
      '',
      ...absent,
      ...failures.map((failure) => `failed: ${failure}`),
      `${proven} of ${OPERATIONS.length} operations proven`,
    ],
  };
}
