/**
 * The fake: remembers what it was told. `fault` may throw before or after a telling is taken, once for each that is
 * queued: `before` is a server that is away, `after` a reply that was lost.
 */
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { type Message, messageOf } from './message.ts';
import type { NotifyWay } from './port.ts';
import type { Telling } from './telling.ts';

export interface Taken {
  readonly telling: Telling;
  readonly to: string;
  readonly message: Message;
}

export class MemoryWay implements NotifyWay {
  readonly kind = 'memory';
  readonly name: string;
  readonly taken: Taken[] = [];
  readonly faults: ('before' | 'after' | 'refused')[] = [];
  readonly #addressOf: (owner: OwnerId) => string | null;
  #isClosed = false;

  constructor(name: string, addressOf: (owner: OwnerId) => string | null) {
    this.name = name;
    this.#addressOf = addressOf;
  }

  addressOf(owner: OwnerId): string | null {
    return this.#addressOf(owner);
  }

  async send(telling: Telling, signal?: AbortSignal): Promise<{ readonly messageId: string }> {
    if (this.#isClosed) throw new MoraineError('INTERNAL', 'A closed way was asked to send.');
    if (signal?.aborted) throw new MoraineError('NOTICE_UNAVAILABLE', 'Stopped before it was sent.');
    const to = this.#addressOf(telling.owner);
    if (to === null) throw new MoraineError('NOTICE_REFUSED', 'This way does not reach the owner.');
    const fault = this.faults.shift();
    if (fault === 'before') throw new MoraineError('NOTICE_UNAVAILABLE', 'The way is away.');
    if (fault === 'refused') throw new MoraineError('NOTICE_REFUSED', 'The way refused it.');
    this.taken.push({ telling, to, message: messageOf(telling) });
    if (fault === 'after') throw new MoraineError('NOTICE_UNAVAILABLE', 'The reply was lost.');
    return { messageId: `memory-${telling.id}` };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}
