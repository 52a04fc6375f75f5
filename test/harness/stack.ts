import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { afterAll, inject, type RunnerTestSuite } from 'vitest';
import type { StackUrls } from '../../infra/local-stack/index.ts';
import { dropNames } from './drop-names.ts';

const SLUG_CHARACTERS = 24;
const RANDOM_BYTES = 4;

/** Names of one test file alone, so that files can run side by side on one stack. */
export interface TestNames {
  /** A MongoDB database. Names that begin with it and an underscore are the file's own too. */
  readonly database: string;
  /** Redis keys begin with it (BullMQ: `prefix`). */
  readonly prefix: string;
  /** Names of Glacier vaults and S3 buckets begin with it. */
  readonly vaultPrefix: string;
}

/** The URLs of the stack that runs. Only in projects that have one (vitest.config.ts). */
export function stackUrls(): StackUrls {
  return inject('stack');
}

/**
 * Call it at the top of a test file with `import.meta.filename`. What the file leaves under these names is dropped when
 * all its tests have passed; after a failure it is kept, and where it is gets printed.
 */
export function testNames(file: string): TestNames {
  const slug = basename(file)
    .replace(/\.test\.ts$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, SLUG_CHARACTERS);
  const run = randomBytes(RANDOM_BYTES).toString('hex');
  const database = `t_${slug.replaceAll('-', '_')}_${run}`;
  const names = { database, prefix: database, vaultPrefix: `t-${slug}-${run}` };
  const urls = stackUrls();
  // biome-ignore lint/correctness/noEmptyPattern: vitest wants the fixtures destructured, and none is used.
  afterAll(async ({}, suite) => {
    if (hasPassed(suite)) {
      await dropNames(urls, names);
    } else {
      console.log(
        `Kept for a look: databases ${database}* on ${urls.mongodb}, keys ${names.prefix}* on ${urls.redis}, ` +
          `vaults ${names.vaultPrefix}* on ${urls.glacier}, buckets ${names.vaultPrefix}* on ${urls.s3}`,
      );
    }
  });
  return names;
}

/** True when every test below was run and passed, or was skipped on purpose. */
function hasPassed(suite: Readonly<RunnerTestSuite>): boolean {
  return suite.tasks.every((task) => {
    if (task.mode === 'skip' || task.mode === 'todo' || task.result?.state === 'skip') return true;
    return task.type === 'suite' ? hasPassed(task) : task.result?.state === 'pass';
  });
}
