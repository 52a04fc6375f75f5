/**
 * Loaded before the command line (`node --import`): leases and waits of a followed retrieval order last a second or less,
 * so that what comes after a kill is seen in a short run. A constant that is not found any more is an error.
 */
import { registerHooks } from 'node:module';

const CONSTANTS: readonly (readonly [file: string, constant: string, value: string])[] = [
  ['src/ledger/leases.ts', 'LEASE_MS', '2_500'],
  ['src/ledger/leases.ts', 'LONGEST_CALL_MS', '300'],
  ['src/ledger/leases.ts', 'LEASE_STOP_BEFORE_END_MS', 'LONGEST_CALL_MS + 100'],
  ['src/lifecycle/retrieve.ts', 'ASKING_ENDS_MS', '500'],
  ['src/cli/follow.ts', 'FIRST_LOOK_MS', '50'],
  ['src/cli/follow.ts', 'LAST_LOOK_MS', '300'],
];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const path = new URL(url).protocol === 'file:' ? new URL(url).pathname : '';
    const mine = CONSTANTS.filter(([file]) => path.endsWith(`/${file}`));
    if (mine.length === 0 || loaded.source == null) return loaded;
    const { source } = loaded;
    let text = typeof source === 'string' ? source : new TextDecoder().decode(source);
    for (const [file, constant, value] of mine) {
      const line = new RegExp(`^((?:export )?const ${constant}) = .*;$`, 'm');
      if (!line.test(text)) throw new Error(`${file} has no constant ${constant}: quick-waits.ts must follow it`);
      text = text.replace(line, `$1 = ${value};`);
    }
    return { ...loaded, source: text };
  },
});
