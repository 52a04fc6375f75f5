/**
 * How far the look for children without a root has come, in each collection of children, and what it found. One document a
 * collection; who loses the race to write it has looked in vain, and nothing is lost.
 */
import type { Namespace } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

/** Children whose root is not in the source, by what is known of it. */
export interface OrphanCounts {
  /** Children of any kind that were looked at. */
  readonly looked: number;
  /** Nothing that the ledger knows deleted the root: they stay. */
  readonly unknown: number;
  /** The root's copy is destroyed, or there never was one: they are past their date. */
  readonly past: number;
  /** They name another owner or customer than the root had: they stay. */
  readonly foreign: number;
  /** A legal hold covers the archive of the root, or that is being purged or in quarantine: they stay until that is over. */
  readonly waiting: number;
}

export const NO_ORPHANS: OrphanCounts = { looked: 0, unknown: 0, past: 0, foreign: 0, waiting: 0 };

export interface OrphanLook extends LedgerDocument {
  readonly policy: string;
  /** Of the roots. */
  readonly namespace: Namespace;
  /** Of the children. */
  readonly collection: Namespace;
  /** The highest `_id` that was looked at, as type byte and bytes; null: none yet. */
  readonly newest: Uint8Array | null;
  /** Found above it since the last whole pass. */
  readonly since: OrphanCounts;
  /** The pass through all of them that goes on. */
  readonly pass: {
    readonly startedAt: Date;
    readonly after: Uint8Array | null;
    readonly counts: OrphanCounts;
    /** Something has to wait for a later look. */
    readonly again: boolean;
  } | null;
  /** The last whole pass. */
  readonly last: {
    readonly startedAt: Date;
    readonly endedAt: Date;
    readonly counts: OrphanCounts;
    readonly again: boolean;
  } | null;
}

export const ORPHAN_LOOKS_INDEXES: readonly LedgerIndex[] = [{ collection: 'orphanLooks', keys: { policy: 1 } }];

export function addOrphans(a: OrphanCounts, b: OrphanCounts): OrphanCounts {
  return {
    looked: a.looked + b.looked,
    unknown: a.unknown + b.unknown,
    past: a.past + b.past,
    foreign: a.foreign + b.foreign,
    waiting: a.waiting + b.waiting,
  };
}

/** As it is known by now: of the last whole pass and of what came since; of the first pass as far as it has come. */
export function orphansOf({ since, pass, last }: OrphanLook): OrphanCounts {
  return addOrphans(last?.counts ?? pass?.counts ?? NO_ORPHANS, since);
}

export async function findOrphanLook(
  store: Store,
  of: Pick<OrphanLook, 'policy' | 'namespace' | 'collection'>,
): Promise<OrphanLook> {
  const _id = `${of.namespace} ${of.collection}`;
  const found = await looks(store).get(_id);
  if (found !== null) return found;
  const fresh = { _id, v: LEDGER_VERSION, ...of, newest: null, since: NO_ORPHANS, pass: null, last: null };
  await looks(store).insert(fresh);
  return (await looks(store).get(_id)) ?? { ...fresh, rev: 0 };
}

/** Of a policy, or of all. */
export function findOrphanLooks(store: Store, policy?: string): AsyncIterable<OrphanLook> {
  return looks(store).find(policy === undefined ? {} : { policy }, { sort: { _id: 1 } });
}

/** False: another worker was faster, and has looked too. */
export async function saveOrphanLook(store: Store, look: OrphanLook): Promise<boolean> {
  return (await looks(store).replace(look)) !== null;
}

function looks(store: Store): StoreCollection<OrphanLook> {
  return readableCollection<OrphanLook>(store, 'orphanLooks');
}
