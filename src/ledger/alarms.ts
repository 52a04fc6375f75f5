/**
 * Alarms: written once, shown everywhere. Those that stop destructive work are ended by a person who has looked
 * (`check --yes`); the others stop nothing, and end too when what they are about is in order again.
 */
import type { Clock } from '../clock.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

/** Codes of src/errors.ts: destructive work throws them. */
const STOPPING = ['LEDGER_BEHIND_VAULT', 'LEDGER_REBUILT', 'KEY_STORE_BEHIND'] as const;
/** What each asks for, as a command. */
const WARNING = {
  AUDIT_HEADS_LATE: 'moraine audit publish',
  DRILL_FAILED: 'moraine drill list',
  DRILL_OVERDUE: 'moraine drill --identity FILE',
  VAULT_GUARD_LAGS: 'moraine reconcile',
  KMS_KEY_ENDANGERED: 'moraine check',
  PROOF_ENDS: 'moraine administrator prove --identity FILE',
} as const;

type StoppingCode = (typeof STOPPING)[number];
export type AlarmCode = StoppingCode | keyof typeof WARNING;

export interface AlarmDocument extends LedgerDocument {
  readonly code: AlarmCode;
  /** What it is about, where there may be several of a code. Absent: there is one. */
  readonly subject?: string;
  readonly text: string;
  readonly raisedAt: Date;
}

function alarms(store: Store): StoreCollection<AlarmDocument> {
  return readableCollection<AlarmDocument>(store, 'alarms');
}

/** One that is open says what is new of it, and keeps its date. */
export async function raiseAlarm(
  store: Store,
  clock: Clock,
  code: AlarmCode,
  text: string,
  subject?: string,
): Promise<void> {
  const _id = alarmId(code, subject);
  const raised = { _id, v: LEDGER_VERSION, code, ...(subject === undefined ? {} : { subject }), text };
  if ((await alarms(store).insert({ ...raised, raisedAt: clock.now() })) === 'inserted') return;
  const open = await alarms(store).get(_id);
  // Where it was ended, or told anew by another, in between, the next look says it again.
  if (open !== null && open.text !== text) await alarms(store).replace({ ...open, text });
}

export async function openAlarms(store: Store): Promise<readonly AlarmDocument[]> {
  const open: AlarmDocument[] = [];
  for await (const alarm of alarms(store).find({}, { sort: { _id: 1 } })) open.push(alarm);
  return open;
}

/** Does all destructive work wait for a person? */
export function isStopping(code: AlarmCode): code is StoppingCode {
  return STOPPING.some((stopping) => stopping === code);
}

/** The command that mends what it is about, or shows it. */
export function alarmHint(code: AlarmCode): string {
  if (code === 'LEDGER_REBUILT') return 'moraine rebuild --accept';
  return isStopping(code) ? 'moraine check' : WARNING[code];
}

/** What it is about is in order again. Idempotent. */
export async function endAlarm(store: Store, code: AlarmCode, subject?: string): Promise<void> {
  await alarms(store).removeMany({ _id: alarmId(code, subject) });
}

/** A person has looked and says that work may go on; a rebuilt ledger is accepted by an act of its own. */
export async function endAlarms(store: Store): Promise<number> {
  return await alarms(store).removeMany({ code: { $ne: 'LEDGER_REBUILT' } });
}

/** The rebuilt ledger was accepted. Idempotent. */
export async function endRebuildAlarm(store: Store): Promise<void> {
  await alarms(store).removeMany({ _id: 'LEDGER_REBUILT' });
}

function alarmId(code: AlarmCode, subject: string | undefined): string {
  return subject === undefined ? code : `${code} ${subject}`;
}
