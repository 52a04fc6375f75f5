/**
 * Announce, then look. Whoever is about to clear or purge first writes an in-flight entry, then reads the holds and
 * pauses, then acts or withdraws. A hold (or pause) is written first and then waits for every in-flight entry that
 * overlaps it, so one of the two always sees the other. Both writes are majority writes and both reads go to the primary;
 * no gate document has to exist.
 *
 * The worst interleaving: announce (worker), place (operator), look (worker) sees the hold and withdraws; or announce,
 * look (sees none), place, and the hold waits until the entry has left or is past `until`, after which the server
 * itself refuses the delete. `until` is in the database server's time.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { WorkerId } from '../ids.ts';
import { type HoldsLooked, holdsLooked } from './archive-document.ts';
import { ANNOUNCEMENT_SKEW_MS } from './holds.ts';
import { type ActScope, lookAtHolds } from './holds-covering.ts';
import { assertNotPaused } from './pauses.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';

/** How long an announcement lasts: long enough for a few pages, short enough that a hold becomes active within seconds. */
export const ANNOUNCEMENT_MS = 10_000;
/** A page is begun only when this much of the announcement is left; otherwise announce and look again. */
export const ANNOUNCEMENT_RESERVE_MS = 5_000;

/** What is announced: holds look at whose records they are, pauses at the policy too. */
export interface AnnouncedScope extends ActScope {
  readonly policy: string;
}

export interface InFlightDocument extends LedgerDocument, Omit<ActScope, 'leftOut'> {
  /** Absent in entries of before there were pauses. */
  readonly policy?: string;
  readonly act: 'clear' | 'purge';
  readonly worker: WorkerId;
  readonly until: Date;
}

export interface Announcement {
  readonly entry: string;
  readonly until: Date;
  /** By the local monotonic clock, taken before the server was asked for its time: never later than `until`. */
  readonly endsAtMs: number;
}

export type LookResult =
  | { readonly held: false; readonly announcement: Announcement; readonly looked: HoldsLooked }
  | { readonly held: true; readonly holds: readonly string[] };

export function inFlight(store: Store): StoreCollection<InFlightDocument> {
  return store.collection<InFlightDocument>('inFlight');
}

/**
 * Announces the act and looks at the holds and pauses; withdraws at once when one covers the scope, or when they cannot be
 * read. Throws PAUSED.
 */
export async function announceAndLook(
  store: Store,
  clock: Clock,
  worker: WorkerId,
  act: 'clear' | 'purge',
  scope: AnnouncedScope,
): Promise<LookResult> {
  const endsAtMs = clock.monotonicMs() + ANNOUNCEMENT_MS;
  const at = await store.serverTime();
  const until = new Date(at.getTime() + ANNOUNCEMENT_MS);
  const entry = randomUUID();
  const { policy, owner, customer, namespace, archive } = scope;
  await inFlight(store).insert({ _id: entry, v: 1, act, worker, until, policy, owner, customer, namespace, archive });
  const announcement = { entry, until, endsAtMs };
  try {
    await assertNotPaused(store, scope);
    const { covering, naming } = await lookAtHolds(store, scope);
    const looked = holdsLooked(at, naming);
    if (covering.length === 0) return { held: false, announcement, looked };
    await withdraw(store, announcement);
    return { held: true, holds: covering.map(({ _id }) => _id) };
  } catch (error) {
    await withdraw(store, announcement);
    throw error;
  }
}

export function isFresh(clock: Clock, announcement: Announcement): boolean {
  return clock.monotonicMs() < announcement.endsAtMs - ANNOUNCEMENT_RESERVE_MS;
}

/** Takes the announcement back. Where this fails the entry ends by itself at `until`; a hold only waits a little longer. */
export async function withdraw(store: Store, announcement: Announcement): Promise<void> {
  await inFlight(store).remove(announcement.entry, 0);
}

/** Entries that a hold or pause must wait for: those that it covers. */
export async function announcementsUnder(
  store: Store,
  covers: (entry: InFlightDocument) => boolean,
): Promise<readonly InFlightDocument[]> {
  const found: InFlightDocument[] = [];
  for await (const entry of inFlight(store).find({})) if (covers(entry)) found.push(entry);
  return found;
}

/** Can nothing be done under this entry any more? It was withdrawn, or it is past its end by every clock that counts. */
export async function hasEnded(store: Store, entry: InFlightDocument): Promise<boolean> {
  if ((await inFlight(store).get(entry._id)) === null) return true;
  return (await store.serverTime()).getTime() > entry.until.getTime() + ANNOUNCEMENT_SKEW_MS;
}

/** Entries whose end is long past are litter of crashed workers. */
export async function removeEndedAnnouncements(store: Store): Promise<number> {
  const now = await store.serverTime();
  return await inFlight(store).removeMany({ until: { $lt: new Date(now.getTime() - LITTER_AFTER_MS) } });
}

/** Far above any clock skew that the witnesses allow. */
const LITTER_AFTER_MS = 3_600_000;
