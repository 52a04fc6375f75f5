/**
 * Drills: archives chosen at random out of one vault, retrieved and opened with an administrator's identity, restored into a
 * scratch database and compared. What was chosen is written before anything is asked for, so that nobody picks.
 *
 * - `chosen`: written; nothing was asked of the vault yet. The next `drill` goes on with the same sample.
 * - `open`: asked for. What is ready is compared, the rest waits.
 * - `passed`: at least one archive was restored and compared, and none differed.
 * - `failed`: one differed, could not be opened, or is not in the vault.
 * - `void`: all that was chosen was purged meanwhile; it says nothing.
 * - `cancelled`: given up by a person, with a reason.
 *
 * A vault has one that is not over at most: the id holds its number.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, CustomerId, OwnerId } from '../ids.ts';
import type { Tier, VaultLocation } from '../vault/port.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Filter, LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export type DrillState = 'chosen' | 'open' | 'passed' | 'failed' | 'void' | 'cancelled';
export const UNFINISHED_DRILLS = ['chosen', 'open'] as const satisfies readonly DrillState[];

export interface DrilledArchive {
  readonly archive: ArchiveId;
  /** `gone`: purged, or on its way out, before it was compared. */
  readonly outcome: 'waiting' | 'passed' | 'failed' | 'gone';
  /** The retrieval that the drill asked for; null: one that was open already, or none yet. */
  readonly retrieval: string | null;
  /** What differs; only of `failed`. */
  readonly text: string | null;
  readonly at: Date | null;
  /** Restored and compared. */
  readonly records: number;
  readonly children: number;
  readonly attachments: number;
}

export interface DrillDocument extends LedgerDocument {
  /** The vault as one text (`locationKey`). */
  readonly vault: string;
  readonly location: VaultLocation;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly sequence: number;
  readonly state: DrillState;
  readonly by: string;
  readonly tier: Tier;
  /** How many cleared archives it was chosen from. */
  readonly of: number;
  readonly sample: readonly DrilledArchive[];
  readonly reason: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

const DRILLS = 'drills';

export const DRILLS_INDEXES: readonly LedgerIndex[] = [
  { collection: DRILLS, keys: { vault: 1, sequence: -1 } },
  { collection: DRILLS, keys: { state: 1 } },
];

/** Most archives of one drill: they stand in one document. */
export const MOST_DRILLED = 1_000;

export interface NewDrill extends Pick<DrillDocument, 'vault' | 'location' | 'by' | 'tier' | 'of'> {
  readonly archives: readonly ArchiveId[];
}

/** Writes it; where another was begun meanwhile, that one is returned. */
export async function chooseDrill(store: Store, clock: Clock, drill: NewDrill): Promise<DrillDocument> {
  const { archives, ...facts } = drill;
  const newest = await newestDrill(store, drill.vault);
  if (newest !== null && isUnfinished(newest)) return newest;
  const sequence = (newest?.sequence ?? 0) + 1;
  const _id = `d${createHash('sha256').update(drill.vault).digest('hex').slice(0, 12)}n${sequence}`;
  const { owner, customer } = drill.location;
  const nothingYet = { outcome: 'waiting', retrieval: null, text: null, at: null } as const;
  const sample = archives.map((archive) => ({ archive, ...nothingYet, records: 0, children: 0, attachments: 0 }));
  const begun = { state: 'chosen', sequence, sample, reason: null, startedAt: clock.now(), endedAt: null } as const;
  await drills(store).insert({ _id, v: LEDGER_VERSION, ...facts, owner, customer, ...begun });
  return await getDrill(store, _id);
}

export function isUnfinished({ state }: DrillDocument): boolean {
  return UNFINISHED_DRILLS.some((unfinished) => unfinished === state);
}

/** Throws USAGE for one that is not known. */
export async function getDrill(store: Store, id: string): Promise<DrillDocument> {
  const drill = await drills(store).get(id);
  if (drill !== null) return drill;
  throw new MoraineError('USAGE', `The ledger has no drill ${id}.`, { hint: 'List them with `moraine drill list`.' });
}

/** Newest first. */
export function findDrills(store: Store, filter: Filter = {}): AsyncIterable<DrillDocument> {
  return drills(store).find(filter, { sort: { startedAt: -1, _id: 1 } });
}

export async function newestDrill(store: Store, vault: string): Promise<DrillDocument | null> {
  for await (const drill of drills(store).find({ vault }, { sort: { sequence: -1 }, limit: 1 })) return drill;
  return null;
}

/** When a drill of the vault last passed. */
export async function lastPassedAt(store: Store, vault: string): Promise<Date | null> {
  const passed = drills(store).find({ vault, state: 'passed' }, { sort: { sequence: -1 }, limit: 1 });
  for await (const { endedAt } of passed) return endedAt;
  return null;
}

/** Its archives are asked for. Idempotent. */
export async function openDrill(store: Store, id: string): Promise<DrillDocument> {
  return await update(drills(store), id, (drill) => (drill.state === 'chosen' ? { ...drill, state: 'open' } : null));
}

/** What is known now of one of its archives. One that has an outcome keeps it. */
export async function noteDrilled(
  store: Store,
  id: string,
  archive: ArchiveId,
  facts: Partial<DrilledArchive>,
): Promise<DrillDocument> {
  return await update(drills(store), id, (drill) => {
    if (!isUnfinished(drill)) return null;
    const sample = drill.sample.map((each) =>
      each.archive === archive && each.outcome === 'waiting' ? { ...each, ...facts } : each,
    );
    return { ...drill, sample };
  });
}

/** Ends one of which every archive has its outcome; the others stay as they are. */
export async function settleDrill(store: Store, clock: Clock, id: string): Promise<DrillDocument> {
  return await update(drills(store), id, (drill) => {
    if (!isUnfinished(drill) || drill.sample.some(({ outcome }) => outcome === 'waiting')) return null;
    const has = (outcome: DrilledArchive['outcome']) => drill.sample.some((each) => each.outcome === outcome);
    const state = has('failed') ? 'failed' : has('passed') ? 'passed' : 'void';
    return { ...drill, state, endedAt: clock.now() };
  });
}

/** A person gives it up. Idempotent. */
export async function cancelDrill(store: Store, clock: Clock, id: string, reason: string): Promise<DrillDocument> {
  return await update(drills(store), id, (drill) =>
    isUnfinished(drill) ? { ...drill, state: 'cancelled', reason, endedAt: clock.now() } : null,
  );
}

/** What the last look at all vaults found: one document, for metrics. */
export interface DrillLook extends LedgerDocument {
  readonly lookedAt: Date;
  readonly vaults: number;
  readonly overdue: number;
}

const LOOK_ID = 'drills';

export async function readDrillLook(store: Store): Promise<DrillLook | null> {
  return await looks(store).get(LOOK_ID);
}

export async function saveDrillLook(
  store: Store,
  look: Pick<DrillLook, 'lookedAt' | 'vaults' | 'overdue'>,
): Promise<void> {
  if ((await looks(store).insert({ _id: LOOK_ID, v: LEDGER_VERSION, ...look })) === 'inserted') return;
  await update(looks(store), LOOK_ID, (before) => ({ ...before, ...look }));
}

function looks(store: Store): StoreCollection<DrillLook> {
  return readableCollection<DrillLook>(store, 'drillLooks');
}

function drills(store: Store): StoreCollection<DrillDocument> {
  return readableCollection<DrillDocument>(store, DRILLS);
}
