/** All modules of the checkout and who imports whom. */
import { globSync, readFileSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';
import { type Import, type ModuleFacts, scanModule } from './module-scan.ts';

export const CHECKOUT = resolve(import.meta.dirname, '../..');

const SCANNED = ['src', 'jobs', 'infra', 'scripts', 'bench', 'test'];

/** By path from the root of the checkout, with slashes. */
export type Modules = ReadonlyMap<string, ModuleFacts>;

/** Reads every module of the checkout. */
export function readModules(): Modules {
  const files = globSync(`{${SCANNED.join(',')}}/**/*.ts`, { cwd: CHECKOUT }).sort();
  return scanModules(Object.fromEntries(files.map((file) => [file, readFileSync(join(CHECKOUT, file), 'utf8')])));
}

/** From path and text of each. */
export function scanModules(texts: Readonly<Record<string, string>>): Modules {
  return new Map(Object.entries(texts).map(([file, text]) => [file, scanModule(file, text)]));
}

/** The path from the root that a relative import means; null for packages and Node's own modules. */
export function targetOf(importer: string, { specifier }: Import): string | null {
  return /^\.{1,2}\//.test(specifier) ? posix.join(posix.dirname(importer), specifier) : null;
}

export interface Reached {
  readonly file: string;
  /** From where the search began to this file. */
  readonly way: readonly string[];
}

/** Every module that loads with `start`, at any remove, each by a shortest way. Erased imports load nothing. */
export function reachable(modules: Modules, start: string): Reached[] {
  const ways = new Map<string, readonly string[]>([[start, [start]]]);
  for (const [file, way] of ways) {
    for (const one of modules.get(file)?.imports ?? []) {
      const target = one.isTypeOnly ? null : targetOf(file, one);
      if (target !== null && !ways.has(target)) ways.set(target, [...way, target]);
    }
  }
  return [...ways].map(([file, way]) => ({ file, way }));
}
