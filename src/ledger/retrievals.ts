/**
 * Retrievals: what is asked of a vault so that an archive, or a part of one, can be read. One document for each.
 *
 * - `wanted`: part of an order (retrieval-orders.ts); the vault was not asked yet.
 * - `asking`: written before the vault is asked, with whoever asks. After a crash the vault's own jobs are looked at
 *   first (each carries the retrieval's id), so that nothing is paid for twice.
 * - `requested`: the vault has the job; its output is not there yet.
 * - `ready`: the output is there until `expiresAt`.
 * - `fetched`: the output, sealed as it is, lies in the folder for retrievals until `keepUntil`; the vault may drop its own.
 * - `read`: a restore has read it to the end.
 * - `cancelled`: a person no longer wants it; the vault goes on, nobody reads it.
 * - `expired`: the vault dropped the job or its output, or the fetched file was kept long enough, before anyone read it.
 * - `failed`: it cannot be asked for; `failure` says why.
 *
 * All up to `fetched` are live: while one is live its archive is not purged.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, WorkerId } from '../ids.ts';
import type { ByteRange, Tier, VaultLocation } from '../vault/port.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Filter, LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export const RETRIEVAL_STATES = [
  'wanted',
  'asking',
  'requested',
  'ready',
  'fetched',
  'read',
  'cancelled',
  'expired',
  'failed',
] as const;
export type RetrievalState = (typeof RETRIEVAL_STATES)[number];

export interface RetrievalDocument extends LedgerDocument {
  readonly archive: ArchiveId;
  readonly location: VaultLocation;
  readonly vaultArchiveId: string;
  readonly tier: Tier;
  /** Part of the file; null for all of it. */
  readonly range: ByteRange | null;
  /** Empty until the vault has accepted the job. */
  readonly jobId: string;
  readonly state: RetrievalState;
  /** When it was asked of us. */
  readonly requestedAt: Date;
  /** The order that it is part of. Absent: none. */
  readonly order?: string;
  /** Only of a part of the file: the segments that it is wanted for. */
  readonly segments?: readonly number[];
  /** From `asking` on: who asks the vault, and since when. */
  readonly askedBy?: WorkerId;
  readonly askedAt?: Date;
  /** From `fetched` on. */
  readonly fetchedAt?: Date;
  readonly keepUntil?: Date;
  /** Code of the error; only in `failed`. */
  readonly failure?: string;
  readonly expectedAt: Date | null;
  /** Both by the vault's time, from `ready` on. */
  readonly readyAt: Date | null;
  readonly expiresAt: Date | null;
  /** When it stopped being live. */
  readonly endedAt: Date | null;
}

const RETRIEVALS = 'retrievals';

export const RETRIEVALS_INDEXES: readonly LedgerIndex[] = [
  { collection: RETRIEVALS, keys: { archive: 1, state: 1 } },
  { collection: RETRIEVALS, keys: { state: 1 } },
  { collection: RETRIEVALS, keys: { order: 1, state: 1 } },
];

/** Every legal move. A state without moves is an end. */
export const RETRIEVAL_MOVES: Readonly<Record<RetrievalState, readonly RetrievalState[]>> = {
  wanted: ['asking', 'cancelled', 'failed'],
  // Back to `wanted`: the vault refused for now, and nothing was begun.
  asking: ['wanted', 'requested', 'cancelled', 'failed'],
  // `read` straight from `requested`: the reader may be the first to see that the output is there.
  requested: ['ready', 'read', 'cancelled', 'expired'],
  ready: ['fetched', 'read', 'cancelled', 'expired'],
  fetched: ['read', 'cancelled', 'expired'],
  read: [],
  cancelled: [],
  expired: [],
  failed: [],
};

export const LIVE_RETRIEVAL_STATES = [
  'wanted',
  'asking',
  'requested',
  'ready',
  'fetched',
] as const satisfies readonly RetrievalState[];

export function isLiveRetrieval({ state }: Pick<RetrievalDocument, 'state'>): boolean {
  return LIVE_RETRIEVAL_STATES.some((live) => live === state);
}

export type WantedRetrieval = Pick<
  RetrievalDocument,
  'archive' | 'location' | 'vaultArchiveId' | 'tier' | 'range' | 'order' | 'segments'
> & { readonly id: string };

/** Writes down what is wanted before the vault is asked. Ids are chosen by the caller; one that is there stays as it is. */
export async function wantRetrievals(store: Store, clock: Clock, wanted: readonly WantedRetrieval[]): Promise<void> {
  const requestedAt = clock.now();
  await retrievals(store).insertMany(
    wanted.map(({ id, ...facts }) => ({
      _id: id,
      v: LEDGER_VERSION,
      ...facts,
      jobId: '',
      expectedAt: null,
      state: 'wanted' as const,
      requestedAt,
      readyAt: null,
      expiresAt: null,
      endedAt: null,
    })),
  );
}

/** Before the vault is asked. Idempotent for the same worker; throws ILLEGAL_MOVE for one that was asked for or has ended. */
export async function markAsking(store: Store, clock: Clock, id: string, by: WorkerId): Promise<RetrievalDocument> {
  return await update(retrievals(store), id, (document) => {
    assertMove(document, 'asking', ['wanted', 'asking']);
    return { ...document, state: 'asking', askedBy: by, askedAt: clock.now() };
  });
}

/** The vault has accepted it. Idempotent. A retrieval that was cancelled meanwhile stays cancelled. */
export async function markRequested(
  store: Store,
  id: string,
  job: { readonly jobId: string; readonly expectedAt: Date | null },
): Promise<RetrievalDocument> {
  return await update(retrievals(store), id, (document) =>
    document.state === 'asking' ? { ...document, state: 'requested', ...job } : null,
  );
}

/** The vault has begun nothing: it is asked again later. */
export async function markNotAsked(store: Store, id: string): Promise<RetrievalDocument> {
  return await update(retrievals(store), id, (document) =>
    document.state === 'asking' ? { ...document, state: 'wanted' } : null,
  );
}

/** It cannot be asked for: `failure` is the code of the error. Idempotent. */
export async function failRetrieval(
  store: Store,
  clock: Clock,
  id: string,
  failure: string,
): Promise<RetrievalDocument> {
  return await move(store, id, 'failed', (document) => ({
    ...document,
    state: 'failed',
    failure,
    endedAt: clock.now(),
  }));
}

/** Its output lies in the folder for retrievals. Idempotent. */
export async function markFetched(
  store: Store,
  id: string,
  file: { readonly fetchedAt: Date; readonly keepUntil: Date },
): Promise<RetrievalDocument> {
  return await move(store, id, 'fetched', (document) => ({ ...document, state: 'fetched', ...file }));
}

export async function countRetrievals(store: Store, filter: Filter): Promise<number> {
  return await retrievals(store).count(filter);
}

export async function getRetrieval(store: Store, id: string): Promise<RetrievalDocument> {
  const document = await retrievals(store).get(id);
  if (document === null) {
    throw new MoraineError('RETRIEVAL_NEEDED', `The ledger has no retrieval ${id}.`, {
      hint: 'Run `moraine retrieve list`.',
      ids: { retrieval: id },
    });
  }
  return document;
}

/** The output is there. Idempotent; throws ILLEGAL_MOVE for a retrieval that has ended. */
export async function markRetrievalReady(
  store: Store,
  id: string,
  output: { readonly readyAt: Date; readonly expiresAt: Date | null },
): Promise<RetrievalDocument> {
  return await move(store, id, 'ready', (document) => ({ ...document, state: 'ready', ...output }));
}

/** A restore has read it to the end, it was cancelled, or the vault no longer has it. Idempotent. */
export async function endRetrieval(
  store: Store,
  clock: Clock,
  id: string,
  state: 'read' | 'cancelled' | 'expired',
): Promise<RetrievalDocument> {
  return await move(store, id, state, (document) => ({ ...document, state, endedAt: clock.now() }));
}

/** Retrievals of the archive that forbid its purge, oldest first. */
export async function liveRetrievals(store: Store, archive: ArchiveId): Promise<readonly RetrievalDocument[]> {
  const live: RetrievalDocument[] = [];
  for await (const document of findRetrievals(store, { archive, state: { $in: LIVE_RETRIEVAL_STATES } }))
    live.push(document);
  return live;
}

/** Oldest first. */
export function findRetrievals(store: Store, filter: Filter = {}): AsyncIterable<RetrievalDocument> {
  return retrievals(store).find(filter, { sort: { requestedAt: 1, _id: 1 } });
}

function move(
  store: Store,
  id: string,
  to: RetrievalState,
  change: (document: RetrievalDocument) => RetrievalDocument,
): Promise<RetrievalDocument> {
  return update(retrievals(store), id, (document) => {
    if (document.state === to) return null;
    assertMove(document, to);
    return change(document);
  });
}

function assertMove(
  { _id, archive, state }: RetrievalDocument,
  to: RetrievalState,
  from: readonly RetrievalState[] = [],
): void {
  if (from.includes(state) || RETRIEVAL_MOVES[state]?.includes(to)) return;
  throw new MoraineError('ILLEGAL_MOVE', `Retrieval ${_id} is ${state} and cannot become ${to}.`, {
    ids: { retrieval: _id, archive },
  });
}

function retrievals(store: Store): StoreCollection<RetrievalDocument> {
  return readableCollection<RetrievalDocument>(store, RETRIEVALS);
}
