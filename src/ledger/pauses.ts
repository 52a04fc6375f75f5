/**
 * Pauses: a person's brake on a policy, an owner, or everything.
 *
 * - `pausing`: written. It stops acts already, for whoever looks from now on sees it; an act that looked before may still
 *   be under way. A crash leaves it here, and whoever settles it next (src/lifecycle/pause.ts) takes it on.
 * - `paused`: nothing that looked before it was written can delete any more. What it came too late for is named.
 * - `resumed`: by a person. It stops nothing from then on.
 *
 * A pause is looked at wherever holds are, in the same look, and fails closed in the same way. But where a hold gives a
 * record an outcome and makes its copy void, under a pause the work only waits: nothing changes, and it goes on from
 * where it stands. Several may overlap; each stops by itself.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveId, OwnerId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { assertReadable } from './versions.ts';

/** `name` is that of the policy or owner; null for `all`. */
export interface PauseTarget {
  readonly what: 'policy' | 'owner' | 'all';
  readonly name: string | null;
}

export interface PauseDocument extends LedgerDocument, PauseTarget {
  readonly state: 'pausing' | 'paused' | 'resumed';
  readonly reason: string;
  readonly pausedBy: string;
  readonly askedAt: Date;
  /** When it was established that nothing of its scope is deleted any more. */
  readonly pausedAt: Date | null;
  /** Archives whose destruction was asked for before, and may go on. */
  readonly tooLate: readonly ArchiveId[];
  readonly resumedBy: string | null;
  readonly resumedAt: Date | null;
  readonly resumeReason: string | null;
}

/** What work is about. Of an announcement from before there were pauses the policy is not known. */
export interface PauseScope {
  readonly policy?: string;
  /** null: work that is not about one owner; a pause of an owner does not stop it. */
  readonly owner: OwnerId | null;
}

export const PAUSES_INDEXES: readonly LedgerIndex[] = [{ collection: 'pauses', keys: { state: 1 } }];

const OLDEST_FIRST = { sort: { askedAt: 1 } } as const;

export function pauses(store: Store): StoreCollection<PauseDocument> {
  return store.collection<PauseDocument>('pauses');
}

/**
 * The pauses that stop acts now, read on the primary: all that are not resumed, whatever their state is called. Throws
 * LEDGER_NEWER for one that this Moraine does not understand, and then nothing may go on.
 */
export async function pausesInForce(store: Store): Promise<readonly PauseDocument[]> {
  const inForce: PauseDocument[] = [];
  for await (const pause of pauses(store).find({ state: { $ne: 'resumed' } }, OLDEST_FIRST)) {
    assertReadable(pause);
    inForce.push(pause);
  }
  return inForce;
}

/** How things stand, for `status`, console and metrics: also those of a newer Moraine, which acts do not read. */
export async function pausesShown(store: Store): Promise<readonly PauseDocument[]> {
  const shown: PauseDocument[] = [];
  for await (const pause of pauses(store).find({ state: { $ne: 'resumed' } }, OLDEST_FIRST)) shown.push(pause);
  return shown;
}

/** Does the pause stop this work? What cannot be told is stopped. */
export function stops({ what, name }: PauseTarget, { policy, owner }: PauseScope): boolean {
  switch (what) {
    case 'policy':
      return name === null || policy === undefined || policy === name;
    case 'owner':
      return name === null || owner === name;
    default:
      return true;
  }
}

/** Throws PAUSED when one of these pauses, or of those in force now, stops the work. */
export async function assertNotPaused(
  store: Store,
  scope: PauseScope,
  inForce: readonly PauseDocument[] | null = null,
): Promise<void> {
  const stopping = (inForce ?? (await pausesInForce(store))).filter((pause) => stops(pause, scope));
  if (stopping.length === 0) return;
  const names = stopping.map(pauseName).join(', ');
  const [{ _id: pause } = { _id: '' }] = stopping;
  throw new MoraineError('PAUSED', `A person has paused it: ${names}.`, { ids: { pause, pauses: names } });
}

/** For people: id, and what it is about. */
export function pauseName({ _id, what, name }: PauseTarget & { readonly _id: string }): string {
  return `${_id} (${targetText({ what, name })})`;
}

/** As the command line names it. */
export function targetText({ what, name }: PauseTarget): string {
  return name === null ? what : `${what} ${name}`;
}
