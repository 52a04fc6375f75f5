/** What every page, API route and metric of the console sees: the ledger, the source's oldest records, and the queues. */
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import type { Context } from '../lifecycle/context.ts';
import { type OldestRecord, oldestRecords } from '../lifecycle/oldest-records.ts';
import { type AuditVerification, readVerification } from './data/audit.ts';
import { type QueueAdapter, type QueueFigures, readQueues } from './queues.ts';
import { Remembered } from './remembered.ts';
import { type LedgerSnapshot, readSnapshot } from './snapshot.ts';

export interface Sight {
  readonly config: Config;
  readonly context: Context;
  readonly queueAdapters: readonly QueueAdapter[];
  /** Figures of the ledger, a few seconds old at most while the ledger is small. */
  readonly snapshot: Remembered<LedgerSnapshot>;
  /** The source's oldest records. Ask with a limit: a first look at a large source takes its time. */
  readonly oldest: Remembered<readonly OldestRecord[]>;
  readonly queues: Remembered<readonly QueueFigures[]>;
  /** A walk over the whole audit chain. */
  readonly verification: Remembered<AuditVerification>;
}

/** A page that is loaded again shows what has just happened; a larger ledger is read less often. */
const LEDGER_FRESHNESS = { minMs: 2_000, timesCost: 10 };
/** The source belongs to other people's applications: at most a fiftieth of the time goes into looking at it. */
const SOURCE_FRESHNESS = { minMs: 60_000, timesCost: 50 };
/** Counting jobs is cheap. With Redis away it is the waiting that takes long, and its return should soon be seen. */
const QUEUES_FRESHNESS = { minMs: 2_000, timesCost: 0 };
/** Anybody may ask for it again and again; the answer of a moment ago is as good. */
const VERIFICATION_FRESHNESS = { minMs: 5_000, timesCost: 5 };

/** How long a page or a scrape waits for the source before it shows what was known, or nothing. */
export const SOURCE_PATIENCE_MS = 1_500;

export function createSight(app: App, config: Config, queueAdapters: readonly QueueAdapter[]): Sight {
  const context = app.context();
  const { clock } = context;
  return {
    config,
    context,
    queueAdapters,
    snapshot: new Remembered(clock, LEDGER_FRESHNESS, () => readSnapshot(context)),
    oldest: new Remembered(clock, SOURCE_FRESHNESS, () => oldestRecords(context)),
    queues: new Remembered(clock, QUEUES_FRESHNESS, () => readQueues(clock, queueAdapters)),
    verification: new Remembered(clock, VERIFICATION_FRESHNESS, () => readVerification(context)),
  };
}
