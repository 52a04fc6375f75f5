/** Alarms that stop destructive work until a person has looked: written once, shown everywhere, ended by `check --yes`. */
import type { Clock } from '../clock.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface AlarmDocument extends LedgerDocument {
  /** Code of src/errors.ts. */
  readonly code: 'LEDGER_BEHIND_VAULT';
  readonly text: string;
  readonly raisedAt: Date;
}

function alarms(store: Store): StoreCollection<AlarmDocument> {
  return readableCollection<AlarmDocument>(store, 'alarms');
}

export async function raiseAlarm(store: Store, clock: Clock, code: AlarmDocument['code'], text: string): Promise<void> {
  await alarms(store).insert({ _id: code, v: LEDGER_VERSION, code, text, raisedAt: clock.now() });
}

export async function openAlarms(store: Store): Promise<readonly AlarmDocument[]> {
  const open: AlarmDocument[] = [];
  for await (const alarm of alarms(store).find({}, { sort: { _id: 1 } })) open.push(alarm);
  return open;
}

/** A person has looked and says that work may go on. */
export async function endAlarms(store: Store): Promise<number> {
  return await alarms(store).removeMany({});
}
