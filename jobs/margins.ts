/** Every wait, bound and deadline of the daemon, with its reason. Tests pass another set; no code asks "if test". */
export interface Margins {
  /** How often the watchdog compares the ledger with Redis: what a flushed Redis costs before work resumes. */
  readonly watchdogEveryMs: number;
  /** Race: a worker plans an archive and has not claimed it yet. One that changed more recently than this is not looked at. */
  readonly quietMs: number;
  /** A job that failed for good is given to its archive again after this; a sweep or a person does it at once. */
  readonly failedAgainAfterMs: number;
  /** Race: the queue starts a scheduled run a little late. Only one that is later than this is caught up. */
  readonly catchUpAfterMs: number;
  /** While MongoDB or the vault is away a job looks again this often, and uses up no attempt. */
  readonly outageRetryMs: number;
  /** While the clock or an alarm stops destructive work, its jobs look again this often. */
  readonly gateRetryMs: number;
  /** A job of what a person has paused looks again this often by itself. The watchdog notices the end of the pause long before (paused.ts). */
  readonly pausedRetryMs: number;
  /** A lease usually ends long before its time: whoever waits for one looks again after this at the latest. */
  readonly leaseRetryMs: number;
  /** For an error of class `later` that does not say until when. */
  readonly laterRetryMs: number;
  /**
   * No job is delayed for longer: a later time that an error names is looked at in between, and the queue's own waits
   * between attempts are minutes. So one that is was delayed by a wrong clock, and the watchdog lets it go on; less
   * than this a wrong clock may cost.
   */
  readonly longestDelayMs: number;
  /** A plan is good for one use: a partition that waited in the queue for longer than this is planned (and capped) anew. */
  readonly planStaleAfterMs: number;
  /** The queue's lock on a running job, renewed at half of it. Longer than any pause of a busy process; the lease in the ledger is the real fence. */
  readonly lockMs: number;
  /** How often the queue looks for jobs whose worker died. */
  readonly stalledEveryMs: number;
  /** Running jobs have this long to come to a stop at a shutdown; the longest single call of an act may be cut, which is safe. */
  readonly giveBackWithinMs: number;
  /** What comes after that (closing workers and connections) has this long: with Redis away it would wait for ever. */
  readonly closeWithinMs: number;
}

export const MARGINS: Margins = {
  watchdogEveryMs: 60_000,
  quietMs: 60_000,
  failedAgainAfterMs: 3_600_000,
  catchUpAfterMs: 60_000,
  outageRetryMs: 20_000,
  gateRetryMs: 60_000,
  pausedRetryMs: 3_600_000,
  leaseRetryMs: 15_000,
  laterRetryMs: 60_000,
  longestDelayMs: 2 * 3_600_000,
  planStaleAfterMs: 24 * 3_600_000,
  lockMs: 60_000,
  stalledEveryMs: 30_000,
  giveBackWithinMs: 20_000,
  closeWithinMs: 5_000,
};

/**
 * How often a job may lose its worker before it fails. The queue's default of 1 fails a job for good at the second
 * deploy that kills it, whatever its attempts say. A bound stays, for a job that takes its process down with it.
 */
export const MAX_STALLED_COUNT = 50;

/** Archives (partitions) worked on at once in one process: each holds two upload parts and a few segments in memory. */
export const DEFAULT_CONCURRENCY = 4;
