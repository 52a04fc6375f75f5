/** The place of audit heads in memory, for tests. What is under a number stays; a lost reply or a refusal is given on demand. */
import { MoraineError } from '../errors.ts';
import type { HeadsPlace, PublishedHead } from './heads-port.ts';

export class MemoryHeads implements HeadsPlace {
  readonly name = 'memory://heads';
  readonly #heads = new Map<number, { readonly bytes: Uint8Array; readonly retainUntil: Date; isCovered: boolean }>();
  #next: 'refuse' | 'lose reply' | null = null;
  #isWriteOnce = true;

  failNext(how: 'refuse' | 'lose reply'): void {
    this.#next = how;
  }

  /** Somebody switches the lock off, or on. */
  setWriteOnce(isWriteOnce: boolean): void {
    this.#isWriteOnce = isWriteOnce;
  }

  /** Somebody writes above a head, or marks it as deleted. */
  cover(number: number): void {
    const head = this.#heads.get(number);
    if (head !== undefined) head.isCovered = true;
  }

  /** What no lock allows: for tests of what is found then. */
  lose(number: number): void {
    this.#heads.delete(number);
  }

  retainUntil(number: number): Date | null {
    return this.#heads.get(number)?.retainUntil ?? null;
  }

  async assertWriteOnce(): Promise<void> {
    if (this.#isWriteOnce) return;
    throw new MoraineError('AUDIT_HEADS_REFUSED', `${this.name} could lose what is written: it has no lock.`);
  }

  async publish(number: number, bytes: Uint8Array, retainUntil: Date): Promise<'published' | 'taken'> {
    const fault = this.#next;
    this.#next = null;
    if (fault === 'refuse') throw new MoraineError('VAULT_REFUSED', 'The place of audit heads refuses.');
    if (this.#heads.has(number)) return 'taken';
    this.#heads.set(number, { bytes: Uint8Array.from(bytes), retainUntil, isCovered: false });
    if (fault === 'lose reply') throw new MoraineError('VAULT_UNAVAILABLE', 'The connection broke.');
    return 'published';
  }

  async *heads(from: number): AsyncIterable<PublishedHead> {
    for (const number of [...this.#heads.keys()].sort((a, b) => a - b)) {
      const head = this.#heads.get(number);
      if (number >= from && head !== undefined)
        yield { number, bytes: Uint8Array.from(head.bytes), isCovered: head.isCovered };
    }
  }
}
