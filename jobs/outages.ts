/** What the daemon waits for: said once when it begins, once when it is over, and not in between. */
import { ERROR_KINDS, type ErrorCode } from '../src/errors.ts';
import type { ActLog } from '../src/lifecycle/context.ts';

/** `time`: what stops destructive work (clock, alarm) rather than a server that is away. */
export type Waited = 'redis' | 'mongodb' | 'vault' | 'time';

const NAMES: Readonly<Record<Waited, string>> = {
  redis: 'Redis',
  mongodb: 'MongoDB',
  vault: 'The vault service',
  time: 'Destructive work',
};

export class Outages {
  readonly #log: ActLog;
  readonly #open = new Map<Waited, ErrorCode>();

  constructor(log: ActLog) {
    this.#log = log;
  }

  began(what: Waited, code: ErrorCode): void {
    if (this.#open.get(what) === code) return;
    this.#open.set(what, code);
    const { meaning, hint } = ERROR_KINDS[code];
    const state = what === 'time' ? 'has stopped' : 'is away';
    this.#log.error({ code }, `${NAMES[what]} ${state}: ${meaning} ${hint} The daemon waits and goes on by itself.`);
  }

  ended(what: Waited): void {
    const code = this.#open.get(what);
    if (code === undefined) return;
    this.#open.delete(what);
    this.#log.info({ code }, what === 'time' ? `${NAMES[what]} goes on.` : `${NAMES[what]} is back.`);
  }
}
