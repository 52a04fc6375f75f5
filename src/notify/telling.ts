/** What is told: plain data, kept in the ledger as it was told. Ids, counts, instants and the words of policies only. */
import type { OwnerId } from '../ids.ts';
import type { Terms } from '../policy/terms.ts';

/** `ended`: it is no longer in force for the owner. */
export interface PolicyNews {
  readonly policy: string;
  readonly change: 'new' | 'changed' | 'ended' | 'same';
  readonly version: string | null;
  readonly previous: string | null;
  /** ISO 8601. */
  readonly since: string | null;
  readonly terms: Terms | null;
}

export interface InForceNews {
  readonly kind: 'in-force';
  readonly policies: readonly PolicyNews[];
  readonly exceptions: {
    readonly inForce: number;
    /** Since the owner was told last. */
    readonly granted: number;
    readonly ended: number;
  };
}

export interface PurgeNews {
  readonly kind: 'purge';
  readonly archives: readonly string[];
  readonly records: number;
  readonly customers: number;
  /** ISO 8601: the earliest and the latest of their purge dates. */
  readonly firstAt: string;
  readonly lastAt: string;
  readonly byPolicy: readonly { readonly policy: string; readonly archives: number; readonly records: number }[];
}

/** A version that was published and is in force from a later instant. */
export interface ComingPolicyNews {
  readonly policy: string;
  /** `withdrawn`: it was told, and will not come. */
  readonly change: 'coming' | 'withdrawn';
  readonly version: string;
  /** ISO 8601. */
  readonly from: string;
  /** What is in force; null: nothing for this owner. */
  readonly now: Terms | null;
  /** What will be; null: nothing, or it was withdrawn. */
  readonly next: Terms | null;
}

export interface ComingNews {
  readonly kind: 'coming';
  readonly policies: readonly ComingPolicyNews[];
}

export type News = InForceNews | ComingNews | PurgeNews;

export interface Telling {
  /** The same at each try, so that whoever receives it twice can see that. */
  readonly id: string;
  readonly owner: OwnerId;
  readonly installation: string;
  readonly environment: string;
  /** When the news was found. */
  readonly at: Date;
  readonly news: News;
}
