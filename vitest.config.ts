import { defineConfig } from 'vitest/config';

/** Two cores: one for the tests, one for the servers that they talk to, and a little more of both. */
const WORKERS = 2;

const UNIT_TIMEOUT_MS = 15_000;
const STACK_TIMEOUT_MS = 60_000;

/** Tests that need nothing but Node. */
function standalone(name: string, testTimeout: number) {
  return { test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout } };
}

/** Tests on the local stack, which is started before the first of them. */
function onStack(name: string) {
  const project = standalone(name, STACK_TIMEOUT_MS);
  return { test: { ...project.test, globalSetup: ['test/harness/global-setup.ts'] } };
}

export default defineConfig({
  test: {
    maxWorkers: WORKERS,
    pool: 'forks',
    projects: [
      standalone('unit', UNIT_TIMEOUT_MS),
      standalone('simulation', STACK_TIMEOUT_MS),
      onStack('contract'),
      onStack('integration'),
      onStack('acceptance'),
      onStack('browser'),
    ],
  },
});
