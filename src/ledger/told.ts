/** What an owner knows: what it was told last, as its one document in the ledger keeps it (src/ledger/notifications.ts). */
import type { News } from '../notify/telling.ts';

export interface Told {
  readonly policies: readonly { readonly policy: string; readonly version: string }[];
  readonly exceptions: readonly string[];
  /** Versions that were foretold; those that are in force since, or were taken back, go with the next news of the kind. */
  readonly coming: readonly ComingVersion[];
}

export interface ComingVersion {
  readonly policy: string;
  readonly version: string;
  /** ISO 8601: in force from then on. */
  readonly from: string;
}

export interface FoundNews {
  readonly news: News;
  /** What the owner knows with it; leave it away where that does not change. */
  readonly told?: Told;
}

export const NOTHING_TOLD: Told = { policies: [], exceptions: [], coming: [] };
