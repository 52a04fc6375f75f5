/**
 * Retrievals: what was asked of a vault so that an archive can be read.
 *
 * - `requested`: the vault has the job; its output is not there yet. A crash between the vault's answer and this
 *   document leaves a job that nobody reads: it costs money, and its output expires by itself.
 * - `ready`: the output is there until `expiresAt`.
 * - `read`: a restore has read it to the end.
 * - `cancelled`: a person no longer wants it; the vault goes on, nobody reads it.
 * - `expired`: the vault dropped the job or its output before anyone read it to the end.
 *
 * `requested` and `ready` are live: while one is live its archive is not purged.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ByteRange, Tier, VaultLocation } from '../vault/port.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Filter, LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export type RetrievalState = 'requested' | 'ready' | 'read' | 'cancelled' | 'expired';

export interface RetrievalDocument extends LedgerDocument {
  readonly archive: ArchiveId;
  readonly location: VaultLocation;
  readonly vaultArchiveId: string;
  readonly tier: Tier;
  /** Part of the file; null for all of it. */
  readonly range: ByteRange | null;
  readonly jobId: string;
  readonly state: RetrievalState;
  readonly requestedAt: Date;
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
];

/** Every legal move. A state without moves is an end. */
export const RETRIEVAL_MOVES: Readonly<Record<RetrievalState, readonly RetrievalState[]>> = {
  // `read` straight from `requested`: the reader may be the first to see that the output is there.
  requested: ['ready', 'read', 'cancelled', 'expired'],
  ready: ['read', 'cancelled', 'expired'],
  read: [],
  cancelled: [],
  expired: [],
};

const LIVE: readonly RetrievalState[] = ['requested', 'ready'];

/** Remembers a job that the vault accepted. `id` is chosen by the caller; the same id again changes nothing. */
export async function rememberRetrieval(
  store: Store,
  clock: Clock,
  retrieval: Pick<
    RetrievalDocument,
    'archive' | 'location' | 'vaultArchiveId' | 'tier' | 'range' | 'jobId' | 'expectedAt'
  > & {
    readonly id: string;
  },
): Promise<RetrievalDocument> {
  const { id, ...facts } = retrieval;
  await retrievals(store).insert({
    _id: id,
    v: LEDGER_VERSION,
    ...facts,
    state: 'requested',
    requestedAt: clock.now(),
    readyAt: null,
    expiresAt: null,
    endedAt: null,
  });
  return await getRetrieval(store, id);
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
  for await (const document of findRetrievals(store, { archive, state: { $in: LIVE } })) live.push(document);
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
    if (!RETRIEVAL_MOVES[document.state]?.includes(to)) {
      throw new MoraineError('ILLEGAL_MOVE', `Retrieval ${id} is ${document.state} and cannot become ${to}.`, {
        ids: { retrieval: id, archive: document.archive },
      });
    }
    return change(document);
  });
}

function retrievals(store: Store): StoreCollection<RetrievalDocument> {
  return readableCollection<RetrievalDocument>(store, RETRIEVALS);
}
