/**
 * What becomes of a job whose work threw. One place for all queues, by the error's class (src/errors.ts):
 *
 * - told to stop: given back as waiting, for whoever is there next.
 * - a server is away, or the clock or an alarm stops destructive work: looks again later and uses up no attempt, however
 *   long it lasts. Said once (see outages.ts).
 * - another worker holds the lease, or `later`: looks again when the error says, or after the longest delay; what a person
 *   has paused looks seldom.
 * - `retry`, `unknown`: tried again by the queue, with growing waits; every act asks the outside world first.
 * - everything else would fail again unchanged: fails for good. The watchdog or the next sweep gives it another chance.
 *
 * What reaches Redis, and with it dashboards, is the code and ids: no text of an error, no stack of foreign code.
 */
import { type ErrorCode, MoraineError } from '../src/errors.ts';
import type { Margins } from './margins.ts';
import type { Waited } from './outages.ts';

export type Settlement =
  | { readonly kind: 'give-back' }
  | {
      readonly kind: 'delay';
      readonly ms: number;
      readonly waited: Waited | null;
      readonly code: ErrorCode;
      /** For the end of this pause. */
      readonly pause?: string;
    }
  | { readonly kind: 'retry'; readonly text: string }
  | { readonly kind: 'fail'; readonly text: string };

const AWAY: Partial<Record<ErrorCode, Waited>> = { MONGODB_UNAVAILABLE: 'mongodb', VAULT_UNAVAILABLE: 'vault' };

/** Nothing is wrong with the job itself: destructive work has stopped until a person has looked. */
const STOPS_ALL: ReadonlySet<ErrorCode> = new Set([
  'CLOCK_DISAGREES',
  'CLOCK_JUMPED',
  'LEDGER_BEHIND_VAULT',
  'KEY_STORE_BEHIND',
  'LEDGER_NEWER',
  'LEDGER_REBUILT',
]);

/** No wait is shorter: a time that has just passed must not make a busy loop. */
const SHORTEST_DELAY_MS = 1_000;

export function settle(
  error: unknown,
  { now, isStopping, margins }: { readonly now: Date; readonly isStopping: boolean; readonly margins: Margins },
): Settlement {
  if (isStopping) return { kind: 'give-back' };
  if (!(error instanceof MoraineError)) return { kind: 'fail', text: 'INTERNAL' };
  const { code } = error;
  const waited = AWAY[code];
  if (waited !== undefined) return { kind: 'delay', ms: margins.outageRetryMs, waited, code };
  if (STOPS_ALL.has(code)) return { kind: 'delay', ms: margins.gateRetryMs, waited: 'time', code };
  if (code === 'PAUSED') {
    const { pause } = error.ids;
    const until = typeof pause === 'string' ? { pause } : {};
    return { kind: 'delay', ms: margins.pausedRetryMs, waited: null, code, ...until };
  }
  if (code === 'LEASE_HELD') return { kind: 'delay', ms: margins.leaseRetryMs, waited: null, code };
  switch (error.class) {
    case 'later': {
      const ms = error.retryAt === undefined ? margins.laterRetryMs : error.retryAt.getTime() - now.getTime();
      const bounded = Math.min(Math.max(ms, SHORTEST_DELAY_MS), margins.longestDelayMs);
      return { kind: 'delay', ms: bounded, waited: null, code };
    }
    case 'retry':
    case 'unknown':
      return { kind: 'retry', text: codeAndIds(error) };
    default:
      return { kind: 'fail', text: codeAndIds(error) };
  }
}

export function codeAndIds(error: unknown): string {
  if (!(error instanceof MoraineError)) return 'INTERNAL';
  return [error.code, ...Object.entries(error.ids).map(([name, value]) => `${name}=${value}`)].join(' ');
}
