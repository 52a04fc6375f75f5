import type { EmulatorClock } from './clock.ts';
import { describeJobRecord } from './job-description.ts';
import { topicsOf } from './job-topics.ts';
import type { JobRecord } from './records.ts';
import type { Vault } from './vault.ts';
import type { Vaults } from './vaults.ts';

/** Publishes a message to a topic; rejects when it was not taken. */
export type Publish = (topic: string, message: string) => Promise<void>;

export type Notification = {
  at: string;
  vault: string;
  jobId: string;
  topic: string;
  message: string;
  /** Why SNS did not take it; null when it did, or when there is none to ask. */
  error: string | null;
};

/** How many notifications are remembered for `/_emulator/notifications`. */
const KEPT_NOTIFICATIONS = 1000;
const FIRST_WAIT_MS = 500;
const MOST_ATTEMPTS = 6;
/** Timers of Node take no more than 24 days; time may also be moved, which calls `look`. */
const LONGEST_TIMER_MS = 3_600_000;

/**
 * Tells topics of jobs that completed. A completion is a matter of the clock alone, so this only has to look when time
 * has passed: at the next completion that somebody waits for, after a move of the clock, and after a start. A job is
 * marked only when its topics were told, so that after a kill it is told again: at least once, as with SNS itself.
 */
export class Notifier {
  readonly #vaults: Vaults;
  readonly #clock: EmulatorClock;
  readonly #publish: Publish | null;
  readonly #told: Notification[] = [];
  #looking: Promise<void> | null = null;
  #isAskedAgain = false;
  #timer: NodeJS.Timeout | null = null;
  #nextAtMs = Number.POSITIVE_INFINITY;
  readonly #ended = new AbortController();

  /** Without `publish` nothing is sent; what would be can be read from `told`. */
  constructor(vaults: Vaults, clock: EmulatorClock, publish: Publish | null) {
    this.#vaults = vaults;
    this.#clock = clock;
    this.#publish = publish;
  }

  get told(): readonly Notification[] {
    return this.#told;
  }

  /** Looks soon at what has completed. Never rejects; while it looks, asking again makes it look once more. */
  look(): void {
    if (this.#ended.signal.aborted) return;
    this.#isAskedAgain = true;
    this.#looking ??= this.#lookUntilQuiet().finally(() => {
      this.#looking = null;
    });
  }

  /** Somebody waits for a job of this vault. */
  expect(vault: Vault, job: JobRecord): void {
    if (topicsOf(vault.record, job).length > 0) this.#arm(job.completesAtMs);
  }

  async end(): Promise<void> {
    this.#ended.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
  }

  async #lookUntilQuiet(): Promise<void> {
    while (this.#isAskedAgain && !this.#ended.signal.aborted) {
      this.#isAskedAgain = false;
      this.#nextAtMs = Number.POSITIVE_INFINITY;
      const watched = [...this.#vaults.all()].filter(
        ({ record }) => record.notifications !== null || record.hasJobTopics,
      );
      // Side by side: a topic that does not answer holds up its own vault only.
      await Promise.all(watched.map((vault) => this.#lookAt(vault).catch((error) => this.#report(vault, error))));
    }
  }

  /** The vault may have been deleted meanwhile; anything else is tried on the next look. */
  #report(vault: Vault, error: unknown): void {
    if (this.#vaults.find(vault.record.region, vault.record.name) !== vault) return;
    console.error('glacier emulator: notifications:', error);
  }

  async #lookAt(vault: Vault): Promise<void> {
    await vault.ready();
    for (const job of [...vault.jobs.values()]) {
      const topics = job.isAnnounced ? [] : topicsOf(vault.record, job);
      if (topics.length === 0) continue;
      if (this.#clock.nowMs() < job.completesAtMs) {
        this.#arm(job.completesAtMs);
        continue;
      }
      for (const topic of topics) await this.#tell(vault, job, topic);
      if (!this.#ended.signal.aborted) await vault.markAnnounced(job.id);
    }
  }

  async #tell(vault: Vault, job: JobRecord, topic: string): Promise<void> {
    const message = JSON.stringify(describeJobRecord(vault, job, this.#clock.nowMs()));
    let error: string | null = null;
    for (let attempt = 1; this.#publish !== null && attempt <= MOST_ATTEMPTS; attempt += 1) {
      error = await this.#publish(topic, message).then(
        () => null,
        (reason: unknown) => String(reason),
      );
      if (error === null || attempt === MOST_ATTEMPTS) break;
      await this.#wait(FIRST_WAIT_MS * 2 ** (attempt - 1));
      if (this.#ended.signal.aborted) return;
    }
    if (error !== null) console.error(`glacier emulator: ${topic} was not told of job ${job.id}: ${error}`);
    const at = new Date(this.#clock.nowMs()).toISOString();
    this.#told.push({ at, vault: vault.arn, jobId: job.id, topic, message, error });
    if (this.#told.length > KEPT_NOTIFICATIONS) this.#told.shift();
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#ended.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #arm(atMs: number): void {
    if (atMs >= this.#nextAtMs) return;
    this.#nextAtMs = atMs;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const waitMs = Math.min(Math.max(atMs - this.#clock.nowMs(), 0), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.#nextAtMs = Number.POSITIVE_INFINITY;
      this.look();
    }, waitMs);
    this.#timer.unref();
  }
}
