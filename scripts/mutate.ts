/**
 * Mutation tests: `npm run mutate` for all parts, `npm run mutate -- policy` for one; further arguments go to Stryker
 * (`npm run mutate -- ledger --mutate src/ledger/leases.ts`). See docs/mutation-testing.md.
 */
import { spawnSync } from 'node:child_process';
import { PARTS } from '../test/mutation/parts.ts';

const [first = '', ...rest] = process.argv.slice(2);
const isNamed = Object.hasOwn(PARTS, first);
const parts = isNamed ? [first] : Object.keys(PARTS);
const args = isNamed ? rest : process.argv.slice(2);

if (!isNamed && first !== '' && !first.startsWith('-')) {
  console.error(
    `There is no part "${first}". usage: npm run mutate -- [${Object.keys(PARTS).join('|')}] [--mutate FILE]`,
  );
  process.exit(2);
}

for (const part of parts) {
  const env = { ...process.env, MORAINE_MUTATE: part };
  const { status } = spawnSync('stryker', ['run', 'test/mutation/stryker.config.ts', ...args], {
    env,
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
