/** What a process reads when a call meets a fault, as the adapters tell it. */
import { MoraineError } from '../../../src/errors.ts';
import { UNKNOWN_WHEN_LOST } from '../../../src/vault/memory-faults.ts';
import type { Server } from '../engine/calls.ts';

/** As the adapters tell it. */
export const ANSWERS = {
  broken: ({ server, name }: { server: Server; name: string }, mayHaveHappened: boolean) => {
    if (server === 'files') return new MoraineError('ATTACHMENT_UNAVAILABLE', 'The connection was cut.');
    if (server !== 'vault') return new MoraineError('MONGODB_UNAVAILABLE', 'The connection was cut.');
    const isUnknown = mayHaveHappened && UNKNOWN_WHEN_LOST.has(name);
    return new MoraineError(isUnknown ? 'VAULT_OUTCOME_UNKNOWN' : 'VAULT_UNAVAILABLE', 'The connection was cut.');
  },
  throttled: () => new MoraineError('VAULT_THROTTLED', 'Slow down.'),
  denied: () => new MoraineError('VAULT_REFUSED', 'ExpiredTokenException: the credentials have expired.'),
};

/** The connection breaks in the middle of a batch. */
export function cut(server: Server, name: string): never {
  throw ANSWERS.broken({ server, name }, true);
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

export function flipped(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}
