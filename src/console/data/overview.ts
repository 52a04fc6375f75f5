/** What the first page and `/api/overview` show. */
import { type AlarmDocument, openAlarms } from '../../ledger/alarms.ts';
import { waitingApprovals } from '../../ledger/approvals.ts';
import type { Outcomes } from '../../ledger/archive-document.ts';
import { auditHead } from '../../ledger/audit.ts';
import { countHolds } from '../../ledger/holds.ts';
import { countNotifications } from '../../ledger/notifications.ts';
import { pausesShown } from '../../ledger/pauses.ts';
import { openQuarantine } from '../../ledger/quarantine.ts';
import type { ArchiveState } from '../../ledger/states.ts';
import { type OldestRecord, overdueMs } from '../../lifecycle/oldest-records.ts';
import type { QueueFigures } from '../queues.ts';
import { type Sight, SOURCE_PATIENCE_MS } from '../sight.ts';
import { type PurgeDate, type StateFigures, statesInOrder } from '../snapshot.ts';
import { type Attention, type AttentionFacts, attentionOf } from './attention.ts';
import { latestRunViews, type RunView } from './runs.ts';

export interface Overview {
  readonly at: Date;
  readonly tookMs: number;
  /** What needs a person, the gravest first; empty when nothing does. */
  readonly attention: readonly Attention[];
  readonly states: readonly (StateFigures & { readonly state: ArchiveState })[];
  readonly outcomes: Outcomes;
  /** BSON bytes of all records that were sealed, and bytes of archives that are in vaults now. */
  readonly recordBytes: number;
  readonly vaultBytes: number;
  /** Null until the source has answered the first time. */
  readonly oldestRecords: readonly (OldestRecord & { readonly overdueSeconds: number | null })[] | null;
  readonly duePurges: readonly PurgeDate[];
  readonly duePurgeCount: number;
  readonly overduePurges: readonly PurgeDate[];
  readonly quarantine: { readonly records: number; readonly archives: number; readonly oldestAt: Date | null };
  readonly holds: number;
  readonly pauses: AttentionFacts['pauses'];
  /** Notifications to owners that were given up. */
  readonly approvals: readonly Date[];
  readonly undelivered: number;
  readonly alarms: readonly Pick<AlarmDocument, 'code' | 'text' | 'raisedAt'>[];
  readonly auditEntries: number;
  readonly runs: readonly RunView[];
  readonly queues: readonly QueueFigures[];
}

const RUNS_SHOWN = 8;

export async function readOverview(sight: Sight): Promise<Overview> {
  const { context, snapshot, oldest, queues } = sight;
  const { store, clock } = context;
  const [figures, oldestRecords, quarantine, holds, pauses, waiting, notifications, alarms, head, runs, queueFigures] =
    await Promise.all([
      snapshot.get(),
      oldest.within(SOURCE_PATIENCE_MS),
      openQuarantine(store),
      countHolds(store),
      pausesShown(store),
      waitingApprovals(store),
      countNotifications(store),
      openAlarms(store),
      auditHead(store),
      latestRunViews(store, RUNS_SHOWN),
      queues.get(),
    ]);
  const now = clock.now();
  const ofPolicies = [...figures.policies.values()];
  const facts = {
    alarms: alarms.map(({ code, text, raisedAt }) => ({ code, text, raisedAt })),
    pauses: pauses.map(({ what, name, reason, askedAt }) => ({ what, name, reason, since: askedAt })),
    approvals: waiting.map(({ requestedAt }) => requestedAt),
    undelivered: notifications.undelivered,
    quarantine,
    overduePurges: figures.overduePurges,
    oldestRecords:
      oldestRecords?.map((record) => {
        const ms = overdueMs(record, now);
        return { ...record, overdueSeconds: ms === null ? null : Math.floor(ms / 1_000) };
      }) ?? null,
    queues: queueFigures,
    runs,
  };
  return {
    at: figures.at,
    tookMs: figures.tookMs,
    attention: attentionOf(facts, now),
    states: statesInOrder(figures),
    outcomes: figures.outcomes,
    recordBytes: ofPolicies.reduce((sum, { recordBytes }) => sum + recordBytes, 0),
    vaultBytes: figures.vaults.reduce((sum, { bytes }) => sum + bytes, 0),
    duePurges: figures.duePurges,
    duePurgeCount: figures.duePurgeCount,
    holds,
    auditEntries: head?.seq ?? 0,
    ...facts,
  };
}
