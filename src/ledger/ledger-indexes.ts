/** All indexes of the ledger, for the one place that prepares a store. */
import { AUDIT_INDEXES } from './audit.ts';
import { CERTIFICATES_INDEXES } from './certificates.ts';
import type { LedgerIndex } from './indexes.ts';
import { INVENTORIES_INDEXES } from './inventories.ts';
import { POLICIES_INDEXES } from './policies.ts';
import { QUARANTINE_INDEXES } from './quarantine.ts';
import { RECORD_MARKS_INDEXES } from './record-marks.ts';
import { RETRIEVALS_INDEXES } from './retrievals.ts';
import { RUNS_INDEXES } from './runs.ts';

export const LEDGER_INDEXES: readonly LedgerIndex[] = [
  ...AUDIT_INDEXES,
  ...CERTIFICATES_INDEXES,
  ...INVENTORIES_INDEXES,
  ...POLICIES_INDEXES,
  ...QUARANTINE_INDEXES,
  ...RECORD_MARKS_INDEXES,
  ...RETRIEVALS_INDEXES,
  ...RUNS_INDEXES,
];
