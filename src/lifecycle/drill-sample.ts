/** Which archives a drill takes: at random, with the randomness of the operating system, of those whose originals are gone. */
import { randomInt } from 'node:crypto';
import type { ArchiveId, OwnerId } from '../ids.ts';
import { findArchives } from '../ledger/archives.ts';
import {
  chooseDrill,
  type DrillDocument,
  isUnfinished,
  lastPassedAt,
  MOST_DRILLED,
  newestDrill,
} from '../ledger/drills.ts';
import type { Tier, VaultLocation } from '../vault/port.ts';
import { assertNotStopped, type Context, locationKey } from './context.ts';
import { isDrillDue } from './drill-due.ts';

export interface SampleWish {
  /** Of each vault; `share` of its archives where it is more. */
  readonly archives: number;
  readonly share: number;
  readonly tier: Tier;
  /** Only vaults without a recent drill. */
  readonly overdueOnly: boolean;
  readonly by: string;
}

interface VaultSample {
  readonly location: VaultLocation;
  size: number;
  seen: number;
  firstStoredAt: Date;
  readonly archives: ArchiveId[];
}

/** Drills of these owners' vaults, unfinished ones as they are, new ones written now. Memory holds the samples. */
export async function chooseDrills(
  context: Context,
  owners: readonly OwnerId[],
  wish: SampleWish,
): Promise<readonly DrillDocument[]> {
  const { store, clock } = context;
  const drills: DrillDocument[] = [];
  for (const owner of owners) {
    const vaults = new Map<string, VaultSample>();
    for await (const { vault, stored } of findArchives(store, { owner, state: 'cleared' })) {
      const known = vaults.get(locationKey(vault)) ?? emptySample(vault, stored?.at ?? clock.now());
      known.size += 1;
      if (stored !== null && stored.at < known.firstStoredAt) known.firstStoredAt = stored.at;
      vaults.set(locationKey(vault), known);
    }
    for (const [vault, sample] of vaults) {
      const newest = await newestDrill(store, vault);
      const last = await lastPassedAt(store, vault);
      if (newest !== null && isUnfinished(newest)) drills.push(newest);
      if (
        (newest !== null && isUnfinished(newest)) ||
        (wish.overdueOnly && !isDrillDue(context, sample.firstStoredAt, last))
      )
        vaults.delete(vault);
    }
    for await (const { _id, vault } of findArchives(store, { owner, state: 'cleared' })) {
      assertNotStopped(context);
      const sample = vaults.get(locationKey(vault));
      if (sample !== undefined) take(sample, _id, sizeOf(sample.size, wish));
    }
    for (const [vault, { location, archives, seen }] of vaults) {
      if (archives.length > 0) drills.push(await choose(context, { vault, location, archives, of: seen }, wish));
    }
  }
  return drills;
}

async function choose(
  context: Context,
  sample: Pick<VaultSample, 'location' | 'archives'> & { readonly vault: string; readonly of: number },
  { by, tier }: SampleWish,
): Promise<DrillDocument> {
  const drill = await chooseDrill(context.store, context.clock, { ...sample, by, tier });
  const { owner, customer, location, of } = drill;
  await context.audit.append([
    {
      act: 'drill chosen',
      phase: 'intent',
      subject: { drill: drill._id, owner, customer, vault: location.name },
      details: { of, archives: drill.sample.map(({ archive }) => archive).join(', ') },
    },
  ]);
  return drill;
}

function emptySample(location: VaultLocation, firstStoredAt: Date): VaultSample {
  return { location, size: 0, seen: 0, firstStoredAt, archives: [] };
}

function sizeOf(archives: number, wish: SampleWish): number {
  return Math.min(MOST_DRILLED, Math.max(wish.archives, Math.ceil(archives * wish.share)));
}

/** Reservoir sampling (Vitter's algorithm R): each of all that are seen has the same chance. */
function take(sample: VaultSample, archive: ArchiveId, size: number): void {
  sample.seen += 1;
  if (sample.archives.length < size) {
    sample.archives.push(archive);
    return;
  }
  const at = randomInt(sample.seen);
  if (at < size) sample.archives[at] = archive;
}
