/** What is in quarantine: where, why and since when. A record's `_id` and content stay out of it: the entry's own id names it. */
import { findQuarantine, openQuarantine, type QuarantineDocument } from '../../ledger/quarantine.ts';
import type { Sight } from '../sight.ts';

export interface QuarantineRow {
  /** For `moraine quarantine show`. */
  readonly id: string;
  readonly kind: QuarantineDocument['kind'];
  readonly policy: string;
  readonly dataset: string;
  readonly owner: string | null;
  readonly customer: string | null;
  readonly archive: string | null;
  readonly reason: string;
  readonly text: string;
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
  readonly timesSeen: number;
}

export interface QuarantineView {
  readonly records: number;
  readonly archives: number;
  readonly oldestAt: Date | null;
  /** Open entries by policy and reason, the most frequent first, of the entries that were read. */
  readonly reasons: readonly {
    readonly policy: string;
    readonly reason: string;
    readonly text: string;
    readonly entries: number;
    readonly oldestAt: Date;
  }[];
  /** How many were read for `reasons`: the oldest ones, when there are more than that. */
  readonly entriesRead: number;
  /** The longest open first. */
  readonly entries: readonly QuarantineRow[];
}

/** A broken import can put millions of records here; the page still has to come. */
const ENTRIES_READ = 10_000;
const ENTRIES_SHOWN = 200;

export async function readQuarantine(sight: Sight): Promise<QuarantineView> {
  const { store } = sight.context;
  const open = await openQuarantine(store);
  const reasons = new Map<string, { policy: string; reason: string; text: string; entries: number; oldestAt: Date }>();
  const entries: QuarantineRow[] = [];
  let entriesRead = 0;
  for await (const entry of findQuarantine(store, { state: 'open' }, { limit: ENTRIES_READ })) {
    const { policy, reason, text, firstSeenAt } = entry;
    const key = JSON.stringify([policy, reason]);
    const known = reasons.get(key) ?? { policy, reason, text, entries: 0, oldestAt: firstSeenAt };
    known.entries += 1;
    reasons.set(key, known);
    if (entries.length < ENTRIES_SHOWN) entries.push(toRow(entry));
    entriesRead += 1;
  }
  return {
    ...open,
    reasons: [...reasons.values()].sort((a, b) => b.entries - a.entries),
    entriesRead,
    entries,
  };
}

function toRow(entry: QuarantineDocument): QuarantineRow {
  const { _id, kind, policy, namespace, owner, customer, archive, reason, text } = entry;
  const { firstSeenAt, lastSeenAt, timesSeen } = entry;
  const seen = { firstSeenAt, lastSeenAt, timesSeen };
  return { id: _id, kind, policy, dataset: namespace, owner, customer, archive, reason, text, ...seen };
}
