/** Before a command destroys anything: clocks and alarms. A long pause is asked about, for a person is here to know. */
import { isMoraineError } from '../errors.ts';
import { acceptJump } from '../ledger/installation.ts';
import type { Context } from '../lifecycle/context.ts';
import { assertSafeToDestroy } from '../lifecycle/preflight.ts';
import { confirm } from './confirm.ts';
import type { Session } from './session.ts';

/** Throws CLOCK_DISAGREES, LEDGER_BEHIND_VAULT, CONFIRMATION_NEEDED, or what a witness throws that cannot be asked. */
export async function safeToDestroy(session: Session, context: Context): Promise<void> {
  try {
    await assertSafeToDestroy(context);
  } catch (error) {
    if (!isMoraineError(error, 'CLOCK_JUMPED')) throw error;
    await confirm(session, `${error.message} Was the service off for that long?`);
    await acceptJump(context.store, context.clock.now());
  }
}
