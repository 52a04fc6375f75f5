/**
 * Prometheus metrics. What the ledger knows (records by outcome, archives by state, what is overdue) are gauges that
 * are set from the ledger at each scrape, so they are right whichever process did the work and after any restart. What
 * only this process knows (how much it has done since it started) are counters, fed by the acts' progress calls.
 *
 * `infra/dashboards` and `docs/console.md` name them; a test compares both with {@link METRICS}.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Progress } from './lifecycle/context.ts';

/** Every metric: what it says and its labels. Instants are seconds since 1970, durations seconds, sizes bytes. */
export const METRICS = {
  moraine_ledger_up: { help: '1 when the ledger could be read for this scrape', labels: [] },
  moraine_ledger_read_seconds: { help: 'How long the reading of the ledger took', labels: [] },
  moraine_archives: { help: 'Archives by policy and state', labels: ['policy', 'state'] },
  moraine_records: {
    help: 'Records of archives by policy and outcome; archived is the sum',
    labels: ['policy', 'outcome'],
  },
  moraine_expired_records: {
    help: 'Records deleted without an archive because they were past their archive period too, by outcome',
    labels: ['policy', 'outcome'],
  },
  moraine_disposed_records: {
    help: 'Records deleted or treated in place without an archive because their policy says so, by outcome',
    labels: ['policy', 'outcome'],
  },
  moraine_archived_record_bytes: {
    help: 'BSON bytes of the records that were sealed into archives',
    labels: ['policy'],
  },
  moraine_vault_bytes: { help: 'Bytes of archives that are in vaults', labels: ['policy', 'vault'] },
  moraine_purged_bytes: { help: 'Bytes of archives that vaults deleted', labels: ['policy'] },
  moraine_source_readable: {
    help: '1 when the source of the policy could be asked for its oldest record',
    labels: ['policy'],
  },
  moraine_oldest_overdue_record_seconds: {
    help: 'How long the oldest record in the source has been overdue (past due date and grace); 0 when none is',
    labels: ['policy'],
  },
  moraine_oldest_pending_record_seconds: {
    help: 'Age of the oldest record that waits for an event or a value of its own; 0 when none does',
    labels: ['policy'],
  },
  moraine_overdue_purges: { help: 'Archives past their purge date and grace', labels: ['policy'] },
  moraine_oldest_overdue_purge_seconds: {
    help: 'How long ago the oldest overdue purge was due; 0 when none is overdue',
    labels: ['policy'],
  },
  moraine_last_good_run_timestamp_seconds: { help: 'When a run of the policy last ended well', labels: ['policy'] },
  moraine_quarantine_open: { help: 'Open quarantine entries by kind', labels: ['kind'] },
  moraine_quarantine_oldest_seconds: {
    help: 'Age of the oldest open quarantine entry of the policy; 0 when it has none',
    labels: ['policy'],
  },
  moraine_orphans: {
    help: 'Children in the source whose root is not there, by why they stay: unknown, foreign, waiting, past',
    labels: ['policy', 'why'],
  },
  moraine_holds: { help: 'Legal holds that are being placed or active', labels: [] },
  moraine_pauses: { help: 'Pauses in force: policies, owners or everything that a person has stopped', labels: [] },
  moraine_oldest_pause_seconds: { help: 'Age of the oldest pause in force; 0 when there is none', labels: [] },
  moraine_approvals_waiting: { help: 'Approvals that wait for a person', labels: [] },
  moraine_oldest_approval_seconds: {
    help: 'Age of the oldest approval that waits; 0 when none does',
    labels: [],
  },
  moraine_alarms: {
    help: 'Open alarms; what an alarm is about, and whether it stops destructive work, is told by its code',
    labels: [],
  },
  moraine_proof_ends_timestamp_seconds: {
    help: 'When the first proof of an administrator of the owner ends; production archives nothing for it afterwards',
    labels: ['owner'],
  },
  moraine_kms_keys_endangered: {
    help: 'Keys of AWS KMS that are scheduled for deletion, disabled or gone, as the last hourly look saw them',
    labels: [],
  },
  moraine_vaults_without_drill: {
    help: 'Vaults without a successful drill within the time that `drills.every` sets',
    labels: [],
  },
  moraine_notifications: { help: 'Notifications to owners that are not sent yet, by state', labels: ['state'] },
  moraine_audit_entries: { help: 'Entries of the audit chain', labels: [] },
  moraine_audit_head_age_seconds: {
    help: 'Age of the newest audit head that was published; 0 where none are wanted',
    labels: [],
  },
  moraine_queue_up: { help: '1 when Redis answered for this queue', labels: ['queue'] },
  moraine_queue_jobs: { help: 'Jobs by queue and state', labels: ['queue', 'state'] },
  moraine_process_archived_records_total: { help: 'Records that this process has sealed', labels: [] },
  moraine_process_archived_bytes_total: { help: 'BSON bytes that this process has sealed', labels: [] },
  moraine_process_cleared_records_total: { help: 'Records that got an outcome from this process', labels: ['outcome'] },
  moraine_process_archive_moves_total: { help: 'Archives that this process moved into a state', labels: ['state'] },
} as const satisfies Record<string, { readonly help: string; readonly labels: readonly string[] }>;

export type MetricName = keyof typeof METRICS;
type CounterName = Extract<MetricName, `${string}_total`>;
export type GaugeName = Exclude<MetricName, CounterName>;

/** One value of a gauge. */
export interface Sample {
  readonly name: GaugeName;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Metrics {
  /** For `App.context({ progress })`: counts what this process does. */
  readonly progress: Progress;
  /** Text for Prometheus: this process's counters, and the gauges with these values and no others. */
  text(samples: readonly Sample[]): Promise<string>;
  readonly contentType: string;
}

const COUNTERS: readonly CounterName[] = [
  'moraine_process_archived_records_total',
  'moraine_process_archived_bytes_total',
  'moraine_process_cleared_records_total',
  'moraine_process_archive_moves_total',
];

export function createMetrics(): Metrics {
  const process_ = new Registry();
  collectDefaultMetrics({ register: process_ });
  const counters = new Map(
    COUNTERS.map((name) => {
      const { help, labels } = METRICS[name];
      return [name, new Counter({ name, help, labelNames: labels, registers: [process_] })];
    }),
  );
  const add = (name: CounterName, amount: number, labels: Readonly<Record<string, string>> = {}) =>
    counters.get(name)?.inc(labels, amount);
  return {
    progress: {
      archived: (records, bytes) => {
        add('moraine_process_archived_records_total', records);
        add('moraine_process_archived_bytes_total', bytes);
      },
      cleared: (outcome, records) => add('moraine_process_cleared_records_total', records, { outcome }),
      moved: (_archive, to) => add('moraine_process_archive_moves_total', 1, { state: to }),
    },
    // The gauges get a registry of their own each time: what is gone (a policy, a queue) must not stay with its last value.
    text: async (samples) => `${await process_.metrics()}\n${await gaugesOf(samples).metrics()}`,
    contentType: process_.contentType,
  };
}

function gaugesOf(samples: readonly Sample[]): Registry {
  const registry = new Registry();
  const gauges = new Map<string, Gauge>();
  for (const { name, value, labels = {} } of samples) {
    const { help, labels: labelNames } = METRICS[name];
    const gauge = gauges.get(name) ?? new Gauge({ name, help, labelNames, registers: [registry] });
    gauges.set(name, gauge);
    gauge.set(labels, value);
  }
  return registry;
}
