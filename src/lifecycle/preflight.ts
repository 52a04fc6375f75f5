/**
 * What must hold before anything is destroyed: the clocks agree, time did not jump, no alarm that stops it is open. Every act that
 * destroys asks for it itself (clear, purge, expire), so nobody who calls one can forget it.
 */
import { MoraineError } from '../errors.ts';
import { isStopping, openAlarms } from '../ledger/alarms.ts';
import { assertClocksAgree, observeTime } from '../ledger/installation.ts';
import type { Store } from '../ledger/store.ts';
import type { Context } from './context.ts';
import { assertKeyStoreIsCurrent } from './key-store-behind.ts';

/** Throws CLOCK_DISAGREES, CLOCK_JUMPED, LEDGER_BEHIND_VAULT, or what a witness throws when it cannot be asked. */
export async function assertSafeToDestroy(context: Context): Promise<void> {
  // Taken before anybody is asked: a clock that somebody sets meanwhile must not count as the one that was compared.
  const asked = { monotonicMs: context.clock.monotonicMs(), at: context.clock.now().getTime() };
  for (const { code, text } of await openAlarms(context.store))
    if (isStopping(code)) throw new MoraineError(code, text);
  await assertClocksAgree({
    clock: context.clock,
    mongodb: () => context.source.serverTime(),
    vault: vaultWitness(context),
  });
  await observeTime(context.store, context.clock.now());
  await assertKeyStoreIsCurrent(context);
  lastPassed.set(context.store, asked);
}

/**
 * The vaults' clock: that of the first one that answers, so that a region that is away stops no other. Null in a sandbox,
 * where the vault has a time of its own, and where there is none. Throws what the first one threw when none answers.
 */
export function vaultWitness({ installation, vaults }: Context): (() => Promise<Date>) | null {
  const [first, ...others] = vaults.values();
  if (installation.environment === 'sandbox' || first === undefined) return null;
  return async () => {
    try {
      return await first.serverTime();
    } catch (error) {
      for (const vault of others) {
        const answer = await vault.serverTime().catch(() => null);
        if (answer !== null) return answer;
      }
      throw error;
    }
  };
}

/** How long one look counts: clocks do not drift by a minute in a minute, and an alarm stops the work within it. */
export const PREFLIGHT_LASTS_MS = 60_000;

const lastPassed = new WeakMap<Store, { readonly monotonicMs: number; readonly at: number }>();

/** As {@link assertSafeToDestroy}, unless that passed less than a minute ago in this process and both of our clocks say so. */
export async function ensureSafeToDestroy(context: Context): Promise<void> {
  const passed = lastPassed.get(context.store);
  if (passed !== undefined) {
    const elapsedMs = context.clock.monotonicMs() - passed.monotonicMs;
    const elapsedByClockMs = context.clock.now().getTime() - passed.at;
    if (elapsedMs < PREFLIGHT_LASTS_MS && elapsedByClockMs >= 0 && elapsedByClockMs < PREFLIGHT_LASTS_MS) return;
  }
  await assertSafeToDestroy(context);
}
