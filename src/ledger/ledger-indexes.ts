/** All indexes of the ledger, for the one place that prepares a store. */
import { APPROVALS_INDEXES } from './approvals.ts';
import { ARCHIVES_INDEXES } from './archives.ts';
import { ATTEMPTS_INDEXES } from './attempts.ts';
import { AUDIT_INDEXES } from './audit.ts';
import { CERTIFICATES_INDEXES } from './certificates.ts';
import { CHILD_INDEX_INDEXES } from './child-index.ts';
import { CLEARING_INDEXES } from './clearing.ts';
import { DELETED_ROOTS_INDEXES } from './deleted-roots.ts';
import { DISPOSALS_INDEXES } from './disposals.ts';
import { DRILLS_INDEXES } from './drills.ts';
import { FACET_INDEXES } from './facet-codes.ts';
import { FINDINGS_INDEXES } from './findings.ts';
import { HOLDS_INDEXES } from './holds.ts';
import type { LedgerIndex } from './indexes.ts';
import { INVENTORIES_INDEXES } from './inventories.ts';
import { INVENTORY_SPOOL_INDEXES } from './inventory-spool.ts';
import { MIGRATIONS_INDEXES } from './migrations.ts';
import { NOTIFICATIONS_INDEXES } from './notifications.ts';
import { OFFBOARDINGS_INDEXES } from './offboardings.ts';
import { ORPHAN_LOOKS_INDEXES } from './orphan-looks.ts';
import { PAUSES_INDEXES } from './pauses.ts';
import { PLANNED_RECORDS_INDEXES } from './planned-records.ts';
import { POLICIES_INDEXES } from './policies.ts';
import { QUARANTINE_INDEXES } from './quarantine.ts';
import { RECORD_INDEX_INDEXES } from './record-index.ts';
import { RECORD_MARKS_INDEXES } from './record-marks.ts';
import { READINGS_INDEXES } from './restoring.ts';
import { RETRIEVAL_ORDERS_INDEXES } from './retrieval-orders.ts';
import { RETRIEVALS_INDEXES } from './retrievals.ts';
import { RETURNED_UNITS_INDEXES } from './returned-units.ts';
import { ROSTERS_INDEXES } from './rosters.ts';
import { RUNS_INDEXES } from './runs.ts';
import { UNIT_PAGES_INDEXES } from './unit-pages.ts';

export const LEDGER_INDEXES: readonly LedgerIndex[] = [
  ...APPROVALS_INDEXES,
  ...ARCHIVES_INDEXES,
  ...ATTEMPTS_INDEXES,
  ...AUDIT_INDEXES,
  ...CHILD_INDEX_INDEXES,
  ...CLEARING_INDEXES,
  ...DELETED_ROOTS_INDEXES,
  ...DISPOSALS_INDEXES,
  ...DRILLS_INDEXES,
  ...FACET_INDEXES,
  ...FINDINGS_INDEXES,
  ...HOLDS_INDEXES,
  ...RECORD_INDEX_INDEXES,
  ...ROSTERS_INDEXES,
  ...CERTIFICATES_INDEXES,
  ...INVENTORIES_INDEXES,
  ...INVENTORY_SPOOL_INDEXES,
  ...MIGRATIONS_INDEXES,
  ...NOTIFICATIONS_INDEXES,
  ...OFFBOARDINGS_INDEXES,
  ...ORPHAN_LOOKS_INDEXES,
  ...PAUSES_INDEXES,
  ...PLANNED_RECORDS_INDEXES,
  ...POLICIES_INDEXES,
  ...QUARANTINE_INDEXES,
  ...READINGS_INDEXES,
  ...RECORD_MARKS_INDEXES,
  ...RETRIEVAL_ORDERS_INDEXES,
  ...RETRIEVALS_INDEXES,
  ...RETURNED_UNITS_INDEXES,
  ...RUNS_INDEXES,
  ...UNIT_PAGES_INDEXES,
];
