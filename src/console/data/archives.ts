/** Archives by filter, a page at a time, the newest first. */
import type { ArchiveDocument } from '../../ledger/archive-document.ts';
import { findArchives } from '../../ledger/archives.ts';
import { ARCHIVE_STATES, type ArchiveState } from '../../ledger/states.ts';
import type { Comparison, Scalar } from '../../ledger/store.ts';
import type { Sight } from '../sight.ts';
import { compareText, recordsOf } from '../snapshot.ts';

export interface ArchiveFilter {
  /** Null: all but abandoned ones, in which nothing is left to take. */
  readonly state: ArchiveState | null;
  readonly owner: string | null;
  readonly customer: string | null;
  readonly policy: string | null;
  /** Id of the last archive on the page before. */
  readonly after: string | null;
}

export interface ArchiveRow {
  readonly id: string;
  readonly policy: string;
  readonly owner: string;
  readonly customer: string;
  readonly dataset: string;
  readonly vault: string;
  readonly vaultArchiveId: string | null;
  readonly state: ArchiveState;
  readonly records: number;
  readonly bytes: number;
  readonly treeHash: string | null;
  readonly dueAt: Date | null;
  readonly createdAt: Date;
}

export interface ArchivePage {
  readonly filter: ArchiveFilter;
  readonly archives: readonly ArchiveRow[];
  /** For `after` of the next page; null on the last one. */
  readonly next: string | null;
  /** What the filters can be set to. */
  readonly choices: {
    readonly owners: readonly string[];
    readonly customers: readonly string[];
    readonly policies: readonly string[];
  };
}

export const PAGE_ARCHIVES = 50;

/** Ids begin with the day of their making, so their order is that of the days. */
export async function readArchives(sight: Sight, filter: ArchiveFilter): Promise<ArchivePage> {
  const query: Record<string, Scalar | Comparison> = { state: filter.state ?? { $ne: 'abandoned' } };
  if (filter.owner !== null) query['owner'] = filter.owner;
  if (filter.customer !== null) query['customer'] = filter.customer;
  if (filter.policy !== null) query['policy'] = filter.policy;
  if (filter.after !== null) query['_id'] = { $lt: filter.after };
  const rows: ArchiveRow[] = [];
  const options = { sort: { _id: -1 }, limit: PAGE_ARCHIVES + 1 } as const;
  for await (const archive of findArchives(sight.context.store, query, options)) rows.push(toRow(archive));
  const archives = rows.slice(0, PAGE_ARCHIVES);
  const next = rows.length > PAGE_ARCHIVES ? (archives.at(-1)?.id ?? null) : null;
  return { filter, archives, next, choices: await choices(sight, filter) };
}

/** From the text of a query; what is not a state, or empty, filters nothing. */
export function archiveFilter(query: Readonly<Record<string, unknown>>): ArchiveFilter {
  const text = (name: string) => {
    const value = query[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const state = ARCHIVE_STATES.find((known) => known === query['state']) ?? null;
  return { state, owner: text('owner'), customer: text('customer'), policy: text('policy'), after: text('after') };
}

export function toRow(archive: ArchiveDocument): ArchiveRow {
  const { _id, policy, owner, customer, namespace, vault, state, stored, dueAt, createdAt } = archive;
  return {
    id: _id,
    policy,
    owner,
    customer,
    dataset: namespace,
    vault: vault.name,
    vaultArchiveId: stored?.vaultArchiveId ?? null,
    state,
    records: recordsOf(archive),
    bytes: stored?.bytes ?? archive.plan.bytes,
    treeHash: stored?.treeHash ?? null,
    dueAt,
    createdAt,
  };
}

/** A select box with more customers than that is no help; a link from the page of vaults is. */
const MAX_CHOICES = 500;

async function choices(sight: Sight, filter: ArchiveFilter): Promise<ArchivePage['choices']> {
  const { vaults, policies } = await sight.snapshot.get();
  const ofOwner = vaults.filter(({ owner }) => filter.owner === null || owner === filter.owner);
  return {
    owners: distinct(vaults.map(({ owner }) => owner)),
    customers: distinct(ofOwner.map(({ customer }) => customer)),
    policies: [...policies.keys()],
  };
}

function distinct(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort(compareText).slice(0, MAX_CHOICES);
}
