/** What must hold before anything is destroyed: the clocks agree, time did not jump, no alarm is open. */
import { MoraineError } from '../errors.ts';
import { openAlarms } from '../ledger/alarms.ts';
import { assertClocksAgree, observeTime } from '../ledger/installation.ts';
import type { Context } from './context.ts';

/** Throws CLOCK_DISAGREES, CLOCK_JUMPED, LEDGER_BEHIND_VAULT, or what a witness throws when it cannot be asked. */
export async function assertSafeToDestroy(context: Context): Promise<void> {
  const [alarm] = await openAlarms(context.store);
  if (alarm !== undefined) throw new MoraineError(alarm.code, alarm.text);
  const isSandbox = context.installation.environment === 'sandbox';
  const [vault] = context.vaults.values();
  await assertClocksAgree({
    clock: context.clock,
    mongodb: () => context.source.serverTime(),
    vault: isSandbox || vault === undefined ? null : () => vault.serverTime(),
  });
  await observeTime(context.store, context.clock.now());
}
