/** The gauges of `/metrics`, from the same readings as the pages. A part that cannot be read says so and leaves the others. */
import { openAlarms } from '../ledger/alarms.ts';
import { waitingApprovals } from '../ledger/approvals.ts';
import type { Outcomes } from '../ledger/archive-document.ts';
import { auditHead } from '../ledger/audit.ts';
import { readDrillLook } from '../ledger/drills.ts';
import { countHolds } from '../ledger/holds.ts';
import { countNotifications } from '../ledger/notifications.ts';
import { addOrphans, findOrphanLooks, NO_ORPHANS, type OrphanCounts, orphansOf } from '../ledger/orphan-looks.ts';
import { pausesShown } from '../ledger/pauses.ts';
import { policiesInForce } from '../ledger/policies.ts';
import { oldestQuarantine, openQuarantine } from '../ledger/quarantine.ts';
import type { Store } from '../ledger/store.ts';
import { type OldestRecord, overdueMs } from '../lifecycle/oldest-records.ts';
import { firstEnd } from '../lifecycle/proofs.ts';
import { headAgeMs } from '../lifecycle/publish-head.ts';
import type { Sample } from '../metrics.ts';
import { lastGoodRuns } from './data/runs.ts';
import type { QueueFigures } from './queues.ts';
import { type Sight, SOURCE_PATIENCE_MS } from './sight.ts';
import type { LedgerSnapshot, PolicyFigures } from './snapshot.ts';

export async function readSamples(sight: Sight): Promise<readonly Sample[]> {
  const { context } = sight;
  const now = context.clock.now();
  const [ofLedger, oldest, queues] = await Promise.all([
    ledgerSamples(sight, now),
    sight.oldest.within(SOURCE_PATIENCE_MS).catch(() => null),
    sight.queues.get(),
  ]);
  return [
    ...ofLedger,
    ...(oldest ?? []).flatMap((record) => oldestSamples(record, now)),
    ...queues.flatMap(queueSamples),
  ];
}

async function ledgerSamples(sight: Sight, now: Date): Promise<readonly Sample[]> {
  const { store, log } = sight.context;
  try {
    const [snapshot, quarantine, holds, pauses, waiting, alarms, notifications, head, goodRuns] = await Promise.all([
      sight.snapshot.get(),
      openQuarantine(store),
      countHolds(store),
      pausesShown(store),
      waitingApprovals(store),
      openAlarms(store),
      countNotifications(store),
      auditHead(store),
      lastGoodRuns(store),
    ]);
    const policies = new Set(snapshot.policies.keys());
    for await (const { name } of policiesInForce(store)) policies.add(name);
    const oldest = await oldestQuarantine(store, policies);
    const orphans = await orphanSamples(store);
    return [
      { name: 'moraine_ledger_up', value: 1 },
      { name: 'moraine_ledger_read_seconds', value: snapshot.tookMs / 1_000 },
      ...snapshotSamples(snapshot, now),
      ...[...goodRuns].map(([policy, at]): Sample => {
        return { name: 'moraine_last_good_run_timestamp_seconds', value: at.getTime() / 1_000, labels: { policy } };
      }),
      { name: 'moraine_quarantine_open', value: quarantine.records, labels: { kind: 'record' } },
      { name: 'moraine_quarantine_open', value: quarantine.archives, labels: { kind: 'archive' } },
      ...[...policies].map((policy): Sample => {
        const value = secondsSince(oldest.get(policy) ?? null, now);
        return { name: 'moraine_quarantine_oldest_seconds', value, labels: { policy } };
      }),
      ...orphans,
      { name: 'moraine_holds', value: holds },
      { name: 'moraine_pauses', value: pauses.length },
      { name: 'moraine_oldest_pause_seconds', value: secondsSince(pauses[0]?.askedAt ?? null, now) },
      { name: 'moraine_approvals_waiting', value: waiting.length },
      { name: 'moraine_oldest_approval_seconds', value: secondsSince(waiting[0]?.requestedAt ?? null, now) },
      { name: 'moraine_alarms', value: alarms.length },
      {
        name: 'moraine_kms_keys_endangered',
        value: alarms.filter(({ code }) => code === 'KMS_KEY_ENDANGERED').length,
      },
      ...(await proofSamples(sight.context)),
      { name: 'moraine_vaults_without_drill', value: (await readDrillLook(store))?.overdue ?? 0 },
      { name: 'moraine_notifications', value: notifications.due, labels: { state: 'due' } },
      { name: 'moraine_notifications', value: notifications.undelivered, labels: { state: 'undelivered' } },
      { name: 'moraine_audit_entries', value: head?.seq ?? 0 },
      { name: 'moraine_audit_head_age_seconds', value: ((await headAgeMs(sight.context, now)) ?? 0) / 1_000 },
    ];
  } catch (error) {
    log.error({}, `The ledger could not be read for the metrics: ${error instanceof Error ? error.name : 'unknown'}`);
    return [{ name: 'moraine_ledger_up', value: 0 }];
  }
}

/** Without the owners whose key store does not answer: their figure is missing, and the others are there. */
async function proofSamples({ keys, owners }: Sight['context']): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  for (const owner of owners) {
    const ends = firstEnd((await keys.proofsOf?.(owner).catch(() => [])) ?? []);
    if (ends === null) continue;
    samples.push({ name: 'moraine_proof_ends_timestamp_seconds', value: ends.getTime() / 1_000, labels: { owner } });
  }
  return samples;
}

async function orphanSamples(store: Store): Promise<readonly Sample[]> {
  const byPolicy = new Map<string, OrphanCounts>();
  for await (const look of findOrphanLooks(store)) {
    byPolicy.set(look.policy, addOrphans(byPolicy.get(look.policy) ?? NO_ORPHANS, orphansOf(look)));
  }
  return [...byPolicy].flatMap(([policy, { unknown, foreign, waiting, past }]) =>
    Object.entries({ unknown, foreign, waiting, past }).map(([why, value]): Sample => {
      return { name: 'moraine_orphans', value, labels: { policy, why } };
    }),
  );
}

function snapshotSamples(snapshot: LedgerSnapshot, now: Date): readonly Sample[] {
  return [...snapshot.policies.values()].flatMap((figures) => policySamples(figures, now));
}

function policySamples(figures: PolicyFigures, now: Date): readonly Sample[] {
  const { policy, states, outcomes, expired, disposed, recordBytes, vaultBytes, purgedBytes } = figures;
  const of = (name: Sample['name'], value: number, labels: Readonly<Record<string, string>> = {}): Sample => {
    return { name, value, labels: { policy, ...labels } };
  };
  return [
    ...Object.entries(states).map(([state, archives]) => of('moraine_archives', archives, { state })),
    ...byOutcome(outcomes).map(([outcome, records]) => of('moraine_records', records, { outcome })),
    ...byOutcome(expired).map(([outcome, records]) => of('moraine_expired_records', records, { outcome })),
    ...byOutcome(disposed).map(([outcome, records]) => of('moraine_disposed_records', records, { outcome })),
    of('moraine_archived_record_bytes', recordBytes),
    ...Object.entries(vaultBytes).map(([vault, bytes]) => of('moraine_vault_bytes', bytes, { vault })),
    of('moraine_purged_bytes', purgedBytes),
    of('moraine_overdue_purges', figures.overduePurges),
    of('moraine_oldest_overdue_purge_seconds', secondsSince(figures.oldestOverduePurge, now)),
  ];
}

function byOutcome(outcomes: Outcomes): readonly (readonly [string, number])[] {
  return Object.entries(outcomes);
}

function oldestSamples(oldest: OldestRecord, now: Date): readonly Sample[] {
  const labels = { policy: oldest.policy };
  const ms = overdueMs(oldest, now);
  return [
    { name: 'moraine_source_readable', value: ms === null ? 0 : 1, labels },
    ...(ms === null
      ? []
      : ([
          { name: 'moraine_oldest_overdue_record_seconds', value: ms / 1_000, labels },
          { name: 'moraine_oldest_pending_record_seconds', value: secondsSince(oldest.pendingSince, now), labels },
        ] as const)),
  ];
}

function queueSamples({ name: queue, jobs }: QueueFigures): readonly Sample[] {
  return [
    { name: 'moraine_queue_up', value: jobs === null ? 0 : 1, labels: { queue } },
    ...Object.entries(jobs ?? {}).map(([state, value]): Sample => {
      return { name: 'moraine_queue_jobs', value, labels: { queue, state } };
    }),
  ];
}

function secondsSince(at: Date | null, now: Date): number {
  return at === null ? 0 : Math.max(0, (now.getTime() - at.getTime()) / 1_000);
}
