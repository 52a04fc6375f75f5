/**
 * Faults around any port of one process. Calls of all ports of the process are counted together; one of them meets the
 * fault. What may be injected, one at a time:
 *
 * - `dies before` / `dies after`: the process is gone at that call, without or with its effect; every later call of the
 *   process fails without effect.
 * - `gets an error` / `loses a reply`: that call alone fails, without or with its effect; the process goes on and handles it.
 * - `sleeps`: that call begins only when `wake` is called, long after others have gone on; then the process goes on.
 */
import { MoraineError } from '../../src/errors.ts';

export const FAULTS = ['dies before', 'dies after', 'gets an error', 'loses a reply', 'sleeps'] as const;
export type Fault = (typeof FAULTS)[number];
type PortKind = 'mongodb' | 'vault';

interface Call {
  readonly kind: PortKind;
  readonly label: string;
  readonly name: string;
}

export class Process {
  calls = 0;
  /** What the faulty call was. */
  met: string | null = null;
  readonly #fault: Fault | null;
  readonly #atCall: number;
  #isDead = false;
  #wake: () => void = () => undefined;
  readonly #slept: Promise<void>;
  /** Resolves when the process has come to its sleep. */
  readonly asleep: Promise<void>;
  #fellAsleep: () => void = () => undefined;

  constructor(fault: Fault | null = null, atCall = 0) {
    this.#fault = fault;
    this.#atCall = atCall;
    this.#slept = new Promise((resolve) => {
      this.#wake = resolve;
    });
    this.asleep = new Promise((resolve) => {
      this.#fellAsleep = resolve;
    });
  }

  wake(): void {
    this.#wake();
  }

  /** The port as this process sees it. `pure` names the calls that reach nothing outside; `label` says in messages which it is. */
  wrap<T extends object>(port: T, kind: PortKind, pure: readonly (keyof T)[], label: string = kind): T {
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (pure.some((key) => key === name)) return value.bind(target);
        return (...args: unknown[]) =>
          this.#call({ kind, label, name: String(name) }, () => Reflect.apply(value, target, args));
      },
    });
  }

  #call(call: Call, effect: () => unknown): unknown {
    if (GENERATORS.has(call.name)) return this.#iterate(call, effect);
    return this.#meet(call, async () => await effect());
  }

  async *#iterate(call: Call, effect: () => unknown): AsyncGenerator<unknown> {
    const items: unknown[] = [];
    await this.#meet(call, async () => {
      const iterable = effect();
      if (isAsyncIterable(iterable)) for await (const item of iterable) items.push(item);
    });
    yield* items;
  }

  async #meet({ kind, label, name }: Call, effect: () => Promise<unknown>): Promise<unknown> {
    if (this.#isDead) throw errorOf(kind, false);
    this.calls += 1;
    if (this.calls !== this.#atCall || this.#fault === null) return await effect();
    this.met = `${label} ${name}`;
    if (this.#fault === 'sleeps') {
      this.#fellAsleep();
      await this.#slept;
      return await effect();
    }
    if (this.#fault.startsWith('dies')) this.#isDead = true;
    if (this.#fault === 'dies before' || this.#fault === 'gets an error') throw errorOf(kind, false);
    await effect();
    throw errorOf(kind, true);
  }
}

const GENERATORS = new Set(['find', 'scan', 'partitions', 'unfit', 'children', 'childNames', 'read', 'listUploads']);

/** As the real adapters tell it. */
function errorOf(kind: PortKind, mayHaveHappened: boolean): MoraineError {
  if (kind === 'mongodb') return new MoraineError('MONGODB_UNAVAILABLE', 'The connection was cut.');
  return new MoraineError(mayHaveHappened ? 'VAULT_OUTCOME_UNKNOWN' : 'VAULT_UNAVAILABLE', 'The connection was cut.');
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
