/**
 * Which vaults had no recent successful drill: a copy that nobody ever opened is a hope. Counted from the last drill that
 * passed, and from the first archive that is there where none did.
 */
import { endAlarm, raiseAlarm } from '../ledger/alarms.ts';
import { findArchives } from '../ledger/archives.ts';
import { lastPassedAt, readDrillLook, saveDrillLook } from '../ledger/drills.ts';
import { partitions } from '../ledger/partitions.ts';
import { addPeriod, periodOf } from '../policy/period.ts';
import type { VaultLocation } from '../vault/port.ts';
import { assertNotStopped, type Context, dueNow, locationKey } from './context.ts';

/** Where moraine.yaml says nothing. */
export const DRILLS_EVERY = 'P1Y';
/** Looking asks a few times for each customer; what changes within hours is no matter of a year. */
const LOOK_EVERY_MS = 6 * 3_600_000;
/** Vaults that the alarm names. */
const NAMED = 5;

export function isDrillDue(context: Context, firstStoredAt: Date, lastPassed: Date | null): boolean {
  const from = (lastPassed ?? firstStoredAt).getTime();
  return addPeriod(from, periodOf(context.drills?.every ?? DRILLS_EVERY), 'UTC') <= dueNow(context).getTime();
}

/** Raises or ends the alarm. Looks once in a while only, unless `now`. */
export async function lookAtDrills(context: Context, now = false): Promise<void> {
  const { store, clock } = context;
  const last = await readDrillLook(store);
  if (!now && last !== null && clock.now().getTime() - last.lookedAt.getTime() < LOOK_EVERY_MS) return;
  const seen = new Set<string>();
  const named: string[] = [];
  let overdue = 0;
  for await (const location of vaultsWithArchives(context)) {
    const key = locationKey(location);
    if (seen.has(key)) continue;
    seen.add(key);
    const first = await firstStoredIn(context, location);
    if (first === null || !isDrillDue(context, first, await lastPassedAt(store, key))) continue;
    overdue += 1;
    if (named.length < NAMED) named.push(`${location.owner}/${location.customer} (${location.name})`);
  }
  await saveDrillLook(store, { lookedAt: clock.now(), vaults: seen.size, overdue });
  if (overdue === 0) return await endAlarm(store, 'DRILL_OVERDUE');
  const more = overdue > named.length ? ` and ${overdue - named.length} more` : '';
  const text = `${overdue} of ${seen.size} vaults had no successful drill in time: ${named.join(', ')}${more}.`;
  await raiseAlarm(store, clock, 'DRILL_OVERDUE', text);
}

/** Of each partition those with its oldest and newest cleared archive: a policy may have changed its vault. */
async function* vaultsWithArchives(context: Context): AsyncGenerator<VaultLocation> {
  const { store } = context;
  for await (const { _id } of partitions(store).find({})) {
    assertNotStopped(context);
    for (const order of [1, -1] as const) {
      const found = findArchives(store, { partition: _id, state: 'cleared' }, { sort: { sequence: order }, limit: 1 });
      for await (const { vault } of found) yield vault;
    }
  }
}

async function firstStoredIn({ store }: Context, location: VaultLocation): Promise<Date | null> {
  const of = { 'vault.name': location.name, 'vault.prefix': location.prefix, state: 'cleared' } as const;
  const found = findArchives(store, of, { sort: { 'stored.at': 1 }, limit: 1 });
  for await (const { stored } of found) return stored?.at ?? null;
  return null;
}
