import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const ENTRY = 'infra/glacier-emulator/main.ts';
const RELATIVE_IMPORT = /(?:from|import)\s+'(\.{1,2}\/[^']+\.ts)'/g;

/** The hash of the emulator's code: its entry file and all that it imports from the checkout, however far down. */
export function emulatorCodeHash(checkout: string): string {
  const seen = new Map<string, string>();
  const visit = (file: string) => {
    if (seen.has(file) || !existsSync(file)) return;
    const text = readFileSync(file, 'utf8');
    seen.set(file, text);
    for (const [, imported] of text.matchAll(RELATIVE_IMPORT)) if (imported) visit(resolve(dirname(file), imported));
  };
  visit(join(checkout, ENTRY));
  const hash = createHash('sha256');
  for (const file of [...seen.keys()].sort()) hash.update(`${relative(checkout, file)}\0${seen.get(file)}\0`);
  return hash.digest('hex');
}
