/**
 * Loaded before the command line (`node --import`): wraps the adapters, so that this process kills or stops itself at
 * the point that it was given, and makes the waits of the product short. The process that runs is the real one.
 */
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { PLAN_VARIABLE, type ProcessPlan } from './points.ts';
import { withShortMargins } from './short-margins.ts';

const CHECKOUT = new URL('../../', import.meta.url).href;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const isOurs = url.startsWith(`${CHECKOUT}src/`) || url.startsWith(`${CHECKOUT}jobs/`);
    if (!isOurs || loaded.source == null) return loaded;
    const { source } = loaded;
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source);
    return { ...loaded, source: withShortMargins(new URL(url).pathname, text) };
  },
});

const plan = readPlan(process.env[PLAN_VARIABLE]);
const met = new Map<string, number>();

/** Where the process dies or freezes. The line is on disk before the signal is sent. */
function meet(point: string): void {
  if (plan?.armed?.at !== point) return;
  const times = (met.get(point) ?? 0) + 1;
  met.set(point, times);
  if (times !== plan.armed.nth) return;
  appendFileSync(plan.log, `${process.pid} ${plan.armed.signal} ${point}\n`);
  process.kill(process.pid, plan.armed.signal);
}

/** Comes past `before` and `after` of a method. `detail` tells calls of one method apart by their first argument. */
function wrap(target: object, port: string, method: string, detail: (first: unknown) => string = () => ''): void {
  const original: unknown = Reflect.get(target, method);
  if (typeof original !== 'function') throw new Error(`${port} has no ${method}: preload.ts must follow the product`);
  Reflect.set(target, method, function passing(this: unknown, ...args: unknown[]) {
    const point = `${port}.${method}${detail(args[0])}`;
    meet(`before ${point}`);
    const result: unknown = Reflect.apply(original, this, args);
    if (!(result instanceof Promise)) return result;
    return result.then((value: unknown) => {
      meet(`after ${point}`);
      return value;
    });
  });
}

function stateOf(document: unknown): string {
  if (typeof document !== 'object' || document === null || !('state' in document)) return '';
  return `(${String(document.state)})`;
}

const { MongoSource } = await import('../../src/source/mongo-source.ts');
for (const method of ['deleteGuarded', 'readByIds']) wrap(MongoSource.prototype, 'source', method);

const { GlacierVault } = await import('../../src/vault/glacier.ts');
for (const method of ['storeWhole', 'beginUpload', 'sendPart', 'completeUpload', 'abortUpload', 'deleteArchive']) {
  wrap(GlacierVault.prototype, 'vault', method);
}

const { KeyStore } = await import('../../src/keys/key-store.ts');
for (const method of ['putArchiveKey', 'readArchiveKey', 'destroyArchiveKey']) wrap(KeyStore.prototype, 'keys', method);

const { MongoStore } = await import('../../src/ledger/mongo-store.ts');
const openCollection: unknown = Reflect.get(MongoStore.prototype, 'collection');
Reflect.set(MongoStore.prototype, 'collection', function collection(this: unknown, name: string): unknown {
  const opened: unknown = typeof openCollection === 'function' ? Reflect.apply(openCollection, this, [name]) : null;
  if (typeof opened !== 'object' || opened === null) throw new Error('a store opened no collection');
  // The states of an archive tell its moves apart; of other documents the collection alone does.
  wrap(opened, `ledger.${name}`, 'replace', name === 'archives' ? stateOf : undefined);
  wrap(opened, `ledger.${name}`, 'insert');
  return opened;
});

function readPlan(text: string | undefined): ProcessPlan | null {
  return text === undefined || text === '' ? null : JSON.parse(text);
}
