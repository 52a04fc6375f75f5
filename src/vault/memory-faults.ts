/**
 * The faults of the fake vault, each for the next calls of one operation: `throttle` and `unavailable` (nothing
 * happened), `lost-reply` (it happened), `veto` (deletes, locks and holds only). Any number may be waiting at once.
 */
import { MoraineError } from '../errors.ts';
import type { VaultPort } from './port.ts';

export type MemoryFault = 'throttle' | 'unavailable' | 'lost-reply' | 'veto';
export type MemoryOperation = Exclude<
  keyof VaultPort,
  'backend' | 'smallestPartBytes' | 'guards' | 'locate' | 'estimateRetrieval'
>;

/**
 * Calls that may have changed something that repeating them would change again: a lost reply to one of these has an
 * unknown outcome. Any other is the same when it is repeated, and a lost reply is no more than a service that is away. As
 * the adapters say in the `effect` of their calls.
 */
export const UNKNOWN_WHEN_LOST: ReadonlySet<string> = new Set<MemoryOperation>([
  'storeWhole',
  'beginUpload',
  'completeUpload',
  'requestRetrieval',
  'deleteArchive',
  'deleteAbandoned',
]);

export class MemoryFaults {
  readonly #waiting: { readonly operation: MemoryOperation; readonly fault: MemoryFault }[] = [];

  /** The next `times` calls of this operation meet this fault. */
  failNext(operation: MemoryOperation, fault: MemoryFault, times: number): void {
    for (let i = 0; i < times; i += 1) this.#waiting.push({ operation, fault });
  }

  /** Every call passes here: it waits one turn, as a network would, and meets the fault that waits for it. */
  async answer<Result>(operation: MemoryOperation, act: () => Result): Promise<Result> {
    await Promise.resolve();
    const fault = this.#next(operation);
    if (fault === 'throttle') throw new MoraineError('VAULT_THROTTLED', `${operation}: slow down.`);
    if (fault === 'unavailable') throw new MoraineError('VAULT_UNAVAILABLE', `${operation}: nobody answers.`);
    if (fault === 'veto') throw new MoraineError('VAULT_VETO', `${operation}: a lock refuses.`);
    const result = act();
    if (fault === 'lost-reply' && !UNKNOWN_WHEN_LOST.has(operation)) {
      throw new MoraineError('VAULT_UNAVAILABLE', `${operation}: the reply was lost.`);
    }
    if (fault === 'lost-reply') {
      throw new MoraineError('VAULT_OUTCOME_UNKNOWN', `${operation}: the reply was lost.`, {
        changed: `${operation} may have taken effect.`,
      });
    }
    return result;
  }

  #next(operation: MemoryOperation): MemoryFault | null {
    const at = this.#waiting.findIndex((entry) => entry.operation === operation);
    return at < 0 ? null : (this.#waiting.splice(at, 1)[0]?.fault ?? null);
  }
}
