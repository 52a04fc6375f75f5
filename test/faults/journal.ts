/**
 * What happened outside Moraine, written down by those who did it: every write of the application with its result, and
 * every hold with the time at which it was reported to be in force. The checker holds the end state against this.
 */
import { appendFileSync } from 'node:fs';

/** One version of a record, as the application wrote it. */
export interface Version {
  /** SHA-256 (hex) of its BSON bytes. No two versions of a run have the same. */
  readonly sha256: string;
  readonly owner: string;
  readonly customer: string;
  readonly person: string;
  /** Milliseconds since 1970. */
  readonly trigger: number;
}

/**
 * `done`: acknowledged. `refused`: acknowledged, and it was not so: the id was taken (insert), or nothing was there
 * (replace, delete). `unknown`: the reply was lost; it may have happened, or still happen. After that the application
 * leaves the id alone.
 */
export type WriteOutcome = 'done' | 'refused' | 'unknown';

export interface Write {
  readonly kind: 'write';
  readonly namespace: string;
  readonly id: number;
  readonly act: 'insert' | 'replace' | 'delete';
  /** Of insert and replace. */
  readonly version: Version | null;
  readonly outcome: WriteOutcome;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** What a hold names. Null: any. */
export interface HoldScope {
  readonly owner: string;
  readonly customer: string | null;
  readonly namespace: string | null;
  readonly ids: readonly number[] | null;
  readonly person: string | null;
}

export interface HeldRecord {
  readonly namespace: string;
  readonly id: number;
  readonly sha256: string;
}

/** A hold that was reported to be in force, from after the report to before its release was asked for. */
export interface HoldWindow {
  readonly kind: 'hold';
  readonly hold: string;
  readonly scope: HoldScope;
  /** Archives (Moraine's ids) for which it came too late, as it said. */
  readonly tooLate: readonly string[];
  readonly from: number;
  readonly to: number;
  /** Read from the source right after `from` and right before `to`. */
  readonly recordsBefore: readonly HeldRecord[];
  readonly recordsAfter: readonly HeldRecord[];
  /** Ids (the service's) of the files that the vaults held at both times. */
  readonly filesBefore: readonly string[];
  readonly filesAfter: readonly string[];
}

export type JournalEntry = Write | HoldWindow;

export class Journal {
  readonly entries: JournalEntry[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  write(entry: JournalEntry): void {
    this.entries.push(entry);
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
  }
}
