import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { partOfThisRun } from './parts.ts';

const { name, part } = partOfThisRun();

/** The tests of the part itself first: they are quick, and the first failure ends a mutant. */
class OwnTestsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isOwn = (file: TestSpecification) => file.moduleId.includes(`/${name}-`);
    return [...files.filter(isOwn), ...files.filter((file) => !isOwn(file))];
  }
}

/**
 * The tests that each mutant meets: those that need nothing but Node and are quick. What reads the checkout itself (the
 * import rules, the pages) would see instrumented code, and what measures time would see how busy the machine is.
 */
export default defineConfig({
  test: {
    include: [...part.tests],
    exclude: ['test/unit/*-speed.test.ts'],
    setupFiles: ['test/mutation/one-seed.ts'],
    pool: 'threads',
    // Far above what these tests take, and below Stryker's own limit, which costs a new process.
    testTimeout: 20_000,
    hookTimeout: 20_000,
    sequence: { sequencer: OwnTestsFirst },
  },
});
