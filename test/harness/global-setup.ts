import type { TestProject } from 'vitest/node';
import { ensureStack, type StackUrls } from '../../infra/local-stack/index.ts';

declare module 'vitest' {
  interface ProvidedContext {
    stack: StackUrls;
  }
}

/** Brings the local stack up once for all test files of a project and hands its URLs to them. */
export default async function setup(project: TestProject): Promise<void> {
  project.provide('stack', await ensureStack({ progress: (line) => console.log(line) }));
}
