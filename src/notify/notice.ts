/** What a notice says: all that is in force for one owner and customer. Filled by `src/lifecycle/notices.ts`. */
import type { CustomerId, OwnerId } from '../ids.ts';
import type { Terms } from '../policy/terms.ts';

export interface Notice {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly installation: string;
  readonly environment: string;
  /** By when all of it was in force. */
  readonly asOf: Date;
  /** Regions that the owner requires; empty: none. */
  readonly regions: readonly string[];
  /** Who can open an archive. */
  readonly administrators: readonly { readonly name: string; readonly recovery: boolean }[];
  readonly entries: readonly NoticeEntry[];
}

/** One policy in force. */
export interface NoticeEntry {
  readonly policy: string;
  readonly version: string;
  readonly since: Date;
  /** A version that was published and is not in force yet, and from when on it is. */
  readonly coming?: { readonly version: string; readonly from: Date };
  readonly terms: Terms;
  /** Of the database server, where it is declared. */
  readonly sourceRegion: string | null;
  /** Where copies go; null where none are kept. */
  readonly vault: {
    readonly key: string;
    readonly backend: string;
    readonly region: string;
    readonly name: string;
  } | null;
  /** Copies that exist now, under whatever version they were made. */
  readonly copies: {
    readonly archives: number;
    readonly records: number;
    /** Purge dates, where there are copies that have one. */
    readonly firstPurgeAt: Date | null;
    readonly lastPurgeAt: Date | null;
  };
  /** How many cover something of it. What they are about is not said. */
  readonly holds: number;
  readonly exceptions: number;
}
