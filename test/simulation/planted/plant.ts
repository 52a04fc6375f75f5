/** Plants a bug: from now on the modules that it names load with other text. The files stay as they are. */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { Patch } from './bug.ts';

const ROOT = new URL('../../../', import.meta.url);

/** The text with each patch made. Throws where the text to change is not there exactly once. */
export function patched(file: string, source: string, patches: readonly Patch[]): string {
  let text = source;
  for (const { find, replace } of patches) {
    const places = text.split(find).length - 1;
    if (places !== 1)
      throw new Error(`A planted bug is not armed: ${JSON.stringify(find)} is ${places} times in ${file}.`);
    text = text.replace(find, () => replace);
  }
  return text;
}

export interface Planting {
  /** Throws when a file that was to be changed was never loaded. */
  assertPlanted(): void;
}

/** Before anything of the product is loaded. */
export function plant(patches: readonly Patch[]): Planting {
  const byUrl = new Map<string, Patch[]>();
  for (const patch of patches) {
    const url = new URL(patch.file, ROOT).href;
    byUrl.set(url, [...(byUrl.get(url) ?? []), patch]);
  }
  const waiting = new Set(byUrl.keys());
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const ofFile = byUrl.get(url);
      if (ofFile === undefined) return loaded;
      waiting.delete(url);
      const source =
        typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source ?? new Uint8Array());
      return { ...loaded, source: patched(url.slice(ROOT.href.length), source, ofFile) };
    },
  });
  return {
    assertPlanted: () => {
      if (waiting.size > 0) throw new Error(`A planted bug is not armed: ${[...waiting].join(', ')} was not loaded.`);
    },
  };
}

/** For a preload that is named on a command line. */
export function urlOf(path: string): string {
  return pathToFileURL(path).href;
}
