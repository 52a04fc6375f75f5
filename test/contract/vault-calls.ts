/** Records which calls of the service each method of a vault makes, and compares them with what the product says of itself. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { expect } from 'vitest';
import type { Inventory, VaultPort } from '../../src/vault/port.ts';
import type { BackendActions } from '../../src/vault/vault-actions.ts';

const methodInHand = new AsyncLocalStorage<string>();

export class RecordedCalls {
  readonly #seen = new Map<string, Set<string>>();

  /** For `createVault`. */
  readonly onCall = (call: string): void => {
    const method = methodInHand.getStore() ?? 'no method';
    const calls = this.#seen.get(method) ?? new Set<string>();
    this.#seen.set(method, calls.add(call));
  };

  /** The same port; what its methods send is put down to them. */
  of(port: VaultPort): VaultPort {
    return new Proxy(port, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function' || typeof name !== 'string') return member;
        return (...args: unknown[]): unknown => {
          const result: unknown = methodInHand.run(name, () => Reflect.apply(member, target, args));
          return name === 'readInventory' ? withEntries(result) : isIterable(result) ? within(name, result) : result;
        };
      },
    });
  }

  /** Nothing was sent that is not listed, and all that is listed was sent, but for what happens rarely. */
  expectAsListed(backend: BackendActions): void {
    const listed = new Map(
      Object.entries(backend.methods).map(([name, { calls, rarely = [] }]) => [name, { calls, rarely }]),
    );
    for (const [method, calls] of this.#seen) {
      const { calls: always = [], rarely = [] } = listed.get(method) ?? {};
      const unlisted = [...calls].filter((call) => ![...always, ...rarely].includes(call));
      expect({ method, unlisted }).toEqual({ method, unlisted: [] });
    }
    for (const [method, { calls }] of listed) {
      const unseen = calls.filter((call) => this.#seen.get(method)?.has(call) !== true);
      expect({ method, unseen }).toEqual({ method, unseen: [] });
    }
    for (const { calls, rarely } of listed.values())
      for (const call of [...calls, ...rarely]) expect(Object.keys(backend.calls)).toContain(call);
  }
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** A generator works when it is asked, not when it is made. */
async function* within(name: string, iterable: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  const iterator = iterable[Symbol.asyncIterator]();
  while (true) {
    const { done, value } = await methodInHand.run(name, () => iterator.next());
    if (done === true) return;
    yield value;
  }
}

async function withEntries(result: unknown): Promise<unknown> {
  const inventory = await result;
  if (!isInventory(inventory)) return inventory;
  return { ...inventory, entries: () => within('readInventory', inventory.entries()) };
}

function isInventory(value: unknown): value is Inventory {
  return typeof value === 'object' && value !== null && 'entries' in value && typeof value.entries === 'function';
}
