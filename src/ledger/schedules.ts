/** When each repeated act last ran: the queue can lose its schedules, and what it missed is found here. */
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

/** `_id` names the act: `sweep-<policy>`, `purge`, `reconcile`, `retrieve`. */
export interface ScheduleDocument extends LedgerDocument {
  /** Cron line and its zone as they were last seen. */
  readonly pattern: string;
  readonly zone: string;
  /** Since when they are known: what would have run before that was not missed. */
  readonly since: Date;
  /** When the newest run that ended began. Null: none did. */
  readonly lastRunAt: Date | null;
}

function schedules(store: Store): StoreCollection<ScheduleDocument> {
  return readableCollection<ScheduleDocument>(store, 'schedules');
}

/** Writes down a schedule that is new or was changed; a changed one owes nothing for the time before. */
export async function knowSchedule(
  store: Store,
  act: string,
  schedule: { readonly pattern: string; readonly zone: string },
  now: Date,
): Promise<ScheduleDocument> {
  const { pattern, zone } = schedule;
  const fresh = { _id: act, v: LEDGER_VERSION, pattern, zone, since: now, lastRunAt: null };
  await schedules(store).insert(fresh);
  return await update(schedules(store), act, (known) =>
    known.pattern === pattern && known.zone === zone ? null : { ...known, pattern, zone, since: now },
  );
}

/**
 * A run that began at `startedAt` has ended, well or for good. An act without a schedule is not remembered. A time that
 * the ledger's server has not reached comes from a clock that is ahead, and would say until then that nothing is missed.
 */
export async function rememberScheduledRun(store: Store, act: string, startedAt: Date): Promise<void> {
  if ((await schedules(store).get(act)) === null) return;
  const serverTime = await store.serverTime();
  const ranAt = startedAt < serverTime ? startedAt : serverTime;
  await update(schedules(store), act, (known) =>
    known.lastRunAt !== null && known.lastRunAt >= ranAt ? null : { ...known, lastRunAt: ranAt },
  );
}

/** When the newest run that ended began; null when none did, or the act has no schedule. */
export async function lastScheduledRun(store: Store, act: string): Promise<Date | null> {
  return (await schedules(store).get(act))?.lastRunAt ?? null;
}
