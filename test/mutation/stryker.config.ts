/** Mutation tests of one part (docs/mutation-testing.md). Run by `npm run mutate`. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PartialStrykerOptions } from '@stryker-mutator/api/core';
import { cacheDir } from '../../infra/local-stack/places.ts';
import { partOfThisRun } from './parts.ts';

const { name, part } = partOfThisRun();
const REPORTS = 'reports/mutation';

const options: PartialStrykerOptions = {
  mutate: [...part.mutate],
  plugins: ['@stryker-mutator/vitest-runner', './test/mutation/ignore-messages.ts'],
  ignorers: ['messages'],
  ignoreStatic: part.ignoreStatic,
  testRunner: 'vitest',
  vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
  coverageAnalysis: 'perTest',
  incremental: true,
  incrementalFile: join(cacheDir(), 'mutation', `${name}.json`),
  tempDirName: join(tmpdir(), `moraine-mutation-${name}`),
  // TypeScript 7 has no interface in JavaScript, with which Stryker would rewrite the paths in tsconfig.json.
  ignorePatterns: ['/reports', '/bench-results', '/coverage', '/.moraine', '/tsconfig.json'],
  concurrency: 1,
  dryRunTimeoutMinutes: 10,
  // A mutant that never ends runs into Stryker's limit of hits; on a busy machine a short time limit kills the innocent.
  timeoutMS: 30_000,
  timeoutFactor: 2,
  reporters: ['progress-append-only', 'clear-text', 'json', 'html'],
  clearTextReporter: { allowColor: false, allowEmojis: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: `${REPORTS}/${name}.json` },
  htmlReporter: { fileName: `${REPORTS}/${name}.html` },
  allowConsoleColors: false,
};

export default options;
