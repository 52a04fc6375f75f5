/**
 * Offboardings: a customer leaves. One document for each export that was returned and then destroyed from; it is written
 * before the first record goes, so that whoever comes back knows what was ordered, by whom, and what was approved.
 *
 * - `open`: begun. What is held, changed or waits keeps it open; the same command carries it on.
 * - `done`: nothing of the customer is left that the export or the person said may go. It has a certificate.
 * - `superseded`: another export was made of the same customer, and its offboarding goes on instead.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, CustomerId, OwnerId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface OffboardingDocument extends LedgerDocument {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  /** Id of the export, and the SHA-256 of its manifest: what it does not hold is not destroyed. */
  readonly export: string;
  readonly manifestSha256: string;
  readonly reason: string;
  readonly saidBy: string;
  /** The approval that it was begun with. */
  readonly approval: string;
  /** Archives that may be destroyed although the export does not hold them: the person said so. */
  readonly withoutArchives: readonly ArchiveId[];
  /** Archives that the export holds. */
  readonly exportedArchives: readonly ArchiveId[];
  readonly state: 'open' | 'done' | 'superseded';
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

const OFFBOARDINGS = 'offboardings';

export const OFFBOARDINGS_INDEXES: readonly LedgerIndex[] = [
  { collection: OFFBOARDINGS, keys: { owner: 1, customer: 1, state: 1 } },
];

/** One export is offboarded once. */
export function offboardingId(exportId: string): string {
  return `offboard-${exportId}`;
}

export async function findOffboarding(store: Store, exportId: string): Promise<OffboardingDocument | null> {
  return await offboardings(store).get(offboardingId(exportId));
}

/** Begins it, or returns the one that was begun with this export. Earlier ones of the customer are superseded. */
export async function beginOffboarding(
  store: Store,
  clock: Clock,
  facts: Omit<OffboardingDocument, '_id' | 'v' | 'rev' | 'state' | 'startedAt' | 'endedAt'>,
): Promise<OffboardingDocument> {
  const { owner, customer } = facts;
  const _id = offboardingId(facts.export);
  const document = { _id, v: LEDGER_VERSION, ...facts, state: 'open' as const, startedAt: clock.now(), endedAt: null };
  await offboardings(store).insert(document);
  const begun = await offboardings(store).get(_id);
  if (begun === null || begun.manifestSha256 !== facts.manifestSha256) {
    throw new MoraineError('INTERNAL', `Offboarding ${_id} was begun with another manifest.`);
  }
  for await (const other of offboardings(store).find({ owner, customer, state: 'open', _id: { $ne: _id } }))
    await endOffboarding(store, clock, other._id, 'superseded');
  return begun;
}

/** Idempotent: the first end stands. */
export async function endOffboarding(
  store: Store,
  clock: Clock,
  id: string,
  state: 'done' | 'superseded',
): Promise<OffboardingDocument> {
  return await update(offboardings(store), id, (document) =>
    document.state === 'open' ? { ...document, state, endedAt: clock.now() } : null,
  );
}

/** Those that were begun and have not ended. */
export async function openOffboardings(store: Store): Promise<readonly OffboardingDocument[]> {
  const open: OffboardingDocument[] = [];
  for await (const document of offboardings(store).find({ state: 'open' })) open.push(document);
  return open;
}

/** Who ordered a disposal of an offboarding, in its document, its certificate and the audit chain. */
export function orderedBy({ saidBy, _id }: OffboardingDocument): string {
  return `${saidBy}, ${_id}`;
}

/** The newest first, in whatever state. */
export function offboardingsOf(
  store: Store,
  { limit }: { readonly limit: number },
): AsyncIterable<OffboardingDocument> {
  return offboardings(store).find({}, { sort: { startedAt: -1, _id: 1 }, limit });
}

function offboardings(store: Store): StoreCollection<OffboardingDocument> {
  return readableCollection<OffboardingDocument>(store, OFFBOARDINGS);
}
